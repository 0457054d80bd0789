"""The calls, the same for every KMS. Each has a label, by which the table of differences names it."""

import hashlib
import json

import botocore.exceptions
from botocore.config import Config

from observation import Observer

SECRET = b"what is kept secret"
DIGEST = hashlib.sha256(SECRET).digest()
CONTEXT = {"purpose": "test", "share": "1"}
FURTHER_REGION = "eu-central-1"
# Refusals that boto3 would make by itself have to reach the server.
CONFIG = Config(retries={"total_max_attempts": 1}, parameter_validation=False)


class Scenario:
    """Asks one KMS, which has no keys yet, and keeps what it answered."""

    def __init__(self, session, **client):
        self.client = session.client("kms", config=CONFIG, **client)
        self.further = session.client("kms", config=CONFIG, **client | {"region_name": FURTHER_REGION})
        self.observer = Observer()
        self.observed = {}
        self.operations = set()

    def ask(self, label, operation, client=None, **members):
        """The answer, or None if it was refused."""
        self.operations.add(operation)
        label = f"{operation}: {label}"
        if label in self.observed:
            raise AssertionError(f"{label!r} stands twice")
        try:
            answer = (client or self.client)._make_api_call(operation, members)
        except botocore.exceptions.ClientError as error:
            self.observed[label] = self.observer.refusal(error)
            return None
        kept = dict(answer)
        if operation == "ListAliases":
            kept["Aliases"] = [a for a in kept["Aliases"] if not a["AliasName"].startswith("alias/aws/")]
        self.observed[label] = self.observer.answer(kept)
        return answer

    def create(self, label, **members):
        """A key, known by its label from now on. What moto leaves out unless it is asked for is asked for."""
        usual = {"KeyUsage": "ENCRYPT_DECRYPT", "MultiRegion": False}
        metadata = self.client.create_key(**usual | members)["KeyMetadata"]
        self.observer.know(metadata["KeyId"], label.upper())
        self.ask(label, "DescribeKey", KeyId=metadata["KeyId"])
        return metadata

    def run(self):
        for part in (self.keys, self.states, self.deletion, self.policies, self.aliases, self.tags,
                     self.cryptography, self.re_encryption, self.grants, self.rotation,
                     self.signatures, self.regions, self.mistakes):
            part()
        return self.observed

    # ---- the parts -------------------------------------------------------------------------

    def keys(self):
        # The answer of CreateKey itself; its id is not known before.
        made = self.client.create_key(Description="made")["KeyMetadata"]
        self.observer.know(made["KeyId"], "MADE")
        self.observed["CreateKey: plain"] = self.observer.answer(
            {"KeyMetadata": made, "ResponseMetadata": {"HTTPStatusCode": 200}})
        self.operations.add("CreateKey")
        key = self.create("plain")
        self.create("external", Origin="EXTERNAL")
        self.ask("by ARN", "DescribeKey", KeyId=key["Arn"])
        self.ask("no such key", "DescribeKey", KeyId="00000000-0000-4000-8000-000000000000")
        self.ask("no such alias", "DescribeKey", KeyId="alias/none")
        self.ask("to text", "UpdateKeyDescription", KeyId=key["KeyId"], Description="text")
        self.ask("described", "DescribeKey", KeyId=key["KeyId"])
        self.ask("all", "ListKeys")
        self.ask("of an unknown spec", "CreateKey", KeySpec="AES_512")
        self.ask("signing without use", "CreateKey", KeySpec="ECC_NIST_P256")

    def states(self):
        key = self.create("state")["KeyId"]
        self.ask("enabled", "DisableKey", KeyId=key)
        self.ask("disabled", "DescribeKey", KeyId=key)
        self.ask("disabled key", "Encrypt", KeyId=key, Plaintext=SECRET)
        self.ask("disabled key", "GenerateDataKey", KeyId=key, KeySpec="AES_256")
        self.ask("disabled", "EnableKey", KeyId=key)
        self.ask("enabled again", "DescribeKey", KeyId=key)
        self.ask("enabled again", "Encrypt", KeyId=key, Plaintext=SECRET)
        self.ask("no such key", "DisableKey", KeyId="00000000-0000-4000-8000-000000000000")

    def deletion(self):
        key = self.create("deleted")["KeyId"]
        self.ask("not pending", "CancelKeyDeletion", KeyId=key)
        self.ask("in 3 days", "ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=3)
        self.ask("in 7 days", "ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=7)
        self.ask("pending deletion", "DescribeKey", KeyId=key)
        self.ask("pending deletion", "Encrypt", KeyId=key, Plaintext=SECRET)
        self.ask("pending deletion", "EnableKey", KeyId=key)
        self.ask("pending", "CancelKeyDeletion", KeyId=key)
        self.ask("cancelled deletion", "DescribeKey", KeyId=key)

    def policies(self):
        key = self.create("policy")
        key, account = key["KeyId"], key["AWSAccountId"]
        self.ask("default", "GetKeyPolicy", KeyId=key, PolicyName="default")
        self.ask("other name", "GetKeyPolicy", KeyId=key, PolicyName="other")
        self.ask("one", "ListKeyPolicies", KeyId=key)
        policy = json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
             "Action": "kms:*", "Resource": "*"},
            {"Effect": "Deny", "Principal": "*", "Action": "kms:DescribeKey", "Resource": "*"},
        ]})
        self.ask("another", "PutKeyPolicy", KeyId=key, PolicyName="default", Policy=policy)
        self.ask("put", "GetKeyPolicy", KeyId=key, PolicyName="default")
        self.ask("denied", "DescribeKey", KeyId=key)
        self.ask("other name", "PutKeyPolicy", KeyId=key, PolicyName="other", Policy=policy)

    def aliases(self):
        one, two = self.create("alias one"), self.create("alias two")
        self.ask("new", "CreateAlias", AliasName="alias/new", TargetKeyId=one["KeyId"])
        self.ask("again", "CreateAlias", AliasName="alias/new", TargetKeyId=one["KeyId"])
        self.ask("of AWS", "CreateAlias", AliasName="alias/aws/own", TargetKeyId=one["KeyId"])
        self.ask("without prefix", "CreateAlias", AliasName="new", TargetKeyId=one["KeyId"])
        self.ask("with a bad letter", "CreateAlias", AliasName="alias/a b", TargetKeyId=one["KeyId"])
        self.ask("by alias", "DescribeKey", KeyId="alias/new")
        arn = one["Arn"].rpartition("key/")[0] + "alias/new"
        self.ask("by alias ARN", "DescribeKey", KeyId=arn)
        self.ask("of one key", "ListAliases", KeyId=one["KeyId"])
        self.ask("to another key", "UpdateAlias", AliasName="alias/new", TargetKeyId=two["KeyId"])
        self.ask("by alias, updated", "DescribeKey", KeyId="alias/new")
        self.ask("none such", "UpdateAlias", AliasName="alias/none", TargetKeyId=two["KeyId"])
        self.ask("there", "DeleteAlias", AliasName="alias/new")
        self.ask("gone", "DeleteAlias", AliasName="alias/new")
        self.ask("all", "ListAliases")

    def tags(self):
        key = self.create("tagged", Tags=[{"TagKey": "a", "TagValue": "1"}])["KeyId"]
        self.ask("as created", "ListResourceTags", KeyId=key)
        self.ask("two", "TagResource", KeyId=key, Tags=[
            {"TagKey": "a", "TagValue": "2"}, {"TagKey": "b", "TagValue": ""}])
        self.ask("two", "ListResourceTags", KeyId=key)
        self.ask("one", "UntagResource", KeyId=key, TagKeys=["a"])
        self.ask("one left", "ListResourceTags", KeyId=key)

    def cryptography(self):
        key = self.create("symmetric")
        other = self.create("other")["KeyId"]
        key, arn = key["KeyId"], key["Arn"]
        sealed = self.ask("with context", "Encrypt", KeyId=key, Plaintext=SECRET, EncryptionContext=CONTEXT)
        blob = sealed["CiphertextBlob"]
        self.ask("with context", "Decrypt", CiphertextBlob=blob, EncryptionContext=CONTEXT)
        self.ask("with key", "Decrypt", CiphertextBlob=blob, EncryptionContext=CONTEXT, KeyId=arn)
        self.ask("without context", "Decrypt", CiphertextBlob=blob)
        self.ask("another key", "Decrypt", CiphertextBlob=blob, EncryptionContext=CONTEXT, KeyId=other)
        bent = blob[:-1] + bytes([blob[-1] ^ 1])
        self.ask("bent", "Decrypt", CiphertextBlob=bent, EncryptionContext=CONTEXT)
        self.ask("too long", "Encrypt", KeyId=key, Plaintext=bytes(4097))
        self.ask("empty", "Encrypt", KeyId=key, Plaintext=b"")
        self.ask("no such key", "Encrypt", KeyId="alias/none", Plaintext=SECRET)
        for label, members in (("AES_256", {"KeySpec": "AES_256"}), ("AES_128", {"KeySpec": "AES_128"}),
                               ("64 bytes", {"NumberOfBytes": 64}), ("neither", {}),
                               ("both", {"KeySpec": "AES_256", "NumberOfBytes": 32}),
                               ("AES_512", {"KeySpec": "AES_512"}), ("1025 bytes", {"NumberOfBytes": 1025})):
            for operation in ("GenerateDataKey", "GenerateDataKeyWithoutPlaintext"):
                self.ask(label, operation, KeyId=key, EncryptionContext=CONTEXT, **members)
        made = self.client.generate_data_key(KeyId=key, KeySpec="AES_256")
        self.ask("data key", "Decrypt", CiphertextBlob=made["CiphertextBlob"])
        self.ask("32 bytes", "GenerateRandom", NumberOfBytes=32)
        self.ask("1025 bytes", "GenerateRandom", NumberOfBytes=1025)

    def re_encryption(self):
        one, two = self.create("source")["KeyId"], self.create("destination")["KeyId"]
        blob = self.client.encrypt(KeyId=one, Plaintext=SECRET, EncryptionContext=CONTEXT)["CiphertextBlob"]
        moved = self.ask("to another key", "ReEncrypt", CiphertextBlob=blob, SourceEncryptionContext=CONTEXT,
                         DestinationKeyId=two, DestinationEncryptionContext={"new": "context"})
        self.ask("re-encrypted", "Decrypt", CiphertextBlob=moved["CiphertextBlob"],
                 EncryptionContext={"new": "context"})
        self.ask("wrong context", "ReEncrypt", CiphertextBlob=blob, DestinationKeyId=two)
        self.ask("no such key", "ReEncrypt", CiphertextBlob=blob, SourceEncryptionContext=CONTEXT,
                 DestinationKeyId="alias/none")

    def grants(self):
        metadata = self.create("granted")
        key, account = metadata["KeyId"], metadata["AWSAccountId"]
        user, role = f"arn:aws:iam::{account}:user/user", f"arn:aws:iam::{account}:role/role"
        terms = {"KeyId": key, "GranteePrincipal": user, "Operations": ["Encrypt", "Decrypt"]}
        self.ask("none", "ListGrants", KeyId=key)
        first = self.ask("named", "CreateGrant", **terms, Name="one", RetiringPrincipal=role,
                         Constraints={"EncryptionContextSubset": CONTEXT})
        self.ask("one", "ListGrants", KeyId=key)
        self.ask("by id", "ListGrants", KeyId=key, GrantId=first["GrantId"])
        self.ask("of the role", "ListRetirableGrants", RetiringPrincipal=role)
        self.ask("of the user", "ListRetirableGrants", RetiringPrincipal=user)
        second = self.ask("plain", "CreateGrant", **terms)
        self.ask("plain", "RevokeGrant", KeyId=key, GrantId=second["GrantId"])
        self.ask("revoked", "RevokeGrant", KeyId=key, GrantId=second["GrantId"])
        third = self.ask("for its token", "CreateGrant", **terms)
        self.ask("by token", "RetireGrant", GrantToken=third["GrantToken"])
        self.ask("by id", "RetireGrant", KeyId=metadata["Arn"], GrantId=first["GrantId"])
        self.ask("none left", "ListGrants", KeyId=key)
        self.ask("of another operation", "CreateGrant", **terms | {"Operations": ["PutKeyPolicy"]})

    def rotation(self):
        key = self.create("rotated")["KeyId"]
        self.ask("off", "GetKeyRotationStatus", KeyId=key)
        self.ask("usual", "EnableKeyRotation", KeyId=key)
        self.ask("on", "GetKeyRotationStatus", KeyId=key)
        self.ask("on", "DisableKeyRotation", KeyId=key)
        self.ask("off again", "GetKeyRotationStatus", KeyId=key)
        blob = self.client.encrypt(KeyId=key, Plaintext=SECRET)["CiphertextBlob"]
        self.ask("once", "RotateKeyOnDemand", KeyId=key)
        self.ask("twice", "RotateKeyOnDemand", KeyId=key)
        self.ask("two", "ListKeyRotations", KeyId=key)
        page = self.ask("first page", "ListKeyRotations", KeyId=key, Limit=1)
        self.ask("second page", "ListKeyRotations", KeyId=key, Limit=1, Marker=page["NextMarker"])
        self.ask("older than a rotation", "Decrypt", CiphertextBlob=blob)

    def signatures(self):
        for spec in ("ECC_NIST_P256", "ECC_SECG_P256K1"):
            key = self.create(f"signing {spec}", KeySpec=spec, KeyUsage="SIGN_VERIFY")["KeyId"]
            sign = {"KeyId": key, "SigningAlgorithm": "ECDSA_SHA_256"}
            self.ask(spec, "GetPublicKey", KeyId=key)
            signed = self.ask(f"{spec} raw", "Sign", **sign, Message=SECRET, MessageType="RAW")
            verify = sign | {"Message": SECRET, "MessageType": "RAW"}
            self.ask(f"{spec} raw", "Verify", **verify, Signature=signed["Signature"])
            bent = signed["Signature"][:-1] + bytes([signed["Signature"][-1] ^ 1])
            self.ask(f"{spec} bent", "Verify", **verify, Signature=bent)
            self.ask(f"{spec} other message", "Verify", **verify | {"Message": b"other"},
                     Signature=signed["Signature"])
            self.ask(f"{spec} digest", "Sign", **sign, Message=DIGEST, MessageType="DIGEST")
            self.ask(f"{spec} digest of a raw signature", "Verify",
                     **verify | {"Message": DIGEST, "MessageType": "DIGEST"}, Signature=signed["Signature"])
            self.ask(f"{spec} short digest", "Sign", **sign, Message=b"short", MessageType="DIGEST")
            self.ask(f"{spec} other algorithm", "Sign",
                     **sign | {"SigningAlgorithm": "ECDSA_SHA_384"}, Message=SECRET)
            self.ask(f"{spec} to encrypt", "Encrypt", KeyId=key, Plaintext=SECRET)
            self.ask(f"{spec} empty", "Sign", **sign, Message=b"")
        symmetric = self.create("not signing")["KeyId"]
        self.ask("symmetric", "Sign", KeyId=symmetric, Message=SECRET, SigningAlgorithm="ECDSA_SHA_256")
        self.ask("symmetric", "GetPublicKey", KeyId=symmetric)

    def regions(self):
        key = self.create("primary", MultiRegion=True)["KeyId"]
        self.ask("to another region", "ReplicateKey", KeyId=key, ReplicaRegion=FURTHER_REGION)
        self.ask("replica", "DescribeKey", client=self.further, KeyId=key)
        self.ask("primary with replica", "DescribeKey", KeyId=key)
        blob = self.client.encrypt(KeyId=key, Plaintext=SECRET)["CiphertextBlob"]
        self.ask("by the replica", "Decrypt", client=self.further, CiphertextBlob=blob)

    def mistakes(self):
        key = self.create("mistaken")["KeyId"]
        for operation, members in (("DescribeKey", {}), ("Encrypt", {"KeyId": key}), ("EnableKey", {})):
            self.ask("member missing", operation, **members)
        self.ask("invalid id", "DescribeKey", KeyId="not-an-id")
        self.ask("foreign region", "DescribeKey", KeyId="arn:aws:kms:us-west-2:111122223333:key/x")
