// ethers as an unmodified client: its JsonRpcSigner has transactions signed by the stack.
//
// Reads one JSON object from stdin, {url, ca, cert, key, from, transactions}; prints what it got,
// {chainId, accounts, raw}. Only the TLS agent is ours.
"use strict";

const { readFileSync } = require("node:fs");
const { Agent } = require("node:https");
const { FetchRequest, JsonRpcProvider } = require("ethers");

async function main() {
  const asked = JSON.parse(readFileSync(0, "utf8"));
  const agent = new Agent({
    ca: readFileSync(asked.ca), cert: readFileSync(asked.cert), key: readFileSync(asked.key),
  });
  const request = new FetchRequest(asked.url);
  request.getUrlFunc = FetchRequest.createGetUrlFunc({ agent });
  // Batches are off: the stack takes single requests.
  const provider = new JsonRpcProvider(request, undefined, { batchMaxCount: 1 });
  const chainId = Number((await provider.getNetwork()).chainId);
  const accounts = await provider.send("eth_accounts", []);
  const signer = await provider.getSigner(asked.from);
  const raw = [];
  for (const transaction of asked.transactions) raw.push(await signer.signTransaction(transaction));
  provider.destroy();
  process.stdout.write(JSON.stringify({ chainId, accounts, raw }));
}

main().catch((error) => {
  process.stderr.write(`${String(error?.message ?? error).slice(0, 600)}\n`);
  process.exit(1);
});
