"""The running stack as a client sees it: stack.json, HTTPS with the client certificate, proofs.

Everything here is a client's side, made with requests and eth-account alone, so that it judges
the stack and shares no code with it. Nothing here may fill in a field the caller left out.
"""

import hashlib
import json
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

import coincurve
import requests
from eth_account import Account
from eth_account.messages import SignableMessage, encode_typed_data
from eth_utils import keccak, to_checksum_address

TIMEOUT_S = 60
PROOF_LIFETIME_S = 300
MANIFEST_DOMAIN = b"nitro-signer/manifest/v1"
ZERO_ADDRESS = "0x" + "00" * 20


class Refused(Exception):
    """The stack said no, with its stable code."""

    def __init__(self, status, code, detail):
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail


@dataclass(frozen=True)
class Intent:
    """What a proof says is asked (shared/src/proof.rs)."""

    action: str
    key: str
    payload: bytes


def proof_message(salt, intent, request_id, expiry):
    """The EIP-712 data of a client proof, as any wallet's signTypedData takes it."""
    return {
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "salt", "type": "bytes32"},
            ],
            "Request": [
                {"name": "action", "type": "string"},
                {"name": "key", "type": "address"},
                {"name": "payload", "type": "bytes32"},
                {"name": "requestId", "type": "bytes32"},
                {"name": "expiry", "type": "uint64"},
            ],
        },
        "primaryType": "Request",
        "domain": {"name": "nitro-signer", "version": "1", "salt": "0x" + salt.hex()},
        "message": {
            "action": intent.action,
            "key": intent.key,
            "payload": "0x" + intent.payload.hex(),
            "requestId": "0x" + request_id.hex(),
            "expiry": expiry,
        },
    }


def encode_proof(salt, intent, request_id, expiry) -> SignableMessage:
    """The same data, encoded by eth-account."""
    return encode_typed_data(full_message=proof_message(salt, intent, request_id, expiry))


class Prover:
    """Proofs in large numbers: the same EIP-712 hash, computed by hand from constants.

    proof.py holds it against eth-account and ethers.
    """

    LIFETIME_S = 60  # The enclave remembers request ids that long, and only so many.

    def __init__(self, stack):
        domain = keccak(text="EIP712Domain(string name,string version,bytes32 salt)")
        domain += keccak(text="nitro-signer") + keccak(text="1") + stack.salt
        self.domain = keccak(domain)
        self.type = keccak(
            text="Request(string action,address key,bytes32 payload,bytes32 requestId,uint64 expiry)"
        )
        self.key = bytes.fromhex(stack.address[2:]).rjust(32, b"\0")
        self.actions = {}
        self.signer = coincurve.PrivateKey.from_hex(stack.client_key.removeprefix("0x"))

    def prove(self, action, payload, request_id=None, expiry=None):
        """A proof for this payload hash."""
        request_id = request_id or secrets.token_bytes(32)
        expiry = expiry if expiry is not None else int(time.time()) + self.LIFETIME_S
        signed = self.signer.sign_recoverable(self.hash(action, payload, request_id, expiry), None)
        return {
            "request_id": "0x" + request_id.hex(),
            "expiry": expiry,
            "signature": "0x" + signed.hex(),
        }

    def hash(self, action, payload, request_id, expiry):
        """What the client signs."""
        if action not in self.actions:
            self.actions[action] = keccak(text=action)
        words = self.type + self.actions[action] + self.key + payload + request_id
        request = keccak(words + expiry.to_bytes(32, "big"))
        return keccak(b"\x19\x01" + self.domain + request)


class Stack:
    """A client of the stack that stack.json describes."""

    def __init__(self, path):
        facts = json.loads(Path(path).read_text())
        self.url = facts["url"].rstrip("/")
        self.address = to_checksum_address(facts["addresses"][0])
        manifest = Path(facts["manifest"]).read_bytes()
        self.manifest_hash = hashlib.sha384(MANIFEST_DOMAIN + manifest).digest()
        self.salt = self.manifest_hash[:32]
        self.client_key = Path(facts["client_proof_key"]).read_text().strip()
        self.tls = {
            "verify": facts["ca"],
            "cert": (facts["client_cert"], facts["client_key"]),
        }
        self.session = requests.Session()
        # Otherwise a CA bundle in the environment would silently replace `verify`.
        self.session.trust_env = False
        self.session.verify = self.tls["verify"]
        self.session.cert = self.tls["cert"]
        self.sent = 0

    def rpc(self, method, params, path="/", proof=None):
        """A JSON-RPC call; its result, or Refused."""
        self.sent += 1
        body = {"jsonrpc": "2.0", "id": self.sent, "method": method, "params": params}
        if proof is not None:
            body["proof"] = proof
        reply = self.session.post(self.url + path, json=body, timeout=TIMEOUT_S)
        answer = reply.json()
        if answer.get("id") != self.sent and "error" not in answer:
            raise AssertionError(f"asked with id {self.sent}, answered for {answer.get('id')}")
        if "error" in answer:
            error = answer["error"]
            data = error.get("data") or {}
            raise Refused(error["code"], data.get("code"), data.get("detail"))
        return answer["result"]

    def batch(self, requests, path="/"):
        """A JSON-RPC batch; its answers as they are."""
        # requests would escape every letter beyond ASCII.
        body = json.dumps(requests, ensure_ascii=False).encode()
        kind = {"content-type": "application/json"}
        reply = self.session.post(self.url + path, data=body, headers=kind, timeout=TIMEOUT_S)
        answers = reply.json()
        if not isinstance(answers, list):
            raise AssertionError(f"a batch was answered with {str(answers)[:400]}")
        return answers

    def get(self, path):
        """A REST GET; its JSON, or Refused."""
        return self._answer(self.session.get(self.url + path, timeout=TIMEOUT_S))

    def post(self, path, body):
        """A REST POST; its JSON, or Refused."""
        return self._answer(self.session.post(self.url + path, json=body, timeout=TIMEOUT_S))

    def prove(self, intent, *, salt=None, key=None, request_id=None, expiry=None):
        """A client proof over the intent; the keyword arguments bend it for negative tests."""
        request_id = request_id or secrets.token_bytes(32)
        expiry = expiry if expiry is not None else int(time.time()) + PROOF_LIFETIME_S
        message = encode_proof(salt or self.salt, intent, request_id, expiry)
        signed = Account.sign_message(message, key or self.client_key)
        return {
            "request_id": "0x" + request_id.hex(),
            "expiry": expiry,
            "signature": "0x" + bytes(signed.signature).hex(),
        }

    def prove_transaction(self, signing_hash, key=None):
        """A proof for the transaction with this signing hash."""
        return self.prove(Intent("SignTransaction", key or self.address, signing_hash))

    @staticmethod
    def _answer(reply):
        body = reply.json()
        if reply.status_code >= 400:
            kind = reply.headers.get("content-type", "")
            if not kind.startswith("application/problem+json"):
                raise AssertionError(f"a refusal came as {kind!r}, not as a problem document")
            if body.get("status") != reply.status_code:
                raise AssertionError(f"status {reply.status_code}, but the problem says {body}")
            raise Refused(reply.status_code, body.get("code"), body.get("detail"))
        return body
