"""Two judges of one signature: eth-account in this process, ethers in Node beside it.

Each says what it reads in the raw transaction; `disagreements` compares that with what was asked,
field by field. A judge never looks at what the stack says about its own answer.
"""

import json
import os
import subprocess
from pathlib import Path

import rlp
from eth_account import Account
from eth_account._utils.legacy_transactions import (
    encode_transaction,
    serializable_unsigned_transaction_from_dict,
)
from eth_utils import keccak
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
