// A client proof with ethers: your key signs each request, and the enclave checks it past the host.
//
//   npm install ethers undici
//   SIGNER_URL=https://… SIGNER_CA=ca.pem SIGNER_CERT=me.pem SIGNER_KEY=me.key \
//   MANIFEST=manifest.cbor CLIENT_KEY=client.key FROM=0x… node ethers.mjs
import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { Transaction, Wallet, hashAuthorization, hexlify } from "ethers";
import { Agent, fetch } from "undici";

const { SIGNER_URL, SIGNER_CA, SIGNER_CERT, SIGNER_KEY, MANIFEST, CLIENT_KEY, FROM } = process.env;

// The domain is of one manifest: under another one the proof is worth nothing.
const manifest = createHash("sha384").update("nitro-signer/manifest/v1").update(readFileSync(MANIFEST)).digest();
const domain = { name: "nitro-signer", version: "1", salt: hexlify(manifest.subarray(0, 32)) };
const members = { action: "string", key: "address", payload: "bytes32", requestId: "bytes32", expiry: "uint64" };
const types = { Request: Object.entries(members).map(([name, type]) => ({ name, type })) };
const wallet = new Wallet(readFileSync(CLIENT_KEY, "utf8").trim());

// `payload` is the hash that `key` will sign: compute it yourself, never take it from the signer.
async function prove(action, key, payload) {
  const requestId = hexlify(randomBytes(32)); // serves once
  const expiry = Math.floor(Date.now() / 1000) + 60; // at most 600 s ahead
  const signature = await wallet.signTypedData(domain, types, { action, key, payload, requestId, expiry });
  return { request_id: requestId, expiry, signature };
}

const dispatcher = new Agent({
  connect: { ca: readFileSync(SIGNER_CA), cert: readFileSync(SIGNER_CERT), key: readFileSync(SIGNER_KEY) },
});
async function post(path, body) {
  const headers = { "content-type": "application/json" };
  const reply = await (await fetch(SIGNER_URL + path, { method: "POST", headers, body: JSON.stringify(body), dispatcher })).json();
  if (reply.code || reply.error) throw new Error(reply.detail ?? reply.error.message);
  return reply;
}

// REST: the proof is a member of the body.
const fields = { type: 2, chainId: 31337, nonce: 7, to: "0x1111111111111111111111111111111111111111", value: 1n,
  gasLimit: 21000n, maxFeePerGas: 2000000000n, maxPriorityFeePerGas: 1000000000n };
const proof = await prove("SignTransaction", FROM, Transaction.from(fields).unsignedHash);
const transaction = { from: FROM, type: "0x2", chainId: "0x7a69", nonce: "0x7", to: fields.to, value: "0x1",
  gas: "0x5208", maxFeePerGas: "0x77359400", maxPriorityFeePerGas: "0x3b9aca00" };
const { raw } = await post("/v1/transactions", { transaction, proof });

// JSON-RPC: the proof stands beside the parameters. An authorization (EIP-7702) is not signed without one.
const authorization = { chainId: 31337, address: "0x2222222222222222222222222222222222222222", nonce: 0 };
const { result } = await post("/", { jsonrpc: "2.0", id: 1, method: "signer_signAuthorization",
  params: [{ from: FROM, ...authorization }], proof: await prove("SignAuthorization", FROM, hashAuthorization(authorization)) });
console.log(JSON.stringify({ raw, authorization: result }));
await dispatcher.close();
