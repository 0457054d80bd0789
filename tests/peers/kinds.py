"""Everything that a key signs, as cases: how each is asked for and what it hashes to.

A case knows its method and parameters, the action that a client proof names, its signing hash by
eth-account, and the question that ethers answers about the result. Nothing here says whether an
answer is right: differential.py compares.
"""

import cases
import typed_data
from eth_account._utils.legacy_transactions import (
    encode_transaction,
    serializable_unsigned_transaction_from_dict,
)
from eth_account.messages import _hash_eip191_message, encode_defunct, encode_typed_data
from eth_account.typed_transactions.set_code_transaction import Authorization
from judges import signature_of
from eth_utils import to_checksum_address

MESSAGE_SIZES = (0, 1, 9, 10, 31, 32, 33, 99, 100, 101, 999, 1_000, 9_999, 10_000)
LARGEST_MESSAGE = 131_072
# In whole numbers a policy's Long holds; 0 is any chain.
AUTHORIZED_CHAINS = (0, 1, 31_337, 127, 128, 2**32, 2**53 - 1, 2**53, 2**63 - 1)
MAX_SAFE = 2**53 - 1


class Transaction:
    """A transaction of any type; legacy ones also without a chain id."""

    action = "SignTransaction"
    method = "eth_signTransaction"

    def __init__(self, case, unprotected=False):
        self.case, self.unprotected = cases.affordable(case), unprotected
        self.kind = "unprotected" if unprotected else f"type {case.type}"

    def prepare(self):
        """The signing hash."""
        fields = cases.to_eth_account(self.case)
        if self.unprotected:
            del fields["chainId"]
        self.unsigned = serializable_unsigned_transaction_from_dict(fields)
        self.hash = bytes(self.unsigned.hash())

    def params(self, address, rng, chain):
        tx = cases.to_json(self.case, address, rng)
        if self.unprotected:
            del tx["chainId"]
            tx["unprotected"] = True
        elif chain is not None and rng.random() < 0.2:
            # The endpoint's own.
            del tx["chainId"]
        return [tx]

    def read(self, result):
        """(r, s, v or parity) and what is wrong so far."""
        raw = result["raw"] if isinstance(result, dict) else result
        v, r, s = signature_of(raw)
        expected = "0x" + bytes(encode_transaction(self.unsigned, (v, r, s))).hex()
        wrong = [] if expected == raw else [f"eth-account encodes it as {expected[:160]}…"]
        if self.unprotected:
            first = 27
        else:
            first = 35 + 2 * self.case.chain_id if self.case.type == cases.LEGACY else 0
        return (r, s, v - first), wrong, ["transaction", raw, self.case.nonce > MAX_SAFE]

    def __repr__(self):
        return f"{self.kind} {self.case}"


class Signed65:
    """What is answered by r || s || v."""

    def read(self, result):
        signature = bytes.fromhex(result.removeprefix("0x"))
        wrong = [] if len(signature) == 65 and result.startswith("0x") else ["not 65 bytes"]
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
        return (r, s, signature[-1] - 27), wrong, [*self.question(), result]


class Message(Signed65):
    """eth_sign and personal_sign: EIP-191 with the prefix of version 0x45."""

    action, kind = "SignMessage", "messages"

    def __init__(self, message, method):
        self.message, self.method = message, method

    def prepare(self):
        self.hash = bytes(_hash_eip191_message(encode_defunct(primitive=self.message)))

    def params(self, address, rng, _chain):
        data = "0x" + self.message.hex()
        address = rng.choice((address, address.lower()))
        return [address, data] if self.method == "eth_sign" else [data, address]

    def question(self):
        return ["message", "0x" + self.message.hex()]

    def __repr__(self):
        return f"{self.method} {len(self.message)} bytes 0x{self.message.hex()}"


class TypedData(Signed65):
    """EIP-712."""

    action, kind = "SignTypedData", "typed data"

    def __init__(self, data, method):
        self.data, self.method = data, method

    def prepare(self):
        encoded = encode_typed_data(full_message=typed_data.native(self.data))
        self.hash = bytes(_hash_eip191_message(encoded))

    def params(self, address, rng, _chain):
        return [rng.choice((address, address.lower())), typed_data.spelled(self.data, rng)]

    def question(self):
        return ["typedData", typed_data.exact(self.data)]

    def __repr__(self):
        return f"{self.method} {self.data}"


class AuthorizationCase:
    """EIP-7702, outside a transaction."""

    action, kind, method = "SignAuthorization", "authorizations", "signer_signAuthorization"

    def __init__(self, chain_id, address, nonce):
        self.chain_id, self.address, self.nonce = chain_id, address, nonce

    def prepare(self):
        self.hash = bytes(Authorization(self.chain_id, self.address, self.nonce).hash())

    def params(self, address, rng, _chain):
        number = lambda n: rng.choice((hex(n), n)) if n <= MAX_SAFE else hex(n)
        code = rng.choice(("0x" + self.address.hex(), to_checksum_address(self.address)))
        fields = {"from": address, "address": code, "chainId": number(self.chain_id)}
        return [fields | {"nonce": number(self.nonce)}]

    def read(self, result):
        number = lambda given: int(given, 16) if isinstance(given, str) else given
        said = number(result["chainId"]), result["address"].lower(), number(result["nonce"])
        asked = self.chain_id, "0x" + self.address.hex(), self.nonce
        wrong = [] if said == asked else [f"answered for {said}"]
        r, s, parity = int(result["r"], 16), int(result["s"], 16), result["yParity"]
        signature = f"0x{r:064x}{s:064x}{27 + parity:02x}"
        if result["signature"] != signature:
            wrong.append("signature is not r, s and yParity")
        asked = [str(self.chain_id), "0x" + self.address.hex(), str(self.nonce)]
        return (r, s, parity), wrong, ["authorization", asked, signature]

    def __repr__(self):
        return f"authorization {self.chain_id} 0x{self.address.hex()} {self.nonce}"


class Digest(Signed65):
    """Any 32 bytes."""

    action, kind, method = "SignDigest", "digests", "signer_signDigest"

    def __init__(self, digest):
        self.hash = digest

    def prepare(self):
        pass

    def params(self, address, _rng, _chain):
        return [address, "0x" + self.hash.hex()]

    def question(self):
        return ["digest", "0x" + self.hash.hex()]

    def __repr__(self):
        return f"digest 0x{self.hash.hex()}"


KINDS = tuple(f"type {kind}" for kind in cases.TYPES) + (
    "unprotected",
    "messages",
    "typed data",
    "authorizations",
    "digests",
)
PROVED_ALWAYS = ("authorizations", "digests")
# How often each comes among the random ones.
WEIGHTS = (9, 7, 9, 6, 5, 5, 14, 30, 10, 5)


def boundaries(rng):
    """What must come in every run; transactions have theirs in transactions.py."""
    for size in (*MESSAGE_SIZES, LARGEST_MESSAGE):
        for method in ("eth_sign", "personal_sign"):
            yield Message(rng.randbytes(size), method)
            yield Message(b"0" * size, method)
    for data in typed_data.boundaries(rng):
        yield TypedData(data, typed_method(rng))
    for chain in AUTHORIZED_CHAINS:
        for nonce in cases.AUTHORIZATION_NONCES:
            yield AuthorizationCase(chain, rng.randbytes(20), nonce)
    yield AuthorizationCase(1, bytes(20), 0)
    for digest in (bytes(32), b"\xff" * 32, bytes(31) + b"\x01", b"\x80" + bytes(31)):
        yield Digest(digest)
    for case in cases.generate(cases.LEGACY, 0, rng):
        yield Transaction(case, unprotected=True)


def mixture(rng, chain):
    """A random case of a random kind, for this chain or, if it is None, for any."""
    [kind] = rng.choices(KINDS, WEIGHTS if chain is None else (*WEIGHTS[:5], 0, *WEIGHTS[6:]))
    if kind == "unprotected":
        return Transaction(cases.mixture(cases.LEGACY, rng), unprotected=True)
    if kind == "messages":
        return Message(message(rng), rng.choice(("eth_sign", "personal_sign")))
    if kind == "typed data":
        return TypedData(typed_data.mixture(rng, chain), typed_method(rng))
    if kind == "authorizations":
        chain_id = rng.choice((0, chain)) if chain else some_chain(rng)
        nonce = cases.number(rng, cases.AUTHORIZATION_NONCES, 63)
        return AuthorizationCase(chain_id, rng.randbytes(20), nonce)
    if kind == "digests":
        return Digest(rng.randbytes(32))
    return Transaction(cases.mixture(int(kind[-1]), rng, chain))


def some_chain(rng):
    return cases.number(rng, AUTHORIZED_CHAINS, 63)


def typed_method(rng):
    return rng.choice(("eth_signTypedData", "eth_signTypedData_v4"))


def message(rng):
    """Bytes or text, of a boundary's length or any."""
    if rng.random() < 0.4:
        return typed_data.text(rng).encode()
    return rng.randbytes(rng.choice((*MESSAGE_SIZES[:-4], rng.randint(0, 300))))
