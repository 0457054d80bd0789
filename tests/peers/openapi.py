"""Does the running stack do what its OpenAPI document says, and is the document one?

openapi-spec-validator reads the document; schemathesis then asks every route what the document
allows and what it does not, and judges each answer: status, content type, headers, schema. Our
part is to see that signatures were among the answers: a stack that refuses everything fails.
"""

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import requests
from openapi_spec_validator import validate

HERE = Path(__file__).resolve().parent
CONFIG = HERE / "schemathesis.toml"
SIGNING = ("transactions", "messages", "typed-data")


def fetch(stack, path):
    session = requests.Session()
    session.trust_env = False
    reply = session.get(
        stack["url"].rstrip("/") + path,
        verify=stack["ca"],
        cert=(stack["client_cert"], stack["client_key"]),
        timeout=30,
    )
    reply.raise_for_status()
    return reply.json()


def schemathesis(stack, report):
    environment = os.environ | {
        "SCHEMATHESIS_HOOKS": "openapi_hooks",
        "PYTHONPATH": str(HERE),
        "STACK_ADDRESS": stack["addresses"][0],
    }
    command = [
        Path(sys.executable).parent / "st", "--no-color", "--config-file", CONFIG, "run",
        stack["url"].rstrip("/") + "/openapi.json",
        "--tls-verify", stack["ca"],
        "--request-cert", stack["client_cert"], "--request-cert-key", stack["client_key"],
        "--report", "ndjson", "--report-ndjson-path", report,
    ]
    return subprocess.run(command, env=environment, stdin=subprocess.DEVNULL).returncode


def answers(report):
    """How often each operation was answered with each status."""
    counts = Counter()
    for line in report.open():
        for scenario in filter(None, [json.loads(line).get("ScenarioFinished")]):
            recorder = scenario["recorder"]
            for interaction in recorder.get("interactions", {}).values():
                if response := interaction.get("response"):
                    counts[recorder["label"], response["status_code"]] += 1
    return counts


def unsigned(counts):
    """The routes on which the stack signed nothing for its certificate alone."""
    signed = {route: counts[f"POST /v1/{route}", 200] for route in SIGNING}
    print(f"openapi: {counts.total()} answers, signatures " + json.dumps(signed))
    return [route for route, count in signed.items() if count == 0]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stack", type=Path)
    parser.add_argument("--report", type=Path, required=True)
    arguments = parser.parse_args()
    stack = json.loads(arguments.stack.read_text())
    document = fetch(stack, "/openapi.json")
    validate(document)
    print(f"openapi: a valid document of {len(document['paths'])} paths", flush=True)
    status = schemathesis(stack, arguments.report)
    missing = unsigned(answers(arguments.report))
    if missing:
        print("openapi: nothing was signed by", *missing)
    return status or bool(missing)


if __name__ == "__main__":
    sys.exit(main())
