"""Does the stack sign exactly what it was asked, for every type and at every boundary?

Generates transactions, has each signed by JSON-RPC or REST, and lets eth-account and ethers judge
the bytes that came back. Then asks for what must be refused. One mismatch ends with exit code 1.
The seed is printed; `--seed` repeats a run.
"""

import argparse
import random
import secrets
import sys
import time
from collections import Counter

import cases
import refusals
from eth_account import Account
from judges import Ethers, disagreements, ethers_can_judge, signing_hash
from stack import Refused, Stack

SHOWN = 10
# How a client may ask; the manifest lets the certificate sign every kind without a proof.
WAYS = ("json-rpc", "json-rpc-object", "rest", "rest-proved")


def sign(stack, case, rng, by):
    """Has the case signed in one of the ways a client can; gives the raw transaction."""
    tx = cases.to_json(case, stack.address, rng)
    if by == "json-rpc":
        return stack.rpc("eth_signTransaction", [tx], f"/chain/{case.chain_id}")
    if by == "json-rpc-object":
        reply = stack.rpc("eth_signTransaction", [tx], f"/chain/{case.chain_id}?result=object")
        return reply["raw"]
    body = {"transaction": tx}
    if by == "rest-proved":
        body["proof"] = stack.prove_transaction(signing_hash(case))
    reply = stack.post("/v1/transactions", body)
    check_reply(case, reply)
    return reply["raw"]


def check_reply(case, reply):
    """What REST says beside the raw transaction must be true of it."""
    want = "0x" + signing_hash(case).hex()
    if reply["signing_hash"] != want:
        raise AssertionError(f"signing_hash is {reply['signing_hash']}, eth-account has {want}")
    recovered = Account._recover_hash(
        bytes.fromhex(want[2:]),
        vrs=(int(reply["y_parity"]), int(reply["r"], 16), int(reply["s"], 16)),
    )
    if recovered != Account.recover_transaction(reply["raw"]):
        raise AssertionError("r, s and y_parity are not the raw transaction's")


def run(stack, ethers, kind, count, rng):
    """One type: how many were judged by whom, and the mismatches as sentences."""
    wrong, judged = [], Counter()
    for number, case in enumerate(cases.generate(kind, count, rng)):
        by = WAYS[number % len(WAYS)]
        try:
            raw = sign(stack, case, rng, by)
            found = disagreements(case, raw, stack.address, ethers)
        except (Refused, AssertionError, KeyError, TypeError, ValueError) as error:
            found = [f"{type(error).__name__}: {error}"]
        judged.update(["cases", by, *(["ethers"] if ethers_can_judge(case) else [])])
        wrong += [f"type {kind}, case {number} by {by}: {text}\n    {brief(case)}" for text in found]
    return judged, wrong


def brief(case):
    """The case on one line, long bytes cut."""
    return repr(case)[:400]


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--stack", required=True, help="stack.json of a running stack")
    arguments.add_argument("--node-modules", required=True, help="where npm put ethers")
    arguments.add_argument("--count", type=int, default=204, help="least cases a type (204: ethers judges at least 200 of them)")
    arguments.add_argument("--seed", type=int, default=None, help="repeats a run")
    options = arguments.parse_args()
    seed = options.seed if options.seed is not None else secrets.randbits(64)
    print(f"seed {seed}", flush=True)

    stack, mismatches = Stack(options.stack), []
    with Ethers(options.node_modules) as ethers:
        for kind in cases.TYPES:
            started = time.monotonic()
            judged, wrong = run(
                stack, ethers, kind, options.count, random.Random(f"{seed}/{kind}")
            )
            mismatches += wrong
            took = time.monotonic() - started
            asked = ", ".join(f"{by} {judged[by]}" for by in WAYS)
            print(
                f"type {kind}: {judged['cases']} signed ({asked}), all judged by eth-account, "
                f"{judged['ethers']} by ethers, {len(wrong)} mismatches, {took:.1f} s",
                flush=True,
            )
    asked, wrong = refusals.run(stack)
    mismatches += wrong
    print(f"refusals: {asked} asked for, {len(wrong)} mismatches")
    for text in mismatches[:SHOWN]:
        print("MISMATCH", text)
    if len(mismatches) > SHOWN:
        print(f"… and {len(mismatches) - SHOWN} more; repeat with --seed {seed}")
    return 1 if mismatches else 0


if __name__ == "__main__":
    sys.exit(main())
