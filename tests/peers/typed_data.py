"""Typed data (EIP-712) to ask for: every boundary once, then random mixtures of nested structs.

A value is a plain number, text, bytes, list or dictionary; `native` gives it to eth-account, `exact`
to ethers, and `spelled` writes it as JSON in one of the ways that clients use. Nothing here knows
how typed data is encoded or hashed.
"""

import json
from dataclasses import dataclass

from eth_utils import to_checksum_address

MAX_DEPTH = 16
MAX_SAFE = 2**53 - 1
WIDTHS = tuple(range(8, 257, 8))
SIZES = tuple(range(1, 33))
CHAINS = (1, 31_337)
# A policy's Long is the largest chain id that is signed for.
CHAIN_IDS = (0, 1, 31_337, 2**32, MAX_SAFE, MAX_SAFE + 1, 2**63 - 1)
SHAPES = ("[]", "[1]", "[3]", "[][]", "[2][]", "[][2]", "[2][3]", "[][][]", "[1][][2]", "[3][1][2]")
DOMAIN_FIELDS = (
    ("name", "string"),
    ("version", "string"),
    ("chainId", "uint256"),
    ("verifyingContract", "address"),
    ("salt", "bytes32"),
)
ALPHABETS = (
    "abcdefghijklmnopqrstuvwxyz ",
    "\x00\x01\t\n\r\"\\/\x7f\x80",
    "äöüßéñ€",
    "日本語中文한국어",
    "אבגדה العربية",
    "😀👩‍👩‍👧🏳️‍🌈𝔘𐍈",
    "e\u0301\u0308\u200b\u202e\ufeff\uffff",
)
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_$"


@dataclass(frozen=True)
class TypedData:
    """Typed data; `types` without EIP712Domain, each a tuple of (type, name)."""

    domain: dict
    types: dict
    primary: str
    message: dict


def boundaries(rng, chain=None):
    """Every width at its limits, every size of bytesN, every shape of array, every domain."""
    found = [flat(rng, chain, values) for values in limits(rng)]
    found += [shaped(rng, chain, suffix) for suffix in SHAPES for _ in range(2)]
    for bits in range(1, 1 << len(DOMAIN_FIELDS)):
        names = [name for i, (name, _) in enumerate(DOMAIN_FIELDS) if bits >> i & 1]
        found.append(flat(rng, chain, {"uint256": [1]}, names))
    if chain is None:
        ids = [{"name": "chains", "chainId": chain_id} for chain_id in CHAIN_IDS]
        found += [TypedData(domain, {"A": (("bool", "b"),)}, "A", {"b": True}) for domain in ids]
    found += [chain_of_structs(rng, chain), flat(rng, chain, {"string": ["x" * 10_000]})]
    found.append(TypedData(some_domain(rng, chain), {"Empty": ()}, "Empty", {}))
    return found


def limits(rng):
    """Values of every width, as {type: values}; all of one kind in one message."""
    ints = {f"int{bits}": [-(1 << bits - 1), (1 << bits - 1) - 1, -1, 0, 1] for bits in WIDTHS}
    uints = {f"uint{bits}": [0, 1, (1 << bits) - 1, 1 << bits - 1] for bits in WIDTHS}
    fixed = {f"bytes{n}": [bytes(n), b"\xff" * n, rng.randbytes(n)] for n in SIZES}
    for column in range(5):
        yield {kind: [values[column]] for kind, values in ints.items()}
    for column in range(4):
        yield {kind: [values[column]] for kind, values in uints.items()}
    for column in range(3):
        yield {kind: [values[column]] for kind, values in fixed.items()}
    yield {"bool": [True, False], "address": [bytes(20), b"\xff" * 20, rng.randbytes(20)]}
    yield {"bytes": [rng.randbytes(n) for n in (0, 1, 31, 32, 33, 64, 1_024)]}
    yield {"string": ["", *("".join(alphabet) for alphabet in ALPHABETS)]}


def flat(rng, chain, values, names=None):
    """One struct with a member for each of these values."""
    pairs = [(kind, value) for kind, several in values.items() for value in several]
    members = tuple((kind, f"m{i}") for i, (kind, _) in enumerate(pairs))
    message = {f"m{i}": value for i, (_, value) in enumerate(pairs)}
    return TypedData(some_domain(rng, chain, names), {"Flat": members}, "Flat", message)


def shaped(rng, chain, suffix):
    """A member of every stem in arrays of this shape."""
    stems = ("bool", "int24", "uint256", "bytes7", "bytes", "string", "address", "Inner")
    types = {
        "Outer": tuple((stem + suffix, f"m{i}") for i, stem in enumerate(stems)),
        "Inner": (("uint8", "a"), ("string[]", "b")),
    }
    message = fill(rng, types, "Outer", Budget(2_000))
    return TypedData(some_domain(rng, chain), types, "Outer", message)


def chain_of_structs(rng, chain):
    """Structs as deep as they may nest."""
    types = {f"D{i:02}": ((f"D{i + 1:02}", "next"),) for i in range(MAX_DEPTH - 1)}
    types[f"D{MAX_DEPTH - 1:02}"] = (("uint8", "end"),)
    return TypedData(some_domain(rng, chain), types, "D00", fill(rng, types, "D00", Budget(100)))


def mixture(rng, chain=None):
    """Random types, each of them used; random values."""
    while True:
        types = some_types(rng)
        primary = next(iter(types))
        budget = Budget(rng.choice((40, 40, 40, 200, 600)))
        message = fill(rng, types, primary, budget)
        if depth(types, primary) <= MAX_DEPTH and budget.left > -1_000:
            names = list(types)
            rng.shuffle(names)
            types = {name: types[name] for name in names}
            return TypedData(some_domain(rng, chain), types, primary, message)


def some_types(rng):
    """Structs of which each but the first is a member of an earlier one."""
    count = rng.choice((1, 1, 1, 2, 2, 3, 4, 6))
    names = identifiers(rng, count, "TYabz_$")
    members = [[some_atom(rng) + some_suffix(rng) for _ in range(rng.randint(0, 6))] for _ in names]
    for i in range(1, count):
        members[rng.randrange(i)].append(names[i] + some_suffix(rng))
        if rng.random() < 0.3:
            members[rng.randrange(i)].append(names[i])
    types = {}
    for name, kinds in zip(names, members, strict=True):
        rng.shuffle(kinds)
        types[name] = tuple(zip(kinds, identifiers(rng, len(kinds), LETTERS), strict=True))
    return types


def identifiers(rng, count, first):
    """Different names; none can be an atomic type's, which have no digit before a letter."""
    found = {}
    while len(found) < count:
        rest = "".join(rng.choice(LETTERS + "0123456789") for _ in range(rng.choice((0, 3, 9, 30))))
        found[f"{rng.choice(first)}9{rest}z"] = None
    return list(found)


def some_atom(rng):
    return rng.choice(
        (
            "bool",
            "address",
            "bytes",
            "string",
            f"int{rng.choice(WIDTHS)}",
            f"uint{rng.choice(WIDTHS)}",
            f"bytes{rng.choice(SIZES)}",
        )
    )


def some_suffix(rng):
    if rng.random() < 0.7:
        return ""
    return "".join(rng.choice(("[]", "[]", "[1]", "[2]", "[3]")) for _ in range(rng.choice((1, 1, 2, 3))))


def depth(types, name):
    """How deep a struct's values nest, arrays counted."""
    below = lambda kind: depth(types, stem(kind)) if stem(kind) in types else 0
    return max((1 + kind.count("[") + below(kind) for kind, _ in types[name]), default=1)


def stem(kind):
    return kind.split("[", 1)[0]


class Budget:
    """How many values may still be made; free arrays end up empty once there are none."""

    def __init__(self, left):
        self.left = left


def fill(rng, types, kind, budget):
    """A random value of this type."""
    budget.left -= 1
    if kind.endswith("]"):
        inner, length = kind[:-1].rsplit("[", 1)
        count = int(length) if length else rng.randint(0, 3) if budget.left > 0 else 0
        # Nothing that is cut off here is used: the caller looks at the budget.
        return [fill(rng, types, inner, budget) for _ in range(count)] if budget.left > -1_000 else []
    if kind in types:
        if budget.left <= -1_000:
            return {}
        return {name: fill(rng, types, member, budget) for member, name in types[kind]}
    return atom(rng, kind)


def atom(rng, kind):
    if kind == "bool":
        return rng.random() < 0.5
    if kind == "address":
        return rng.choice((bytes(20), b"\xff" * 20)) if rng.random() < 0.1 else rng.randbytes(20)
    if kind == "string":
        return text(rng)
    if kind == "bytes":
        return rng.randbytes(rng.choice((0, 1, 4, 31, 32, 33, 100)))
    digits = int(kind.lstrip("abcdefghijklmnopqrstuvwxyz"))
    if kind.startswith("bytes"):
        return rng.choice((bytes(digits), b"\xff" * digits, rng.randbytes(digits)))
    return integer(rng, digits, kind.startswith("int"))


def integer(rng, bits, signed):
    """A limit, or a number of random length."""
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    if rng.random() < 0.4:
        return rng.choice((low, high, 0, 1, max(low, -1), high - 1, low + 1))
    number = rng.getrandbits(rng.randint(1, bits - 1))
    return -number if signed and rng.random() < 0.5 else number


def text(rng):
    """Text of one or of all alphabets."""
    letters = rng.choice((*ALPHABETS, "".join(ALPHABETS)))
    return "".join(rng.choice(letters) for _ in range(rng.choice((0, 1, 5, 31, 32, 33, 80))))


def some_domain(rng, chain, names=None):
    """A domain of these fields, or of some; for this chain or for any."""
    if names is None:
        names = [name for name, _ in DOMAIN_FIELDS if rng.random() < 0.6] or ["name"]
    values = {
        "name": lambda: text(rng),
        "version": lambda: rng.choice(("1", "2", "", text(rng))),
        "chainId": lambda: chain or rng.choice((*CHAINS, rng.getrandbits(63))),
        "verifyingContract": lambda: rng.randbytes(20),
        "salt": lambda: rng.randbytes(32),
    }
    return {name: values[name]() for name, _ in DOMAIN_FIELDS if name in names}


# --- for the judges ---------------------------------------------------------------------------


def native(data):
    """As eth-account takes it, in Python's own values."""
    members = lambda pairs: [{"type": kind, "name": name} for kind, name in pairs]
    return {
        "types": {name: members(pairs) for name, pairs in data.types.items()}
        | {"EIP712Domain": members(declared_domain(data))},
        "primaryType": data.primary,
        "domain": {name: native_value(kind, data.domain[name]) for kind, name in declared_domain(data)},
        "message": walk(data.types, data.primary, data.message, native_value),
    }


def exact(data):
    """[domain, types, message] as ethers takes it from JSON: numbers as decimal text."""
    members = lambda pairs: [{"type": kind, "name": name} for kind, name in pairs]
    return [
        {name: exact_value(kind, data.domain[name]) for kind, name in declared_domain(data)},
        {name: members(pairs) for name, pairs in data.types.items()},
        walk(data.types, data.primary, data.message, exact_value),
    ]


def declared_domain(data):
    """(type, name) of the domain's fields, in the standard's order."""
    return [(kind, name) for name, kind in DOMAIN_FIELDS if name in data.domain]


def walk(types, kind, value, leaf):
    """The value with `leaf(type, value)` in place of each atom."""
    if kind.endswith("]"):
        inner = kind.rsplit("[", 1)[0]
        return [walk(types, inner, item, leaf) for item in value]
    if kind in types:
        return {name: walk(types, member, value[name], leaf) for member, name in types[kind]}
    return leaf(kind, value)


def native_value(kind, value):
    return "0x" + value.hex() if kind == "address" else value


def exact_value(kind, value):
    if isinstance(value, bytes):
        return "0x" + value.hex()
    return str(value) if kind.startswith(("int", "uint")) else value


# --- for the stack ----------------------------------------------------------------------------


def spelled(data, rng):
    """As a client might write it: an object, or its JSON as a string."""
    member = lambda kind, name: shuffled(rng, {"type": kind, "name": name})
    types = {name: [member(*pair) for pair in pairs] for name, pairs in data.types.items()}
    if rng.random() < 0.7:
        types["EIP712Domain"] = [member(*pair) for pair in declared_domain(data)]
    leaf = lambda kind, value: spelled_value(rng, kind, value)
    domain = {name: leaf(kind, data.domain[name]) for kind, name in declared_domain(data)}
    message = walk(data.types, data.primary, data.message, leaf)
    whole = {
        "types": shuffled(rng, types),
        "primaryType": data.primary,
        "domain": shuffled(rng, domain),
        "message": shuffled(rng, message),
    }
    whole = shuffled(rng, whole)
    if rng.random() < 0.5:
        return whole
    return json.dumps(whole, ensure_ascii=rng.random() < 0.5, indent=rng.choice((None, None, 1)))


def shuffled(rng, fields):
    names = list(fields)
    rng.shuffle(names)
    return {name: fields[name] for name in names}


def spelled_value(rng, kind, value):
    if kind == "address":
        text = value.hex()
        return rng.choice(("0x" + text, "0x" + text.upper(), to_checksum_address(value)))
    if isinstance(value, bytes):
        text = value.hex()
        return "0x" + rng.choice((text, text, text.upper()))
    if kind.startswith(("int", "uint")):
        ways = [str(value)]
        if value >= 0:
            ways += [hex(value), f"0x{value:064X}"]
        if abs(value) <= MAX_SAFE:
            ways += [value] * 3
        return rng.choice(ways)
    return value
