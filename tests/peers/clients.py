"""Do the tools that people have work against the stack as they are?

web3.py (which takes go-ethereum's {raw, tx}) and ethers (which takes the raw transaction) ask for
accounts, chain and signatures by their own methods; the judges read what they got.
"""

import argparse
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cases
from judges import Ethers, disagreements
from stack import Stack
from web3 import HTTPProvider, Web3

CHAIN = 31_337
ACCESS = ((b"\x22" * 20, (b"\x33" * 32, bytes(32))),)
ASKED = (
    cases.Case(type=cases.LEGACY),
    cases.Case(type=cases.LEGACY, to=None, data=b"\x60\x00", value=0),
    cases.Case(type=cases.ACCESS_LIST, access_list=ACCESS, data=b"\x01\x02\x03\x04"),
    cases.Case(type=cases.DYNAMIC_FEE, access_list=ACCESS),
    cases.Case(type=cases.DYNAMIC_FEE, nonce=0, value=0, data=bytes(36)),
)


def by_web3(stack):
    """web3.py's eth.sign_transaction for each."""
    tls = {"verify": stack.tls["verify"], "cert": stack.tls["cert"]}
    web3 = Web3(HTTPProvider(f"{stack.url}/chain/{CHAIN}?result=object", request_kwargs=tls))
    assert web3.eth.chain_id == CHAIN, web3.eth.chain_id
    assert stack.address in web3.eth.accounts, web3.eth.accounts
    for case in ASKED:
        tx = cases.to_eth_account(case) | {"from": stack.address}
        if case.to is None:
            del tx["to"]
        yield "0x" + bytes(web3.eth.sign_transaction(tx)["raw"]).hex()


def by_ethers(stack, node_modules):
    """ethers' JsonRpcSigner.signTransaction for each."""
    certificate, key = stack.tls["cert"]
    question = {
        "url": f"{stack.url}/chain/{CHAIN}",
        "ca": stack.tls["verify"],
        "cert": certificate,
        "key": key,
        "from": stack.address,
        "transactions": [ethers_request(case) for case in ASKED],
    }
    done = subprocess.run(
        ["node", str(Path(__file__).with_name("ethers_client.cjs"))],
        input=json.dumps(question),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
        env={**os.environ, "NODE_PATH": str(node_modules)},
    )
    answer = json.loads(done.stdout)
    assert answer["chainId"] == CHAIN, answer["chainId"]
    assert stack.address.lower() in [a.lower() for a in answer["accounts"]], answer["accounts"]
    return answer["raw"]


def ethers_request(case):
    """The case as ethers' TransactionRequest."""
    tx = {
        "type": case.type,
        "chainId": case.chain_id,
        "nonce": case.nonce,
        "gasLimit": hex(case.gas),
        "value": hex(case.value),
        "data": "0x" + case.data.hex(),
    }
    if case.to is not None:
        tx["to"] = "0x" + case.to.hex()
    if case.type <= cases.ACCESS_LIST:
        tx["gasPrice"] = hex(case.fee)
    else:
        tx |= {"maxFeePerGas": hex(case.fee), "maxPriorityFeePerGas": hex(case.priority)}
    if case.access_list:
        tx["accessList"] = [["0x" + a.hex(), ["0x" + s.hex() for s in ss]] for a, ss in case.access_list]
    return tx


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--stack", required=True, help="stack.json of a running stack")
    arguments.add_argument("--node-modules", required=True, help="where npm put ethers")
    options = arguments.parse_args()
    stack, wrong = Stack(options.stack), []
    with Ethers(options.node_modules) as ethers:
        tools = {"web3.py": by_web3(stack), "ethers": by_ethers(stack, options.node_modules)}
        for tool, raws in tools.items():
            for case, raw in zip(ASKED, raws, strict=True):
                case = replace(case, chain_id=CHAIN)
                wrong += [f"{tool}: {text}" for text in disagreements(case, raw, stack.address, ethers)]
    print(f"clients: web3.py and ethers had {len(ASKED)} transactions signed each, {len(wrong)} mismatches")
    for text in wrong:
        print("MISMATCH", text)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
