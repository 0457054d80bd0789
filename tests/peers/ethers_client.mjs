// ethers as an unmodified client: its JsonRpcSigner has everything signed by the stack, in batches
// as it makes them. Only the TLS agent is ours.
//
// Reads {url, ca, cert, key, from, transactions, messages, typedData} from stdin; prints what it got.

import { readFileSync } from "node:fs";
import { Agent } from "node:https";
import { FetchRequest, JsonRpcProvider, getBytes } from "ethers";

const asked = JSON.parse(readFileSync(0, "utf8"));
const agent = new Agent({
  ca: readFileSync(asked.ca), cert: readFileSync(asked.cert), key: readFileSync(asked.key),
});
const request = new FetchRequest(asked.url);
request.getUrlFunc = FetchRequest.createGetUrlFunc({ agent });
const provider = new JsonRpcProvider(request);

const chainId = Number((await provider.getNetwork()).chainId);
const accounts = await provider.send("eth_accounts", []);
const signer = await provider.getSigner(asked.from);
const [raw, messages, typedData] = await Promise.all([
  Promise.all(asked.transactions.map((transaction) => signer.signTransaction(transaction))),
  Promise.all(asked.messages.map((message) => signer.signMessage(getBytes(message)))),
  Promise.all(asked.typedData.map(([domain, types, message]) => signer.signTypedData(domain, types, message))),
]);
provider.destroy();
agent.destroy();
process.stdout.write(JSON.stringify({ chainId, accounts, raw, messages, typedData }));
