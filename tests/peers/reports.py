#!/usr/bin/env python3
"""Do the reports of `nitro-signer attestation verify` have the form that they promise?

jsonschema holds each JSON report to the schema in the repository, and Python's own parser reads
each JUnit report: for a success and for every exit code that a program can be asked for without a
second root. Every failure of a report must be one of its failed checks, and the other way round.

    reports.py --stack STACK_JSON --nitro-signer PROGRAM
"""

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
import xml.etree.ElementTree
from pathlib import Path

import jsonschema

ROOT = Path(__file__).resolve().parent.parent.parent
SCHEMA = ROOT / "parent/src/cli/attestation/report.schema.json"
SOMEBODY = "0x" + "11" * 20


class Verifier:
    """The program, and what it is asked to trust."""

    def __init__(self, program, stack, folder):
        facts = json.loads(Path(stack).read_text())
        self.program = program
        self.url, self.address, self.stack = facts["url"], facts["addresses"][0], stack
        self.fetched = Path(folder) / "fetched.json"
        self.trust = ["--expect", facts["measurements"], "--root", facts["nsm_root"]]
        self.manifest = ["--manifest", facts["manifest"]]
        self.facts = facts
        self.run("fetch", "-o", str(self.fetched))

    def run(self, *arguments):
        environment = {**os.environ, "NITRO_SIGNER_STACK": self.stack}
        command = [self.program, "attestation", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)

    def verify(self, expected, *arguments):
        """The report of one verification, whose JSON, JUnit and exit code agree."""
        said = self.run("verify", *arguments, "--format", "json")
        assert said.returncode == expected, (said.returncode, expected, said.stdout, said.stderr)
        report = json.loads(said.stdout)
        assert report["exit_code"] == expected, report
        failed = {check["id"] for check in report["checks"] if check["outcome"] == "failed"}
        codes = [failure["code"] for failure in report["failures"]]
        # A verification that did not begin has no checks.
        assert not report["checks"] or failed == set(codes), (failed, codes)

        junit = self.run("verify", *arguments, "--format", "junit")
        assert junit.returncode == expected, junit
        suite = xml.etree.ElementTree.fromstring(junit.stdout).find("testsuite")
        cases = suite.findall("testcase")
        of = lambda kind: [case for case in cases if case.find(kind) is not None]
        assert int(suite.get("tests")) == len(cases)
        assert int(suite.get("failures")) == len(of("failure")) == len(codes), junit.stdout
        assert int(suite.get("skipped")) == len(of("skipped"))
        return report


def cases(verifier, folder):
    """The exit code and arguments of each verification."""
    fetched, manifest, trust = str(verifier.fetched), verifier.manifest, verifier.trust
    ours = [fetched, *trust, *manifest]
    short = Path(folder) / "short"
    short.write_bytes(b"\x84\x44")
    yield 0, [verifier.url, *trust, *manifest, "--address", verifier.address]
    yield 0, ours
    yield 0, [*ours, "--at", "document"]
    yield 0, [fetched, *trust, "--without-manifest"]
    yield 1, [*ours, "--nonce", secrets.token_hex(32)]
    yield 1, [*ours, "--nonce", secrets.token_hex(32), "--instance-id", "i-<&\"'\x1b[31m"]
    yield 1, [*ours, "--address", SOMEBODY]
    yield 2, [fetched, *trust, "--without-manifest", "--address", verifier.address]
    yield 2, [str(Path(folder) / "not there"), *trust, *manifest]
    yield 3, [str(short), *trust, *manifest]
    yield 4, [fetched, *trust[:2], *manifest]
    yield 5, [*ours, "--at", "2020-01-01T00:00:00Z"]
    yield 5, [*ours, "--max-age", "0s"]
    yield 7, ["https://127.0.0.1:1", *trust, *manifest]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--stack", required=True)
    parser.add_argument("--nitro-signer", required=True)
    asked = parser.parse_args()
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    with tempfile.TemporaryDirectory() as folder:
        verifier = Verifier(asked.nitro_signer, asked.stack, folder)
        judged = set()
        for count, (expected, arguments) in enumerate(cases(verifier, folder), 1):
            report = verifier.verify(expected, *arguments)
            validator.validate(report)
            judged.add(expected)
            # The schema itself must tell a success from a failure.
            turned = {**report, "verified": not report["verified"]}
            assert not validator.is_valid(turned), turned
    print(f"reports: {count} verifications, exit codes {sorted(judged)}, every report as its schema says")


if __name__ == "__main__":
    sys.exit(main())
