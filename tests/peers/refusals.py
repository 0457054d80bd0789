"""What the stack must not sign, each with the codes by which it may say no.

Each case bends one field of a transaction that is signed otherwise; `run` first has that plain
transaction signed, so that a stack which refuses everything fails here.
"""


import requests
from stack import Refused

BURN = "0x000000000000000000000000000000000000dead"
OTHER = "0x" + "11" * 20

MALFORMED = {"malformed_request", "invalid_transaction"}
INVALID = {"invalid_transaction"}
DENIED = {"policy_denied"}


def base(stack, **changes):
    """A dynamic-fee transaction that is signed; a change to None leaves the field out."""
    tx = {
        "from": stack.address,
        "chainId": "0x7a69",
        "nonce": "0x1",
        "gas": "0x5208",
        "maxFeePerGas": "0x3b9aca00",
        "maxPriorityFeePerGas": "0x1",
        "to": OTHER,
        "value": "0x1",
        "type": "0x2",
    }
    return {name: value for name, value in (tx | changes).items() if value is not None}


def legacy(stack, **changes):
    return base(stack, **({"type": "0x0", "gasPrice": "0x1", "maxFeePerGas": None, "maxPriorityFeePerGas": None} | changes))


def blob(stack, **changes):
    hashes = ["0x01" + "22" * 31]
    return base(stack, **({"type": "0x3", "maxFeePerBlobGas": "0x1", "blobVersionedHashes": hashes} | changes))


def table(stack):
    """(what is wrong, the transaction, the codes that say so)."""
    big = lambda bits: hex(2**bits)
    many_slots = [{"address": OTHER, "storageKeys": ["0x" + "33" * 32] * 8_193}]
    many_addresses = [{"address": OTHER, "storageKeys": []}] * 1_025
    return (
        ("recipient on the deny list", base(stack, to=BURN), DENIED),
        ("recipient on the deny list, mixed case", base(stack, to=BURN[:-4] + "dEaD"), DENIED),
        ("recipient on the deny list, legacy", legacy(stack, to=BURN), DENIED),
        ("recipient on the deny list, blob", blob(stack, to=BURN), DENIED),
        ("chain the policy does not know", base(stack, chainId="0x5"), DENIED),
        ("chain id 0", base(stack, chainId="0x0"), MALFORMED),
        ("legacy with chain id 0", legacy(stack, chainId="0x0"), MALFORMED),
        ("no chain id", base(stack, chainId=None), MALFORMED),
        ("no nonce", base(stack, nonce=None), MALFORMED),
        ("no gas", base(stack, gas=None), MALFORMED),
        ("no fee", base(stack, maxFeePerGas=None), MALFORMED),
        ("no from", base(stack, **{"from": None}), MALFORMED),
        ("unknown field", base(stack, surprise="0x1"), MALFORMED),
        ("gasPrice beside maxFeePerGas", base(stack, gasPrice="0x1"), MALFORMED),
        ("data and another input", base(stack, data="0x01", input="0x02"), MALFORMED),
        ("odd hex", base(stack, data="0x012"), MALFORMED),
        ("decimal quantity", base(stack, value="12"), MALFORMED),
        ("quantity with a leading zero", base(stack, value="0x01"), MALFORMED),
        ("nonce 2^64", base(stack, nonce=big(64)), MALFORMED),
        ("nonce 2^64 - 1 (EIP-2681)", base(stack, nonce=hex(2**64 - 1)), INVALID),
        ("nonce 2^63, beyond a policy's Long", base(stack, nonce=big(63)), INVALID),
        ("gas 2^64", base(stack, gas=big(64)), MALFORMED),
        ("fee 2^128", base(stack, maxFeePerGas=big(128)), MALFORMED),
        ("value 2^256", base(stack, value=big(256)), MALFORMED),
        ("cost beyond 2^256 - 1", base(stack, value=hex(2**256 - 1)), INVALID),
        ("priority fee above the fee cap", base(stack, maxPriorityFeePerGas="0x3b9aca01"), INVALID),
        ("type 5", base(stack, type="0x5"), {"unsupported_transaction", *MALFORMED}),
        ("a short address", base(stack, to=OTHER[:-2]), MALFORMED),
        ("calldata of 128 KiB and a byte", base(stack, data="0x" + "00" * 131_073), {"too_large", *INVALID}),
        ("initcode of 48 KiB and a byte", base(stack, to=None, data="0x" + "00" * 49_153), {"too_large", *INVALID}),
        ("8,193 slots", base(stack, accessList=many_slots), {"too_large", *INVALID}),
        ("1,025 access-list addresses", base(stack, accessList=many_addresses), {"too_large", *INVALID}),
        ("blob transaction without hashes", blob(stack, blobVersionedHashes=[]), MALFORMED),
        ("blob hash of version 2", blob(stack, blobVersionedHashes=["0x02" + "22" * 31]), INVALID),
        ("blob transaction that creates", blob(stack, to=None), MALFORMED),
        ("blob transaction without its fee", blob(stack, maxFeePerBlobGas=None), MALFORMED),
        ("delegations, but none", base(stack, type="0x4", authorizationList=[]), MALFORMED),
        ("a key the enclave does not hold", base(stack, **{"from": OTHER}), {"unknown_key"}),
    )


def run(stack):
    """Asks for each by REST and by JSON-RPC: how many were asked, and what went wrong."""
    wrong = []
    for ask in (by_rest, by_rpc):
        for plain in (base(stack), legacy(stack), blob(stack)):
            if (code := ask(stack, plain)) is not None:
                wrong.append(f"the plain transaction of type {plain['type']} is refused: {code}")
    rows = table(stack)
    for what, tx, codes in rows:
        for ask in (by_rest, by_rpc):
            if (code := ask(stack, tx)) not in codes:
                wrong.append(f"{what} ({ask.__name__}): {code or 'SIGNED'}, not {sorted(codes)}")
    extra = (wrong_chain, duplicate_key, no_certificate)
    for check in extra:
        wrong += [f"{check.__name__}: {text}" for text in check(stack)]
    return 2 * len(rows) + len(extra), wrong


def by_rest(stack, tx):
    """None if it was signed, else the refusal's code."""
    return code_of(lambda: stack.post("/v1/transactions", {"transaction": tx}))


def by_rpc(stack, tx):
    """None if it was signed, else the refusal's code."""
    return code_of(lambda: stack.rpc("eth_signTransaction", [tx]))


def code_of(ask):
    try:
        ask()
    except Refused as refused:
        return refused.code
    return None


def wrong_chain(stack):
    """/chain/1 does not sign for 31337."""
    code = code_of(lambda: stack.rpc("eth_signTransaction", [base(stack)], "/chain/1"))
    return [] if code == "wrong_chain" else [f"{code}, not wrong_chain"]


def duplicate_key(stack):
    """JSON with a key twice has no meaning."""
    body = '{"jsonrpc":"2.0","id":1,"method":"eth_accounts","method":"eth_chainId","params":[]}'
    reply = stack.session.post(
        stack.url + "/", data=body, headers={"content-type": "application/json"}, timeout=30
    ).json()
    code = reply.get("error", {}).get("data", {}).get("code")
    return [] if code == "malformed_json" else [f"{code or reply}, not malformed_json"]


def no_certificate(stack):
    """Nobody without a client certificate gets as far as HTTP."""
    session = requests.Session()
    session.trust_env = False
    try:
        reply = session.get(stack.url + "/v1/status", verify=stack.tls["verify"], timeout=30)
    except (requests.exceptions.SSLError, requests.exceptions.ConnectionError):
        return []
    return [f"answered {reply.status_code}"]
