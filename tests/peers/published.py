"""Do the judges and the stack agree with the examples that the EIPs publish?

EIP-155's transaction and EIP-712's mail, with their hashes and signatures: these pin the judges.
The examples' private keys cannot be brought into the appliance, so it signs both by its own key;
its signature must be over the published hash.
"""

import argparse
import random
import sys

import cases
import kinds
import typed_data
from eth_account import Account
from eth_utils import keccak
from judges import Ethers, judge
from stack import Stack

# https://eips.ethereum.org/EIPS/eip-155, "Example".
EIP_155 = kinds.Transaction(
    cases.Case(
        type=cases.LEGACY,
        chain_id=1,
        nonce=9,
        gas=21_000,
        fee=20 * 10**9,
        to=b"\x35" * 20,
        value=10**18,
    )
)
EIP_155_KEY = b"\x46" * 32
EIP_155_HASH = "daf5a779ae972f972197303d7b574746c7ef83eadac0f2791ad23db92e4c8e53"
EIP_155_RAW = (
    "0xf86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025"
    "a028ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276"
    "a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83"
)
# https://eips.ethereum.org/EIPS/eip-712, "Test Cases": assets/eip-712/Example.js.
PERSON = lambda name, wallet: {"name": name, "wallet": bytes.fromhex(wallet)}
EIP_712 = kinds.TypedData(
    typed_data.TypedData(
        {"name": "Ether Mail", "version": "1", "chainId": 1, "verifyingContract": b"\xcc" * 20},
        {
            "Mail": (("Person", "from"), ("Person", "to"), ("string", "contents")),
            "Person": (("string", "name"), ("address", "wallet")),
        },
        "Mail",
        {
            "from": PERSON("Cow", "cd2a3d9f938e13cd947ec05abc7fe734df8dd826"),
            "to": PERSON("Bob", "bb" * 20),
            "contents": "Hello, Bob!",
        },
    ),
    "eth_signTypedData_v4",
)
EIP_712_KEY = keccak(text="cow")
EIP_712_HASH = "be609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2"
EIP_712_SIGNATURE = (
    "0x4355c47d63924e8a72e509b65029052eb6c299d53a04e167c5775fd466751c9d"
    "07299936d304c153f6443dfa05f40ff007d72911b6f72307f996231605b915621c"
)
EXAMPLES = (
    ("EIP-155", EIP_155, EIP_155_KEY, EIP_155_HASH, EIP_155_RAW),
    ("EIP-712", EIP_712, EIP_712_KEY, EIP_712_HASH, EIP_712_SIGNATURE),
)


def check(stack, ethers):
    """What differs, as sentences."""
    wrong = []
    for name, case, key, digest, answer in EXAMPLES:
        case.prepare()
        if case.hash.hex() != digest:
            wrong.append(f"{name}: eth-account hashes it to {case.hash.hex()}, not {digest}")
        signer = Account.from_key(key).address
        wrong += [f"{name}, as published: {text}" for text in judge([case], [answer], signer, ethers)]
        got = stack.rpc(case.method, case.params(stack.address, random.Random(0), None))
        wrong += [f"{name}, by the stack: {text}" for text in judge([case], [got], stack.address, ethers)]
    return wrong


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--stack", required=True, help="stack.json of a running stack")
    arguments.add_argument("--node-modules", required=True, help="where npm put ethers")
    options = arguments.parse_args()
    with Ethers(options.node_modules) as ethers:
        wrong = check(Stack(options.stack), ethers)
    names = " and ".join(name for name, *_ in EXAMPLES)
    print(f"published examples: {names}, {len(wrong)} mismatches")
    for text in wrong:
        print("MISMATCH", text)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
