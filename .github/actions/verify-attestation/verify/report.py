"""Reads the command's report and holds it against its exit code and against what was asked.

The binary is the pinned one; what is guarded against here is that it and this action are of
different releases, and then something asked is passed over. Whatever does not fit is no success.
"""

import json
import re

from verdict import MEANINGS, Stop, Verdict, contradiction


class Anything:
    """Stands for any JSON."""


class Texts:
    """Stands for an object whose values are texts."""


# What is read of a report. A tuple lists alternatives, a list has one shape for all its items, and
# an object may have further members.
REPORT = {
    "verified": bool,
    "exit_code": int,
    "failures": [{"code": str, "message": str, "remedy": str}],
    "trust_anchor": (str, None),
    "time_basis": (str, None),
    "judged_at": (str, None),
    "matched": ({"version": (str, None), "builder": (str, None), "eif_sha384": (str, None), "pcrs": Texts}, None),
    "document": ({"module_id": str, "timestamp": Anything, "pcrs": Texts}, None),
    "policy": str,
    "manifest_hash": (str, None),
    "claims": ({"wrapping_keys": [str]}, None),
    "addresses": [{"address": str, "origin": Anything}],
    "checks": [{"id": str, "outcome": str, "rule": str, "reason": (str, None)}],
}
IMAGE = ("0", "1", "2")


def judge(inputs, ended, pinned):
    """The verdict: the command's own, if nothing speaks against it."""
    code = ended.exit_code
    if code == 2 and not ended.output.strip():
        # The argument parser says so in text.
        message = ended.errors.decode(errors="replace").strip()
        raise Stop(2, message or "The command refused its arguments.", "Correct the inputs.")
    if code != 0 and code not in MEANINGS:
        raise contradiction(f"The command ended with {code}, which is none of its exit codes.")
    report = read(ended.output)
    for holds, otherwise in demands(inputs, code, report):
        if not holds:
            raise contradiction(f"The command ended with {code}, but {otherwise}.")
    failures = report["failures"]
    if code != 0 and not failures:
        failures = [{"code": "", "message": "The command gave no reason.", "remedy": "Run it by hand."}]
    return Verdict(code, failures, report, ended.output, pinned)


def read(output):
    """The report, an object of the known shape in which no key stands twice."""
    try:
        report = json.loads(output.decode(), object_pairs_hook=no_duplicates, parse_constant=no_constant)
    except (ValueError, RecursionError) as error:
        raise contradiction("What the command printed is not JSON.") from error
    if not fits(report, REPORT):
        raise contradiction("What the command printed is not a report of the form known here.")
    return report


def no_duplicates(pairs):
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a key stands twice")
    return members


def no_constant(name):
    raise ValueError(f"{name} is not JSON")


def fits(value, shape):
    """Whether the JSON `value` has this shape (see REPORT)."""
    match shape:
        case tuple():
            return any(fits(value, alternative) for alternative in shape)
        case [item]:
            return isinstance(value, list) and all(fits(each, item) for each in value)
        case dict():
            return isinstance(value, dict) and all(name in value and fits(value[name], shape[name]) for name in shape)
    if shape is Anything:
        return True
    if shape is Texts:
        return isinstance(value, dict) and all(isinstance(each, str) for each in value.values())
    # Not isinstance, by which true would be a number.
    return value is None if shape is None else type(value) is shape


def demands(inputs, code, report):
    """What must hold, each with what is said if it does not. The caller stops at the first: later
    ones rely on it."""
    yield report["exit_code"] == code, f"its report says {report['exit_code']}"
    yield report["verified"] is (code == 0), f"its report says verified: {json.dumps(report['verified'])}"
    if code != 0:
        return
    outcomes = {check["outcome"] for check in report["checks"]}
    yield not report["failures"], "its report names a failure"
    yield "passed" in outcomes and outcomes <= {"passed", "skipped"}, "not every check passed or was skipped"
    yield from image_demands(inputs, report)
    root = "custom" if "root" in inputs.options else "aws"
    yield report["trust_anchor"] == root, f"the root is not the one that was asked for ({root})"
    basis = {None: "now", "document": "document"}.get(inputs.options.get("at"), "given")
    yield report["time_basis"] == basis, f"it was not judged as of the time that was asked for ({basis})"
    policy = report["policy"] == "verified" and report["manifest_hash"] is not None
    yield policy == ("manifest" in inputs.options), "its word on the policy does not fit the question"
    held = {each["address"].lower() for each in report["addresses"]}
    yield held.issuperset(asked.lower() for asked in inputs.addresses), "an address that was asked for is missing"


def image_demands(inputs, report):
    """A whole set matched, it is the document's, and no register of it is zero unless allowed."""
    yield report["matched"] is not None and report["document"] is not None, "its report names no image"
    matched, received = report["matched"]["pcrs"], report["document"]["pcrs"]
    whole = all(re.fullmatch("[0-9a-f]{96}", matched.get(index, "")) for index in IMAGE)
    yield whole, "PCR0, PCR1 and PCR2 are not all in the set that matched"
    yield matched.items() <= received.items(), "the set that matched is not the document's"
    yield "allow-debug" in inputs.flags or not is_debug(report), "the enclave is in debug mode"


def is_debug(report):
    """Debug mode zeroes PCR0, PCR1 and PCR2; one of them suffices."""
    return any(set(report["document"]["pcrs"].get(index, "0")) == {"0"} for index in IMAGE)
