"""Do the recipes for client proofs work as they stand in recipes/, and is the README's one of them?

Each is run as a reader would run it, with nothing but its environment; the judges read what it got.
That the proofs matter shows in the authorization, which is not signed without one.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import cases
import kinds
import node_script
from judges import Ethers, judge
from stack import Stack

RECIPES = Path(__file__).with_name("recipes")
README = RECIPES.parents[2] / "README.md"
TIMEOUT_S = 60
TRANSACTION = cases.Case(type=cases.DYNAMIC_FEE, nonce=7, to=b"\x11" * 20, value=1, gas=21_000)
AUTHORIZATION = (31_337, b"\x22" * 20, 0)


def environment(options, stack):
    """What a recipe reads."""
    facts = json.loads(Path(options.stack).read_text())
    return {
        "SIGNER_URL": stack.url,
        "SIGNER_CA": facts["ca"],
        "SIGNER_CERT": facts["client_cert"],
        "SIGNER_KEY": facts["client_key"],
        "MANIFEST": facts["manifest"],
        "CLIENT_KEY": facts["client_proof_key"],
        "FROM": stack.address,
    }


def check_readme():
    """The README's recipe stands in ethers.mjs word for word."""
    _, _, rest = README.read_text().partition("```js\n")
    recipe = rest.partition("```")[0]
    found = recipe and recipe in (RECIPES / "ethers.mjs").read_text()
    return [] if found else ["the README's recipe is not that of recipes/ethers.mjs"]


def by_python(script, variables):
    command = [sys.executable, script]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=True, timeout=TIMEOUT_S, env=variables
    )
    return json.loads(done.stdout)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--stack", required=True, help="stack.json of a running stack")
    arguments.add_argument("--node-modules", required=True, help="where npm put ethers and viem")
    options = arguments.parse_args()
    stack, wrong = Stack(options.stack), check_readme()
    variables = environment(options, stack)
    scripts = sorted(path for path in RECIPES.iterdir() if path.suffix in (".mjs", ".py"))
    with Ethers(options.node_modules) as ethers:
        for script in scripts:
            asked = [kinds.Transaction(TRANSACTION), kinds.AuthorizationCase(*AUTHORIZATION)]
            try:
                if script.suffix == ".py":
                    got = by_python(script, variables)
                else:
                    got = node_script.run(script, options.node_modules, environment=variables)
                results = [got["raw"], got["authorization"]]
                wrong += [f"{script.name}: {text}" for text in judge(asked, results, stack.address, ethers)]
            except (subprocess.SubprocessError, KeyError, ValueError) as error:
                wrong.append(f"{script.name}: {type(error).__name__}: {error}")
    print(f"recipes: {', '.join(script.name for script in scripts)}; {len(wrong)} mismatches")
    for text in wrong:
        print("MISMATCH", text)
    return 1 if wrong or len(scripts) != 3 else 0


if __name__ == "__main__":
    sys.exit(main())
