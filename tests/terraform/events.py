"""CloudTrail's events, and which alarms each must ring.

The metric filters' patterns are evaluated by a small reader of CloudWatch's pattern syntax, as far as
our patterns use it and no further: what it does not know, fails. EventBridge's patterns are judged by
moto's matcher. The events have the form of the AWS KMS Developer Guide, "Monitoring requests for Nitro
enclaves", with digests in base64 as CloudTrail writes them.
"""

import base64
import copy
import json
import re

from moto.events.models import EventPattern

KEY_POWERS = ["CreateGrant", "DeleteImportedKeyMaterial", "DisableKey", "DisableKeyRotation", "ImportKeyMaterial",
              "PutKeyPolicy", "ReplicateKey", "ScheduleKeyDeletion", "UpdatePrimaryRegion"]

TOKEN = re.compile(r'\s*(\(|\)|&&|\|\||!=|=|NOT EXISTS|EXISTS|"[^"]*"|\$(?:\.[A-Za-z]+(?:\[\d+\])?)+)')


def matches(pattern, event):
    """Whether a metric filter's pattern matches an event."""
    text = pattern.strip()
    if not (text.startswith("{") and text.endswith("}")):
        raise ValueError(f"no JSON pattern: {text}")
    tokens, at, text = [], 0, text[1:-1].strip()
    while at < len(text):
        found = TOKEN.match(text, at)
        if not found:
            raise ValueError(f"not understood: {text[at:at + 40]}")
        tokens.append(found.group(1))
        at = found.end()
    value, rest = _any(tokens, event)
    if rest:
        raise ValueError(f"left over: {rest}")
    return value


def _any(tokens, event):
    value, tokens = _all(tokens, event)
    while tokens and tokens[0] == "||":
        other, tokens = _all(tokens[1:], event)
        value = value or other
    return value, tokens


def _all(tokens, event):
    value, tokens = _term(tokens, event)
    while tokens and tokens[0] == "&&":
        other, tokens = _term(tokens[1:], event)
        value = value and other
    return value, tokens


def _term(tokens, event):
    if tokens[0] == "(":
        value, tokens = _any(tokens[1:], event)
        if tokens[0] != ")":
            raise ValueError("a parenthesis is not closed")
        return value, tokens[1:]
    found, sign = _select(tokens[0], event), tokens[1]
    if sign == "EXISTS":
        return found is not None, tokens[2:]
    if sign == "NOT EXISTS":
        return found is None, tokens[2:]
    wanted = re.escape(tokens[2].strip('"')).replace(r"\*", ".*")
    # A field that is not there equals nothing; that != then matches too is the cautious reading, and
    # no pattern may depend on it.
    same = isinstance(found, str) and re.fullmatch(wanted, found, re.S) is not None
    return same if sign == "=" else not same, tokens[3:]


def _select(path, event):
    for name, index in re.findall(r"\.([A-Za-z]+)(?:\[(\d+)\])?", path):
        event = event.get(name) if isinstance(event, dict) else None
        if index:
            event = event[int(index)] if isinstance(event, list) and len(event) > int(index) else None
    return event


def decrypt(key, digest, manifest):
    """What a good enclave's Decrypt looks like."""
    in_base64 = lambda digits: base64.b64encode(bytes.fromhex(digits)).decode()
    return {
        "eventSource": "kms.amazonaws.com",
        "eventName": "Decrypt",
        "awsRegion": "eu-central-1",
        "userIdentity": {
            "type": "AssumedRole",
            "arn": "arn:aws:sts::111122223333:assumed-role/nitro-signer/i-0123456789abcdef0",
            "sessionContext": {"sessionIssuer": {"arn": "arn:aws:iam::111122223333:role/nitro-signer"}},
        },
        "userAgent": f"aws-sdk-rust/1.3 nitro-signer/{manifest}/00112233445566778899aabbccddeeff",
        "requestParameters": {"encryptionContext": {"app": "nitro-signer"}, "encryptionAlgorithm": "SYMMETRIC_DEFAULT"},
        "additionalEventData": {"recipient": {
            "attestationDocumentModuleId": "i-0123456789abcdef0-enc0123456789abcdef",
            "attestationDocumentEnclaveImageDigest": in_base64(digest),
            "attestationDocumentEnclavePCR1": in_base64("21" * 48),
        }},
        "resources": [{"accountId": "111122223333", "type": "AWS::KMS::Key", "ARN": key}],
    }


def cases(key, digest, manifest, administrator):
    """(what happened, the event, the alarms that must ring, and no others)"""
    good = decrypt(key, digest, manifest)

    def changed(**fields):
        event = copy.deepcopy(good)
        for name, value in fields.items():
            if value is None:
                event.pop(name)
            else:
                event[name] = value
        return event

    recipient = lambda **fields: {"recipient": good["additionalEventData"]["recipient"] | fields}
    other = {"resources": [{"ARN": key[:-4] + "0000"}]}
    refused = {
        "errorCode": "AccessDenied",
        "errorMessage": f"User: arn:aws:sts::111122223333:assumed-role/x/y is not authorized to perform: kms:Decrypt on resource: {key} because no resource-based policy allows it",
        "additionalEventData": None,
        "resources": None,
    }
    zeros = "00" * 48
    tpm = {"recipient": {"attestationDocumentModuleId": "i-0123456789abcdef0-tpm0123456789abcdef", "attestationDocumentNitroTPMPCR4": "x"}}
    yield "a good enclave opens its vault", good, set()
    yield "a good enclave makes a vault", changed(eventName="GenerateDataKey"), set()
    yield "another key is used", changed(userAgent="aws-cli/2", additionalEventData=None, **other), set()
    yield "without attestation", changed(additionalEventData=None), {"unattested"}
    yield "a data key in the clear", changed(additionalEventData=None, eventName="GenerateDataKey"), {"unattested"}
    yield "a key pair", changed(additionalEventData=None, eventName="GenerateDataKeyPairWithoutPlaintext"), {"unattested"}
    yield "something is planted", changed(additionalEventData=None, eventName="Encrypt"), {"unattested"}
    yield "a vault is carried out", changed(additionalEventData=None, eventName="ReEncrypt"), {"unattested"}
    yield "a vault is carried in", changed(additionalEventData=None, eventName="ReEncrypt", resources=[*other["resources"], {"ARN": key}]), {"unattested"}
    yield "attested by a TPM, not by an enclave", changed(additionalEventData=tpm), {"unattested"}
    yield "in debug mode", changed(additionalEventData=recipient(attestationDocumentEnclaveImageDigest="A" * 64)), {"zero-digest", "unlisted-image"}
    yield "in debug mode, in hex", changed(additionalEventData=recipient(attestationDocumentEnclaveImageDigest=zeros)), {"zero-digest", "unlisted-image"}
    yield "another image", changed(additionalEventData=decrypt(key, "ab" * 48, manifest)["additionalEventData"]), {"unlisted-image"}
    yield "another manifest", changed(userAgent=decrypt(key, digest, "cd" * 48)["userAgent"]), {"unexpected-manifest"}
    yield "a manifest's hash as a part of another word", changed(userAgent=f"nitro-signer/{manifest}0/00"), {"unexpected-manifest"}
    yield "no user agent of ours", changed(userAgent="aws-cli/2.17", additionalEventData=None), {"unattested", "unexpected-manifest"}
    yield "no user agent at all", changed(userAgent=None), {"unexpected-manifest"}
    yield "refused, without resources", changed(**refused), {"refused"}
    yield "refused, by a stranger", changed(**refused | {"userAgent": "aws-cli/2.17"}), {"refused", "unexpected-manifest"}
    yield "refused on another key", changed(**refused | {"errorMessage": refused["errorMessage"].replace(key, key[:-4] + "0000")}), set()
    session = {"arn": "arn:aws:sts::111122223333:assumed-role/KeyAdministrator/ada", "sessionContext": {"sessionIssuer": {"arn": administrator}}}
    quiet = {"additionalEventData": None, "requestParameters": {"keyId": key}}
    derived = {"eventName": "DeriveSharedSecret", "additionalEventData": None}
    yield "a shared secret", changed(**derived), {"unattested"}
    yield "refused, with resources", changed(**refused | {"resources": good["resources"]}), {"refused"}
    yield "making a vault is refused", changed(**refused | {"eventName": "GenerateDataKey"}), {"refused"}
    yield "a look is refused", changed(**refused | {"eventName": "DescribeKey", "userAgent": "aws-cli/2.17"}), set()
    yield "a vault under another manifest", changed(eventName="GenerateDataKey", userAgent="nitro-signer/" + "cd" * 48 + "/0"), {"unexpected-manifest"}
    yield "another image opens another key", changed(additionalEventData=decrypt(key, "ab" * 48, manifest)["additionalEventData"], **other), set()
    yield "debug mode on another key", changed(additionalEventData=recipient(attestationDocumentEnclaveImageDigest="A" * 64), **other), set()
    elsewhere = {"eventSource": "dynamodb.amazonaws.com", "userAgent": "aws-cli/2.17"}
    yield "another service's Decrypt", changed(**elsewhere | {"additionalEventData": None}), set()
    yield "another service's refusal", changed(**elsewhere | refused), set()
    yield "another service's document", changed(**elsewhere | {"additionalEventData": recipient(attestationDocumentEnclaveImageDigest="A" * 64)}), set()
    for name in KEY_POWERS:
        yield f"{name} of another service", changed(eventName=name, **elsewhere | quiet), set()
        yield f"{name}, refused without parameters", changed(**refused | {"eventName": name, "requestParameters": None}), {name}
        yield f"{name} by its id", changed(eventName=name, **quiet | {"requestParameters": {"keyId": key.split("/")[1]}}), {name}
        yield f"{name} on another key", changed(eventName=name, **quiet | other | {"requestParameters": {"keyId": "1234"}}), set()
        yield f"{name}, refused", changed(eventName=name, **quiet | {"resources": None, "errorCode": "AccessDenied"}), {name}
    yield "the policy is put by an administrator", changed(eventName="PutKeyPolicy", userIdentity=session, **quiet), {"PutKeyPolicy", "principal"}
    yield "an administrator looks", changed(eventName="DescribeKey", userIdentity=session, **quiet), {"principal"}
    assumed = {"eventSource": "sts.amazonaws.com", "eventName": "AssumeRole", "requestParameters": {"roleArn": administrator}, "resources": None, "additionalEventData": None}
    yield "somebody becomes the administrator", changed(**assumed), {"principal"}
    yield "somebody becomes somebody else", changed(**assumed | {"requestParameters": {"roleArn": administrator + "2"}}), set()


def judge(filters, rules, key, digest, manifest, administrator):
    """How many cases were held against the filters {alarm: [patterns]} and rules {name: pattern}."""
    wrong, count = [], 0
    for what, event, expected in cases(key, digest, manifest, administrator):
        count += 1
        rung = {alarm for alarm, patterns in filters.items() if any(matches(p, event) for p in patterns)}
        rung = {"principal" if alarm == "principal-KeyAdministrator" else alarm for alarm in rung}
        if rung != expected:
            wrong.append(f"{what}: rang {sorted(rung)}, expected {sorted(expected)}")
        delivered = {"source": "aws.kms", "detail-type": "AWS API Call via CloudTrail", "detail": event}
        by_rule = _matches_rule(rules["key-changes"], delivered)
        # The rule knows the key by its ARN or id; where only the error names it, the filters must do.
        named = event.get("resources") or event.get("requestParameters")
        if by_rule != bool(named and expected & set(KEY_POWERS)):
            wrong.append(f"{what}: the rule {'matches' if by_rule else 'does not match'}")
    for name in ("StopLogging", "DeleteTrail", "DisableRule", "DeleteAlarms", "Unsubscribe", "DeleteMetricFilter"):
        source = {"S": "aws.cloudtrail", "D": "aws.events", "U": "aws.sns"}[name[0]]
        count += 1
        if not _matches_rule(rules["blinding"], {"source": source, "detail-type": "AWS API Call via CloudTrail", "detail": {"eventName": name}}):
            wrong.append(f"{name}: no rule matches")
    return count, wrong


def mutants(pattern):
    """The pattern with one clause or one alternative deleted, for each of them."""
    clauses, depth, begun = [], 0, 0
    body = pattern.strip()[1:-1].strip()
    for at, sign in enumerate(body):
        depth += {"(": 1, ")": -1}.get(sign, 0)
        if depth == 0 and body.startswith(" && ", at):
            clauses.append(body[begun:at])
            begun = at + 4
    clauses.append(body[begun:])
    for gone in range(len(clauses)) if len(clauses) > 1 else []:
        yield clauses[gone], "{ %s }" % " && ".join(clauses[:gone] + clauses[gone + 1:])
    for alternative in sorted(set(re.findall(r" \|\| \(\$[^()]*\)", pattern))):
        yield alternative, pattern.replace(alternative, "", 1)


def unnoticed(filters, rules, *case):
    """How many mutants there are, and those that no event tells from the original."""
    count, alive = 0, []
    for alarm, patterns in filters.items():
        for what, mutant in mutants(patterns[0]):
            count += 1
            if not judge({**filters, alarm: [mutant]}, rules, *case)[1]:
                alive.append(f"{alarm} without {what}")
    return count, alive


def _matches_rule(pattern, event):
    """moto's matcher, to which the alternatives of $or are given one by one."""
    pattern = json.loads(pattern)
    alternatives = pattern["detail"].pop("$or", [{}])
    return any(
        EventPattern.load(json.dumps(pattern | {"detail": pattern["detail"] | one})).matches_event(_listed(event)) for one in alternatives
    )


def _listed(event):
    """EventBridge matches a list's objects field by field; moto knows lists of values only."""
    detail = dict(event["detail"])
    if isinstance(detail.get("resources"), list):
        detail["resources"] = {"ARN": [resource["ARN"] for resource in detail["resources"]]}
    return event | {"detail": detail}
