#!/usr/bin/env python3
"""Does the development KMS answer as moto's KMS does, to the same boto3 calls?

    conformance.py --dev target/release/dev

Starts both on free ports of 127.0.0.1, asks both the same, and compares every member of every
answer and the name and status of every refusal. Differences are listed in differences.py with the
reason; one that is not listed fails, and so does a listed one that is gone. moto decides nothing:
where the two differ, AWS's documentation does. At last the development KMS is started again, and
must have what it had.
"""

import argparse
import contextlib
import fnmatch
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import boto3

from differences import DIFFERENCES
from observation import ABSENT
from scenario import Scenario

REGION = "us-east-1"
START_S = 60


@contextlib.contextmanager
def running(arguments, log):
    """A server that ends with this block."""
    with open(log, "wb") as output:
        server = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        yield server
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def wait_for(what, server, ready, log):
    until = time.monotonic() + START_S
    while not ready():
        if server.poll() is not None or time.monotonic() > until:
            sys.exit(f"{what} did not start:\n{Path(log).read_text(errors='replace')}")
        time.sleep(0.1)


def ask_moto(folder):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log, url = folder / "moto.log", f"http://127.0.0.1:{port}"

    def ready():
        with contextlib.suppress(OSError):
            return urllib.request.urlopen(f"{url}/moto-api/", timeout=2).status == 200
        return False

    with running([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], log) as server:
        wait_for("moto", server, ready, log)
        session = boto3.Session("moto", "moto", region_name=REGION)
        return run(Scenario(session, endpoint_url=url, region_name=REGION))


@contextlib.contextmanager
def development_kms(folder, dev):
    """Its session and how to reach it, in a folder where it may have been before."""
    log, file = folder / "kms.log", folder / "kms" / "kms-client.json"
    with running([dev, "kms", "--dir", folder / "kms"], log) as server:
        wait_for("the development KMS", server, file.exists, log)
        facts = json.loads(file.read_text(encoding="utf-8"))
        session = boto3.Session(
            facts["aws_access_key_id"], facts["aws_secret_access_key"], region_name=facts["region"])
        yield session, {"endpoint_url": facts["kms_url"], "verify": facts["kms_ca"],
                        "region_name": facts["region"]}


def ask_development_kms(folder, dev):
    with development_kms(folder, dev) as (session, client):
        answers = run(Scenario(session, **client))
        sealed = seal(session.client("kms", **client))
    with development_kms(folder, dev) as (session, client):
        check_restarted(session.client("kms", **client), *sealed)
    return answers


def seal(kms):
    """All keys, and something under one of them."""
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    blob = kms.encrypt(KeyId=key, Plaintext=b"kept")["CiphertextBlob"]
    kms.rotate_key_on_demand(KeyId=key)
    return kms.list_keys()["Keys"], blob


def check_restarted(kms, keys, blob):
    if kms.list_keys()["Keys"] != keys or kms.decrypt(CiphertextBlob=blob)["Plaintext"] != b"kept":
        sys.exit("started again, the development KMS has not what it had")


def run(scenario):
    return scenario.run(), scenario.operations


def compare(moto, ours):
    """Every difference: (call, fact, moto's value, ours)."""
    if list(moto) != list(ours):
        sys.exit("the two were not asked the same")
    for call, theirs in moto.items():
        outcomes = outcome(theirs), outcome(ours[call])
        if outcomes[0] != outcomes[1]:
            yield call, "outcome", *outcomes
            continue
        for fact in sorted(theirs.keys() | ours[call].keys()):
            pair = theirs.get(fact, ABSENT), ours[call].get(fact, ABSENT)
            if pair[0] != pair[1]:
                yield call, fact, *pair


def outcome(facts):
    return f"{facts['status']} {facts.get('error', '')}".strip()


def covers(row, difference):
    calls, fact, theirs, ours, _ = row
    return (fnmatch.fnmatchcase(difference[0], calls) and fnmatch.fnmatchcase(difference[1], fact)
            and (theirs, ours) == difference[2:])


def forget_the_environment():
    """Only what is given here counts: no profile, credential, proxy or CA bundle from outside."""
    for name in list(os.environ):
        upper = name.upper()
        if upper.startswith("AWS_") or upper.endswith("_PROXY") or upper in (
                "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
            del os.environ[name]
    os.environ |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
                   "AWS_EC2_METADATA_DISABLED": "true", "NO_PROXY": "*"}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dev", required=True, type=Path, help="this repository's program dev")
    parser.add_argument("--show", action="store_true", help="print every difference as a row")
    arguments = parser.parse_args()
    forget_the_environment()
    with tempfile.TemporaryDirectory() as folder:
        moto, _ = ask_moto(Path(folder))
        ours, operations = ask_development_kms(Path(folder), arguments.dev.resolve())
    differences = list(compare(moto, ours))
    if arguments.show:
        for difference in differences:
            print(difference)
    new = [d for d in differences if not any(covers(row, d) for row in DIFFERENCES)]
    gone = [row for row in DIFFERENCES if not any(covers(row, d) for d in differences)]
    for difference in new:
        print("not listed:", difference, file=sys.stderr)
    for row in gone:
        print("listed, and gone:", row, file=sys.stderr)
    facts = sum(len(observed) for observed in ours.values())
    print(f"kms conformance: {len(ours)} calls of {len(operations)} operations, {facts} facts; "
          f"{len(differences)} differ, by {len(DIFFERENCES)} listed reasons")
    return 1 if new or gone else 0


if __name__ == "__main__":
    sys.exit(main())
