"""What ethers or eth-account accepts and the stack refuses, each with the reason.

    strictness.py --check | --write        enclave/STRICTNESS.md against this table
    strictness.py --stack … --node-modules …   the table against the judges and the running stack

A row fails if the stack signs it, if it is refused by another code, or if the judges that accept it
are not exactly those that the table names: so the list stays true when they change.
"""

import argparse
import copy
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from eth_account._utils.legacy_transactions import serializable_unsigned_transaction_from_dict
from eth_account.messages import encode_defunct, encode_typed_data
from eth_account.typed_transactions.set_code_transaction import Authorization
from judges import Ethers
from refusals import OTHER, base
from stack import Intent, Refused, Stack

LIST = Path(__file__).resolve().parents[2] / "enclave" / "STRICTNESS.md"
BOTH, ETHERS, ETH_ACCOUNT = "both", "ethers", "eth-account"
NAMED = {BOTH: "ethers, eth-account", ETHERS: "ethers", ETH_ACCOUNT: "eth-account"}
# Where it is not the subject's own.
CODES = {
    "a key that stands twice": "malformed_json",
    "a message above 128 KiB": "too_large",
}
HEAD = """# What is refused here and signed elsewhere

Kept by `tests/peers/strictness.py --write`. Continuous integration asks ethers, eth-account and the
running stack for each row: whoever is named accepts it, the stack refuses it with this code.
"""


@dataclass(frozen=True)
class Row:
    """One thing that is refused. `value` is JSON text for typed data, changes to a plain
    transaction, an authorization's fields, or a message as it is sent."""

    what: str
    who: str
    code: str
    why: str
    subject: str
    value: object


# --- typed data -------------------------------------------------------------------------------

MAIL = {
    "types": {"Mail": [{"name": "to", "type": "address"}, {"name": "contents", "type": "string"}]},
    "primaryType": "Mail",
    "domain": {"name": "Mail", "chainId": 1},
    "message": {"to": OTHER, "contents": "Hello"},
}


def mail(**parts):
    """The plain typed data with these parts in place of its own; None leaves one out."""
    whole = {name: part for name, part in (copy.deepcopy(MAIL) | parts).items() if part is not None}
    return json.dumps(whole)


def member(kind, value, name="a"):
    """Typed data with one member of this type."""
    types = {"One": [{"name": name, "type": kind}]}
    return mail(types=types, primaryType="One", message={name: value})


def raw_member(kind, text):
    """The same, its value as JSON text."""
    return member(kind, "VALUE").replace('"VALUE"', text)


def nested(levels):
    """Structs within structs."""
    types = {f"D{i}": [{"name": "a", "type": f"D{i + 1}"}] for i in range(1, levels)}
    types[f"D{levels}"] = [{"name": "a", "type": "bool"}]
    message = True
    for _ in range(levels):
        message = {"a": message}
    return mail(types=types, primaryType="D1", message=message)


def wide(count, of_types):
    """Many types of one member each, or one type of many members."""
    if of_types:
        types = {f"T{i}": [{"name": "a", "type": "bool"}] for i in range(count)}
        first = [{"name": f"m{i}", "type": f"T{i}"} for i in range(count)]
        message = {f"m{i}": {"a": True} for i in range(count)}
        types["First"] = first[:200]
        types["Rest"] = first[200:]
        types["First"] += [{"name": "rest", "type": "Rest"}] if first[200:] else []
        types = {name: members for name, members in types.items() if members}
    else:
        types = {"First": [{"name": f"m{i}", "type": "bool"} for i in range(count)]}
        message = {f"m{i}": True for i in range(count)}
    return mail(types=types, primaryType="First", message=message)


def typed_rows():
    """(what, who accepts it, why it is refused, the JSON text)."""
    declared = [{"name": "name", "type": "string"}, {"name": "chainId", "type": "uint256"}]
    types = MAIL["types"]
    message = MAIL["message"]
    reversed_domain = types | {"EIP712Domain": declared[::-1]}
    longer_domain = types | {"EIP712Domain": [*declared, {"name": "salt", "type": "bytes32"}]}
    tree = {"Node": [{"name": "children", "type": "Node[]"}]}
    twice = {"Two": [{"name": "a", "type": "bool"}, {"name": "a", "type": "bool"}]}
    two_hashes = "two readers hash two different values"
    one_way = "a value has one spelling of its kind; what must be guessed could be guessed otherwise"
    spent = "memory and time are bounded before they are spent"
    return (
        ("no `domain`", ETHERS, "a signature for no domain is good in all of them", mail(domain=None)),
        ("an empty `domain`", BOTH, "a signature for no domain is good in all of them", mail(domain={})),
        ("a domain field that is null", BOTH, "one reader leaves it out, another hashes it", mail(domain={"name": "Mail", "version": None})),
        ("`domain.chainId` above 2^63 - 1", BOTH, "policy could not name the chain exactly", mail(domain={"chainId": str(2**63)})),
        ("the domain of client proofs", BOTH, "a held key's signature would be a client's, if a manifest listed it", mail(domain={"name": "nitro-signer", "version": "1", "salt": "0x" + "07" * 32})),
        ("a declared `EIP712Domain` with a field that the domain has not", ETHERS, two_hashes, mail(types=longer_domain)),
        ("a declared `EIP712Domain` in another order", BOTH, two_hashes, mail(types=reversed_domain)),
        ("a key of the message that its type has not", BOTH, "it is shown to people and not signed", mail(message=message | {"amount": "1"})),
        ("another key beside types, primaryType, domain and message", BOTH, "it is shown to people and not signed", mail(extra=1)),
        ("a key that stands twice", BOTH, "one reader takes the first, another the last", mail().replace('"Hello"', '"Hello", "contents": "Bye"')),
        ("a member that is missing", ETH_ACCOUNT, "nothing is filled in", mail(message={"to": OTHER})),
        ("null for a string", ETH_ACCOUNT, "nothing is filled in", member("string", None)),
        ("null for a struct", ETH_ACCOUNT, "nothing is filled in", mail(types=types | {"Two": [{"name": "a", "type": "Mail"}]}, primaryType="Two", message={"a": None})),
        ("no `primaryType`", BOTH, "nothing is filled in", mail(primaryType=None)),
        ("the alias `uint`", BOTH, "ethers hashes `uint256`, eth-account `uint`", member("uint", 1)),
        ("the alias `int`", BOTH, "ethers hashes `int256`, eth-account `int`", member("int", 1)),
        ("a type that contains itself", ETH_ACCOUNT, "its hash is not the same in all libraries", mail(types=tree, primaryType="Node", message={"children": [{"children": []}]})),
        ("a member that is declared twice", ETH_ACCOUNT, "one of the two values would not be seen", mail(types=twice, primaryType="Two", message={"a": True})),
        ("a name that is no identifier", BOTH, "`a,bool b` would hide a member in another's name", member("bool", True, "a,bool b")),
        ("an empty name", BOTH, "EIP-712 has identifiers only", member("bool", True, "")),
        ("a name of more than 128 bytes", BOTH, spent, member("bool", True, "a" * 129)),
        ("a fixed array of no items", BOTH, "Solidity has none; the type says nothing", member("uint8[0]", [])),
        ("a fixed array with another count of items", ETH_ACCOUNT, "the value is not of its type", member("uint8[2]", [1])),
        ("`bool` as a number", BOTH, one_way, member("bool", 1)),
        ("`bool` as text", BOTH, "`\"false\"` is true to one reader and false to another", member("bool", "false")),
        ("a number with leading zeros", BOTH, one_way, member("uint256", "007")),
        ("a number with spaces", BOTH, one_way, member("uint256", " 7 ")),
        ("a number with a plus sign", BOTH, one_way, member("uint256", "+7")),
        ("a negative number in hex", ETHERS, one_way, member("int256", "-0x7")),
        ("an integer written with a fraction", ETHERS, one_way, raw_member("uint256", "7.0")),
        ("an integer written with an exponent", ETHERS, one_way, raw_member("uint256", "7e0")),
        ("a JSON integer above 2^53 - 1", ETH_ACCOUNT, "JavaScript rounds it", raw_member("uint256", str(2**53))),
        ("`bytes4` of 3 bytes", ETH_ACCOUNT, "libraries fill it up, refuse it or shift it", member("bytes4", "0x010203")),
        ("`bytes` as text", ETH_ACCOUNT, one_way, member("bytes", "hello")),
        ("an odd count of hex digits", ETH_ACCOUNT, one_way, member("bytes", "0x123")),
        ("a number for `bytes`", ETH_ACCOUNT, one_way, member("bytes", 5)),
        ("a number for `string`", ETH_ACCOUNT, one_way, member("string", 5)),
        ("an address without 0x", BOTH, one_way, member("address", "11" * 20)),
        ("an ICAP address", ETHERS, one_way, member("address", "XE7338O073KYGTWWZN0F2WZ0R8PX5ZPPZS")),
        ("structs and arrays nested deeper than 16", BOTH, spent, nested(17)),
        ("more than 64 types", BOTH, spent, wide(65, of_types=True)),
        ("more than 256 members of a type", BOTH, spent, wide(257, of_types=False)),
        ("more than 10,000 values", BOTH, spent, member("uint8[]", [0] * 10_000)),
    )


# --- the rest ---------------------------------------------------------------------------------


def transaction_rows():
    """(what, who accepts it, why it is refused, changes to a plain transaction)."""
    long = "policy could not name it exactly"
    fee = "no chain takes it; 128 bits hold every fee that is real"
    return (
        ("chain id 0", BOTH, "no chain has it (EIP-155); the signature would be good on none or on all", {"chainId": "0x0"}),
        ("chain id above 2^63 - 1", BOTH, long, {"chainId": hex(2**63)}),
        ("no `nonce`", ETHERS, "nothing is filled in", {"nonce": None}),
        ("no `gas`", ETHERS, "nothing is filled in", {"gas": None}),
        ("no fee", ETHERS, "nothing is filled in", {"maxFeePerGas": None, "maxPriorityFeePerGas": None}),
        ("nonce above 2^63 - 1", ETH_ACCOUNT, long, {"nonce": hex(2**63)}),
        ("a gas limit of 2^64", BOTH, "no block has it", {"gas": hex(2**64)}),
        ("a fee of 2^128", BOTH, fee, {"maxFeePerGas": hex(2**128)}),
        ("a cost of 2^256 or more", BOTH, "no balance covers it, and policy's `max_cost` would not hold it", {"value": hex(2**256 - 1)}),
        ("a priority fee above the fee cap", ETH_ACCOUNT, "no chain takes it (EIP-1559)", {"maxPriorityFeePerGas": "0x3b9aca01"}),
        ("a decimal quantity as text", ETHERS, "`12` is 12 to one reader and 0x12 to another", {"value": "12"}),
        ("a quantity with leading zeros", BOTH, "a quantity has one spelling", {"value": "0x01"}),
        ("an address without 0x", ETHERS, "a value has one spelling of its kind", {"to": "11" * 20}),
        ("a contract creation without initcode", BOTH, "it is a `to` that was forgotten", {"to": None}),
        ("an unknown field", ETHERS, "whoever wrote it means something by it", {"surprise": "0x1"}),
        ("an empty authorization list", ETHERS, "no chain takes it (EIP-7702)", {"type": "0x4", "authorizationList": []}),
        ("a blob transaction without hashes", ETHERS, "no chain takes it (EIP-4844)", {"type": "0x3", "maxFeePerBlobGas": "0x1", "blobVersionedHashes": []}),
        ("a blob transaction that creates", BOTH, "no chain takes it (EIP-4844)", {"type": "0x3", "maxFeePerBlobGas": "0x1", "blobVersionedHashes": ["0x01" + "22" * 31], "to": None}),
        ("a blob hash of another version", BOTH, "no chain takes it (EIP-4844)", {"type": "0x3", "maxFeePerBlobGas": "0x1", "blobVersionedHashes": ["0x02" + "22" * 31]}),
        ("calldata above 128 KiB", BOTH, "no node relays it", {"data": "0x" + "00" * 131_073}),
        ("initcode above 48 KiB", BOTH, "no chain takes it (EIP-3860)", {"to": None, "data": "0x" + "00" * 49_153}),
        ("an access list of more than 1,024 addresses", BOTH, "memory and time are bounded before they are spent", {"accessList": [{"address": OTHER, "storageKeys": []}] * 1_025}),
    )


def other_rows():
    """(what, who, why, the subject, what is asked)."""
    long = "policy could not name it exactly"
    plain = {"chainId": "0x1", "address": OTHER, "nonce": "0x0"}
    return (
        ("an authorization's nonce above 2^63 - 1", BOTH, long, "authorization", plain | {"nonce": hex(2**63)}),
        ("an authorization's chain id above 2^63 - 1", BOTH, long, "authorization", plain | {"chainId": hex(2**63)}),
        ("a message as text", BOTH, "`0x12` would be 4 letters or 1 byte", "message", "hello"),
        ("a message above 128 KiB", BOTH, "memory and time are bounded before they are spent", "message", "0x" + "61" * 131_073),
    )


def rows():
    """Every row, in the order of the list."""
    for what, who, why, text in typed_rows():
        yield Row(what, who, CODES.get(what, "invalid_typed_data"), why, "typed data", text)
    for what, who, why, changes in transaction_rows():
        yield Row(what, who, CODES.get(what, "invalid_transaction"), why, "transaction", changes)
    for what, who, why, subject, value in other_rows():
        yield Row(what, who, CODES.get(what, f"invalid_{subject}"), why, subject, value)


# --- asking -----------------------------------------------------------------------------------


def asked_of_stack(row, stack):
    """The code by which the stack refuses the row; None if it signs it."""
    try:
        if row.subject == "typed data":
            stack.rpc("eth_signTypedData_v4", [stack.address, row.value])
        elif row.subject == "transaction":
            stack.rpc("eth_signTransaction", [base(stack, **row.value)])
        elif row.subject == "authorization":
            proof = stack.prove(Intent("SignAuthorization", stack.address, authorized(row.value)))
            asked = [row.value | {"from": stack.address}]
            stack.rpc("signer_signAuthorization", asked, proof=proof)
        else:
            stack.rpc("personal_sign", [row.value, stack.address])
    except Refused as refused:
        return refused.code
    return None


def accepted_by(row, stack, ethers):
    """Which of the two judges hash it, in the words of the table; None if neither does."""
    value = row.value
    if row.subject == "transaction":
        value = base(stack, **value)
        del value["from"]
    answer = ethers.ask("accepts", subject=row.subject, value=value)
    by_ethers = "error" not in answer
    try:
        by_eth_account(row.subject, value)
        return BOTH if by_ethers else ETH_ACCOUNT
    except Exception:  # Its refusals are of every type that Python has.
        return ETHERS if by_ethers else None


def by_eth_account(subject, value):
    if subject == "typed data":
        encode_typed_data(full_message=json.loads(value))
    elif subject == "transaction":
        serializable_unsigned_transaction_from_dict(value).hash()
    elif subject == "authorization":
        authorized(value)
    elif value.startswith("0x"):
        encode_defunct(hexstr=value)
    else:
        encode_defunct(text=value)


def authorized(value):
    """eth-account's hash of an authorization."""
    chain_id, nonce = int(value["chainId"], 16), int(value["nonce"], 16)
    return bytes(Authorization(chain_id, bytes.fromhex(value["address"][2:]), nonce).hash())


def text():
    """The list as Markdown."""
    lines = [HEAD]
    subject = None
    for row in rows():
        if row.subject != subject:
            subject = row.subject
            lines.append(f"\n## {subject.capitalize()}\n\n| what | who accepts it | our code | why |\n|---|---|---|---|\n")
        lines.append(f"| {row.what} | {NAMED[row.who]} | `{row.code}` | {row.why} |\n")
    return "".join(lines)


def check(stack, ethers):
    """How many rows, and what went wrong."""
    wrong, count = [], 0
    if (code := asked_of_stack(Row("", BOTH, "", "", "typed data", mail()), stack)) is not None:
        wrong.append(f"the plain typed data is refused: {code}")
    if (code := asked_of_stack(Row("", BOTH, "", "", "transaction", {}), stack)) is not None:
        wrong.append(f"the plain transaction is refused: {code}")
    for row in rows():
        count += 1
        if (code := asked_of_stack(row, stack)) != row.code:
            wrong.append(f"{row.what}: {code or 'SIGNED'}, not {row.code}")
        if (who := accepted_by(row, stack, ethers)) != row.who:
            wrong.append(f"{row.what}: accepted by {who or 'neither'}, not by {row.who}")
    return count, wrong


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--check", action="store_true", help="fail if the list is not current")
    arguments.add_argument("--write", action="store_true", help="renew the list")
    arguments.add_argument("--stack", help="stack.json of a running stack")
    arguments.add_argument("--node-modules", help="where npm put ethers")
    options = arguments.parse_args()
    if options.write:
        LIST.write_text(text())
    if LIST.read_text() != text():
        sys.exit(f"{LIST.name} is out of date: run tests/peers/strictness.py --write")
    if options.stack is None:
        return 0
    with Ethers(options.node_modules) as ethers:
        count, wrong = check(Stack(options.stack), ethers)
    print(f"strictness: {count} rows that the stack refuses and others accept, {len(wrong)} mismatches")
    for sentence in wrong:
        print("MISMATCH", sentence)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
