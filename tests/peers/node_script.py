"""Runs a script in Node with the pinned packages beside it.

An ES module finds packages only in a `node_modules` next to it, whatever NODE_PATH says; so it is
copied to where there is one.
"""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

TIMEOUT_S = 60


def run(script, node_modules, asked=None, environment=None):
    """What the script prints, read as JSON; `asked` is its standard input, as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        os.symlink(Path(node_modules).resolve(), Path(folder) / "node_modules")
        copy = shutil.copy(script, folder)
        done = subprocess.run(
            ["node", copy],
            input=json.dumps(asked),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=TIMEOUT_S,
            env={**os.environ, **(environment or {})},
        )
    return json.loads(done.stdout)
