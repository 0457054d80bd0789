"""Verifies an attestation by the released nitro-signer, and says on GitHub what came of it.

It exists so that a workflow cannot get this wrong in shell. It must never run a binary or use
measurements that are not the pinned ones, hand a value to a shell, call something verified for
which the command and its report do not both vouch, or print what an appliance says in a form that
the runner or a browser takes for more than text.

    in    INPUT_* (action.yml says what each is), RUNNER_TEMP
    out   GITHUB_OUTPUT, GITHUB_STEP_SUMMARY, annotations on standard output
    exit  the command's: 0 verified, 1 mismatch, 2 usage, 3 malformed, 4 chain or signature, 5 time,
          6 debug mode, 7 fetch failed. Of its own: 2 if an input cannot be used or is not as
          pinned, and then nothing was run; 3 if what the command did contradicts itself.

Python 3.10 or later, and nothing but its standard library: it runs on other people's runners.
"""

import os
import sys
import tempfile
from pathlib import Path

from command import run
from github import annotation, plain, publish
from inputs import read_inputs
from pins import take_binary, take_measurements
from report import judge
from verdict import Stop


def main(env):
    """Verifies and publishes; the exit code."""
    pinned = {}
    try:
        verdict = verify(read_inputs(env), env["RUNNER_TEMP"], pinned)
    except Stop as stop:
        verdict = stop.verdict(pinned)
    publish(verdict, env)
    return verdict.exit_code


def verify(inputs, temp, pinned):
    """Checks the pins, runs the command, judges what it says; notes in `pinned` what was checked."""
    with tempfile.TemporaryDirectory(prefix="verify-attestation-", dir=temp) as private:
        # What is checked are copies, and the copies are used: the originals may change meanwhile.
        binary = take_binary(inputs, Path(private, "nitro-signer"), pinned)
        measurements = take_measurements(inputs, Path(private, "measurements.json"), pinned)
        ended = run([str(binary), *inputs.arguments(measurements)], Path(private), inputs.timeout_s)
    return judge(inputs, ended, pinned)


def start():
    """`main` with the real environment. Python's own exit code for a fault, 1, would say mismatch."""
    try:
        return main(os.environ)
    except Exception as error:
        message = plain(f"A fault of the action's own: {type(error).__name__}: {error}")
        print(annotation("error", "Attestation not verified", message), flush=True)
        return 3


if __name__ == "__main__":
    sys.exit(start())
