"""The binary and the measurements become ours and are checked before anything uses them.

Each is copied into a folder that only this user can open; the copy is hashed while it is written,
and the copy is what is used. Everything else that an input names is taken as it stands.
"""

import base64
import hashlib
import os
import re
import shutil
import stat
import subprocess

from verdict import unusable

MAX_BINARY = 256 << 20  # A build with all its symbols has 80 MiB.
MAX_MEASUREMENTS = 1 << 20  # The command itself reads 64 KiB.
MAX_SIGNATURE = 1_024  # ECDSA P-256 in DER has at most 72 bytes, Ed25519 64.
OPENSSL_TIMEOUT_S = 30

# The public keys accepted: how their SubjectPublicKeyInfo begins, and its whole length in bytes.
KEYS = (
    # RFC 5480, an uncompressed point.
    ("ECDSA P-256", bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004"), 91),
    # RFC 8410.
    ("Ed25519", bytes.fromhex("302a300506032b6570032100"), 44),
)


def take_binary(inputs, target, pinned):
    """The path of the copy, which becomes executable only as the pinned one."""
    sha256 = copy("binary", inputs.binary, target, MAX_BINARY)
    if sha256 != inputs.binary_sha256:
        raise not_as_pinned("binary", f"its SHA-256 is {sha256}, not {inputs.binary_sha256}")
    target.chmod(0o500)
    pinned["binary"] = f"SHA-256 {sha256}"
    return target


def take_measurements(inputs, target, pinned):
    """The path of the copy, which is as its digest or signature says."""
    sha256 = copy("expect", inputs.measurements, target, MAX_MEASUREMENTS)
    if inputs.pin.sha256 is None:
        kind = require_signature(target, inputs.pin)
        pinned["measurements"] = f"SHA-256 {sha256}, signature {kind}"
    elif sha256 == inputs.pin.sha256:
        pinned["measurements"] = f"SHA-256 {sha256}"
    else:
        raise not_as_pinned("measurements file", f"its SHA-256 is {sha256}, not {inputs.pin.sha256}")
    return target


def not_as_pinned(what, why):
    remedy = "Find out who changed it. A new pin comes from the publisher, never from the file itself."
    return unusable(f"The {what} is not the pinned one and was not used: {why}.", remedy)


def copy(name, source, target, limit):
    """Copies the file that the input `name` names, of at most `limit` bytes; its SHA-256 in hex."""
    sha256, left = hashlib.sha256(), limit
    try:
        with open_regular(source) as original, open(target, "xb", opener=for_owner) as ours:
            while block := original.read(1 << 20):
                left -= len(block)
                if left < 0:
                    raise unusable(f"The file of {name} has more than {limit} bytes.", "Name the right file.")
                sha256.update(block)
                ours.write(block)
    except OSError as error:
        raise unusable(f"The file of {name} cannot be read: {error}.", "Name a file that is there.") from error
    return sha256.hexdigest()


def open_regular(path):
    """Opens a regular file and nothing else: a pipe would make us wait."""
    opened = open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))
    if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
        opened.close()
        raise OSError("not a regular file")
    return opened


def for_owner(path, flags):
    return os.open(path, flags, 0o600)


def require_signature(measurements, pin):
    """The kind of the signature, which holds over the measurements."""
    kind, der = public_key(pin.public_key)
    key, signature = measurements.with_name("key.der"), measurements.with_name("signature")
    key.write_bytes(der)
    copy("measurements-signature", pin.signature, signature, MAX_SIGNATURE)
    command = {
        "ECDSA P-256": ["dgst", "-sha256", "-keyform", "DER", "-verify", key, "-signature", signature, measurements],
        "Ed25519": ["pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", key, "-rawin", "-in", measurements,
                    "-sigfile", signature],
    }[kind]
    if not openssl(command):
        raise not_as_pinned("measurements file", f"no {kind} signature of the given key over it")
    return kind


def public_key(pem):
    """A key's kind and its DER; no other kind of key, and nothing beside it in the PEM."""
    framed = re.fullmatch(r"-----BEGIN PUBLIC KEY-----\s([0-9A-Za-z+/=\s]+)\s-----END PUBLIC KEY-----\s*", pem)
    try:
        der = base64.b64decode("".join(framed[1].split())) if framed else b""
    except ValueError:
        der = b""
    for kind, start, length in KEYS:
        if der.startswith(start) and len(der) == length:
            return kind, der
    remedy = "Give the PEM text itself (BEGIN PUBLIC KEY) of an ECDSA P-256 or Ed25519 key."
    raise unusable("The input measurements-public-key is not a public key that is accepted.", remedy)


def openssl(arguments):
    """Whether openssl says yes. Its environment is empty, so that no configuration takes part."""
    program = shutil.which("openssl")
    if program is None:
        remedy = "Install it, or pin the measurements by measurements-sha256."
        raise unusable("This runner has no openssl to check the signature with.", remedy)
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    try:
        return subprocess.run([program, *arguments], env={}, timeout=OPENSSL_TIMEOUT_S, **quiet).returncode == 0
    except subprocess.TimeoutExpired:
        return False
