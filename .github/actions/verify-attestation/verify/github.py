"""Says the verdict to GitHub: annotations, the job summary, the outputs.

Every value may be an attacker's, whose appliance it was that answered. So what is shown is printable
ASCII of bounded length, in Markdown a text without marks, and nothing else reaches the log.
"""

import json
import re
import secrets
import tempfile

from report import IMAGE, is_debug
from verdict import MEANINGS

# GitHub takes 1 MiB of summary and shows 10 errors of a step.
SHOWN_CHARACTERS = 500
SHOWN_LINES = 20
SHOWN_ROWS = 100
SHOWN_ERRORS = 10

NOT_ALONE = """It does not show that nobody else can sign for these addresses: whoever may change the
KMS key's policy can open the same vault, and of a key that is not generated a copy may exist.
"""


def publish(verdict, env):
    """Writes everything; `verified` last, when nothing else can fail."""
    for line in annotations(verdict):
        print(line, flush=True)
    append(env["GITHUB_STEP_SUMMARY"], summary(verdict))
    matched = verdict.report["matched"] if verdict.verified else None
    outputs = {
        "report": save_report(verdict, env["RUNNER_TEMP"]),
        "matched": json.dumps(matched, sort_keys=True) if matched else "",
        "pcr0": matched["pcrs"]["0"] if matched else "",
        "verified": "true" if verdict.verified else "false",
    }
    append(env["GITHUB_OUTPUT"], "".join(output(name, value) for name, value in outputs.items()))


def append(path, content):
    with open(path, "a", encoding="ascii", newline="\n") as file:
        file.write(content)


def save_report(verdict, temp):
    """Keeps the report as it was printed, and gives its path. One that cannot be relied on is not
    kept: somebody would read `verified` in it."""
    if verdict.report is None:
        return ""
    handle, path = tempfile.mkstemp(prefix="attestation-report-", suffix=".json", dir=temp)
    with open(handle, "wb") as file:
        file.write(verdict.raw)
    return path


def output(name, value):
    """One output in the form for several lines. Nobody can guess, and so nobody forge, its end."""
    end = "end-" + secrets.token_hex(16)
    return f"{name}<<{end}\n{value}\n{end}\n"


# --- annotations ------------------------------------------------------------------------------


def annotations(verdict):
    """The lines that GitHub shows beside the run."""
    if verdict.verified:
        pcr0 = verdict.report["matched"]["pcrs"]["0"]
        yield annotation("notice", "Attestation verified", f"{image(verdict.report)}, PCR0 {pcr0}")
        for title, sentence in cautions(verdict.report):
            yield annotation("warning", title, sentence)
        return
    for failure in verdict.failures[:SHOWN_ERRORS]:
        title = f"Attestation not verified: {MEANINGS[verdict.exit_code]}"
        title += f" ({plain(failure['code'])})" if failure["code"] else ""
        yield annotation("error", title, "\n".join(filter(None, lines(failure["message"]) + lines(failure["remedy"]))))


def annotation(kind, title, message):
    """A workflow command of plain texts, escaped as the toolkit of GitHub's own actions does it."""
    message = message.replace("%", "%25").replace("\n", "%0A")
    title = title.replace("%", "%25").replace(":", "%3A").replace(",", "%2C")
    return f"::{kind} title={title}::{message}"


def cautions(report):
    """What a verified attestation does not show because it was asked so: titles and sentences."""
    if is_debug(report):
        yield "Debug mode", "The host can read this enclave's memory. It protects nothing."
    if report["trust_anchor"] != "aws":
        yield "A root of your own", "The chain ends at the root that was given, not at Amazon's."
    if report["policy"] != "verified":
        yield "policy: NOT VERIFIED", "This may be the image under anybody's manifest and KMS key."
    if report["time_basis"] != "now":
        yield "Judged as of another time", "It does not show that this enclave is running now."


def image(report):
    matched = report["matched"]
    named = f"image version {plain(matched['version'])}" if matched["version"] else "image without a version"
    return f"{named}, built by {plain(matched['builder'])}" if matched["builder"] else named


def plain(value):
    """Printable ASCII of bounded length: no line break, no control character, nothing that turns
    the direction of writing."""
    shown = value if len(value) <= SHOWN_CHARACTERS else value[:SHOWN_CHARACTERS] + "..."
    return "".join(c if " " <= c <= "~" else f"\\u{{{ord(c):x}}}" for c in shown)


def lines(value):
    return [plain(line) for line in value.split("\n")[:SHOWN_LINES]]


# --- the job summary --------------------------------------------------------------------------


def summary(verdict):
    """What was proved, or what failed and what to do; then everything that was checked."""
    parts = proved(verdict.report) if verdict.verified else failed(verdict)
    if verdict.report is not None:
        parts += all_checks(verdict.report["checks"])
    parts.append(table(("Checked before use", ""), [(what, code(how)) for what, how in verdict.pinned.items()]))
    return "\n".join(parts) + "\n"


def proved(report):
    rows = [("Image", text(image(report)))]
    rows += [(f"PCR{text(index)}", code(value)) for index, value in report["matched"]["pcrs"].items()]
    rows += policy(report)
    rows += [
        ("Enclave", code(report["document"]["module_id"])),
        ("Root", "Amazon's" if report["trust_anchor"] == "aws" else "one of your own"),
        ("Judged as of", f"{code(report['judged_at'])} ({text(report['time_basis'])})"),
    ]
    rows += [("Holds the key of", f"{code(held['address'])} {text(held['origin'])}") for held in report["addresses"]]
    warned = [f"> **{title}.** {sentence}\n" for title, sentence in cautions(report)]
    limit = [NOT_ALONE] if report["addresses"] else []
    return ["### Attestation verified\n", *warned, table(("Proved", ""), rows), *limit]


def policy(report):
    """The manifest and the KMS key, which are proved together or not at all."""
    if report["policy"] != "verified":
        return [("Manifest", "policy: NOT VERIFIED")]
    keys = report["claims"]["wrapping_keys"] if report["claims"] else []
    return [("Manifest", code(report["manifest_hash"])), *(("KMS key", code(key)) for key in keys)]


def failed(verdict):
    rows = [(code(f["code"] or "-"), text(f["message"]), text(f["remedy"])) for f in verdict.failures]
    failures = table(("Check", "What", "What to do"), rows)
    return [f"### Attestation NOT verified: {MEANINGS[verdict.exit_code]}\n", failures, *received(verdict.report)]


def received(report):
    """What the document says. It helps to find out what it is, and proves nothing."""
    if report is None or report["document"] is None:
        return []
    document = report["document"]
    rows = [("Enclave", code(document["module_id"])), ("Made at", code(document["timestamp"]))]
    rows += [(f"PCR{index}", code(document["pcrs"].get(index))) for index in IMAGE]
    return [table(("As received, not proved", ""), rows)]


def all_checks(checks):
    rows = [(code(c["id"]), text(c["outcome"]), text(c["rule"]), text(c["reason"] or "")) for c in checks]
    listed = table(("Check", "Outcome", "Rule", "Reason"), rows)
    return [f"<details><summary>All checks</summary>\n\n{listed}\n</details>\n"] if rows else []


def table(head, rows):
    """A table of cells that are Markdown already; nothing if there are no rows."""
    if not rows:
        return ""
    shown = [head, ["---"] * len(head), *rows[:SHOWN_ROWS]]
    if len(rows) > SHOWN_ROWS:
        shown.append([f"{len(rows) - SHOWN_ROWS} more in the report", *[""] * (len(head) - 1)])
    return "".join(f"| {' | '.join(row)} |\n" for row in shown)


def text(value):
    """A value as Markdown that is text and nothing else: every mark is a character reference."""
    escaped = (re.sub("[^0-9A-Za-z ]", lambda mark: f"&#{ord(mark[0])};", line) for line in lines(str(value)))
    return "<br>".join(escaped)


def code(value):
    return f"<code>{text(value)}</code>"
