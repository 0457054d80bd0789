"""Does the GitHub action say what the command said, and never more than that?

    action.py [--nitro-signer PATH --stack STACK_JSON]

GitHub's runner is not here, so its part is played: action.yml's defaults and expressions, its own
line of shell, and readers of outputs and workflow commands written from GitHub's description. A
stand-in ends in every way in which a command can end, hostile ones too; with the two options the
command itself is run against the stack, for success and for each of its exit codes.
"""

import argparse
import base64
import hashlib
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

ROOT = Path(__file__).resolve().parents[2]
ACTION = ROOT / ".github/actions/verify-attestation"
DOCUMENTS = Path(os.environ.get("NITRO_ATTESTATION_DOCS", ROOT.parent / "shared/attestation-docs"))
TIMEOUT_S = 120
MAX_REPORT = 4 << 20
LIMIT_TEXT = "more than 4194304 bytes"

PCRS = {"0": "a0" * 48, "1": "a1" * 48, "2": "a2" * 48}
ZERO = "00" * 48
ADDRESS = "0x" + "11" * 20
MANIFEST_HASH = "5e" * 48
KMS_KEY = "arn:aws:kms:eu-central-1:111122223333:key/mrk-1"
NOT_VERIFIED = "Attestation not verified"

# --- the runner -------------------------------------------------------------------------------


@dataclass
class Step:
    """What a step left behind; a stray line of the log is one that is no annotation."""

    exit_code: int
    outputs: dict
    summary: str
    annotations: list
    stray: list
    left: list


class Runner:
    """The runner's part, for one folder of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.action = yaml.safe_load((ACTION / "action.yml").read_text())

    def run(self, inputs, **variables):
        """The action as a step with these inputs, a default only where one is absent; `variables`
        take the place of the runner's own."""
        temp = Path(tempfile.mkdtemp(dir=self.folder))
        files = {name: temp / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        for path in files.values():
            path.touch()
        private = temp / "RUNNER_TEMP"
        private.mkdir()
        declared = self.action["inputs"]
        values = {name: str(inputs.get(name, declared[name].get("default", ""))) for name in declared}
        [step] = self.action["runs"]["steps"]
        env = {name: expand(text, "inputs", values) for name, text in step["env"].items()}
        env |= {name: str(path) for name, path in files.items()}
        env |= {"RUNNER_TEMP": str(private), "GITHUB_ACTION_PATH": str(ACTION), "PATH": os.environ["PATH"]}
        # What a workflow's own environment could bring along; none of it may reach the command.
        env |= {"NITRO_SIGNER_STACK": "/elsewhere/stack.json", "PYTHONPATH": str(self.folder / "elsewhere")}
        env |= variables
        (temp / "script.sh").write_text(step["run"])
        shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", temp / "script.sh"]
        ended = subprocess.run(
            shell, env=env, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=TIMEOUT_S,
        )
        found, stray = read_log(ended.stdout.decode())
        written = read_outputs(files["GITHUB_OUTPUT"].read_text())
        outputs = {
            name: expand(output["value"], "steps.verify.outputs", written)
            for name, output in self.action["outputs"].items()
        }
        summary = files["GITHUB_STEP_SUMMARY"].read_text(encoding="ascii")
        return Step(ended.returncode, outputs, summary, found, stray, sorted(private.iterdir()))


def expand(text, context, values):
    """The one form of expression that action.yml uses: a whole value that names one member."""
    name = re.fullmatch(r"\$\{\{ " + re.escape(context) + r"\.([a-z0-9-]+) \}\}", text)
    return values.get(name[1], "")


def read_outputs(text):
    """The form for several lines: a name, `<<`, a delimiter; the value; the delimiter."""
    outputs, lines = {}, text.split("\n")
    while len(lines) > 1:
        name, _, end = lines.pop(0).partition("<<")
        value = []
        while (line := lines.pop(0)) != end:
            value.append(line)
        outputs[name] = "\n".join(value)
    return outputs


def read_log(log):
    """Annotations as (kind, title, message), and all lines that are none."""
    annotations, stray = [], []
    for line in filter(None, re.split("\r\n|\r|\n", log)):
        command = re.fullmatch(r"::(error|warning|notice) title=([^:,]*)::(.*)", line)
        if command:
            annotations.append((command[1], *map(unescape, command.groups()[1:])))
        else:
            stray.append(line)
    return annotations, stray


def unescape(text):
    for code, mark in (("%2C", ","), ("%3A", ":"), ("%0A", "\n"), ("%0D", "\r"), ("%25", "%")):
        text = text.replace(code, mark)
    return text


# --- the stand-in -----------------------------------------------------------------------------


@dataclass
class StandIn:
    """A program that notes how it was called, prints, does `then`, and ends."""

    exit_code: int = 0
    printed: bytes = b""
    errors: bytes = b""
    then: str = ""

    def write(self, path, witness):
        lines = (
            f"#!{sys.executable} -I",
            "import hashlib, json, os, sys, time",
            "arguments = sys.argv[1:]",
            "paths = [a.partition('=')[2] for a in arguments if a.startswith('--expect=')]",
            "seen = [hashlib.sha256(open(p, 'rb').read()).hexdigest() for p in paths]",
            "mode = oct(os.stat(os.path.dirname(sys.argv[0])).st_mode & 0o777)",
            "noted = {'arguments': arguments, 'environment': dict(os.environ), 'own': sys.argv[0],",
            "         'measurements': seen, 'mode': mode}",
            f"open({str(witness)!r}, 'w').write(json.dumps(noted))",
            f"printed = {self.printed!r}",
            "try:",
            "    while printed: printed = printed[os.write(1, printed):]",
            "except OSError: pass",
            f"os.write(2, {self.errors!r})",
            self.then,
            f"os._exit({self.exit_code})",
        )
        path.write_text("\n".join(lines))


def report(exit_code=0, **changes):
    """The command's report as it is with this exit code, with these members in place of its own."""
    failure = {"code": "A2", "message": "The image is another one.", "remedy": "Compare the release."}
    checks = [
        {"id": "E1", "outcome": "passed", "rule": "A document has at most 32 KiB.", "reason": None},
        {"id": "A4", "outcome": "skipped", "rule": "The nonce is equal.", "reason": "No nonce was given."},
    ]
    whole = {
        "verified": exit_code == 0,
        "exit_code": exit_code,
        "failures": [] if exit_code == 0 else [failure],
        "trust_anchor": "aws",
        "time_basis": "now",
        "judged_at": "2026-11-22T08:00:00Z",
        "matched": {"version": "1.2.3", "builder": None, "eif_sha384": "ef" * 48, "pcrs": PCRS},
        "document": {
            "module_id": "i-0123456789abcdef0-enc0123456789abcdef", "instance_id": "i-0123456789abcdef0",
            "timestamp": "2026-11-22T07:59:58Z", "pcrs": PCRS | {"4": "a4" * 48},
            "nonce": None, "user_data": None, "public_key": None,
        },
        "policy": "verified",
        "manifest_hash": MANIFEST_HASH,
        "claims": {"wrapping_keys": [KMS_KEY], "vault": "main"},
        "addresses": [{"address": ADDRESS, "origin": "generated", "created": "2026-11-01T00:00:00Z", "labels": {}}],
        "checks": checks,
    }
    if exit_code != 0:
        whole["matched"] = None
    return json.dumps(whole | changes).encode()


# --- cases ------------------------------------------------------------------------------------


@dataclass
class Case:
    """A stand-in, the inputs that are changed (None leaves one out), and what must come of it."""

    what: str
    stand_in: StandIn
    exit_code: int
    says: str = ""
    inputs: dict = field(default_factory=dict)
    runs: bool = True
    reports: bool = True


HOSTILE = (
    "a\r\nb\n::set-output name=verified::true\n::add-mask::a\n##[error]x\nverified<<end\ntrue\nend\n"
    "| x | <script>alert(1)</script> `c` **b** [l](javascript:a) &lt; http://evil.example @all %0A::error::x \u00e9\u6f22 "
    "\u202e\u200b\ud800\x1b[31m\x00"
)
LONG = "x" * 5_000


def said(exit_code, **changes):
    """A stand-in that ends as its report says."""
    return StandIn(exit_code, report(exit_code, **changes))


def document(**changes):
    """The report's document with some changes."""
    return json.loads(report())["document"] | changes


def matched(**pcrs):
    """The set that matched with other registers; None leaves one out."""
    whole = {index: value for index, value in (PCRS | pcrs).items() if value is not None}
    return json.loads(report())["matched"] | {"pcrs": whole}


def ends():
    """Every exit code, and every way of not ending properly."""
    yield Case("verified", said(0), 0, "PCR0 " + PCRS["0"])
    for code in range(1, 8):
        yield Case(f"exit code {code}", said(code), code, "The image is another one.\nCompare the release.")
    for code in range(1, 8):
        silent = "refused its arguments" if code == 2 else "is not JSON"
        yield Case(f"exit code {code} without JSON", StandIn(code), 2 if code == 2 else 3, silent, reports=False)
    usage = StandIn(2, b"", b"error: bad\n\n  --at X\n")
    yield Case("usage as text", usage, 2, "error: bad\n  --at X", reports=False)
    hostile_usage = StandIn(2, b"", HOSTILE.encode(errors="replace"))
    yield Case("hostile usage as text", hostile_usage, 2, "::set-output", reports=False)
    for code in (0, 1):
        yield Case(f"nothing printed, exit code {code}", StandIn(code), 3, "is not JSON", reports=False)
    for code in (8, 101, 255):
        yield Case(f"exit code {code}", said(code), 3, f"ended with {code}", reports=False)
    killed = StandIn(0, report(), then="os.kill(os.getpid(), 9)")
    yield Case("ended by a signal", killed, 3, "ended with -9", reports=False)
    child = "pid = os.fork()\npid or os.execl('/bin/sleep', 'sleep', '300')\nopen('child', 'w').write(str(pid))\n"
    hanging = StandIn(0, report(), then=child + "time.sleep(300)")
    yield Case("hanging", hanging, 3, "within 1 s", {"timeout-seconds": 1}, reports=False)
    huge = StandIn(0, report() + b" " * MAX_REPORT)
    yield Case("a report of more than 4 MiB", huge, 3, LIMIT_TEXT, reports=False)
    endless = StandIn(0, report(), then="try:\n  while True: os.write(2, b'x' * 65536)\nexcept OSError: pass")
    yield Case("errors without end", endless, 0, "PCR0")
    whole = StandIn(0, report().ljust(MAX_REPORT))
    yield Case("a report of 4 MiB", whole, 0, "PCR0")


def contradictions():
    """Reports that do not fit the exit code, the question, or the known form."""
    whole = json.loads(report())
    passed = whole["checks"][0]
    debug = report(matched=matched(**{"0": ZERO}), document=document(pcrs=PCRS | {"0": ZERO}))
    table = [
        ("broken JSON", report()[:-1], "is not JSON"),
        ("two reports", report() * 2, "is not JSON"),
        ("a duplicate key", report()[:-1] + b', "verified": true}', "is not JSON"),
        ("NaN", report(further=float("nan")), "is not JSON"),
        ("no UTF-8", b'{"\xff": 1}', "is not JSON"),
        ("deep nesting", b"[" * 1_000_000, "is not JSON"),
        ("an array", b"[" + report() + b"]", "form known here"),
        ("true as the exit code's type", report(exit_code=False), "form known here"),
        ("verified as text", report(verified="true"), "form known here"),
        ("registers as numbers", report(matched=matched(**{"0": 0})), "form known here"),
        ("verified: false", report(verified=False), "verified: false"),
        ("another exit code", report(exit_code=1), "says 1"),
        ("a failure", report(failures=json.loads(report(1))["failures"]), "names a failure"),
        ("a failed check", report(checks=[passed, passed | {"outcome": "failed"}]), "not every check"),
        ("an unknown outcome", report(checks=[passed, passed | {"outcome": "perhaps"}]), "not every check"),
        ("no checks", report(checks=[]), "not every check"),
        ("skipped checks only", report(checks=whole["checks"][1:]), "not every check"),
        ("no matched set", report(matched=None), "names no image"),
        ("no document", report(document=None), "names no image"),
        ("a set without PCR2", report(matched=matched(**{"2": None})), "not all in the set"),
        ("a short PCR0", report(matched=matched(**{"0": "a0"})), "not all in the set"),
        ("PCR0 of another image", report(matched=matched(**{"0": "b0" * 48})), "is not the document's"),
        ("PCR8 that the document lacks", report(matched=matched(**{"8": "a8" * 48})), "is not the document's"),
        ("debug mode", debug, "debug mode"),
        ("another root", report(trust_anchor="custom"), "asked for (aws)"),
        ("no root", report(trust_anchor=None), "asked for (aws)"),
        ("the document's time", report(time_basis="document"), "asked for (now)"),
        ("policy not verified", report(policy="not_verified"), "word on the policy"),
        ("policy not asked", report(policy="not_asked"), "word on the policy"),
        ("no manifest hash", report(manifest_hash=None), "word on the policy"),
        ("the address is missing", report(addresses=[]), "address that was asked for"),
    ]
    table += [(f"no {name}", json.dumps({k: v for k, v in whole.items() if k != name}).encode(), "form known here")
              for name in whole]
    for what, printed, says in table:
        yield Case(f"exit code 0, {what}", StandIn(0, printed), 3, says, reports=False)
    yield Case("exit code 1, verified: true", StandIn(1, report(1, verified=True)), 3, "verified: true", reports=False)
    yield Case("exit code 1, report of a success", StandIn(1, report(0)), 3, "says 0", reports=False)
    yield Case("exit code 4, report of exit code 1", StandIn(4, report(1)), 3, "says 1", reports=False)
    yield Case("exit code 5, no reason", said(5, failures=[]), 5, "gave no reason")
    asked = [
        ("root", {"root": "root.pem"}, "asked for (custom)"),
        ("a time", {"at": "2026-01-01T00:00:00Z"}, "asked for (given)"),
        ("the document's time", {"at": "document"}, "asked for (document)"),
        ("no manifest", {"manifest": "none", "without-manifest": "true"}, "word on the policy"),
        ("another address too", {"address": f"{ADDRESS}\n0x{'22' * 20}"}, "address that was asked for"),
    ]
    for what, inputs, says in asked:
        yield Case(f"asked for {what}, which was passed over", said(0), 3, says, inputs, reports=False)


def answers():
    """Successes that were asked for in other ways, and hostile words in a report."""
    yield Case("a root of one's own", said(0, trust_anchor="custom"), 0, "not at Amazon's", {"root": "root.pem"})
    yield Case("another time", said(0, time_basis="given"), 0, "running now", {"at": "2026-11-22T08:00:00Z"})
    yield Case("the document's time", said(0, time_basis="document"), 0, "running now", {"at": "document"})
    bare = said(0, policy="not_verified", manifest_hash=None, claims=None, addresses=[])
    alone = {"manifest": None, "without-manifest": "true", "address": None}
    yield Case("no manifest", bare, 0, "anybody's manifest", alone)
    plain = said(0, policy="not_asked", manifest_hash=None, claims=None, addresses=[])
    yield Case("a document of somebody else", plain, 0, "anybody's manifest", {"manifest": None, "address": None})
    zeros = dict.fromkeys(PCRS, ZERO)
    debug = said(0, matched=matched(**zeros), document=document(pcrs=zeros))
    yield Case("debug mode allowed", debug, 0, "It protects nothing.", {"allow-debug": "true"})
    letters = said(0, addresses=[{"address": "0x" + "aB" * 20, "origin": "imported"}])
    yield Case("an address in other letters", letters, 0, "PCR0", {"address": "0x" + "Ab" * 20 + "\n"})
    yield Case("no claims", said(0, claims=None), 0, "PCR0")
    yield Case("a member nobody knows", said(0, further=HOSTILE), 0, "PCR0")

    failure = {"code": HOSTILE, "message": HOSTILE, "remedy": HOSTILE}
    check = {"id": HOSTILE, "outcome": "failed", "rule": HOSTILE, "reason": HOSTILE}
    received = document(module_id=HOSTILE, timestamp={HOSTILE: [HOSTILE]}, pcrs={"0": HOSTILE, HOSTILE: HOSTILE})
    hostile = {"failures": [failure], "checks": [check], "document": received}
    for code in range(1, 8):
        yield Case(f"hostile words, exit code {code}", said(code, **hostile), code, "::set-output")
    words = matched() | {"version": HOSTILE, "builder": HOSTILE}
    checks = [check | {"outcome": "passed"}]
    held = [{"address": ADDRESS, "origin": HOSTILE}, {"address": HOSTILE, "origin": None}]
    claims = {"wrapping_keys": [HOSTILE]}
    named = {"claims": claims, "matched": words, "document": document(module_id=HOSTILE), "judged_at": HOSTILE}
    trusted = said(0, checks=checks, addresses=held, **named)
    yield Case("hostile words in a success", trusted, 0, "set-output")
    many = [failure | {"message": LONG}] * 400
    yield Case("failures without end", said(1, failures=many, checks=[check] * 1_000), 1, "xxx...")


def refusals(pem):
    """Inputs that cannot be used: nothing runs."""
    required = ("binary", "binary-sha256", "document", "expect")
    table = [(f"no {name}", {name: None}, f"{name} is empty") for name in required]
    table += [(f"{name}: none", {name: "none"}, f"{name} is required") for name in required]
    table += [(f"an empty {name}", {name: ""}, f"{name} is empty") for name in Runner(ROOT).action["inputs"]]
    lines = ("document", "manifest", "nonce", "role-arn", "at", "ca", "measurements-sha256", "allow-debug")
    table += [(f"{name} of two lines", {name: "a\nb"}, f"{name} is not one line") for name in lines]
    table += [
        ("a long line", {"nonce": "0" * 4_097}, "nonce is not one line"),
        ("a control character", {"nonce": "00\x1b"}, "nonce is not one line"),
        ("standard input", {"document": "-"}, "no standard input"),
        ("allow-debug: yes", {"allow-debug": "yes"}, "neither true nor false"),
        ("without-manifest: TRUE", {"without-manifest": "TRUE"}, "neither true nor false"),
        ("manifest and none", {"without-manifest": "true"}, "Both manifest and without-manifest"),
        ("a timeout of 0", {"timeout-seconds": "0"}, "out of range"),
        ("a timeout of 601", {"timeout-seconds": "601"}, "out of range"),
        ("a timeout of 1e2", {"timeout-seconds": "1e2"}, "out of range"),
        ("a short address", {"address": ADDRESS[:-1]}, "not a list of addresses"),
        ("an empty line of addresses", {"address": f"{ADDRESS}\n\n{ADDRESS}"}, "not a list of addresses"),
        ("an option as an address", {"address": "--allow-debug"}, "not a list of addresses"),
        ("65 addresses", {"address": "\n".join([ADDRESS] * 65)}, "not a list of addresses"),
        ("a short digest", {"binary-sha256": "00"}, "not 64 hex digits"),
        ("another binary", {"binary-sha256": "00" * 32}, "binary is not the pinned one"),
        ("other measurements", {"measurements-sha256": "00" * 32}, "measurements file is not the pinned one"),
        ("no pin of the measurements", {"measurements-sha256": None}, "by a digest or by a signature"),
        ("a digest and a signature", {"measurements-signature": "p256.sig"}, "by a digest or by a signature"),
        ("a digest and a key", {"measurements-public-key": pem}, "go together"),
        ("no such binary", {"binary": "absent"}, "cannot be read"),
        ("a folder as the binary", {"binary": "."}, "cannot be read"),
        ("a pipe as the measurements", {"expect": "pipe"}, "not a regular file"),
        ("measurements above 1 MiB", {"expect": "large"}, "more than 1048576 bytes"),
    ]
    for what, inputs, says in table:
        yield Case(what, said(0), 2, says, inputs, runs=False, reports=False)
    not_a_program = {"binary": "measurements.json", "binary-sha256": None}
    yield Case("a binary that is none", said(0), 2, "cannot be started", not_a_program, runs=False, reports=False)


def signatures(folder):
    """Measurements under signatures, good and bad."""
    keys = key_pairs()
    measurements = (folder / "measurements.json").read_bytes()
    for name, key in keys.items():
        (folder / f"{name}.sig").write_bytes(sign(key, measurements))
        (folder / f"{name}.other").write_bytes(sign(key, measurements + b" "))
        (folder / f"{name}.cut").write_bytes(sign(key, measurements)[:-1])
    (folder / "empty.sig").touch()
    (folder / "large.sig").write_bytes(bytes(1_025))
    pem = {name: public_pem(key) for name, key in keys.items()}

    def case(what, file, key, says, good=False):
        inputs = {"measurements-sha256": None, "measurements-signature": file, "measurements-public-key": key}
        return Case(what, said(0), 0 if good else 2, says, inputs, runs=good, reports=good)

    for name in ("p256", "ed25519"):
        yield case(f"signed by {name}", f"{name}.sig", pem[name], "PCR0", good=True)
        for end in ("other", "cut"):
            yield case(f"{name}: a signature that is {end}", f"{name}.{end}", pem[name], "no E")
        yield case(f"{name}: no signature", "empty.sig", pem[name], "no E")
        yield case(f"{name}: the signature is absent", "absent.sig", pem[name], "cannot be read")
        yield case(f"{name}: a large signature", "large.sig", pem[name], "more than 1024 bytes")
        yield case(f"{name}: no key", f"{name}.sig", None, "go together")
    yield case("the key of somebody else", "p256.sig", public_pem(ec.generate_private_key(ec.SECP256R1())), "no E")
    yield case("the key of the other kind", "p256.sig", pem["ed25519"], "no E")
    yield case("P-384", "p384.sig", pem["p384"], "not a public key")
    yield case("two keys", "p256.sig", pem["p256"] + pem["ed25519"], "not a public key")
    yield case("a path as the key", "p256.sig", "key.pem", "not a public key")
    yield case("a key with a byte more", "p256.sig", longer(pem["p256"]), "not a public key")
    windows = pem["ed25519"].replace("\n", "\r\n")
    yield case("a key with lines of Windows", "ed25519.sig", windows, "PCR0", good=True)


def key_pairs():
    return {
        "p256": ec.generate_private_key(ec.SECP256R1()),
        "p384": ec.generate_private_key(ec.SECP384R1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate(),
    }


def sign(key, data):
    return key.sign(data) if isinstance(key, ed25519.Ed25519PrivateKey) else key.sign(data, ec.ECDSA(hashes.SHA256()))


def public_pem(key):
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def longer(pem):
    """The same key with one byte behind its DER."""
    der = base64.b64decode("".join(pem.split("\n")[1:-2])) + b"\0"
    return f"-----BEGIN PUBLIC KEY-----\n{base64.b64encode(der).decode()}\n-----END PUBLIC KEY-----\n"


# --- judging ----------------------------------------------------------------------------------


def check(runner, case):
    """What is wrong after this case."""
    witness, binary = runner.folder / "witness.json", runner.folder / "stand-in"
    witness.unlink(missing_ok=True)
    case.stand_in.write(binary, witness)
    inputs = {
        "binary": "stand-in", "document": "document.cbor", "expect": "measurements.json", "manifest": "manifest.cbor",
        "measurements-sha256": sha256(runner.folder / "measurements.json"), "address": ADDRESS,
    } | case.inputs
    inputs.setdefault("binary-sha256", sha256(binary))
    if case.inputs.get("binary") == "measurements.json":
        inputs["binary-sha256"] = sha256(runner.folder / "measurements.json")
    inputs = {name: value for name, value in inputs.items() if value is not None}
    step = runner.run(inputs)
    wrong = judge(step, case.exit_code, case.says, case.reports)
    if case.reports and (kept := step.outputs["report"]) and Path(kept).read_bytes() != case.stand_in.printed:
        wrong.append("the report is not what was printed")
    if witness.exists() != case.runs:
        wrong.append("it ran" if witness.exists() else "it did not run")
    elif case.runs:
        wrong += judge_call(json.loads(witness.read_text()), runner.folder)
    return [f"{case.what}: {text}" for text in wrong]


def judge(step, exit_code, says, reports):
    """What is wrong with what a step left behind, whoever's command it ran."""
    wrong = []
    demand = lambda holds, text: holds or wrong.append(text)
    verified = exit_code == 0
    demand(step.exit_code == exit_code, f"exit code {step.exit_code}, not {exit_code}: {step.annotations} {step.stray}")
    demand(step.outputs["verified"] == ("true" if verified else "false"), f"verified={step.outputs['verified']!r}")
    demand(bool(step.outputs["pcr0"]) == verified, f"pcr0={step.outputs['pcr0']!r}")
    demand(bool(step.outputs["matched"]) == verified, f"matched={step.outputs['matched']!r}")
    if verified:
        demand(json.loads(step.outputs["matched"])["pcrs"]["0"] == step.outputs["pcr0"], "PCR0 is not the set's")
    demand(step.left == [Path(step.outputs["report"])] * reports, f"left behind: {step.left}")
    demand(not step.stray, f"lines that are no annotations: {step.stray[:3]}")
    kinds = {kind for kind, _, _ in step.annotations}
    demand(kinds <= {"notice", "warning"} if verified else kinds == {"error"}, f"annotations: {kinds}")
    demand(len(step.annotations) <= 10, f"{len(step.annotations)} annotations")
    heard = any(says in message for _, _, message in step.annotations)
    demand(heard, f"nobody says {says!r}: {step.annotations}"[:900])
    for _, title, message in step.annotations:
        demand(all(" " <= c <= "~" for c in title), f"a title with {title!r}")
        demand(all(" " <= c <= "~" or c == "\n" for c in message), f"a message with {message!r}")
    return wrong + judge_summary(step.summary, verified)


def judge_summary(summary, verified):
    """Whether the summary has the marks that the action itself makes, and no other."""
    wrong = []
    heading = "### Attestation verified\n" if verified else "### Attestation NOT verified: "
    if not summary.startswith(heading):
        wrong.append(f"the summary begins {summary[:40]!r}")
    if len(summary.encode()) > 1 << 20:
        wrong.append(f"a summary of {len(summary)} bytes")
    tags = set(re.findall("<[^>]*>?", summary))
    if not tags <= {"<code>", "</code>", "<br>", "<details>", "</details>", "<summary>", "</summary>"}:
        wrong.append(f"tags: {sorted(tags)}")
    if bare := set(re.findall(r"[`\[\]\\@\x00-\x09\x0b-\x1f\x7f-\U0010ffff]", summary)):
        wrong.append(f"marks: {sorted(bare)}")
    columns = None
    for line in summary.split("\n"):
        if not line.startswith("|"):
            columns = None
            if re.search("[|]|https?:", line):
                wrong.append(f"outside of a table: {line[:80]!r}")
            continue
        columns = columns or line.count("|")
        if line.count("|") != columns or not line.endswith(" |"):
            wrong.append(f"a row of {line.count('|')} bars among {columns}: {line[:80]!r}")
        if "http:" in line or "::" in line:
            wrong.append(f"unescaped: {line[:80]!r}")
    return wrong


def judge_call(noted, folder):
    """The command was a checked copy, with checked copies, in an empty environment."""
    wrong = []
    if noted["own"] == str(folder / "stand-in"):
        wrong.append("the binary itself was run, not a copy")
    if noted["mode"] != "0o700":
        wrong.append(f"the copy's folder has the mode {noted['mode']}")
    if noted["measurements"] != [sha256(folder / "measurements.json")]:
        wrong.append("the measurements are not those that were checked")
    # Python sets LC_CTYPE for itself where there is no locale.
    if extra := set(noted["environment"]) - {"LC_CTYPE"}:
        wrong.append(f"environment: {sorted(extra)}")
    return wrong


def sha256(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def check_arguments(runner):
    """Each value arrives as one argument, and none as an option that it is not."""
    values = {
        "nonce": "--allow-debug", "role-arn": "arn:aws:iam::1:role/a b", "instance-id": "$(id)",
        "max-age": "`id`", "at": "2026-11-22T08:00:00Z;", "root": "-r.pem", "ca": "'ca'.pem",
        "cert": '"c".pem', "key": "${{ secrets.x }}",
        "manifest": "m\\n.cbor", "document": "--help", "allow-debug": "true", "address": f"{ADDRESS}\n{ADDRESS}",
        "timeout-seconds": "600",
    }
    stand_in = said(0, trust_anchor="custom", time_basis="given")
    wrong = check(runner, Case("arguments", stand_in, 0, "PCR0", values))
    got = json.loads((runner.folder / "witness.json").read_text())["arguments"]
    named = ("manifest", "nonce", "role-arn", "instance-id", "max-age", "at", "root", "ca", "cert", "key")
    expected = ["attestation", "verify", got[2], "--format=json", *(f"--{name}={values[name]}" for name in named)]
    expected += ["--allow-debug", f"--address={ADDRESS}", f"--address={ADDRESS}", "--", "--help"]
    return wrong + ([] if got == expected else [f"arguments: {got}"])


def check_forgotten_children(runner):
    """What the hanging command started was ended with it."""
    pid = (runner.folder / "child").read_text()
    try:
        running = Path("/proc", pid, "cmdline").read_bytes()
    except OSError:
        running = b""
    return ["a child of the hanging command is still there"] if b"sleep" in running else []


def check_fault(runner):
    """A fault of the action's own is no exit code of the command's, and nothing is verified."""
    pins = {"binary-sha256": "00" * 32, "measurements-sha256": "00" * 32}
    inputs = {"binary": "stand-in", "document": "document.cbor", "expect": "measurements.json"} | pins
    step = runner.run(inputs, RUNNER_TEMP=str(runner.folder / "absent"))
    [(kind, _, message)] = step.annotations
    said_so = kind == "error" and "A fault of the action's own" in message
    return [] if step.exit_code == 3 and said_so and not any(step.outputs.values()) else [f"a fault: {step}"]


# --- the files --------------------------------------------------------------------------------


class Noting(dict):
    """An environment that knows what was asked of it."""

    def __init__(self, *args):
        super().__init__(*args)
        self.asked = set()

    def get(self, name, default=None):
        self.asked.add(name)
        return super().get(name, default)


def check_action(runner):
    """action.yml declares what the program reads, and hands it over by the environment alone."""
    sys.path.insert(0, str(ACTION / "verify"))
    sys.dont_write_bytecode = True
    from inputs import read_inputs

    declared = runner.action["inputs"]
    variables = {"INPUT_" + name.upper().replace("-", "_"): name for name in declared}
    given = {name: declared[name].get("default", "") for name in declared}
    given |= {"binary": "b", "document": "d", "expect": "e"}
    given |= {"binary-sha256": "00" * 32, "measurements-sha256": "00" * 32}
    env = Noting({variable: given[name] for variable, name in variables.items()})
    read_inputs(env)
    runs = runner.action["runs"]
    [step] = runs["steps"]
    handed = {variable: "${{ inputs.%s }}" % name for variable, name in variables.items()}
    rules = {
        "the program reads other inputs than are declared": env.asked == set(variables),
        "the environment is not one variable an input": step["env"] == handed,
        "an expression stands in a line of shell": "${{" not in step["run"],
        "it is not one composite step in bash": (runs["using"], step["shell"]) == ("composite", "bash"),
        "another action is used": "uses" not in step,
        "an input is required and has a default": all(i["required"] != ("default" in i) for i in declared.values()),
        "the outputs are not the four": set(runner.action["outputs"]) == {"verified", "pcr0", "matched", "report"},
    }
    readme = (ACTION / "README.md").read_text()
    rules |= {f"the README is silent on {n}": f"`{n}" in readme for n in [*declared, *runner.action["outputs"]]}
    return [text for text, holds in rules.items() if not holds]


def check_examples(runner):
    """The example workflow and the README's step use what there is, and are safe to copy."""
    workflow = yaml.safe_load((ACTION / "example-workflow.yml").read_text())
    _, _, rest = (ACTION / "README.md").read_text().partition("```yaml\n")
    [recipe] = yaml.safe_load(rest.partition("```")[0])
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    uses = [step for step in [*steps, recipe] if "uses" in step]
    scripts = [step["run"] for step in steps if "run" in step]
    inputs, outputs = runner.action["inputs"], runner.action["outputs"]
    text = (ACTION / "example-workflow.yml").read_text()
    secret = [step["run"] for step in steps if "secrets." in str(step.get("env"))]
    needed = {name for name in inputs if inputs[name]["required"]}
    rules = {
        "it may do more than read": workflow["permissions"] == {"contents": "read"},
        "it uses another action": {step["uses"] for step in uses} == {"./.github/actions/verify-attestation"},
        "the workflow or the README does not use the action": len(uses) == 2,
        "an input is not declared": all(set(step["with"]) <= set(inputs) for step in uses),
        "a required input is missing": all(needed <= set(step["with"]) for step in uses),
        "an output is not declared": set(re.findall(r"attestation\.outputs\.([\w-]+)", text)) <= set(outputs),
        "an expression stands in a line of shell": not any("${{" in script for script in scripts),
        "a secret is not written under umask 077": secret and all("umask 077" in run for run in secret),
    }
    wrong = [what for what, holds in rules.items() if not holds]
    for script in scripts:
        if subprocess.run(["bash", "-n", "-c", script], stderr=subprocess.DEVNULL).returncode != 0:
            wrong.append(f"bash cannot read {script!r}")
    return wrong


# --- the command itself -----------------------------------------------------------------------


def real_cases(folder, facts):
    """Inputs for the command itself with the stack up: (what, inputs, exit code, what is said)."""
    other = json.loads(Path(facts["measurements"]).read_text())
    other["Measurements"]["PCR0"] = "0a" * 48
    (folder / "other.json").write_text(json.dumps(other))
    (folder / "garbage.cbor").write_bytes(b"\x84" + bytes(64))
    fetched, nonce = fetch(folder, facts)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        closed = f"https://127.0.0.1:{taken.getsockname()[1]}"
    tls = {"ca": facts["ca"], "cert": facts["client_cert"], "key": facts["client_key"]}
    mine = {"expect": facts["measurements"], "manifest": facts["manifest"], "root": facts["nsm_root"]}
    url = mine | tls | {"document": facts["url"]}
    file = mine | {"document": fetched, "nonce": nonce}
    held = "\n".join(facts["addresses"])
    unknown = "0x" + "00" * 19 + "01"
    without = {"manifest": "none", "without-manifest": "true"}
    yield "a live appliance", url | {"address": held}, 0, "PCR0"
    yield "a document of it", file, 0, "PCR0"
    yield "a document as of its own time", file | {"at": "document"}, 0, "running now"
    yield "a live appliance without its manifest", url | without, 0, "NOT VERIFIED"
    yield "another image", url | {"expect": "other.json"}, 1, "A2"
    yield "another nonce", file | {"nonce": "00" * 32}, 1, "A4"
    yield "an address that it does not hold", url | {"address": unknown}, 1, ""
    yield "an address without the manifest", url | without | {"address": held}, None, ""
    yield "a nonce that is no hex", file | {"nonce": "xyz"}, 2, ""
    yield "no document", file | {"document": "absent.cbor"}, 2, ""
    yield "garbage", file | {"document": "garbage.cbor"}, 3, ""
    yield "Amazon's root", file | {"root": "none"}, 4, "C1"
    yield "another time", file | {"at": "2020-01-01T00:00:00Z"}, 5, ""
    yield "nobody at the address", url | {"document": closed}, 7, ""
    debug = DOCUMENTS / "real/01.bin"
    if debug.exists():
        genuine = {"document": str(debug), "expect": facts["measurements"], "at": "document"}
        yield "a genuine document of debug mode", genuine, 6, "A1"
    elif os.environ.get("CI") == "true":
        raise SystemExit("no real attestation documents: NITRO_ATTESTATION_DOCS must name their folder")


def fetch(folder, facts):
    """A document of the stack, as the parent serves it; and its nonce."""
    from stack import Stack

    nonce = secrets.token_hex(32)
    answer = Stack(facts["stack"]).get(f"/v1/attestation?nonce={nonce}")
    (folder / "fetched.cbor").write_bytes(base64.b64decode(answer["document"]))
    return "fetched.cbor", nonce


def check_real(runner, binary, case):
    """One case of the command itself; no exit code means any but 0."""
    what, inputs, exit_code, says = case
    expect = runner.folder / inputs["expect"]
    pins = {"binary": binary, "binary-sha256": sha256(binary), "measurements-sha256": sha256(expect)}
    step = runner.run(pins | inputs)
    wrong = judge(step, exit_code or step.exit_code, "", bool(step.outputs["report"]))
    if exit_code is None and step.exit_code == 0:
        wrong.append("verified")
    shown = step.summary + str(step.annotations)
    if says not in shown:
        wrong.append(f"nobody says {says!r}: {shown}")
    return [f"{what}: {text}" for text in wrong]


# --- all of it --------------------------------------------------------------------------------


def prepare(folder):
    """The files that the stand-in's cases name."""
    (folder / "measurements.json").write_text(json.dumps({"Measurements": {"HashAlgorithm": "Sha384 { ... }"} | {
        f"PCR{index}": value for index, value in PCRS.items()}}))
    (folder / "large").write_bytes(bytes((1 << 20) + 1))
    os.mkfifo(folder / "pipe")


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--nitro-signer", help="the command itself")
    arguments.add_argument("--stack", help="stack.json of a running stack")
    options = arguments.parse_args()
    if bool(options.nitro_signer) != bool(options.stack):
        arguments.error("--nitro-signer and --stack go together")
    with tempfile.TemporaryDirectory(prefix="action-") as name:
        folder = Path(name)
        prepare(folder)
        runner = Runner(folder)
        pem = public_pem(ed25519.Ed25519PrivateKey.generate())
        cases = [*ends(), *contradictions(), *answers(), *refusals(pem), *signatures(folder)]
        wrong = [text for case in cases for text in check(runner, case)]
        others = (check_forgotten_children, check_fault, check_arguments, check_action, check_examples)
        wrong += [text for other in others for text in other(runner)]
        count, real = len(cases) + len(others), []
        if options.stack:
            facts = json.loads(Path(options.stack).read_text()) | {"stack": options.stack}
            real = list(real_cases(folder, facts))
            binary = str(Path(options.nitro_signer).resolve())
            wrong += [text for case in real for text in check_real(runner, binary, case)]
    for text in wrong:
        print("MISMATCH", text)
    by_command = f"{len(real)} of them by the command itself" if real else "the command itself NOT run"
    print(f"action: {count + len(real)} cases, {by_command}; {len(wrong)} mismatches")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
