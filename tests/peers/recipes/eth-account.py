"""A client proof with eth-account: your key signs each request, and the enclave checks it past the host.

    pip install eth-account requests
    SIGNER_URL=https://… SIGNER_CA=ca.pem SIGNER_CERT=me.pem SIGNER_KEY=me.key \\
    MANIFEST=manifest.cbor CLIENT_KEY=client.key FROM=0x… python3 eth-account.py
"""

import hashlib
import json
import secrets
import time
from os import environ
from pathlib import Path

import requests
from eth_account import Account
from eth_account.typed_transactions import DynamicFeeTransaction
from eth_account.typed_transactions.set_code_transaction import Authorization

KEY = environ["FROM"]
# The domain is of one manifest: under another one the proof is worth nothing.
MANIFEST = hashlib.sha384(b"nitro-signer/manifest/v1" + Path(environ["MANIFEST"]).read_bytes()).digest()
DOMAIN = {"name": "nitro-signer", "version": "1", "salt": MANIFEST[:32]}
MEMBERS = {"action": "string", "key": "address", "payload": "bytes32", "requestId": "bytes32", "expiry": "uint64"}
TYPES = {"Request": [{"name": name, "type": kind} for name, kind in MEMBERS.items()]}
CLIENT = Account.from_key(Path(environ["CLIENT_KEY"]).read_text().strip())

session = requests.Session()
session.verify, session.cert = environ["SIGNER_CA"], (environ["SIGNER_CERT"], environ["SIGNER_KEY"])


def prove(action, key, payload):
    """`payload` is the hash that `key` will sign: compute it yourself, never take it from the signer."""
    request_id = secrets.token_bytes(32)  # serves once
    expiry = int(time.time()) + 60  # at most 600 s ahead
    message = {"action": action, "key": key, "payload": payload, "requestId": request_id, "expiry": expiry}
    signature = CLIENT.sign_typed_data(DOMAIN, TYPES, message).signature
    return {"request_id": "0x" + request_id.hex(), "expiry": expiry, "signature": signature.to_0x_hex()}


def post(path, body):
    reply = session.post(environ["SIGNER_URL"] + path, json=body).json()
    if "code" in reply or "error" in reply:
        raise SystemExit(reply)
    return reply


# REST: the proof is a member of the body.
tx = {"type": "0x2", "chainId": "0x7a69", "nonce": "0x7", "to": "0x" + "11" * 20, "value": "0x1", "gas": "0x5208",
      "maxFeePerGas": "0x77359400", "maxPriorityFeePerGas": "0x3b9aca00"}
proof = prove("SignTransaction", KEY, DynamicFeeTransaction.from_dict(tx).hash())
raw = post("/v1/transactions", {"transaction": tx | {"from": KEY}, "proof": proof})["raw"]

# JSON-RPC: the proof stands beside the parameters. An authorization (EIP-7702) is not signed without one.
proof = prove("SignAuthorization", KEY, Authorization(31337, b"\x22" * 20, 0).hash())
asked = {"from": KEY, "chainId": 31337, "address": "0x" + "22" * 20, "nonce": 0}
call = {"jsonrpc": "2.0", "id": 1, "method": "signer_signAuthorization", "params": [asked], "proof": proof}
print(json.dumps({"raw": raw, "authorization": post("/", call)["result"]}))
