"""Do the tools that people have work against the stack as they are?

ethers, viem, web3.py and cast sign transactions, messages and typed data by their own methods, as
their registries ship them; op-signer's and web3signer's requests are sent as their clients send
them. Only the TLS transport is told of the client certificate; cast, which has none, goes through
`nitro-signer proxy`. The judges read what they got.
"""

import argparse
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cases
import kinds
import node_script
import rlp
import typed_data
from eth_account import Account
from eth_utils import keccak, to_checksum_address
from hexbytes import HexBytes
from judges import Ethers, judge
from stack import Intent, Refused, Stack
from web3 import HTTPProvider, Web3

CHAIN = 31_337
TIMEOUT_S = 60
ACCESS = ((b"\x22" * 20, (b"\x33" * 32, bytes(32))),)
# Somebody else's key: the stack must take the authorization as it is.
AUTHORITY = Account.from_key(b"\x07" * 32)


def authorization(address=b"\x44" * 20, chain_id=CHAIN, nonce=0):
    """One that AUTHORITY signed."""
    fields = {"chainId": chain_id, "address": address, "nonce": nonce}
    signed = AUTHORITY.sign_authorization(fields)
    return (chain_id, address, nonce, signed.y_parity, signed.r, signed.s)


CALL = cases.Case(type=cases.DYNAMIC_FEE, nonce=0, value=0, data=bytes.fromhex("a9059cbb") + bytes(64))
TRANSACTIONS = (
    cases.Case(type=cases.LEGACY),
    cases.Case(type=cases.LEGACY, to=None, data=b"\x60\x00", value=0),
    cases.Case(type=cases.ACCESS_LIST, access_list=ACCESS, data=b"\x01\x02\x03\x04"),
    cases.Case(type=cases.DYNAMIC_FEE, access_list=ACCESS),
    cases.Case(type=cases.SET_CODE, authorizations=(authorization(), authorization(chain_id=0))),
    CALL,
)
MESSAGES = (b"hello", "Grüße 👋".encode(), bytes(32), b"")
MAIL = typed_data.TypedData(
    {"name": "Ether Mail", "version": "1", "chainId": CHAIN, "verifyingContract": b"\xcc" * 20},
    {
        "Mail": (("Person", "from"), ("Person[]", "to"), ("string", "contents"), ("bytes", "extra")),
        "Person": (("string", "name"), ("address[]", "wallets"), ("int64", "balance")),
    },
    "Mail",
    {
        "from": {"name": "Cow", "wallets": [b"\xcd" * 20, bytes(20)], "balance": -1},
        "to": [{"name": "Bob", "wallets": [], "balance": 2**53 - 1}],
        "contents": "Grüße 👋",
        "extra": b"\x00\xff",
    },
)
TYPED = (MAIL,)


class Judged:
    """Collects what the tools got, and has it judged."""

    def __init__(self, stack, ethers):
        self.stack, self.ethers, self.counts, self.wrong = stack, ethers, {}, []

    def take(self, tool, several, results):
        """Answers of one tool to these cases of kinds.py."""
        found = judge(several, results, self.stack.address, self.ethers)
        self.wrong += [f"{tool}: {text[:800]}" for text in found]
        self.counts[tool] = self.counts.get(tool, 0) + len(results)

    def expect(self, tool, what, got, wanted):
        """Something that is no signature."""
        self.counts[tool] = self.counts.get(tool, 0) + 1
        if got != wanted:
            self.wrong.append(f"{tool}: {what} is {got!r}, not {wanted!r}")


def transactions(several=TRANSACTIONS):
    return [kinds.Transaction(replace(case, chain_id=CHAIN)) for case in several]


def messages(several=MESSAGES):
    return [kinds.Message(message, "personal_sign") for message in several]


def typed():
    return [kinds.TypedData(data, "eth_signTypedData_v4") for data in TYPED]


# --- web3.py ----------------------------------------------------------------------------------


def by_web3(stack, judged):
    """eth.sign_transaction (which takes go-ethereum's {raw, tx}), eth.sign, eth.sign_typed_data."""
    tls = {"verify": stack.tls["verify"], "cert": stack.tls["cert"]}
    web3 = Web3(HTTPProvider(f"{stack.url}/chain/{CHAIN}?result=object", request_kwargs=tls))
    judged.expect("web3.py", "the chain id", web3.eth.chain_id, CHAIN)
    judged.expect("web3.py", "our account", stack.address in web3.eth.accounts, True)
    raws = []
    for case in TRANSACTIONS:
        tx = cases.to_eth_account(case) | {"from": stack.address}
        if case.to is None:
            del tx["to"]
        raws.append(HexBytes(web3.eth.sign_transaction(tx)["raw"]).to_0x_hex())
    judged.take("web3.py", transactions(), raws)
    signed = [web3.eth.sign(stack.address, data=message) for message in MESSAGES]
    judged.take("web3.py", messages(), [HexBytes(one).to_0x_hex() for one in signed])
    personal = [
        web3.manager.request_blocking("personal_sign", ["0x" + message.hex(), stack.address])
        for message in MESSAGES
    ]
    judged.take("web3.py", messages(), personal)
    signed = [web3.eth.sign_typed_data(stack.address, json_form(data)) for data in TYPED]
    judged.take("web3.py", typed(), [HexBytes(one).to_0x_hex() for one in signed])


def json_form(data):
    """Typed data as wallets have it: JSON with numbers as text where they may be large."""
    domain, types, message = typed_data.exact(data)
    declared = [{"name": name, "type": kind} for kind, name in typed_data.declared_domain(data)]
    types = types | {"EIP712Domain": declared}
    return {"types": types, "primaryType": data.primary, "domain": domain, "message": message}


# --- ethers and viem --------------------------------------------------------------------------


def by_ethers(stack, judged, node_modules):
    """ethers' JsonRpcSigner."""
    answer = by_node(stack, node_modules, "ethers_client.mjs", ethers_request, typed_data.exact)
    take_node("ethers", stack, judged, answer, TRANSACTIONS)


def by_viem(stack, judged, node_modules):
    """viem's wallet client; the last transaction once more, as viem prepares it."""
    answer = by_node(stack, node_modules, "viem_client.mjs", viem_request, json_form)
    take_node("viem", stack, judged, answer, (*TRANSACTIONS, TRANSACTIONS[-1]))


def by_node(stack, node_modules, script, request, data_form):
    certificate, key = stack.tls["cert"]
    question = {
        "url": f"{stack.url}/chain/{CHAIN}",
        "ca": stack.tls["verify"],
        "cert": certificate,
        "key": key,
        "from": stack.address,
        "transactions": [request(case) for case in TRANSACTIONS],
        "messages": ["0x" + message.hex() for message in MESSAGES],
        "typedData": [data_form(data) for data in TYPED],
    }
    return node_script.run(Path(__file__).with_name(script), node_modules, question)


def take_node(tool, stack, judged, answer, several):
    judged.expect(tool, "the chain id", answer["chainId"], CHAIN)
    accounts = [account.lower() for account in answer["accounts"]]
    judged.expect(tool, "our account", stack.address.lower() in accounts, True)
    judged.take(tool, transactions(several), answer["raw"])
    judged.take(tool, messages(), answer["messages"])
    judged.take(tool, typed(), answer["typedData"])


def ethers_request(case):
    """The case as ethers' TransactionRequest."""
    tx = common_request(case) | {"type": case.type, "chainId": case.chain_id, "gasLimit": hex(case.gas)}
    if case.access_list:
        tx["accessList"] = [["0x" + a.hex(), ["0x" + s.hex() for s in ss]] for a, ss in case.access_list]
    if case.authorizations:
        tx["authorizationList"] = [
            {
                "chainId": hex(chain),
                "address": "0x" + address.hex(),
                "nonce": hex(nonce),
                "signature": f"0x{r:064x}{s:064x}{27 + parity:02x}",
            }
            for chain, address, nonce, parity, r, s in case.authorizations
        ]
    return tx


def viem_request(case):
    """The case as viem's; what is a bigint there is made one by the script."""
    tx = common_request(case) | {"type": VIEM_TYPES[case.type], "gas": hex(case.gas)}
    if case.access_list:
        tx["accessList"] = [
            {"address": "0x" + a.hex(), "storageKeys": ["0x" + s.hex() for s in slots]}
            for a, slots in case.access_list
        ]
    if case.authorizations:
        tx["authorizationList"] = [
            {
                "chainId": chain,
                "address": "0x" + address.hex(),
                "nonce": nonce,
                "yParity": parity,
                "r": f"0x{r:064x}",
                "s": f"0x{s:064x}",
            }
            for chain, address, nonce, parity, r, s in case.authorizations
        ]
    return tx


VIEM_TYPES = {0: "legacy", 1: "eip2930", 2: "eip1559", 4: "eip7702"}


def common_request(case):
    """The fields of which both have the names."""
    tx = {"nonce": case.nonce, "value": hex(case.value), "data": "0x" + case.data.hex()}
    if case.to is not None:
        tx["to"] = "0x" + case.to.hex()
    if case.type <= cases.ACCESS_LIST:
        return tx | {"gasPrice": hex(case.fee)}
    return tx | {"maxFeePerGas": hex(case.fee), "maxPriorityFeePerGas": hex(case.priority)}


# --- cast -------------------------------------------------------------------------------------


class Proxy:
    """`nitro-signer proxy` on loopback, ended with the block."""

    def __init__(self, program, stack_file):
        self.process = subprocess.Popen(
            [program, "proxy", "--stack", stack_file, "--listen", "127.0.0.1:0", "--chain", str(CHAIN)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self):
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError("the proxy ended instead of listening")
        return line.split()[0]

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=10)


def by_cast(stack, judged, node_modules, program, stack_file):
    """`cast mktx --ethsign` and `cast rpc` through the proxy."""
    cast = Path(node_modules) / "@foundry-rs" / "cast-linux-amd64" / "bin" / "cast"
    with Proxy(program, stack_file) as url:

        def run(*words):
            command = [cast, *map(str, words)]
            environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "NO_PROXY": "*"}
            environment["ETH_RPC_URL"] = url
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=TIMEOUT_S, env=environment
            )
            if done.returncode != 0:
                raise AssertionError(f"cast {words[:8]} says {done.stderr[:400]}")
            return done.stdout.strip()

        judged.expect("cast", "the chain id", run("chain-id"), str(CHAIN))
        accounts = json.loads(run("rpc", "eth_accounts"))
        judged.expect("cast", "our account", stack.address.lower() in [a.lower() for a in accounts], True)
        raws = [run("mktx", "--ethsign", "--from", stack.address, *cast_words(case)) for case in TRANSACTIONS]
        judged.take("cast", transactions(), raws)
        signed = [run("rpc", "personal_sign", "0x" + m.hex(), stack.address) for m in MESSAGES]
        judged.take("cast", messages(), [json.loads(one) for one in signed])
        signed = [run("rpc", "eth_signTypedData_v4", stack.address, json.dumps(json_form(data))) for data in TYPED]
        judged.take("cast", typed(), [json.loads(one) for one in signed])


def cast_words(case):
    """The case as mktx's arguments."""
    words = ["--nonce", case.nonce, "--gas-limit", case.gas, "--gas-price", case.fee, "--value", case.value]
    if case.type <= cases.ACCESS_LIST:
        words += ["--legacy"]
    else:
        words += ["--priority-gas-price", case.priority]
    if case.access_list:
        entries = [{"address": "0x" + a.hex(), "storageKeys": ["0x" + s.hex() for s in ss]} for a, ss in case.access_list]
        words += ["--access-list", json.dumps(entries)]
    for chain, address, nonce, parity, r, s in case.authorizations:
        words += ["--auth", "0x" + rlp.encode([chain, address, nonce, parity, r, s]).hex()]
    data = "0x" + case.data.hex()
    if case.to is None:
        return [*words, "--create", data]
    return [*words, "0x" + case.to.hex(), *([data] if case.data else [])]


# --- op-signer and web3signer -----------------------------------------------------------------


def by_op_signer(stack, judged):
    """op-signer's client: go-ethereum's TransactionArgs, absent fields as null, and its health."""
    judged.expect("op-signer", "health_status", isinstance(stack.rpc("health_status", []), str), True)
    raws = [stack.rpc("eth_signTransaction", [go_request(case, stack.address)]) for case in TRANSACTIONS]
    judged.take("op-signer", transactions(), raws)


def go_request(case, sender):
    """TransactionArgs as Go writes it: every field, input and data both, null where there is none."""
    data = "0x" + case.data.hex()
    dynamic = case.type >= cases.DYNAMIC_FEE
    entries = [{"address": "0x" + a.hex(), "storageKeys": ["0x" + s.hex() for s in ss]} for a, ss in case.access_list]
    return {
        "from": to_checksum_address(sender),
        "to": None if case.to is None else to_checksum_address(case.to),
        "gas": hex(case.gas),
        "gasPrice": None if dynamic else hex(case.fee),
        "maxFeePerGas": hex(case.fee) if dynamic else None,
        "maxPriorityFeePerGas": hex(case.priority) if dynamic else None,
        "value": hex(case.value),
        "nonce": hex(case.nonce),
        "data": data,
        "input": data,
        "accessList": entries if case.type >= cases.ACCESS_LIST else None,
        "chainId": hex(case.chain_id),
        "maxFeePerBlobGas": None,
        "blobVersionedHashes": None,
        "authorizationList": [
            {
                "chainId": hex(chain),
                "address": "0x" + address.hex(),
                "nonce": hex(nonce),
                "yParity": hex(parity),
                "r": hex(r),
                "s": hex(s),
            }
            for chain, address, nonce, parity, r, s in case.authorizations
        ]
        or None,
    }


def by_web3signer(stack, judged):
    """web3signer's routes for execution keys; its raw signature needs a proof here."""
    reply = stack.session.get(stack.url + "/upcheck", timeout=TIMEOUT_S)
    judged.expect("web3signer", "/upcheck", (reply.status_code, reply.text), (200, "OK"))
    keys = stack.get("/api/v1/eth1/publicKeys")
    addresses = {to_checksum_address(keccak(bytes.fromhex(key[2:]))[12:]): key for key in keys}
    judged.expect("web3signer", "our public key", stack.address in addresses, True)
    data = b"any bytes at all"
    body = {"data": "0x" + data.hex()}
    for name in (addresses[stack.address], stack.address):
        try:
            stack.post(f"/api/v1/eth1/sign/{name}", body)
            refused = None
        except Refused as refusal:
            refused = refusal.code
        judged.expect("web3signer", "a signature without a proof", refused, "proof_required")
        proof = stack.prove(Intent("SignDigest", stack.address, keccak(data)))
        reply = stack.session.post(
            f"{stack.url}/api/v1/eth1/sign/{name}", json=body | {"proof": proof}, timeout=TIMEOUT_S
        )
        judged.take("web3signer", [kinds.Digest(keccak(data))], [reply.text])


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--stack", required=True, help="stack.json of a running stack")
    arguments.add_argument("--node-modules", required=True, help="where npm put ethers, viem and cast")
    arguments.add_argument("--nitro-signer", required=True, help="the program, for its proxy")
    options = arguments.parse_args()
    stack, modules = Stack(options.stack), options.node_modules
    with Ethers(modules) as ethers:
        judged = Judged(stack, ethers)
        for name, ask in (
            ("web3.py", lambda: by_web3(stack, judged)),
            ("ethers", lambda: by_ethers(stack, judged, modules)),
            ("viem", lambda: by_viem(stack, judged, modules)),
            ("cast", lambda: by_cast(stack, judged, modules, options.nitro_signer, options.stack)),
            ("op-signer", lambda: by_op_signer(stack, judged)),
            ("web3signer", lambda: by_web3signer(stack, judged)),
        ):
            try:
                ask()
            except Exception as error:  # One tool's failure must not hide another's.
                judged.wrong.append(f"{name}: {type(error).__name__}: {str(error)[:600]}")
    counts = ", ".join(f"{tool} {count}" for tool, count in judged.counts.items())
    print(f"clients: {counts} answers; {len(judged.wrong)} mismatches")
    for text in judged.wrong:
        print("MISMATCH", text)
    return 1 if judged.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
