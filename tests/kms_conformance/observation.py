"""What is compared of an answer: every member that AWS's model has, with its value, except where a
value can't be the same twice (ids, times, ciphertexts, tokens); those become a word for their kind.
"""

import datetime
import json
import re

import botocore.exceptions

ABSENT = "(absent)"
KIND_OF_MEMBER = {
    "GrantToken": "token",
    "NextMarker": "marker",
    "CiphertextBlob": "ciphertext",
    "Signature": "signature",
    "PublicKey": "public key",
    "ImportToken": "token",
}


class Observer:
    """Turns answers into facts: path → value. Ids that answers brought are known by name later."""

    def __init__(self):
        self.names = {}

    def know(self, value, name):
        """From now on this id is written as this name."""
        self.names[value] = name

    def answer(self, answer):
        facts = {"status": answer.pop("ResponseMetadata")["HTTPStatusCode"]}
        self._flatten("", answer, facts)
        return facts

    @staticmethod
    def refusal(error: botocore.exceptions.ClientError):
        response = error.response
        return {
            "status": response["ResponseMetadata"]["HTTPStatusCode"],
            "error": response["Error"]["Code"],
        }

    def _flatten(self, path, value, facts):
        if isinstance(value, dict):
            for name, member in value.items():
                below = f"{path}.{name}" if path else name
                kind = KIND_OF_MEMBER.get(name)
                if kind and member:
                    facts[below] = kind
                elif name in ("Policy", "ReplicaPolicy"):
                    self._flatten(below, json.loads(member), facts)
                else:
                    self._flatten(below, member, facts)
            if not value and path:
                facts[path] = "{}"
        elif isinstance(value, list):
            facts[path] = f"{len(value)} items"
            for at, item in enumerate(self._sorted(value)):
                self._flatten(f"{path}.{at}", item, facts)
        else:
            facts[path] = self._plain(value)

    def _sorted(self, items):
        """Nothing says in which order lists come."""
        return sorted(items, key=lambda item: json.dumps(self._known(item), default=str, sort_keys=True))

    def _known(self, item):
        """An item by what names it, without ids of which nobody knows the order."""
        if isinstance(item, dict):
            return {name: self._plain(value) if isinstance(value, str) else str(value)
                    for name, value in item.items() if not isinstance(value, datetime.datetime)}
        return item

    def _plain(self, value):
        if isinstance(value, datetime.datetime):
            return "time"
        if isinstance(value, bytes):
            return f"{len(value)} bytes"
        if not isinstance(value, str):
            return value
        for known, name in self.names.items():
            value = value.replace(known, name)
        value = re.sub(r"\b\d{12}\b", "ACCOUNT", value)
        return re.sub(r"^([0-9a-f]{8}|[0-9a-f]{64})$", lambda found: f"{len(found[0])} hex digits", value)
