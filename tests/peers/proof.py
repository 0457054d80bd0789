"""Is a client proof plain EIP-712, and does the enclave take exactly the right one?

eth-account makes the proofs, ethers computes the same hash beside it, and the stack judges: a key
is created by the good one; each bent one gets its refusal. The answer's attestation is read with
cbor2: it commits to the claims, and the claims to what was asked.
"""

import argparse
import base64
import hashlib
import secrets
import sys
import time

import cbor2
from eth_account import Account
from eth_utils import keccak
from judges import Ethers
from stack import ZERO_ADDRESS, Intent, Refused, Stack, encode_proof, proof_message

KEY_CLAIMS_DOMAIN = b"nitro-signer/key/v1"
HASHES = 200


def create_key_intent(labels, nonce):
    """The intent of POST /v1/keys (shared/src/proof.rs)."""
    lines = ["nitro-signer/create-key/v1", "nonce=0x" + nonce.hex()]
    lines += [f"label:{name}={labels[name]}" for name in sorted(labels)]
    text = "".join(line + "\n" for line in lines)
    return Intent("CreateKey", ZERO_ADDRESS, keccak(text.encode()))


def check_hashes(ethers):
    """eth-account and ethers agree on the hash and the signer of random proofs."""
    for _ in range(HASHES):
        salt, request_id = secrets.token_bytes(32), secrets.token_bytes(32)
        intent = Intent("SignTransaction", Account.create().address, secrets.token_bytes(32))
        expiry, account = secrets.randbits(64), Account.create()
        encoded = encode_proof(salt, intent, request_id, expiry)
        signed = account.sign_message(encoded)
        # As text: 64 bits do not fit JavaScript's numbers.
        data = proof_message(salt, intent, request_id, str(expiry))
        signature = "0x" + bytes(signed.signature).hex()
        answer = ethers.ask("typedData", data=data, signature=signature)
        assert answer.get("signer") == account.address, answer
        assert answer.get("hash") == "0x" + bytes(signed.message_hash).hex(), answer
    return HASHES


def create_key(stack, labels, nonce, **bent):
    """POST /v1/keys with a proof that the keyword arguments bend."""
    proof = stack.prove(create_key_intent(labels, nonce), **bent)
    return stack.post("/v1/keys", {"labels": labels, "nonce": "0x" + nonce.hex(), "proof": proof})


def check_created(stack):
    """A good proof creates a key; the attestation says so; the key is listed and signs."""
    labels, nonce = {"purpose": "peers"}, secrets.token_bytes(32)
    reply = create_key(stack, labels, nonce)
    address = reply["address"]
    claims = base64.b64decode(reply["attestation"]["claims"], validate=True)
    payload = document_payload(reply["attestation"]["document"])
    assert payload["nonce"] == nonce, "the document is not over our nonce"
    assert payload["public_key"] is None, "a document with a public key left the enclave"
    digest = hashlib.sha384(claims).digest()
    assert payload["user_data"] == KEY_CLAIMS_DOMAIN + digest, "the claims are not the document's"
    said = cbor2.loads(claims)
    assert as_address(said["address"]) == address.lower(), "the claims name another address"
    assert as_bytes(said["manifest_hash"]) == stack.manifest_hash, "another manifest"
    assert said["labels"] == labels and said["origin"] == "generated", said
    shown = stack.get(f"/v1/keys/{address}")
    assert shown["address"].lower() == address.lower() and shown["labels"] == labels, shown
    return address


def document_payload(text):
    """The attestation document's map; its signature is for the verifier, not for this script."""
    _protected, _unprotected, payload, _signature = cbor2.loads(base64.b64decode(text, validate=True))
    return cbor2.loads(payload)


def as_bytes(value):
    """48 bytes as CBOR bytes or as an array of numbers."""
    return bytes(value)


def as_address(value):
    """An address as CBOR bytes, array or text, in lower-case hex."""
    return value.lower() if isinstance(value, str) else "0x" + bytes(value).hex()


def bent_proofs(stack):
    """(what is wrong, how to ask, the codes that may answer)."""
    labels, nonce = {"purpose": "peers"}, secrets.token_bytes(32)
    good = lambda **bent: create_key(stack, labels, nonce, **bent)
    now = int(time.time())
    used = secrets.token_bytes(32)
    invalid = {"proof_invalid"}

    def unproved():
        stack.post("/v1/keys", {"labels": labels, "nonce": "0x" + nonce.hex()})

    def other_request():
        proof = stack.prove(create_key_intent(labels, secrets.token_bytes(32)))
        stack.post("/v1/keys", {"labels": labels, "nonce": "0x" + nonce.hex(), "proof": proof})

    def other_labels():
        proof = stack.prove(create_key_intent({"purpose": "else"}, nonce))
        stack.post("/v1/keys", {"labels": labels, "nonce": "0x" + nonce.hex(), "proof": proof})

    def replayed():
        good(request_id=used)
        good(request_id=used)

    return (
        ("no proof", unproved, {"proof_required"}),
        ("a proof for another nonce", other_request, invalid),
        ("a proof for other labels", other_labels, invalid),
        ("a proof for another manifest", lambda: good(salt=secrets.token_bytes(32)), invalid),
        ("a proof by a key nobody listed", lambda: good(key=Account.create().key), invalid),
        ("an expired proof", lambda: good(expiry=now - 60), {"proof_expired"}),
        ("a proof for an hour ahead", lambda: good(expiry=now + 3_600), {"proof_expired"}),
        ("a proof used twice", replayed, {"proof_replayed"}),
    )


def check_bent(stack):
    """Each bent proof is refused, with its code."""
    wrong = []
    rows = bent_proofs(stack)
    for what, ask, codes in rows:
        try:
            ask()
            wrong.append(f"{what} was accepted")
        except Refused as refused:
            if refused.code not in codes:
                wrong.append(f"{what}: {refused}, not {sorted(codes)}")
    return len(rows), wrong


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--stack", required=True, help="stack.json of a running stack")
    arguments.add_argument("--node-modules", required=True, help="where npm put ethers")
    options = arguments.parse_args()
    stack = Stack(options.stack)
    with Ethers(options.node_modules) as ethers:
        print(f"proofs: eth-account and ethers agree on {check_hashes(ethers)} of {HASHES} hashes")
    print(f"key {check_created(stack)} created by an eth-account proof, attested and listed")
    asked, wrong = check_bent(stack)
    print(f"bent proofs: {asked} asked, {len(wrong)} mismatches")
    for text in wrong:
        print("MISMATCH", text)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
