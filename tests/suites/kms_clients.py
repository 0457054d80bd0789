#!/usr/bin/env python3
"""Do AWS's own clients, boto3 and awscli, work against the development KMS?

Both drive its operations, by one list of checks: the members of each answer, and the names and
texts of errors. Wrapping and signatures are judged by `cryptography`. Then botocore's signer makes
the mistakes that no client makes. (What else it serves, tests/kms_conformance compares with moto.)

    kms_clients.py STACK_JSON
    kms_clients.py --url URL --ca FILE --region REGION --access-key-id ID --secret-access-key KEY

The credentials must be an administrator's, whom IAM allows everything. boto3 and awscli (1) are
those of the Python that runs this. Keys are made anew; those of the stack are left alone.
"""

import argparse
import base64
import contextlib
import datetime
import io
import json
import os
import re
import ssl
import sys
import tempfile
import unittest.mock
import urllib.error
import urllib.request
from pathlib import Path

import boto3
import botocore.config
import botocore.exceptions
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils

BLOBS = {
    "Plaintext", "CiphertextBlob", "CiphertextForRecipient", "Message", "Signature", "PublicKey",
    "ImportToken", "EncryptedKeyMaterial",
}
TIMEOUT_S = 60


class Refused(Exception):
    """KMS said no, with AWS's name for it."""

    def __init__(self, name, text):
        super().__init__(f"{name}: {text}")
        self.name = name
        self.text = text


class Boto3:
    """boto3, in this process."""

    def __init__(self, target):
        self.client = boto3.client(
            "kms",
            endpoint_url=target.url,
            verify=target.ca,
            region_name=target.region,
            aws_access_key_id=target.access_key_id,
            aws_secret_access_key=target.secret_access_key,
            config=botocore.config.Config(retries={"total_max_attempts": 1}),
        )

    def call(self, operation, **members):
        method = getattr(self.client, botocore.xform_name(operation))
        try:
            answer = method(**members)
        except botocore.exceptions.ClientError as error:
            details = error.response["Error"]
            raise Refused(details["Code"], details["Message"]) from None
        answer.pop("ResponseMetadata")
        return answer


class AwsCli:
    """awscli by its own main function, which `aws` calls: a process a call takes a second each."""

    def __init__(self, target):
        # On import it adds to the environment, which has been cleared by now.
        from awscli.clidriver import create_clidriver

        self.create_driver = create_clidriver
        self.arguments = [
            "--endpoint-url", target.url, "--ca-bundle", target.ca,
            "--region", target.region, "--output", "json", "kms",
        ]
        os.environ |= {
            "AWS_ACCESS_KEY_ID": target.access_key_id,
            "AWS_SECRET_ACCESS_KEY": target.secret_access_key,
            "AWS_MAX_ATTEMPTS": "1",
        }

    def call(self, operation, **members):
        blobs = [name for name in members if name in BLOBS]
        arguments = [*self.arguments, option(operation)]
        out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
        with tempfile.TemporaryDirectory() as folder:
            for name in blobs:
                file = Path(folder, name)
                file.write_bytes(members.pop(name))
                arguments += [f"--{option(name)}", f"fileb://{file}"]
            arguments += ["--cli-input-json", json.dumps(members, default=bytes.decode)]
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = self.create_driver().main(arguments)
        if code:
            raise self.refusal(err.getvalue())
        out.seek(0)
        answer = json.loads(out.read() or "{}")
        return {
            name: base64.b64decode(value) if name in BLOBS else value
            for name, value in answer.items()
        }

    @staticmethod
    def refusal(stderr):
        found = re.search(r"An error occurred \((\w+)\) when .*? operation[^:]*(?:: \d+\))?: ?(.*)", stderr)
        if not found:
            return AssertionError(f"awscli failed: {stderr}")
        return Refused(*found.groups())


def option(name):
    """A name of the API as awscli spells it."""
    return botocore.xform_name(name).replace("_", "-")


class Counted:
    """A client, and what it was asked for."""

    def __init__(self, client):
        self.client = client
        self.operations = set()

    def call(self, operation, **members):
        self.operations.add(operation)
        return self.client.call(operation, **members)


class Checks:
    """Counts what was checked; the first thing that is wrong ends the run."""

    def __init__(self):
        self.passed = 0

    def equal(self, found, expected, what):
        if found != expected:
            raise AssertionError(f"{what}: {found!r}, not {expected!r}")
        self.passed += 1

    def members(self, answer, expected, what):
        self.equal(set(answer), set(expected), f"members of {what}")

    def refused(self, client, operation, name, text="", **members):
        try:
            answer = client.call(operation, **members)
        except Refused as refusal:
            self.equal(refusal.name, name, operation)
            self.equal(text in refusal.text, True, f"{operation}: {refusal.text!r} has {text!r}")
        else:
            raise AssertionError(f"{operation} answered {set(answer)}, {name} was expected")


def policy_without(account, denied):
    """The account decides by IAM, but this action is denied to everybody."""
    root = {"AWS": f"arn:aws:iam::{account}:root"}
    return json.dumps({"Version": "2012-10-17", "Statement": [
        {"Sid": "IAM", "Effect": "Allow", "Principal": root, "Action": "kms:*", "Resource": "*"},
        {"Sid": "No", "Effect": "Deny", "Principal": "*", "Action": denied, "Resource": "*"},
    ]})


def check_keys(checks, client, label):
    """CreateKey, DescribeKey, CreateAlias, GetKeyPolicy, PutKeyPolicy, ListGrants."""
    metadata = client.call("CreateKey", Description=label)["KeyMetadata"]
    arn, key_id, account = metadata["Arn"], metadata["KeyId"], metadata["AWSAccountId"]
    checks.equal(arn.split(":")[4:], [account, f"key/{key_id}"], "the ARN")
    expected = {
        "Description": label, "Enabled": True, "KeyState": "Enabled", "KeySpec": "SYMMETRIC_DEFAULT",
        "KeyUsage": "ENCRYPT_DECRYPT", "KeyManager": "CUSTOMER", "Origin": "AWS_KMS",
        "MultiRegion": False, "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
    }
    for name, value in expected.items():
        checks.equal(metadata[name], value, name)
    alias = f"alias/{label}-{key_id}"
    checks.equal(client.call("CreateAlias", AliasName=alias, TargetKeyId=key_id), {}, "CreateAlias")
    checks.refused(client, "CreateAlias", "AlreadyExistsException", "already exists",
                   AliasName=alias, TargetKeyId=arn)
    for name in (key_id, arn, alias, arn.rpartition("key/")[0] + alias):
        described = client.call("DescribeKey", KeyId=name)["KeyMetadata"]
        checks.equal(described["Arn"], arn, f"DescribeKey by {name}")
    checks.refused(client, "DescribeKey", "NotFoundException", "is not found", KeyId="alias/none")
    checks.refused(client, "DescribeKey", "NotFoundException", "does not exist",
                   KeyId="00000000-0000-4000-8000-000000000000")

    policy = client.call("GetKeyPolicy", KeyId=key_id, PolicyName="default")
    checks.members(policy, ["Policy", "PolicyName"], "GetKeyPolicy")
    checks.equal(json.loads(policy["Policy"])["Id"], "key-default-1", "the default policy")
    checks.refused(client, "PutKeyPolicy", "MalformedPolicyDocumentException", "in the future",
                   KeyId=key_id, PolicyName="default", Policy=policy_without(account, "kms:Put*"))
    checks.refused(client, "PutKeyPolicy", "MalformedPolicyDocumentException", "Statement",
                   KeyId=key_id, PolicyName="default", Policy='{"Version":"2012-10-17"}')
    changed = policy_without(account, "kms:Encrypt")
    put = client.call("PutKeyPolicy", KeyId=key_id, PolicyName="default", Policy=changed)
    checks.equal(put, {}, "PutKeyPolicy")
    checks.equal(client.call("GetKeyPolicy", KeyId=key_id)["Policy"], changed, "the put policy")
    checks.refused(client, "Encrypt", "AccessDeniedException", "with an explicit deny",
                   KeyId=key_id, Plaintext=b"x")
    grants = client.call("ListGrants", KeyId=key_id)
    checks.equal(grants["Grants"], [], "ListGrants")


def check_cryptography(checks, client):
    """Encrypt, Decrypt, GenerateDataKey, GenerateDataKeyWithoutPlaintext, GenerateRandom."""
    arn = client.call("CreateKey")["KeyMetadata"]["Arn"]
    other = client.call("CreateKey")["KeyMetadata"]["Arn"]
    context = {"purpose": "vault", "share": "1"}
    secret = bytes(range(256)) * 16
    encrypted = client.call("Encrypt", KeyId=arn, Plaintext=secret, EncryptionContext=context)
    checks.members(encrypted, ["CiphertextBlob", "KeyId", "EncryptionAlgorithm"], "Encrypt")
    checks.equal(encrypted["KeyId"], arn, "Encrypt's key")
    blob = encrypted["CiphertextBlob"]
    opened = client.call("Decrypt", CiphertextBlob=blob, KeyId=arn, EncryptionContext=context)
    checks.members(opened, ["KeyId", "Plaintext", "EncryptionAlgorithm", "KeyMaterialId"], "Decrypt")
    checks.equal((opened["Plaintext"], opened["KeyId"]), (secret, arn), "Decrypt")
    opened = client.call("Decrypt", CiphertextBlob=blob, EncryptionContext=context)
    checks.equal(opened["Plaintext"], secret, "Decrypt without KeyId")
    checks.refused(client, "Decrypt", "InvalidCiphertextException", CiphertextBlob=blob, KeyId=arn)
    checks.refused(client, "Decrypt", "InvalidCiphertextException",
                   CiphertextBlob=blob[:-1] + bytes([blob[-1] ^ 1]), EncryptionContext=context)
    checks.refused(client, "Decrypt", "IncorrectKeyException", "does not identify",
                   CiphertextBlob=blob, KeyId=other, EncryptionContext=context)
    checks.refused(client, "Encrypt", "ValidationException", "plaintext",
                   KeyId=arn, Plaintext=bytes(4097))

    for members, length in (({"KeySpec": "AES_256"}, 32), ({"KeySpec": "AES_128"}, 16),
                            ({"NumberOfBytes": 1024}, 1024)):
        made = client.call("GenerateDataKey", KeyId=arn, EncryptionContext=context, **members)
        checks.members(made, ["CiphertextBlob", "Plaintext", "KeyId", "KeyMaterialId"], "GenerateDataKey")
        checks.equal((len(made["Plaintext"]), made["KeyId"]), (length, arn), "GenerateDataKey")
        opened = client.call("Decrypt", CiphertextBlob=made["CiphertextBlob"], EncryptionContext=context)
        checks.equal(opened["Plaintext"], made["Plaintext"], "the data key, decrypted")
    hidden = client.call("GenerateDataKeyWithoutPlaintext", KeyId=arn, KeySpec="AES_256")
    checks.members(hidden, ["CiphertextBlob", "KeyId", "KeyMaterialId"],
                   "GenerateDataKeyWithoutPlaintext")
    opened = client.call("Decrypt", CiphertextBlob=hidden["CiphertextBlob"])
    checks.equal(len(opened["Plaintext"]), 32, "the hidden data key")
    checks.refused(client, "GenerateDataKey", "ValidationException", "number of bytes or key spec",
                   KeyId=arn, KeySpec="AES_256", NumberOfBytes=32)
    random = client.call("GenerateRandom", NumberOfBytes=64)
    checks.members(random, ["Plaintext"], "GenerateRandom")
    again = client.call("GenerateRandom", NumberOfBytes=64)["Plaintext"]
    checks.equal((len(again), again != random["Plaintext"]), (64, True), "GenerateRandom")

    recipient = {"AttestationDocument": b"no document", "KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256"}
    for operation, members in (("Decrypt", {"CiphertextBlob": blob, "EncryptionContext": context}),
                               ("GenerateDataKey", {"KeyId": arn, "KeySpec": "AES_256"}),
                               ("GenerateRandom", {"NumberOfBytes": 32})):
        checks.refused(client, operation, "ValidationException", "development KMS: the attestation",
                       Recipient=recipient, **members)
    checks.refused(client, "DescribeCustomKeyStores", "UnknownOperationException")


def check_grants(checks, client):
    """CreateGrant, ListGrants, RetireGrant, RevokeGrant."""
    key = client.call("CreateKey")["KeyMetadata"]
    arn, account = key["Arn"], key["AWSAccountId"]
    terms = {"KeyId": arn, "GranteePrincipal": f"arn:aws:iam::{account}:user/user",
             "Operations": ["Decrypt", "CreateGrant"]}
    constraints = {"EncryptionContextEquals": {"a": "1"}}
    made = client.call("CreateGrant", **terms, Name="one", Constraints=constraints)
    checks.members(made, ["GrantId", "GrantToken"], "CreateGrant")
    again = client.call("CreateGrant", **terms, Name="one", Constraints=constraints)
    checks.equal(again["GrantId"], made["GrantId"], "the same grant")
    [listed] = client.call("ListGrants", KeyId=arn)["Grants"]
    listed.pop("CreationDate")
    checks.equal(listed, {
        "KeyId": arn, "GrantId": made["GrantId"], "Name": "one", "Constraints": constraints,
        "GranteePrincipal": terms["GranteePrincipal"], "Operations": terms["Operations"],
        "IssuingAccount": f"arn:aws:iam::{account}:root",
    }, "ListGrants")
    client.call("RetireGrant", GrantToken=made["GrantToken"])
    other = client.call("CreateGrant", **terms)["GrantId"]
    client.call("RevokeGrant", KeyId=arn, GrantId=other)
    checks.equal(client.call("ListGrants", KeyId=arn)["Grants"], [], "grants that are gone")


def check_imports(checks, client):
    """GetParametersForImport, ImportKeyMaterial, DeleteImportedKeyMaterial: wrapped by cryptography."""
    arn = client.call("CreateKey", Origin="EXTERNAL")["KeyMetadata"]["Arn"]
    checks.refused(client, "Encrypt", "KMSInvalidStateException", "is pending import",
                   KeyId=arn, Plaintext=b"x")
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)

    def parameters():
        given = client.call("GetParametersForImport", KeyId=arn, WrappingKeySpec="RSA_3072",
                            WrappingAlgorithm="RSAES_OAEP_SHA_256")
        checks.members(given, ["KeyId", "ImportToken", "PublicKey", "ParametersValidTo"],
                       "GetParametersForImport")
        public = serialization.load_der_public_key(given["PublicKey"])
        checks.equal(public.key_size, 3072, "the wrapping key")
        return given["ImportToken"], public

    def wrapped(public, material, token):
        return {"KeyId": arn, "ImportToken": token, "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE",
                "EncryptedKeyMaterial": public.encrypt(material, oaep)}

    (token, public), (other_token, _) = parameters(), parameters()
    checks.refused(client, "ImportKeyMaterial", "InvalidCiphertextException",
                   **wrapped(public, bytes(32), other_token))
    imported = client.call("ImportKeyMaterial", **wrapped(public, bytes(32), token))
    checks.members(imported, ["KeyId", "KeyMaterialId"], "ImportKeyMaterial")
    checks.refused(client, "ImportKeyMaterial", "InvalidImportTokenException",
                   **wrapped(public, bytes(32), token))
    blob = client.call("Encrypt", KeyId=arn, Plaintext=b"x")["CiphertextBlob"]
    client.call("DeleteImportedKeyMaterial", KeyId=arn)
    token, public = parameters()
    checks.refused(client, "ImportKeyMaterial", "IncorrectKeyMaterialException",
                   **wrapped(public, bytes([1]) * 32, token))
    client.call("ImportKeyMaterial", **wrapped(public, bytes(32), token))
    checks.equal(client.call("Decrypt", CiphertextBlob=blob)["Plaintext"], b"x", "after the import")


def check_asymmetric(checks, client):
    """GetPublicKey, Sign, Verify: read and verified by cryptography, signed by it as well."""
    curves = {"ECC_NIST_P256": ec.SECP256R1, "ECC_SECG_P256K1": ec.SECP256K1}
    message, raw = b"what is signed", ec.ECDSA(hashes.SHA256())
    hashed = hashes.Hash(hashes.SHA256())
    hashed.update(message)
    digest = hashed.finalize()
    for spec, curve in curves.items():
        key = client.call("CreateKey", KeySpec=spec, KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
        answer = client.call("GetPublicKey", KeyId=key)
        public = serialization.load_der_public_key(answer["PublicKey"])
        checks.equal(isinstance(public.curve, curve), True, f"the curve of {spec}")
        asked = {"KeyId": key, "SigningAlgorithm": "ECDSA_SHA_256"}
        for kind, signed, algorithm in (
                ("RAW", message, raw),
                ("DIGEST", digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))):
            made = client.call("Sign", **asked, Message=signed, MessageType=kind)
            public.verify(made["Signature"], signed, algorithm)
            verified = client.call("Verify", **asked, Message=signed, MessageType=kind,
                                   Signature=made["Signature"])
            checks.equal(verified["SignatureValid"], True, f"{spec}, {kind}")
        stranger = ec.generate_private_key(curve()).sign(message, raw)
        checks.refused(client, "Verify", "KMSInvalidSignatureException", **asked, Message=message,
                       MessageType="RAW", Signature=stranger)


class Raw:
    """Requests by botocore's signer, with a date of one's choice, sent as they are."""

    def __init__(self, target):
        self.target = target
        self.tls = ssl.create_default_context(cafile=target.ca)

    def send(self, secret=None, service="kms", region=None, date=None, shift_s=0, change=None):
        target = self.target
        request = AWSRequest("POST", f"{target.url}/", data=b'{"NumberOfBytes":8}', headers={
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": "TrentService.GenerateRandom",
        } | ({"Date": ""} if date == "Date" else {}))
        credentials = Credentials(target.access_key_id, secret or target.secret_access_key)
        at = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=shift_s)
        with unittest.mock.patch("botocore.auth.get_current_datetime", return_value=at):
            SigV4Auth(credentials, service, region or target.region).add_auth(request)
        sent = urllib.request.Request(
            request.url, request.data, dict(request.headers.items()), method="POST")
        if change:
            change(sent)
        try:
            with urllib.request.urlopen(sent, timeout=TIMEOUT_S, context=self.tls) as answer:
                return "answered", json.load(answer)
        except urllib.error.HTTPError as error:
            body = json.load(error)
            return body["__type"], body.get("message", body.get("Message", ""))


def check_signatures(checks, target):
    """X-Amz-Date and Date as clients send them, and what must not pass."""
    raw = Raw(target)

    def check(expected, text="", **changes):
        name, message = raw.send(**changes)
        checks.equal(name, expected, f"a request with {changes}: {message}")
        checks.equal(text in str(message), True, f"{message!r} has {text!r}")

    def change_body(request):
        request.data = b'{"NumberOfBytes":9}'

    for date in ("X-Amz-Date", "Date"):
        for shift_s in (0, -240, 240):
            check("answered", date=date, shift_s=shift_s)
        check("InvalidSignatureException", "Signature expired", date=date, shift_s=-330)
        check("InvalidSignatureException", "not yet current", date=date, shift_s=330)
    check("InvalidSignatureException", "does not match", secret="another secret")
    check("InvalidSignatureException", "does not match", change=change_body)
    check("InvalidSignatureException", "correct service", service="s3")
    check("InvalidSignatureException", "valid region", region="xx-nowhere-1")
    check("MissingAuthenticationTokenException",
          change=lambda request: request.remove_header("Authorization"))


def target_of(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stack", nargs="?", help="stack.json of a running local stack")
    for name in ("url", "ca", "region", "access-key-id", "secret-access-key"):
        parser.add_argument(f"--{name}")
    target = parser.parse_args(arguments)
    if target.stack:
        stack = json.loads(Path(target.stack).read_text(encoding="utf-8"))
        target.url, target.ca = stack["kms_url"], stack["kms_ca"]
        target.region = stack["kms_key_arn"].split(":")[3]
        target.access_key_id = stack["aws_access_key_id"]
        target.secret_access_key = stack["aws_secret_access_key"]
    for name in ("url", "ca", "region", "access_key_id", "secret_access_key"):
        if not getattr(target, name):
            parser.error(f"give stack.json, or --{name.replace('_', '-')} and the others")
    target.url = target.url.rstrip("/")
    return target


def forget_the_environment():
    """Only what is given here counts: no profile, credential, proxy or CA bundle from outside."""
    for name in list(os.environ):
        upper = name.upper()
        if upper.startswith("AWS_") or upper.endswith("_PROXY") or upper in (
                "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
            del os.environ[name]
    os.environ |= {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def main():
    target = target_of(sys.argv[1:])
    forget_the_environment()
    checks = Checks()
    try:
        for label, client in (("boto3", Counted(Boto3(target))), ("awscli", Counted(AwsCli(target)))):
            before = checks.passed
            check_keys(checks, client, label)
            check_cryptography(checks, client)
            check_grants(checks, client)
            check_imports(checks, client)
            check_asymmetric(checks, client)
            print(f"{label}: {checks.passed - before} checks of {len(client.operations)} operations",
                  flush=True)
        before = checks.passed
        check_signatures(checks, target)
        print(f"signatures: {checks.passed - before} checks", flush=True)
    except (AssertionError, InvalidSignature, Refused) as wrong:
        print(f"wrong: {wrong!r}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
