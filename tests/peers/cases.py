"""Transactions to ask for: every boundary of every field once, then random mixtures of them.

A case is plain numbers and bytes. How it is written as JSON varies too, since clients differ:
`type` as number or hex, `data` or `input` or both, `v` or `yParity`, padded r and s.
Nothing here knows how the stack encodes or signs.
"""

from dataclasses import dataclass, field, replace

from eth_account import Account
from eth_utils import to_checksum_address

LEGACY, ACCESS_LIST, DYNAMIC_FEE, BLOB, SET_CODE = range(5)
TYPES = (LEGACY, ACCESS_LIST, DYNAMIC_FEE, BLOB, SET_CODE)

MAX_64 = 2**64 - 1
MAX_128 = 2**128 - 1
MAX_256 = 2**256 - 1
GAS_PER_BLOB = 2**17  # EIP-4844
MAX_CALLDATA = 128 * 1024
MAX_INITCODE = 48 * 1024  # EIP-3860
MAX_ACCESS_ADDRESSES = 1_024
MAX_ACCESS_SLOTS = 8_192

# Nonces above 2^63 - 1 do not fit a policy's Long and are refused (see refusals.py).
NONCES = (0, 1, 127, 128, 255, 256, 2**32 - 1, 2**32, 2**53 - 1, 2**53, 2**63 - 1)
GAS = (0, 21_000, 127, 128, 2**32, 2**63 - 1, 2**63, MAX_64)
FEES = (0, 1, 127, 128, 10**9, 2**64 - 1, 2**64, MAX_128)
VALUES = (0, 1, 127, 128, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 2**128, 2**255, MAX_256)
DATA_SIZES = (0, 1, 2, 3, 4, 5, 31, 32, 36, 55, 56, 57, 68, 255, 256, 257, 1_024)
CHAINS = (1, 31_337)
AUTHORIZATION_NONCES = (0, 1, 127, 128, 2**32, 2**63 - 1)


@dataclass(frozen=True)
class Case:
    """One transaction to be signed; amounts in wei, `to` of 20 bytes or None for a creation."""

    type: int
    chain_id: int = 31_337
    nonce: int = 7
    gas: int = 100_000
    fee: int = 2 * 10**9
    priority: int = 10**9
    blob_fee: int = 10**9
    to: bytes | None = bytes.fromhex("11" * 20)
    value: int = 10**18
    data: bytes = b""
    access_list: tuple = ()
    blob_hashes: tuple = ()
    authorizations: tuple = field(default=())

    @property
    def cost(self):
        """The most the transaction can cost beyond its value."""
        blobs = len(self.blob_hashes) * GAS_PER_BLOB * self.blob_fee if self.type == BLOB else 0
        return self.gas * self.fee + blobs


def affordable(case):
    """The case with its value lowered so that its greatest cost still fits 256 bits."""
    return replace(case, value=min(case.value, MAX_256 - case.cost))


def generate(kind, count, rng):
    """At least `count` cases of one type: all boundaries, then random mixtures."""
    cases = boundaries(kind, rng)
    while len(cases) < count:
        cases.append(mixture(kind, rng))
    return [affordable(case) for case in cases]


def boundaries(kind, rng):
    """A plain case, varied in one field at a time."""
    base = plain(kind, rng)
    cases = [base]
    cases += [replace(base, nonce=nonce) for nonce in NONCES]
    cases += [replace(base, gas=gas) for gas in GAS]
    cases += [replace(base, value=value, fee=0, priority=0, blob_fee=0) for value in VALUES]
    cases += [replace(base, value=value) for value in VALUES]
    cases += [replace(base, chain_id=chain) for chain in CHAINS]
    cases += [replace(base, fee=fee, priority=min(fee, base.priority)) for fee in FEES]
    cases += [replace(base, data=rng.randbytes(size)) for size in DATA_SIZES]
    cases += [replace(base, data=bytes(size)) for size in (1, 55, 56)]
    cases += [replace(base, data=b"\x7f"), replace(base, data=b"\x80")]
    cases += [replace(base, data=rng.randbytes(size)) for size in (65_536, MAX_CALLDATA)]
    cases += [replace(base, to=to) for to in (bytes(20), b"\xff" * 20, bytes(19) + b"\x01")]
    if kind in (LEGACY, ACCESS_LIST, DYNAMIC_FEE):
        sizes = (1, 55, 56, 32_768, MAX_INITCODE)
        cases += [replace(base, to=None, data=rng.randbytes(size)) for size in sizes]
    if kind >= DYNAMIC_FEE:
        cases += [replace(base, fee=fee, priority=fee) for fee in FEES]
        cases += [replace(base, fee=MAX_128, priority=fee) for fee in FEES]
    if kind >= ACCESS_LIST:
        cases += [replace(base, access_list=entries) for entries in access_lists(rng)]
    if kind == BLOB:
        cases += [replace(base, blob_fee=fee) for fee in FEES]
        cases += [replace(base, blob_hashes=blob_hashes(rng, n)) for n in (1, 2, 3, 6, 9)]
    if kind == SET_CODE:
        cases += [replace(base, authorizations=some) for some in authorization_lists(rng)]
    return cases


def plain(kind, rng):
    """The simplest case of a type."""
    case = Case(type=kind)
    if kind == BLOB:
        return replace(case, blob_hashes=blob_hashes(rng, 1))
    if kind == SET_CODE:
        return replace(case, authorizations=(authorization(rng, case.chain_id, 0),))
    return case


def mixture(kind, rng, chain=None):
    """Every field drawn from its boundaries or at random; for this chain or for any."""
    chain = chain or rng.choice(CHAINS)
    fee = number(rng, FEES, 128)
    case = replace(
        plain(kind, rng),
        chain_id=chain,
        nonce=number(rng, NONCES, 63),
        gas=number(rng, GAS, 64),
        fee=fee,
        priority=rng.choice((0, fee, rng.randint(0, fee))),
        blob_fee=number(rng, FEES, 128),
        to=rng.randbytes(20),
        value=number(rng, VALUES, 256),
        data=rng.randbytes(rng.choice((*DATA_SIZES, rng.randint(0, 600)))),
    )
    # A creation without initcode is refused (see refusals.py).
    if kind <= DYNAMIC_FEE and case.data and rng.random() < 0.2:
        case = replace(case, to=None)
    if kind >= ACCESS_LIST and rng.random() < 0.6:
        case = replace(case, access_list=access_list(rng, rng.randint(1, 5), rng.randint(0, 6)))
    if kind == BLOB:
        case = replace(case, blob_hashes=blob_hashes(rng, rng.randint(1, 6)))
    if kind == SET_CODE:
        some = (authorization(rng, rng.choice((0, chain))) for _ in range(rng.randint(1, 4)))
        case = replace(case, authorizations=tuple(some))
    return case


def number(rng, boundary, bits):
    """A boundary value, or one of a random bit length."""
    return rng.choice(boundary) if rng.random() < 0.5 else rng.getrandbits(rng.randint(1, bits))


def access_lists(rng):
    """Empty, one, many, duplicates, and both limits exactly."""
    address, slot = rng.randbytes(20), rng.randbytes(32)
    return (
        (),
        ((address, ()),),
        ((address, (slot,)),),
        ((address, (slot, slot)), (address, (slot,))),
        ((bytes(20), (bytes(32),)),),
        access_list(rng, 40, 5),
        access_list(rng, MAX_ACCESS_ADDRESSES, MAX_ACCESS_SLOTS // MAX_ACCESS_ADDRESSES),
        ((address, tuple(rng.randbytes(32) for _ in range(MAX_ACCESS_SLOTS))),),
    )


def access_list(rng, addresses, slots_each):
    """Random entries."""
    slots = lambda: tuple(rng.randbytes(32) for _ in range(slots_each))
    return tuple((rng.randbytes(20), slots()) for _ in range(addresses))


def blob_hashes(rng, count):
    """Versioned hashes (EIP-4844: the first byte is 1)."""
    return tuple(b"\x01" + rng.randbytes(31) for _ in range(count))


def authorization_lists(rng):
    """One and many; for this chain and for any; one twice; boundary nonces."""
    one = authorization(rng, 31_337)
    singles = [(authorization(rng, chain, n),) for n in AUTHORIZATION_NONCES for chain in (0, 31_337)]
    return (*singles, (one, one), tuple(authorization(rng, rng.choice((0, 31_337))) for _ in range(8)))


def authorization(rng, chain_id, nonce=None):
    """An EIP-7702 authorization signed by eth-account with a key drawn for it."""
    account = Account.from_key(rng.randbytes(31).rjust(32, b"\x01"))
    nonce = rng.choice(AUTHORIZATION_NONCES) if nonce is None else nonce
    signed = account.sign_authorization(
        {"chainId": chain_id, "address": rng.randbytes(20), "nonce": nonce}
    )
    return (chain_id, bytes(signed.address), nonce, signed.y_parity, signed.r, signed.s)


def to_eth_account(case):
    """The case as eth-account's transaction dictionary."""
    tx = {"chainId": case.chain_id, "nonce": case.nonce, "gas": case.gas, "value": case.value}
    tx["data"] = case.data
    tx["to"] = to_checksum_address(case.to) if case.to is not None else b""
    if case.type <= ACCESS_LIST:
        tx["gasPrice"] = case.fee
    else:
        tx |= {"maxFeePerGas": case.fee, "maxPriorityFeePerGas": case.priority}
    if case.type >= ACCESS_LIST:
        tx["type"] = case.type
        tx["accessList"] = [
            {"address": to_checksum_address(a), "storageKeys": ["0x" + s.hex() for s in slots]}
            for a, slots in case.access_list
        ]
    if case.type == BLOB:
        tx["maxFeePerBlobGas"] = case.blob_fee
        tx["blobVersionedHashes"] = list(case.blob_hashes)
    if case.type == SET_CODE:
        names = ("chainId", "address", "nonce", "yParity", "r", "s")
        tx["authorizationList"] = [dict(zip(names, a, strict=True)) for a in case.authorizations]
        for entry in tx["authorizationList"]:
            entry["address"] = to_checksum_address(entry["address"])
    return tx


def to_json(case, sender, rng):
    """The case as eth_signTransaction takes it, in one of the spellings that clients use."""
    data = "0x" + case.data.hex()
    tx = {
        "from": rng.choice((sender, sender.lower(), to_checksum_address(sender))),
        "chainId": hex(case.chain_id),
        "nonce": hex(case.nonce),
        "gas": hex(case.gas),
        "value": hex(case.value),
        "type": rng.choice((case.type, hex(case.type))),
    }
    tx |= rng.choice(({"data": data}, {"input": data}, {"data": data, "input": data}))
    if case.to is not None:
        tx["to"] = rng.choice(("0x" + case.to.hex(), to_checksum_address(case.to)))
    elif rng.random() < 0.5:
        tx["to"] = None
    if case.type <= ACCESS_LIST:
        tx["gasPrice"] = hex(case.fee)
    else:
        tx |= {"maxFeePerGas": hex(case.fee), "maxPriorityFeePerGas": hex(case.priority)}
    if case.access_list or (case.type >= ACCESS_LIST and rng.random() < 0.5):
        tx["accessList"] = [
            {"address": "0x" + a.hex(), "storageKeys": ["0x" + s.hex() for s in slots]}
            for a, slots in case.access_list
        ]
    if case.type == BLOB:
        tx["maxFeePerBlobGas"] = hex(case.blob_fee)
        tx["blobVersionedHashes"] = ["0x" + h.hex() for h in case.blob_hashes]
    if case.type == SET_CODE:
        tx["authorizationList"] = [authorization_json(a, rng) for a in case.authorizations]
    return tx


def authorization_json(item, rng):
    """One authorization, with r and s as quantities or padded to 32 bytes."""
    chain_id, address, nonce, y_parity, r, s = item
    scalar = rng.choice((hex, lambda n: f"0x{n:064x}"))
    return {
        "chainId": hex(chain_id),
        "address": "0x" + address.hex(),
        "nonce": hex(nonce),
        rng.choice(("yParity", "v")): hex(y_parity),
        "r": scalar(r),
        "s": scalar(s),
    }
