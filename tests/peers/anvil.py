"""Does a node mine what the stack signs?

Starts anvil on loopback, gives the stack's address some ether, has one real transaction of every
type signed by the stack, sends each, and checks receipt, sender, type and effect. A type 3
transaction's sidecar is made by eth-account and put around it by the stack; a type 4 one carries an authorization signed by a key
of eth-account's. anvil is ended by its process id, whatever happens.
"""

import argparse
import functools
import json
import random
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import replace
from pathlib import Path

import cases
import ckzg
import rlp
from eth_account import Account
from eth_account.typed_transactions import BlobTransaction, blob_transactions
from eth_utils import to_checksum_address
from hexbytes import HexBytes
from judges import Ethers, disagreements, signature_of, signing_hash
from stack import Stack

CHAIN = 31_337
ETHER = 10**18
MINING_S = 20
# Stores the first word of its calldata in slot 0.
RUNTIME = bytes.fromhex("60003560005500")
# Returns the runtime above.
INITCODE = bytes.fromhex("66") + RUNTIME + bytes.fromhex("60005260076019f3")
DELEGATION = "0xef0100"  # EIP-7702


class Anvil:
    """A node of this run's own. Use as a context manager."""

    def __init__(self, node_modules):
        package = Path(node_modules) / "@foundry-rs" / "anvil-linux-amd64"
        self.process = subprocess.Popen(
            [package / "bin" / "anvil", "--host", "127.0.0.1", "--port", "0"]
            + ["--chain-id", str(CHAIN), "--accounts", "1"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __enter__(self):
        try:
            self.url = self._listening()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _listening(self):
        said = []
        for line in self.process.stdout:
            said.append(line)
            if line.startswith("Listening on "):
                return "http://" + line.removeprefix("Listening on ").strip()
        raise AssertionError("anvil ended: " + "".join(said)[-400:])

    def call(self, method, *params):
        """A JSON-RPC call to the node."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        request = urllib.request.Request(self.url, body, {"content-type": "application/json"})
        with opener.open(request, timeout=30) as reply:
            answer = json.load(reply)
        if "error" in answer:
            raise AssertionError(f"anvil refuses {method}: {answer['error']}")
        return answer["result"]


# No proxy of the environment stands between us and loopback.
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Bench:
    """The node, the stack and the judge, and how one transaction goes through all three."""

    def __init__(self, anvil, stack, ethers, rng):
        self.anvil, self.stack, self.ethers, self.rng = anvil, stack, ethers, rng

    def base(self, kind, **fields):
        """A case with the node's own next nonce and fees that it takes."""
        nonce = int(self.anvil.call("eth_getTransactionCount", self.stack.address, "latest"), 16)
        return cases.Case(
            type=kind, chain_id=CHAIN, nonce=nonce, fee=20 * 10**9, blob_fee=10**10, **fields
        )

    def sign(self, case):
        """The stack's raw transaction, judged before it goes anywhere."""
        body = {"transaction": cases.to_json(case, self.stack.address, self.rng)}
        if case.type == cases.SET_CODE:
            body["proof"] = self.stack.prove_transaction(signing_hash(case))
        raw = self.stack.post("/v1/transactions", body)["raw"]
        wrong = disagreements(case, raw, self.stack.address, self.ethers)
        assert not wrong, wrong
        return raw

    def with_sidecar(self, case, parts, path):
        """The stack's network form of a blob transaction, from (blobs, commitments, proofs)."""
        tx = cases.to_json(case, self.stack.address, self.rng)
        tx |= dict(zip(("blobs", "commitments", "proofs"), parts, strict=True))
        return self.stack.post(path, {"transaction": tx})["raw"]

    def mine(self, case, raw):
        """Sends it; gives the receipt of a success by our sender and of our type."""
        sent = self.anvil.call("eth_sendRawTransaction", raw)
        receipt = self.receipt(sent)
        assert receipt["status"] == "0x1", receipt
        assert receipt["from"].lower() == self.stack.address.lower(), receipt
        assert int(receipt["type"], 16) == case.type, receipt
        return receipt

    def receipt(self, sent):
        """The receipt, once the transaction is in a block."""
        deadline = time.monotonic() + MINING_S
        while time.monotonic() < deadline:
            if receipt := self.anvil.call("eth_getTransactionReceipt", sent):
                return receipt
            time.sleep(0.02)
        raise AssertionError(f"{sent} was not mined in {MINING_S} s")

    def balance(self, address):
        return int(self.anvil.call("eth_getBalance", address, "latest"), 16)

    def code(self, address):
        return self.anvil.call("eth_getCode", address, "latest")

    def slot(self, address):
        return int(self.anvil.call("eth_getStorageAt", address, "0x0", "latest"), 16)


def transfer(bench, kind):
    """Types 0 to 2: ether arrives, to the wei."""
    to, value = bench.rng.randbytes(20), bench.rng.randint(1, ETHER)
    case = bench.base(kind, to=to, value=value, gas=60_000)
    bench.mine(case, bench.sign(case))
    assert bench.balance("0x" + to.hex()) == value
    return f"{value} wei moved"


def creation(bench, kind):
    """Types 0 to 2: a contract stands where the receipt says."""
    case = bench.base(kind, to=None, value=0, data=INITCODE, gas=200_000)
    receipt = bench.mine(case, bench.sign(case))
    assert bench.code(receipt["contractAddress"]) == "0x" + RUNTIME.hex()
    return receipt["contractAddress"]


def call_with_access_list(bench, kind, contract):
    """Types 1 and 2: the contract's storage changes, its slot named beforehand."""
    word = bench.rng.randbytes(32)
    address = bytes.fromhex(contract[2:])
    case = bench.base(kind, to=address, value=0, data=word, gas=120_000)
    case = replace(case, access_list=((address, (bytes(32),)),))
    bench.mine(case, bench.sign(case))
    assert bench.slot(contract) == int.from_bytes(word, "big")
    return "storage written"


def blobs(bench, count):
    """Type 3: signed by its hashes alone and, the same bytes, with the sidecar that the stack puts
    around it; in both forms that is what eth-account and rlp make of it."""
    data = [bytes(1) + bench.rng.randbytes(31) + bytes(131_072 - 32) for _ in range(count)]
    case = bench.base(cases.BLOB, to=bench.rng.randbytes(20), value=1, gas=60_000)
    fields = {k: v for k, v in cases.to_eth_account(case).items() if k != "blobVersionedHashes"}
    sidecar = BlobTransaction.from_dict(fields, blobs=data).blob_data
    case = replace(case, blob_hashes=tuple(bytes(h.data) for h in sidecar.versioned_hashes))
    raw = bench.sign(case)
    v, r, s = signature_of(raw)
    fields = cases.to_eth_account(case) | {"v": v, "r": r, "s": s}
    signed = BlobTransaction.from_dict(fields)
    # Its cell proofs take seconds to make: once is enough.
    signed.blob_data = sidecar
    network_form = b"\x03" + signed.payload()
    parts = (sidecar.blobs, sidecar.commitments, sidecar.cell_proofs)
    *given, cells = (hexes(item.data for item in part) for part in parts)
    answered = bench.with_sidecar(case, (*given, cells), "/v1/transactions")
    assert answered == "0x" + network_form.hex(), "the EIP-7594 form is not eth-account's"
    older = (*given, hexes(map(older_proof, sidecar.blobs, sidecar.commitments)))
    answered = bench.with_sidecar(case, older, "/v1/transactions?sidecar=eip4844")
    items = [rlp.decode(bytes.fromhex(raw[4:])), *([HexBytes(one) for one in part] for part in older)]
    assert answered == "0x03" + rlp.encode(items).hex(), "the EIP-4844 form is not rlp's"
    receipt = bench.mine(case, "0x" + network_form.hex())
    assert int(receipt["blobGasUsed"], 16) == count * cases.GAS_PER_BLOB, receipt
    return f"{count} blobs paid for"


def hexes(parts):
    return ["0x" + bytes(part).hex() for part in parts]


def older_proof(blob, commitment):
    """EIP-4844's proof of a whole blob, by c-kzg."""
    blob, commitment = bytes(blob.data), bytes(commitment.data)
    return ckzg.compute_blob_kzg_proof(blob, commitment, trusted_setup())


@functools.cache
def trusted_setup():
    """The ceremony's result as eth-account ships it."""
    file = Path(blob_transactions.__file__).with_name("kzg_trusted_setup.txt")
    return ckzg.load_trusted_setup(str(file), 0)


def delegation(bench, contract, chain_id):
    """Type 4: another account now runs the contract's code, and ran it in this transaction."""
    authority = Account.from_key(bench.rng.randbytes(31).rjust(32, b"\x01"))
    signed = authority.sign_authorization(
        {"chainId": chain_id, "address": bytes.fromhex(contract[2:]), "nonce": 0}
    )
    entry = (chain_id, bytes(signed.address), 0, signed.y_parity, signed.r, signed.s)
    word = bench.rng.randbytes(32)
    case = bench.base(cases.SET_CODE, to=bytes.fromhex(authority.address[2:]), value=0, gas=200_000)
    case = replace(case, data=word, authorizations=(entry,))
    bench.mine(case, bench.sign(case))
    assert bench.code(authority.address) == DELEGATION + contract[2:].lower()
    assert bench.slot(authority.address) == int.from_bytes(word, "big")
    return f"{authority.address} delegates, authorization for chain {chain_id}"


def story(bench):
    """Everything that is sent, as (type, what, how)."""
    for kind in (cases.LEGACY, cases.ACCESS_LIST, cases.DYNAMIC_FEE):
        yield kind, "transfer", lambda kind=kind: transfer(bench, kind)
    contract = None
    for kind in (cases.LEGACY, cases.ACCESS_LIST, cases.DYNAMIC_FEE):
        contract = creation(bench, kind)
        yield kind, "creation", lambda: f"contract at {contract}"
    for kind in (cases.ACCESS_LIST, cases.DYNAMIC_FEE):
        yield kind, "access list", lambda kind=kind: call_with_access_list(bench, kind, contract)
    for count in (1, 2):
        yield cases.BLOB, "blobs", lambda count=count: blobs(bench, count)
    for chain in (CHAIN, 0):
        yield cases.SET_CODE, "delegation", lambda chain=chain: delegation(bench, contract, chain)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--stack", required=True, help="stack.json of a running stack")
    arguments.add_argument("--node-modules", required=True, help="where npm put anvil and ethers")
    options = arguments.parse_args()
    # A polite end still runs the `with` blocks below, which end anvil.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    stack, mined = Stack(options.stack), 0
    with Anvil(options.node_modules) as anvil, Ethers(options.node_modules) as ethers:
        anvil.call("anvil_setBalance", to_checksum_address(stack.address), hex(1_000 * ETHER))
        bench = Bench(anvil, stack, ethers, random.SystemRandom())
        for kind, what, act in story(bench):
            print(f"type {kind} mined: {what}: {act()}", flush=True)
            mined += 1
    print(f"anvil: {mined} transactions mined, of every type")
    return 0


if __name__ == "__main__":
    sys.exit(main())
