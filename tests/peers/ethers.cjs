// Says what ethers makes of whatever was signed, one JSON line in, one out.
//
// It is a judge and decides nothing: the caller compares. ethers keeps a nonce as a JavaScript
// number, so beyond 2^53 - 1 the RLP is read field by field, still by ethers' own decoder.

"use strict";

const { createInterface } = require("node:readline");
const {
  Transaction, TypedDataEncoder, concat, dataLength, dataSlice, decodeRlp, encodeRlp,
  getBytes, hashAuthorization, hashMessage, hexlify, keccak256, recoverAddress, toBeArray,
  verifyTypedData,
} = require("ethers");

const HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0n;

const FIELDS = {
  0: ["nonce", "gasPrice", "gas", "to", "value", "data", "v", "r", "s"],
  1: ["chainId", "nonce", "gasPrice", "gas", "to", "value", "data", "accessList"],
  2: ["chainId", "nonce", "priority", "fee", "gas", "to", "value", "data", "accessList"],
  3: ["chainId", "nonce", "priority", "fee", "gas", "to", "value", "data", "accessList", "blobFee", "blobHashes"],
  4: ["chainId", "nonce", "priority", "fee", "gas", "to", "value", "data", "accessList", "authorizations"],
};

const quantity = (value) => BigInt(value === "0x" ? 0 : value).toString();

function transaction({ raw }) {
  const tx = readByRlp(raw);
  if (BigInt(tx.nonce) <= BigInt(Number.MAX_SAFE_INTEGER)) return readByEthers(raw, tx);
  return tx;
}

function readByEthers(raw, beside) {
  const tx = Transaction.from(raw);
  if (tx.from !== beside.from) throw new Error(`ethers recovers ${tx.from} and ${beside.from}`);
  return {
    reader: "Transaction.from",
    from: tx.from,
    hash: tx.hash,
    signingHash: tx.unsignedHash,
    canonical: tx.serialized === raw,
    lowS: BigInt(tx.signature.s) <= HALF_ORDER,
    type: tx.type,
    chainId: tx.chainId.toString(),
    nonce: tx.nonce.toString(),
    gas: tx.gasLimit.toString(),
    fee: (tx.type <= 1 ? tx.gasPrice : tx.maxFeePerGas).toString(),
    priority: tx.type <= 1 ? null : tx.maxPriorityFeePerGas.toString(),
    to: tx.to?.toLowerCase() ?? null,
    value: tx.value.toString(),
    data: tx.data,
    accessList: (tx.accessList ?? []).map((e) => [e.address.toLowerCase(), e.storageKeys]),
    blobFee: tx.type === 3 ? tx.maxFeePerBlobGas.toString() : null,
    blobHashes: tx.type === 3 ? tx.blobVersionedHashes : [],
    authorizations: (tx.authorizationList ?? []).map((a) => [
      a.chainId.toString(), a.address.toLowerCase(), a.nonce.toString(),
      a.signature.yParity, quantity(a.signature.r), quantity(a.signature.s),
    ]),
  };
}

function readByRlp(raw) {
  const first = getBytes(dataSlice(raw, 0, 1))[0];
  const type = first >= 0xc0 ? 0 : first;
  const items = decodeRlp(type === 0 ? raw : dataSlice(raw, 1));
  const names = FIELDS[type];
  const field = Object.fromEntries(names.map((name, i) => [name, items[i]]));
  if (items.length !== names.length + (type === 0 ? 0 : 3)) throw new Error("a field too many or too few");
  const [v, r, s] = items.slice(-3);
  const [chainId, parity] = type === 0 ? legacyChain(BigInt(v)) : [field.chainId, v].map((x) => BigInt(quantity(x)));
  const signingHash = keccak256(type === 0
    ? encodeRlp([...items.slice(0, 6), ...(chainId ? [hexlify(toBeArray(chainId)), "0x", "0x"] : [])])
    : concat([hexlify(new Uint8Array([type])), encodeRlp(items.slice(0, -3))]));
  const pad = (scalar) => `0x${BigInt(scalar).toString(16).padStart(64, "0")}`;
  const signature = { r: pad(r), s: pad(s), yParity: Number(parity) };
  return {
    reader: "decodeRlp",
    from: recoverAddress(signingHash, signature),
    hash: keccak256(raw),
    signingHash,
    canonical: (type === 0 ? encodeRlp(items) : concat([dataSlice(raw, 0, 1), encodeRlp(items)])) === raw,
    lowS: BigInt(s) <= HALF_ORDER,
    type,
    chainId: chainId.toString(),
    nonce: quantity(field.nonce),
    gas: quantity(field.gas),
    fee: quantity(field.fee ?? field.gasPrice),
    priority: field.priority === undefined ? null : quantity(field.priority),
    to: dataLength(field.to) === 0 ? null : field.to,
    value: quantity(field.value),
    data: field.data,
    accessList: field.accessList ?? [],
    blobFee: field.blobFee === undefined ? null : quantity(field.blobFee),
    blobHashes: field.blobHashes ?? [],
    authorizations: (field.authorizations ?? []).map(([chain, address, nonce, y, ar, as]) =>
      [quantity(chain), address, quantity(nonce), Number(quantity(y)), quantity(ar), quantity(as)]),
  };
}

// Chain id and parity; without EIP-155 there is no chain id, here 0.
const legacyChain = (v) => (v < 35n ? [0n, v - 27n] : [(v - 35n) / 2n, (v - 35n) % 2n]);

// EIP-712: the hash of the data and, if a signature is given, who made it.
function typedData({ data, signature }) {
  const { EIP712Domain: _, ...types } = data.types;
  return {
    hash: TypedDataEncoder.hash(data.domain, types, data.message),
    signer: signature ? verifyTypedData(data.domain, types, data.message, signature) : null,
  };
}

// Many at once, each [kind, what was asked, the answer] judged as [hash, signer, whether the
// encoding is the one that ethers makes], or as a sentence on what failed. Recovering signers is
// most of the work: only each `recovers`th is, the others' signer is null.
function many({ items, recovers }) {
  return items.map(([kind, ...item], place) => {
    try {
      return BRIEFLY[kind](place % recovers === 0 ? recoverAddress : () => null, ...item);
    } catch (error) {
      return String(error?.message ?? error).slice(0, 300);
    }
  });
}

const signed = (recover, hash, signature) => [hash, recover(hash, signature), true];

const BRIEFLY = {
  transaction(recover, raw, beyondNumbers) {
    if (beyondNumbers) {
      const tx = readByRlp(raw);
      return [tx.signingHash, recover === recoverAddress ? tx.from : null, tx.canonical];
    }
    const tx = Transaction.from(raw);
    const hash = tx.unsignedHash;
    return [hash, recover(hash, tx.signature), tx.serialized === raw];
  },
  message: (recover, data, signature) => signed(recover, hashMessage(getBytes(data)), signature),
  typedData: (recover, [domain, types, message], signature) =>
    signed(recover, TypedDataEncoder.hash(domain, types, message), signature),
  authorization: (recover, [chainId, address, nonce], signature) =>
    signed(recover, hashAuthorization({ chainId: BigInt(chainId), address, nonce: BigInt(nonce) }), signature),
  digest: signed,
};

// Whether ethers hashes it as it stands in JSON, whatever the stack says about it.
function accepts({ subject, value }) {
  return { hash: ACCEPTS[subject](value) };
}

const ACCEPTS = {
  "typed data"(text) {
    const data = JSON.parse(text);
    const { EIP712Domain: _, ...types } = data.types;
    return TypedDataEncoder.hash(data.domain ?? {}, types, data.message);
  },
  transaction({ gas, ...tx }) {
    const numbers = Object.fromEntries(["type", "nonce"].filter((name) => name in tx).map((name) => [name, Number(tx[name])]));
    return Transaction.from({ ...tx, ...numbers, gasLimit: gas }).unsignedHash;
  },
  authorization: (authorization) => hashAuthorization(authorization),
  message: (text) => hashMessage(text.startsWith("0x") ? getBytes(text) : text),
};

const JUDGEMENTS = { transaction, typedData, many, accepts };

createInterface({ input: process.stdin, crlfDelay: Infinity }).on("line", (line) => {
  let answer;
  try {
    const question = JSON.parse(line);
    answer = JUDGEMENTS[question.ask](question);
  } catch (error) {
    answer = { error: String(error?.message ?? error).slice(0, 400) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
});
