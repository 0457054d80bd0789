"""Runs the command within limits of time and output, and without a shell."""

import os
import resource
import signal
import subprocess
from dataclasses import dataclass

from verdict import contradiction, unusable

MAX_REPORT = 4 << 20  # Bytes of JSON; a document with its claims fills some thousands.
MAX_ERRORS = 4_096  # What is read of standard error: a usage message has some hundreds of bytes.


@dataclass(frozen=True)
class Ended:
    """How the command ended."""

    exit_code: int
    output: bytes
    errors: bytes


def run(command, private, timeout_s):
    """Runs it; what it prints goes to new files in `private`, whose size the system limits.

    The environment is empty: a stack file named there would bring a root and measurements along.
    """
    output, errors = private / "output", private / "errors"
    with open(output, "xb") as out, open(errors, "xb") as err:
        exit_code = wait(command, timeout_s, out, err)
    if output.stat().st_size > MAX_REPORT:
        raise contradiction(f"The command printed more than {MAX_REPORT} bytes.")
    with open(errors, "rb") as err:
        return Ended(exit_code, output.read_bytes(), err.read(MAX_ERRORS))


def wait(command, timeout_s, out, err):
    """Its exit code; below 0 if a signal ended it."""
    try:
        process = subprocess.Popen(
            command, env={}, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
            start_new_session=True, preexec_fn=limit_files,
        )
    except (OSError, subprocess.SubprocessError) as error:
        remedy = "Use the release's build for this runner's platform."
        raise unusable(f"The binary cannot be started: {error}.", remedy) from error
    try:
        return process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        # It leads a process group of its own, and what it started is in there.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise contradiction(f"The command did not end within {timeout_s} s and was killed.") from None


def limit_files():
    """One byte more than a report may have, so that a longer one is noticed."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_REPORT + 1, MAX_REPORT + 1))
