"""What schemathesis is told of the running stack, so that signing succeeds too.

The document's examples are about one address; here that becomes the stack's own, before the
document is read. Generated bodies are about that address as well, wherever an address would do.
"""

import json
import os
import re

import schemathesis

EXAMPLE = "0x" + "11" * 20
ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
OURS = os.environ["STACK_ADDRESS"]


@schemathesis.hook
def before_load_schema(_context, raw_schema):
    ours = json.loads(json.dumps(raw_schema).replace(EXAMPLE, OURS))
    raw_schema.clear()
    raw_schema.update(ours)


@schemathesis.hook
def map_body(_context, body):
    return about_us(body)


@schemathesis.hook
def map_path_parameters(_context, parameters):
    return {name: about_us(value, name) for name, value in (parameters or {}).items()}


def about_us(value, name=None):
    """The same with our address for every sender that is one."""
    if isinstance(value, dict):
        return {name: about_us(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [about_us(item) for item in value]
    if name in ("from", "address", "identifier") and isinstance(value, str) and ADDRESS.fullmatch(value):
        return OURS
    return value
