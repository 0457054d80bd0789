"""Two judges of one signature: eth-account in this process, ethers in Node beside it.

`disagreements` compares a raw transaction with what was asked, field by field; `judge` compares
answers of every kind (see kinds.py) by hash, signer and encoding. A judge never looks at what the
stack says about its own answer.
"""

import functools
import json
import os
import subprocess
from pathlib import Path

import coincurve
import rlp
from eth_account import Account
from eth_account._utils.legacy_transactions import (
    encode_transaction,
    serializable_unsigned_transaction_from_dict,
)
from eth_utils import keccak, to_checksum_address
from hexbytes import HexBytes

import cases

# ethers decodes RLP in quadratic time: at the access list's limits it would take half a minute.
MAX_SLOTS_FOR_ETHERS = 1_000
HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0


def signing_hash(case):
    """The hash to be signed, by eth-account."""
    return bytes(serializable_unsigned_transaction_from_dict(cases.to_eth_account(case)).hash())


class Ethers:
    """ethers in a Node process, asked by JSON lines. Use as a context manager: it ends with it."""

    def __init__(self, node_modules):
        script = Path(__file__).with_name("ethers.cjs")
        environment = {**os.environ, "NODE_PATH": str(node_modules)}
        self.process = subprocess.Popen(
            ["node", str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(timeout=10)

    def ask(self, question, **fields):
        """One question, one answer."""
        self.put(question, **fields)
        return self.take()

    def put(self, question, **fields):
        """A question whose answer `take` gives; one at a time, or both sides may wait for ever."""
        self.process.stdin.write(json.dumps({"ask": question, **fields}) + "\n")
        self.process.stdin.flush()

    def take(self):
        """The answer to the question that was put."""
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError("the Node process with ethers has ended")
        return json.loads(line)


def judge(several, results, address, ethers):
    """What is wrong with these answers to these cases of kinds.py, as sentences."""
    wrong, questions = [], []
    for case, result in zip(several, results, strict=True):
        case.prepare()
        found, question = by_hash(case, result, address)
        wrong += [f"{text}: {case!r}" for text in found]
        questions.append(question)
    for case, verdict in zip(several, ethers.ask("many", items=questions, recovers=1), strict=True):
        if verdict != expected_verdict(case, address, True):
            wrong.append(f"ethers has {verdict}, not {expected_verdict(case, address, True)}: {case!r}")
    return wrong


def by_hash(case, result, address):
    """What is wrong by eth-account's hash and libsecp256k1's signer; and ethers' question."""
    (r, s, parity), wrong, question = case.read(result)
    if parity not in (0, 1):
        wrong.append(f"a parity of {parity}")
    elif (found := signer(case.hash, r, s, parity)) != address:
        wrong.append(f"eth-account's hash 0x{case.hash.hex()} gives the signer {found}")
    if s > HALF_ORDER:
        wrong.append("s is in the upper half of the order (EIP-2)")
    return wrong, question


def expected_verdict(case, address, recovered):
    """What ethers says of the question if the answer is right: hash, signer, encoding."""
    return ["0x" + case.hash.hex(), address if recovered else None, True]


def signer(digest, r, s, parity):
    """Whose signature it is, by libsecp256k1."""
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([parity])
    found = coincurve.PublicKey.from_signature_and_message(signature, digest, hasher=None)
    return address_of(found.format(compressed=False)[1:])


@functools.lru_cache(maxsize=1_000)
def address_of(public_key):
    """The address of 64 bytes."""
    return to_checksum_address(keccak(public_key)[12:])


def ethers_can_judge(case):
    """Whether ethers reads this case in reasonable time; eth-account reads every one."""
    return sum(1 + len(slots) for _, slots in case.access_list) <= MAX_SLOTS_FOR_ETHERS


def disagreements(case, raw, address, ethers):
    """What is wrong with this raw transaction, as sentences; none if it is what was asked."""
    wrong = by_eth_account(case, raw, address)
    return wrong + by_ethers(case, raw, address, ethers) if ethers_can_judge(case) else wrong


def by_eth_account(case, raw, address):
    """eth-account recovers the sender, and encodes what was asked to exactly these bytes."""
    wrong = []
    recovered = Account.recover_transaction(raw)
    if recovered != address:
        wrong.append(f"eth-account: sender {recovered}, not {address}")
    unsigned = serializable_unsigned_transaction_from_dict(cases.to_eth_account(case))
    v, r, s = signature_of(raw)
    if s > HALF_ORDER:
        wrong.append("eth-account: s is in the upper half of the order (EIP-2)")
    expected = bytes(encode_transaction(unsigned, (v, r, s)))
    if expected != bytes(HexBytes(raw)):
        wrong.append(f"eth-account: encodes what was asked as 0x{expected.hex()[:160]}…")
    return wrong


def signature_of(raw):
    """v, r and s: the last three items of the list."""
    raw = bytes(HexBytes(raw))
    items = rlp.decode(raw if raw[0] >= 0xC0 else raw[1:])
    return tuple(int.from_bytes(item, "big") for item in items[-3:])


def by_ethers(case, raw, address, ethers):
    """ethers recovers the sender and reads every field as it was asked."""
    got = ethers.ask("transaction", raw=raw)
    if "error" in got:
        return [f"ethers: {got['error']}"]
    want = expected_of_ethers(case, raw, address)
    return [
        f"ethers: {name} {str(got.get(name))[:120]}, not {str(value)[:120]}"
        for name, value in want.items()
        if got.get(name) != value
    ]


def expected_of_ethers(case, raw, address):
    """The answer that ethers.mjs gives if the transaction is what was asked."""
    dynamic = case.type >= cases.DYNAMIC_FEE
    return {
        "from": address,
        "hash": "0x" + keccak(HexBytes(raw)).hex(),
        "signingHash": "0x" + signing_hash(case).hex(),
        "canonical": True,
        "lowS": True,
        "type": case.type,
        "chainId": str(case.chain_id),
        "nonce": str(case.nonce),
        "gas": str(case.gas),
        "fee": str(case.fee),
        "priority": str(case.priority) if dynamic else None,
        "to": None if case.to is None else "0x" + case.to.hex(),
        "value": str(case.value),
        "data": "0x" + case.data.hex(),
        "accessList": [["0x" + a.hex(), ["0x" + s.hex() for s in ss]] for a, ss in case.access_list],
        "blobFee": str(case.blob_fee) if case.type == cases.BLOB else None,
        "blobHashes": ["0x" + h.hex() for h in case.blob_hashes],
        "authorizations": [
            [str(chain), "0x" + address.hex(), str(nonce), parity, str(r), str(s)]
            for chain, address, nonce, parity, r, s in case.authorizations
        ],
    }
