// viem as an unmodified client: a wallet client whose account is an address, so that everything is
// signed by the stack. Only the TLS agent is ours.
//
// Reads {url, ca, cert, key, from, transactions, messages, typedData} from stdin; prints what it got.

import { readFileSync } from "node:fs";
import { Agent } from "undici";
import { createWalletClient, http } from "viem";
import { anvil } from "viem/chains";

const asked = JSON.parse(readFileSync(0, "utf8"));
const dispatcher = new Agent({
  connect: { ca: readFileSync(asked.ca), cert: readFileSync(asked.cert), key: readFileSync(asked.key) },
});
const transport = http(asked.url, { batch: true, fetchOptions: { dispatcher } });
const client = createWalletClient({ account: asked.from, chain: anvil, transport });

const big = (tx) => Object.fromEntries(Object.entries(tx).map(([name, value]) =>
  [name, ["gas", "value", "gasPrice", "maxFeePerGas", "maxPriorityFeePerGas"].includes(name) ? BigInt(value) : value]));

const chainId = await client.getChainId();
const accounts = await client.getAddresses();
const [raw, messages, typedData] = await Promise.all([
  Promise.all(asked.transactions.map((transaction) => client.signTransaction(big(transaction)))),
  Promise.all(asked.messages.map((message) => client.signMessage({ message: { raw: message } }))),
  Promise.all(asked.typedData.map((data) => client.signTypedData(data))),
]);
// What its transaction builder fills in is nothing where nothing is missing.
const prepared = await client.prepareTransactionRequest({ ...big(asked.transactions.at(-1)), parameters: ["type", "chainId"] });
raw.push(await client.signTransaction(prepared));
await dispatcher.close();
process.stdout.write(JSON.stringify({ chainId, accounts, raw, messages, typedData }));
