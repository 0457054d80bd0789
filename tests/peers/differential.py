"""Does the stack hash and sign as ethers and eth-account do, for everything that a key signs?

Generates cases of every kind, asks for them in JSON-RPC batches of 100 in random order, and
compares each answer with both judges: the hash, the signer, and for transactions the whole
encoding. One mismatch ends with exit code 1. The seed is printed; `--from-seed` repeats a run, each
batch of it the same whatever the count and the jobs.
"""

import argparse
import os
import random
import secrets
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

import kinds
from judges import Ethers, by_hash, expected_verdict
from stack import Prover, Stack

BATCH = 100
SHOWN = 10
REPORT_EVERY_S = 60
# Requests without a proof are the certificate's, which may sign most kinds.
PROVED = 0.3
ENDPOINTS = (None, None, 1, 31_337)


class Asker:
    """One stream of batches: the stack, both judges, and what they found."""

    def __init__(self, options, seed):
        self.stack = Stack(options.stack)
        self.prover = Prover(self.stack)
        self.ethers = Ethers(options.node_modules)
        self.seed, self.recovers = seed, options.ethers_recovers
        self.cases, self.proved, self.wrong = Counter(), Counter(), []
        self.asked_of_ethers = []

    def ask(self, batch, several, chain):
        """Has a batch signed; leaves it with ethers, which judges beside the next one."""
        rng = random.Random(f"{self.seed}/spelling/{batch}")
        requests = [self.request(i, case, rng, chain) for i, case in enumerate(several)]
        path = "/" if chain is None else f"/chain/{chain}"
        if rng.random() < 0.2:
            path += "?result=object"
        answers = self.stack.batch(requests, path)
        questions = []
        for i, (case, answer) in enumerate(zip(several, answers, strict=True)):
            self.cases[case.kind] += 1
            name = f"batch {batch}, item {i}"
            if answer.get("id") != i or "result" not in answer:
                self.mismatch(name, case, str(answer)[:400])
                continue
            try:
                wrong, question = by_hash(case, answer["result"], self.stack.address)
                questions.append((name, case, question))
                for text in wrong:
                    self.mismatch(name, case, text)
            except Exception as error:  # A wrong answer may break any of the libraries.
                self.mismatch(name, case, f"{type(error).__name__}: {error}")
        self.hear_ethers()
        if questions:
            items = [question for _, _, question in questions]
            self.ethers.put("many", items=items, recovers=self.recovers)
        self.asked_of_ethers = questions

    def request(self, number, case, rng, chain):
        case.prepare()
        params = case.params(self.stack.address, rng, chain)
        request = {"jsonrpc": "2.0", "id": number, "method": case.method, "params": params}
        if case.kind in kinds.PROVED_ALWAYS or rng.random() < PROVED:
            request["proof"] = self.prover.prove(case.action, case.hash)
            self.proved[case.kind] += 1
        return request

    def hear_ethers(self):
        """Compares ethers' verdicts on the batch before."""
        if not self.asked_of_ethers:
            return
        verdicts = self.ethers.take()
        if not isinstance(verdicts, list):
            raise AssertionError(f"ethers judged nothing: {verdicts}")
        judged = zip(self.asked_of_ethers, verdicts, strict=True)
        for place, ((name, case, _), verdict) in enumerate(judged):
            expected = expected_verdict(case, self.stack.address, place % self.recovers == 0)
            if verdict != expected:
                self.mismatch(name, case, f"ethers has {verdict}, not {expected}")
        self.asked_of_ethers = []

    def mismatch(self, name, case, text):
        self.wrong.append((case.kind, f"{name}: {text}\n    {case!r}"[:1_200]))


def boundary_batches(seed):
    """The cases of every run, shuffled, in batches."""
    rng = random.Random(f"{seed}/boundaries")
    several = list(kinds.boundaries(rng))
    rng.shuffle(several)
    return [several[i : i + BATCH] for i in range(0, len(several), BATCH)]


def run(options, seed, job):
    """Every `jobs`th batch from this one."""
    boundaries, asker = boundary_batches(seed), Asker(options, seed)
    batches = -(-options.count // BATCH)
    reported = time.monotonic()
    with asker.ethers:
        for batch in range(job, batches, options.jobs):
            rng = random.Random(f"{seed}/{batch}")
            several = boundaries[batch] if batch < len(boundaries) else []
            chain = None if several else rng.choice(ENDPOINTS)
            several = several + [kinds.mixture(rng, chain) for _ in range(BATCH - len(several))]
            asker.ask(batch, several, chain)
            if time.monotonic() - reported > REPORT_EVERY_S:
                reported = time.monotonic()
                done, wrong = sum(asker.cases.values()), len(asker.wrong)
                print(f"job {job}: {done} cases, {wrong} mismatches", flush=True)
        asker.hear_ethers()
    return asker.cases, asker.proved, asker.wrong


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--stack", required=True, help="stack.json of a running stack")
    arguments.add_argument("--node-modules", required=True, help="where npm put ethers")
    arguments.add_argument("--count", type=int, default=10_000, help="least cases")
    arguments.add_argument("--from-seed", "--seed", type=int, default=None, help="repeats a run")
    arguments.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="streams at once")
    arguments.add_argument("--ethers-recovers", type=int, default=1, metavar="N",
                           help="ethers recovers each Nth signer; it hashes every case, eth-account does both")
    options = arguments.parse_args()
    seed = options.from_seed if options.from_seed is not None else secrets.randbits(64)
    print(f"seed {seed}", flush=True)

    started = time.monotonic()
    counted, proved, mismatches = Counter(), Counter(), []
    with ProcessPoolExecutor(options.jobs) as pool:
        jobs = [pool.submit(run, options, seed, job) for job in range(options.jobs)]
        for job in jobs:
            found = job.result()
            counted += found[0]
            proved += found[1]
            mismatches += found[2]
    took = time.monotonic() - started
    wrong = Counter(kind for kind, _ in mismatches)
    part = f" (which recovers each {options.ethers_recovers}th signer)" if options.ethers_recovers > 1 else ""
    for kind in kinds.KINDS:
        print(
            f"{kind}: {counted[kind]} signed ({proved[kind]} with a proof), "
            f"all judged by eth-account and ethers{part}, {wrong[kind]} mismatches"
        )
    total = sum(counted.values())
    print(f"differential: {total} cases, {len(mismatches)} mismatches, {took:.1f} s")
    for _, text in mismatches[:SHOWN]:
        print("MISMATCH", text)
    if len(mismatches) > SHOWN:
        print(f"… and {len(mismatches) - SHOWN} more; repeat with --from-seed {seed}")
    return 1 if mismatches or total < options.count else 0


if __name__ == "__main__":
    sys.exit(main())
