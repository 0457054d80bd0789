#!/usr/bin/env python3
"""Does the local stack sign under the policy that Terraform put, and does nothing else get in by it?

    tests/terraform/stack.py --dev PROGRAM --dir DIR -- COMMAND…

COMMAND is `tests/terraform/run` with the Python that it needs: its `apply-policy` gives the policy
that was read back from the server it was applied to. The stack is started in DIR for its
measurements and manifest; with the policy it makes a vault and keys and signs. A policy for another
PCR0 or PCR16 must shut it out. Then, with the policy in place, the appliance's credentials without a
document, a grant to the appliance's role, and the administrator's credentials must not get in.
"""

import argparse
import json
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import boto3
import botocore.config
import botocore.exceptions
import cbor2

ROLE = "arn:aws:iam::000000000000:role/nitro-signer-appliance"
ADMINISTRATOR = "arn:aws:iam::000000000000:role/nitro-signer-administrator"
NAMES = {"deployment": "development", "vault": "main"}
TIMEOUT_S = 120


def check(right, what):
    if not right:
        sys.exit(f"terraform: {what}")


def run(*command, fails=False):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=600)
    said = done.stdout + done.stderr
    check((done.returncode != 0) == fails, f"{' '.join(map(str, command))} ended with {done.returncode}:\n{said}")
    return done.stdout if not fails else said


class Stack:
    """The stack in its folder, under a policy."""

    def __init__(self, dev, folder):
        self.dev, self.dir = dev, folder

    def demonstrate(self, *more, fails=False):
        return run(self.dev, "--once", "--dir", self.dir, *more, fails=fails)

    def pcr16(self):
        said = run(self.dev, "cli", "--json", "manifest", "hash", self.dir / "manifest.cbor")
        return json.loads(said)["pcr16"].removeprefix("0x")

    def forget_vault(self):
        shutil.rmtree(self.dir / "store")
        (self.dir / "store").mkdir(mode=0o700)

    def up(self, policy):
        """The stack, up until it is told to end."""
        command = [self.dev, "--keep", "--dir", self.dir, "--key-policy", policy]
        self.process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        until = time.monotonic() + TIMEOUT_S
        while not (self.dir / "stack.json").exists():
            check(self.process.poll() is None, "the stack ended under Terraform's policy")
            check(time.monotonic() < until, "the stack did not come up under Terraform's policy")
            time.sleep(0.2)
        return json.loads((self.dir / "stack.json").read_text())

    def down(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(TIMEOUT_S)


def client(facts, key_id, secret):
    return boto3.client(
        "kms",
        endpoint_url=facts["kms_url"],
        verify=facts["kms_ca"],
        region_name="us-east-1",
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
        config=botocore.config.Config(retries={"total_max_attempts": 1}),
    )


def refused(what, call, **arguments):
    try:
        call(**arguments)
    except botocore.exceptions.ClientError as error:
        code, text = error.response["Error"]["Code"], error.response["Error"]["Message"]
        check(code == "AccessDeniedException", f"{what}: {code}: {text}")
        print(f"{what}: refused: {text.split(' on resource')[0].split('perform: ')[-1]}, {text.split('because ')[-1].split('with an ')[-1]}")
        return text
    sys.exit(f"terraform: {what}: GOT IN")


def under(policy, stack, folder):
    facts = stack.up(policy)
    try:
        role = tomllib.loads((folder / "credentials.toml").read_text())
        appliance = client(facts, role["access_key_id"], role["secret_access_key"])
        administrator = client(facts, facts["aws_access_key_id"], facts["aws_secret_access_key"])
        key = facts["kms_key_arn"]
        wrapping = cbor2.loads((folder / "store/vault").read_bytes())["wrappings"][0]
        opening = {"KeyId": key, "CiphertextBlob": wrapping["blob"], "EncryptionContext": wrapping["context"]}
        making = {"KeyId": key, "KeySpec": "AES_256", "EncryptionContext": wrapping["context"]}
        for who, kms in (("no document", appliance), ("an administrator", administrator)):
            refused(f"{who}: open", kms.decrypt, **opening)
            refused(f"{who}: make", kms.generate_data_key, **making)
            refused(f"{who}: plant", kms.encrypt, KeyId=key, Plaintext=b"planted", EncryptionContext=wrapping["context"])
            refused(f"{who}: grant", kms.create_grant, KeyId=key, GranteePrincipal=ROLE, Operations=["Decrypt"])
        # A grant that somebody made before the policy was put.
        loose = {"Sid": "Loose", "Effect": "Allow", "Principal": {"AWS": ADMINISTRATOR}, "Action": ["kms:PutKeyPolicy", "kms:CreateGrant"], "Resource": "*"}
        administrator.put_key_policy(KeyId=key, Policy=json.dumps({"Version": "2012-10-17", "Statement": [loose]}))
        administrator.create_grant(KeyId=key, GranteePrincipal=ROLE, Operations=["Decrypt", "GenerateDataKey", "Encrypt"])
        check(appliance.decrypt(**opening)["Plaintext"], "the grant opens without the policy")
        administrator.put_key_policy(KeyId=key, Policy=policy.read_text())
        for what, call, arguments in (("open", appliance.decrypt, opening), ("make", appliance.generate_data_key, making)):
            text = refused(f"a grant to the role: {what}", call, **arguments)
            check("explicit deny" in text, f"a grant is stopped by a Deny, not by {text}")
    finally:
        stack.down()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dev", type=Path, required=True)
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("terraform", nargs="+", help="the command `tests/terraform/run`")
    given = parser.parse_args()
    folder = given.dir
    stack = Stack(given.dev, folder)
    stack.demonstrate()
    policy = folder / "terraform-policy.json"
    names = [part for name, value in NAMES.items() for part in (f"--{name}", value)]
    run(
        *given.terraform, "apply-policy", "--measurements", folder / "measurements.json", "--pcr16", stack.pcr16(),
        "--role", ROLE, "--administrator", ADMINISTRATOR, *names, "--vault-creation", "--out", policy,
    )
    stack.forget_vault()
    stack.demonstrate("--keep", "--key-policy", policy)
    print("signs: a vault, a key and every kind of signature under the policy that Terraform put")
    for register in ("PCR0", "PCR16"):
        pinned = re.compile(rf'("kms:RecipientAttestation:{register}":\s*\[?\s*")[0-9a-f]{{96}}')
        wrong, count = pinned.subn(rf"\g<1>{'ab' * 48}", policy.read_text())
        check(count == 2, f"{register} stands in an Allow and a Deny")
        other = folder / f"wrong-{register}.json"
        other.write_text(wrong)
        said = stack.demonstrate("--keep", "--key-policy", other, fails=True)
        check("KMS refused under its key policy" in said, f"a policy for another {register} denies:\n{said}")
        print(f"another {register}: refused by KMS, and nothing opens")
    under(policy, stack, folder)


if __name__ == "__main__":
    main()
