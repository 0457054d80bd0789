"""The inputs, read once and strictly: what is empty, unknown or of several lines is refused.

An empty input is no absent one. An expression that yields nothing (a missing secret, a misspelt
output) must not switch off the check that it was to feed, so `none` says that one is not wanted.
"""

import re
from dataclasses import dataclass

from verdict import unusable

NONE = "none"
# Options of the command that take one value, and those that take none; inputs have their names.
OPTIONS = ("manifest", "nonce", "role-arn", "instance-id", "max-age", "at", "root", "ca", "cert", "key")
FLAGS = ("without-manifest", "allow-debug")

MAX_CHARACTERS = 4_096  # As Linux limits a path; nothing else comes near it.
MAX_ADDRESSES = 64
MAX_TIMEOUT_S = 600


@dataclass(frozen=True)
class Pin:
    """What the measurements are checked by: a digest in hex, or a signature's file and the public
    key in PEM."""

    sha256: str | None
    signature: str | None
    public_key: str | None


@dataclass(frozen=True)
class Inputs:
    """What is asked. `options` has no entry for what is not wanted."""

    binary: str
    binary_sha256: str
    document: str
    measurements: str
    pin: Pin
    options: dict
    flags: frozenset
    addresses: list
    timeout_s: int

    def arguments(self, measurements):
        """The command's, without its own name. No value can be taken for an option."""
        options = [f"--{name}={value}" for name, value in self.options.items()]
        flags = [f"--{name}" for name in FLAGS if name in self.flags]
        addresses = [f"--address={address}" for address in self.addresses]
        fixed = ["attestation", "verify", f"--expect={measurements}", "--format=json"]
        return [*fixed, *options, *flags, *addresses, "--", self.document]


def read_inputs(env):
    """Every input, or Stop."""
    options = {name: value for name in OPTIONS if (value := optional(env, name)) is not None}
    flags = frozenset(name for name in FLAGS if switch(env, name))
    if "manifest" in options and "without-manifest" in flags:
        raise unusable("Both manifest and without-manifest are given.", "Leave one of them out.")
    return Inputs(
        binary=required(env, "binary"),
        binary_sha256=digest("binary-sha256", required(env, "binary-sha256")),
        document=document(env),
        measurements=required(env, "expect"),
        pin=pin(env),
        options=options,
        flags=flags,
        addresses=addresses(env),
        timeout_s=timeout(env),
    )


def given(env, name):
    """The input as it stands, neither absent nor empty."""
    value = env.get("INPUT_" + name.upper().replace("-", "_"))
    if not value:
        remedy = f"Give it a value; {NONE} says that an optional one is not wanted."
        raise unusable(f"The input {name} is empty.", remedy)
    return value


def one_line(env, name):
    value = given(env, name)
    if len(value) > MAX_CHARACTERS or not value.isprintable():
        remedy = f"Give at most {MAX_CHARACTERS} printable characters and no line break."
        raise unusable(f"The input {name} is not one line of text.", remedy)
    return value


def optional(env, name):
    value = one_line(env, name)
    return None if value == NONE else value


def required(env, name):
    value = optional(env, name)
    if value is None:
        raise unusable(f"The input {name} is required.", "Give it a value.")
    return value


def switch(env, name):
    value = one_line(env, name)
    if value not in ("true", "false"):
        raise unusable(f"The input {name} is neither true nor false.", "Write true or false.")
    return value == "true"


def digest(name, value):
    if not re.fullmatch(r"[0-9a-fA-F]{64}", value):
        raise unusable(f"The input {name} is not 64 hex digits.", "Give a SHA-256 as sha256sum prints it.")
    return value.lower()


def document(env):
    value = required(env, "document")
    if value == "-":
        raise unusable("The document is -, but a step has no standard input.", "Give a path or a URL.")
    return value


def pin(env):
    sha256, signature = optional(env, "measurements-sha256"), optional(env, "measurements-signature")
    public_key = given(env, "measurements-public-key")
    if (sha256 is None) == (signature is None):
        remedy = "Give exactly one of measurements-sha256 and measurements-signature."
        raise unusable("The measurements must be pinned by a digest or by a signature.", remedy)
    if (signature is None) != (public_key == NONE):
        remedy = "Give measurements-signature and measurements-public-key together."
        raise unusable("A signature and its public key go together.", remedy)
    if signature is None:
        return Pin(digest("measurements-sha256", sha256), None, None)
    return Pin(None, signature, public_key)


def addresses(env):
    value = given(env, "address")
    if value == NONE:
        return []
    # A block of YAML ends with a line break.
    lines = value.removesuffix("\n").split("\n")
    if len(lines) > MAX_ADDRESSES or not all(re.fullmatch(r"0x[0-9a-fA-F]{40}", line) for line in lines):
        remedy = f"Give one address a line, 0x and 40 hex digits, at most {MAX_ADDRESSES}."
        raise unusable("The input address is not a list of addresses.", remedy)
    return lines


def timeout(env):
    value = one_line(env, "timeout-seconds")
    if not re.fullmatch(r"[1-9][0-9]{0,2}", value) or int(value) > MAX_TIMEOUT_S:
        raise unusable("The input timeout-seconds is out of range.", f"Give a number from 1 to {MAX_TIMEOUT_S}.")
    return int(value)
