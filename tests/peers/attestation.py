"""Does a verifier of attestation documents that shares nothing with ours come to the same verdicts?

Written from AWS's description with cbor2 and cryptography alone: envelope, certificates, signature,
time, registers, nonce, the claims behind user_data, and the Merkle root over the keys that the
stack lists. Live documents of the stack in both map forms, and the genuine ones if their folder is
there (NITRO_ATTESTATION_DOCS, or ../shared/attestation-docs beside the repository). With
--nitro-signer each document, and each bent copy of it, is judged by that program too: the two must
say the same of every one.

A check is one statement that held for one document; a disagreement is a verdict other than ours or
other than what the document's origin demands.
"""

import argparse
import base64
import csv
import datetime
import hashlib
import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import cbor2
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from stack import Stack

REPOSITORY = Path(__file__).resolve().parents[2]
DOCUMENTS = Path(os.environ.get("NITRO_ATTESTATION_DOCS", REPOSITORY.parent / "shared/attestation-docs"))
AMAZONS_ROOT = REPOSITORY / "shared/src/attestation/aws-nitro-enclaves-root-g1.pem"
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973
PROTECTED = bytes.fromhex("a1013822")  # {1: -35}, ES384
KEYS = ["module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle", "public_key", "user_data", "nonce"]
CLAIMS_DOMAIN = b"nitro-signer/attestation/v1"
ORIGINS = {"generated": 0, "imported": 1, "derived": 2}
MAX_AGE_S, SKEW_S = 300, 60
ZERO = bytes(48)
LIVE = 4
FLIPS = 40
TIMEOUT_S = 120


class Unbelieved(Exception):
    """A document that a check failed."""


@dataclass
class Checks:
    """Counts what held."""

    held: int = 0

    def __call__(self, holds, what):
        if not holds:
            raise Unbelieved(what)
        self.held += 1


# --- a document -------------------------------------------------------------------------------


def read(document, check):
    """The payload's map, the bytes that were signed, and r and s."""
    check(1 <= len(document) <= 32_768, "size")
    item = cbor2.loads(document)
    tagged = isinstance(item, cbor2.CBORTag)
    check(not tagged or item.tag == 18, "tag")
    protected, unprotected, payload, signature = item.value if tagged else item
    check(protected == PROTECTED and unprotected == {}, "headers")
    check(isinstance(payload, bytes) and 1 <= len(payload) <= 16_384, "payload")
    # Written again by cbor2 it is the same bytes: one item, lengths definite and shortest, no key
    # twice. The payload's map alone may be of either form.
    again = cbor2.dumps([protected, {}, payload, signature])
    check(document == (b"\xd2" if tagged else b"") + again, "one item in its shortest form")
    fields = cbor2.loads(payload)
    definite = cbor2.dumps(fields)
    check(payload in (definite, b"\xbf" + definite[1:] + b"\xff"), "a map in either form")
    check(isinstance(signature, bytes) and len(signature) == 96, "signature's length")
    r, s = int.from_bytes(signature[:48], "big"), int.from_bytes(signature[48:], "big")
    check(0 < r < ORDER and 0 < s < ORDER, "signature's range")
    check(isinstance(fields, dict) and list(fields) == KEYS, "keys")
    check_types(fields, check)
    return fields, cbor2.dumps(["Signature1", protected, b"", payload]), (r, s)


def check_types(fields, check):
    text = lambda value: isinstance(value, str)
    check(text(fields["module_id"]) and re.fullmatch(r"i-[0-9a-f]{17}-enc[0-9a-f]{16}", fields["module_id"]), "module_id")
    check(fields["digest"] == "SHA384", "digest")
    check(type(fields["timestamp"]) is int and fields["timestamp"] > 0, "timestamp")
    pcrs = fields["pcrs"]
    check(isinstance(pcrs, dict) and 1 <= len(pcrs) <= 32, "pcrs")
    check(all(type(i) is int and 0 <= i < 32 for i in pcrs), "registers' indexes")
    check(all(isinstance(value, bytes) and len(value) == 48 for value in pcrs.values()), "registers' lengths")
    bundle = fields["cabundle"]
    check(isinstance(bundle, list) and 1 <= len(bundle) <= 8, "cabundle")
    check(all(isinstance(der, bytes) and 1 <= len(der) <= 1_024 for der in [*bundle, fields["certificate"]]), "certificates")
    for key in ("public_key", "user_data", "nonce"):
        value = fields[key]
        check(value is None or isinstance(value, bytes) and len(value) <= 1_024, key)


def check_chain(fields, root, at, check):
    """From the root's bytes to the leaf, each signed by the one before; gives the leaf."""
    ders = [*fields["cabundle"], fields["certificate"]]
    check(ders[0] == root, "root")
    check(len(set(ders)) == len(ders), "a certificate twice")
    chain = [x509.load_der_x509_certificate(der) for der in ders]
    for der, certificate in zip(ders, chain):
        check(certificate.public_bytes(serialization.Encoding.DER) == der, "DER")
        check(certificate.version == x509.Version.v3, "version")
        key = certificate.public_key()
        check(isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP384R1), "curve")
        check(isinstance(certificate.signature_hash_algorithm, hashes.SHA384), "algorithm")
        check(certificate.not_valid_before_utc <= at < certificate.not_valid_after_utc + datetime.timedelta(seconds=1), "validity")
    for issuer, certificate in zip([chain[0], *chain], chain):
        check(certificate.issuer.public_bytes() == issuer.subject.public_bytes(), "issuer's name")
        signed, signature = certificate.tbs_certificate_bytes, certificate.signature
        check(is_signed(signed, signature, issuer), "certificate's signature")
    for below, certificate in enumerate(reversed(chain[:-1])):
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
        check(constraints.critical and constraints.value.ca, "CA")
        check(constraints.value.path_length is None or constraints.value.path_length >= below, "path")
        check(usage.critical and usage.value.key_cert_sign, "CA's usage")
    leaf = chain[-1]
    check(not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca, "leaf is no CA")
    check(leaf.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature, "leaf's usage")
    return leaf


def is_signed(message, signature, signer):
    """Whether the certificate's key made this signature, which is in DER."""
    try:
        signer.public_key().verify(signature, message, ec.ECDSA(hashes.SHA384()))
        return True
    except InvalidSignature:
        return False


def verify(document, root, at_ms, check):
    """An authentic document's fields, judged as of `at_ms`."""
    try:
        return verify_strictly(document, root, at_ms, check)
    except Unbelieved:
        raise
    # Whatever the two libraries cannot read is no document.
    except Exception as error:
        raise Unbelieved(f"unreadable: {error!r}") from error


def verify_strictly(document, root, at_ms, check):
    fields, signed, (r, s) = read(document, check)
    moment = lambda ms: datetime.datetime.fromtimestamp(ms / 1000, datetime.timezone.utc)
    leaf = check_chain(fields, root, moment(at_ms), check)
    check(is_signed(signed, encode_dss_signature(r, s), leaf), "document's signature")
    made_ms = fields["timestamp"]
    check(at_ms - MAX_AGE_S * 1000 <= made_ms <= at_ms + SKEW_S * 1000, "age")
    check(leaf.not_valid_before_utc <= moment(made_ms) < leaf.not_valid_after_utc + datetime.timedelta(seconds=1), "leaf's life")
    instance, _, _ = fields["module_id"].partition("-enc")
    check(fields["pcrs"].get(4) == extend(instance.encode()), "PCR4 measures the instance")
    name = leaf.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    check(len(name) == 1 and name[0].value.startswith(fields["module_id"] + "."), "leaf's name")
    return fields


def extend(data):
    """A register of zeros after one extension."""
    return hashlib.sha384(ZERO + data).digest()


# --- the stack --------------------------------------------------------------------------------


@dataclass
class Trusted:
    """What a verifier of the stack brings of its own."""

    root: bytes
    pcrs: dict
    manifest_hash: bytes

    @classmethod
    def of(cls, stack, facts):
        pem = Path(facts["nsm_root"]).read_bytes()
        root = x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER)
        measured = json.loads(Path(facts["measurements"]).read_text())["Measurements"]
        pcrs = {index: bytes.fromhex(measured[f"PCR{index}"]) for index in range(3)}
        return cls(root, pcrs, stack.manifest_hash)


def verify_ours(document, nonce, trusted, at_ms, check):
    """A live document of the stack: the expected image and manifest, over our nonce."""
    fields = verify(document, trusted.root, at_ms, check)
    for index, expected in trusted.pcrs.items():
        check(fields["pcrs"].get(index) == expected != ZERO, f"PCR{index}")
    check(fields["pcrs"].get(16) == extend(trusted.manifest_hash), "PCR16 measures the manifest")
    check(fields["nonce"] == nonce, "nonce")
    check(fields["public_key"] is None, "no public key")
    return fields


def check_claims(fields, claims, trusted, listed, check):
    """The claims are the document's, and the listed keys are the claims'."""
    check(fields["user_data"] == CLAIMS_DOMAIN + hashlib.sha384(claims).digest(), "user_data")
    said = cbor2.loads(claims)
    check(bytes(said["manifest_hash"]) == trusted.manifest_hash, "the claims' manifest")
    leaves = [key_leaf(key) for key in sorted(listed, key=lambda key: key["address"].lower())]
    check(said["keys"] == len(leaves), "how many keys")
    check(bytes(said["keys_root"]) == merkle_root(leaves), "the keys' root")
    # Another key, or one fewer, is another root.
    check(bytes(said["keys_root"]) != merkle_root(leaves[:-1]), "one key fewer")
    check(bytes(said["keys_root"]) != merkle_root([*leaves, leaves[0]]), "one key more")


def key_leaf(key):
    """address || origin || created || SHA-256 of the labels (shared/src/claims.rs)."""
    labels = {name: key["labels"][name] for name in sorted(key["labels"])}
    return (
        bytes.fromhex(key["address"][2:])
        + bytes([ORIGINS[key["origin"]]])
        + key["created"].to_bytes(8, "big")
        + hashlib.sha256(cbor2.dumps(labels)).digest()
    )


def merkle_root(leaves):
    """RFC 6962, section 2.1."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    left = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + merkle_root(leaves[:left]) + merkle_root(leaves[left:])).digest()


# --- bent copies ------------------------------------------------------------------------------


def bent(document):
    """(what was done, the copy, whether it is still good)."""
    s = int.from_bytes(document[-48:], "big")
    yield "n - s", document[:-48] + (ORDER - s).to_bytes(48, "big"), True
    yield "tag 18", b"\xd2" + document, True
    yield "tag 98", b"\xd8\x62" + document, False
    yield "two tags", b"\xd2\xd2" + document, False
    yield "a byte more", document + b"\0", False
    yield "a byte less", document[:-1], False
    yield "nothing", b"", False
    yield "s = n", document[:-48] + ORDER.to_bytes(48, "big"), False
    yield "r = 0", document[:-96] + bytes(48) + document[-48:], False
    protected, _, payload, signature = cbor2.loads(document)
    yield "unsigned header", cbor2.dumps([protected, {4: b"kid"}, payload, signature]), False
    yield "indefinite array", b"\x9f" + document[1:] + b"\xff", False
    turned = cbor2.dumps(cbor2.loads(payload))
    turned = turned if payload[0] == 0xBF else b"\xbf" + turned[1:] + b"\xff"
    yield "the other map form", cbor2.dumps([protected, {}, turned, signature]), False
    for _ in range(FLIPS):
        index = secrets.randbelow(len(document))
        copy = bytearray(document)
        copy[index] ^= 1 << secrets.randbelow(8)
        yield f"byte {index}", bytes(copy), False


class Ours:
    """nitro-signer's verdict, if the program was named."""

    def __init__(self, program, folder):
        self.program, self.file = program, Path(folder) / "document"

    def says(self, document, *arguments):
        """Whether it verifies the document; None without the program."""
        if self.program is None:
            return None
        self.file.write_bytes(document)
        command = [self.program, "attestation", "verify", str(self.file), *arguments]
        done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=False)
        # 2 is the command's own misuse, and none of these is.
        assert done.returncode in (0, 1, 3, 4, 5, 6), (command, done)
        return done.returncode == 0


@dataclass
class Judges:
    """Both verifiers, side by side."""

    ours: Ours
    check: Checks
    documents: int = 0
    wrong: list = field(default_factory=list)

    def agree(self, name, document, good, judge, arguments):
        """Both say `good` of this document; gives its fields if it is."""
        self.documents += 1
        try:
            fields, reason = judge(document), ""
        except Unbelieved as error:
            fields, reason = None, str(error)
        if (fields is not None) != good:
            self.wrong.append(f"{name}: by this script {'refused: ' + reason if good else 'verified'}")
        said = self.ours.says(document, *arguments)
        if said not in (None, good):
            self.wrong.append(f"{name}: by nitro-signer {'verified' if said else 'refused'}")
        return fields


def judge_stack(judges, stack, facts, path):
    """Live documents and bent copies of the last ones."""
    trusted, forms = Trusted.of(stack, facts), {}

    def asking(nonce):
        """How each verifier judges a document over this nonce."""
        now_ms = lambda: int(time.time() * 1000)
        judge = lambda document: verify_ours(document, nonce, trusted, now_ms(), judges.check)
        return judge, ["--stack", str(path), "--nonce", nonce.hex()]

    # Documents come in both forms by turns; somebody else may ask in between.
    while len(forms) < 2 or judges.documents < LIVE:
        assert judges.documents < 10 * LIVE, "the stack writes one map form only"
        nonce = secrets.token_bytes(32)
        answer = stack.get("/v1/attestation?nonce=" + nonce.hex())
        document, claims = (base64.b64decode(answer[name], validate=True) for name in ("document", "claims"))
        listed = stack.get("/v1/keys")
        judge, arguments = asking(nonce)
        fields = judges.agree("a live document", document, True, judge, arguments)
        if fields is None:
            return
        check_claims(fields, claims, trusted, listed if isinstance(listed, list) else listed["keys"], judges.check)
        form = cbor2.loads(document)[2][0]
        forms[form] = document, judge, arguments
    for document, judge, arguments in forms.values():
        for what, copy, good in bent(document):
            judges.agree(what, copy, good, judge, arguments)
        # The same document for another asker.
        judges.agree("another nonce", document, False, *asking(secrets.token_bytes(32)))


def judge_genuine(judges, folder):
    """Genuine documents at their own times, and bent copies of the last one."""
    root = x509.load_pem_x509_certificate(AMAZONS_ROOT.read_bytes()).public_bytes(serialization.Encoding.DER)
    # A stack file that names measurements and nothing else: the root is Amazon's, and no manifest.
    stack, measurements = folder / "genuine.json", folder / "measurements.json"
    stack.write_text(json.dumps({"measurements": str(measurements)}))
    with (DOCUMENTS / "index.tsv").open() as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    for row in rows:
        document, good = (DOCUMENTS / row["file"]).read_bytes(), row["verify"] == "OK"
        made = datetime.datetime.fromisoformat(row["time_utc"])
        at_ms = round(made.timestamp() * 1000)
        debug = row["debug"] == "debug"
        pcrs = {f"PCR{index}": "11" * 48 if debug else row[f"pcr{index}"] for index in range(3)}
        measurements.write_text(json.dumps({"Measurements": {"HashAlgorithm": "Sha384 { ... }", **pcrs}}))
        judge = lambda copy: verify(copy, root, at_ms, judges.check)
        arguments = ["--stack", str(stack), "--at", "document", *(["--allow-debug"] if debug else [])]
        fields = judges.agree(row["file"], document, good, judge, arguments)
        if fields is None:
            continue
        check_row(fields, row, at_ms, judges.check)
        if row is [row for row in rows if row["verify"] == "OK"][-1]:
            for what, copy, still_good in bent(document):
                judges.agree(what, copy, still_good, judge, arguments)


def check_row(fields, row, at_ms, check):
    """What was read is what the index says."""
    check(fields["module_id"] == row["module_id"] and fields["timestamp"] == at_ms, "module and time")
    for index in (0, 1, 2, 3, 4, 8):
        digits = row[f"pcr{index}"]
        check(fields["pcrs"][index].hex() == (digits if digits != "0" else "00" * 48), f"PCR{index}")
    for key in ("public_key", "user_data", "nonce"):
        check(row[f"{key}_len"] == ("null" if fields[key] is None else str(len(fields[key]))), key)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    arguments.add_argument("--stack", required=True, help="stack.json of a running stack")
    arguments.add_argument("--nitro-signer", help="the program whose verdicts are compared")
    options = arguments.parse_args()
    facts = json.loads(Path(options.stack).read_text())
    with tempfile.TemporaryDirectory() as folder:
        judges = Judges(Ours(options.nitro_signer, folder), Checks())
        judge_stack(judges, Stack(options.stack), facts, options.stack)
        if DOCUMENTS.is_dir():
            judge_genuine(judges, Path(folder))
        else:
            print("genuine documents are not there: NITRO_ATTESTATION_DOCS names no folder of them")
    print(f"attestation: {judges.documents} documents, {judges.check.held} checks, {len(judges.wrong)} disagreements")
    for text in judges.wrong:
        print("MISMATCH", text)
    return 1 if judges.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
