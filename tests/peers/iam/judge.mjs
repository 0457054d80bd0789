// Judges the decisions of our evaluator by @cloud-copilot/iam-simulate, which shares no code with it.
//
// Standard input: one case a line, as `key-policy-cases` writes them. Both must say the same: allowed,
// or not; and of what is not, whether a Deny is why. Where they may differ stands in EXPLAINED, with the
// reason; any other difference fails. Cases of AWS's documentation must be decided as it says by both,
// with no exception but the documented ones.

import { createInterface } from "node:readline";
import { runSimulation } from "@cloud-copilot/iam-simulate";

const ALLOW_ALL = { Version: "2012-10-17", Statement: [{ Effect: "Allow", Action: "*", Resource: "*" }] };
const NAMES = { Allowed: "allowed", ExplicitlyDenied: "denied", ImplicitlyDenied: "not_allowed" };

const named = (policies) => policies.map((policy, index) => ({ name: `policy-${index}`, policy }));
const statements = (...policies) => policies.flatMap((policy) => [policy.Statement].flat());
const isOfAccount = (item) => item.caller.includes(`:${item.account}:`);

// The judge's reader of requests drops kms:EncryptionContext:NAME, whose name is the user's. A condition
// does not know what its key is called, so that key goes by another name, here and in the policies.
const renamed = (json) => json.replaceAll("kms:EncryptionContext:", "aws:PrincipalTag/");

// Whether a Deny's NotPrincipal lists the caller by some name: itself, its role, its account.
function isPartlySpared(item, statement) {
  if (statement.Effect !== "Deny" || !statement.NotPrincipal) return false;
  const account = item.caller.split(":")[4];
  const [, name] = item.caller.split(":assumed-role/");
  const names = [item.caller, account, `arn:aws:iam::${account}:root`];
  if (name) names.push(`arn:aws:iam::${account}:role/${name.split("/")[0]}`);
  return [statement.NotPrincipal.AWS ?? []].flat().some((listed) => names.includes(listed));
}

async function judge(given) {
  const item = JSON.parse(renamed(JSON.stringify(given)));
  // Ours takes IAM of another account, which nobody can see, to allow: so the judge is shown that.
  const foreign = item.caller.startsWith("arn:") && !isOfAccount(item);
  const identity = foreign ? [ALLOW_ALL] : item.identity;
  // Ours binds principals of the key's account by the service control policies.
  const scp = isOfAccount(item) ? item.scp : [];
  const done = await runSimulation(
    {
      request: {
        principal: item.caller,
        action: item.action,
        resource: { resource: item.resource, accountId: item.account },
        contextVariables: item.context,
      },
      identityPolicies: named(identity),
      serviceControlPolicies: scp.length ? [{ orgIdentifier: "o-1", policies: named(scp) }] : [],
      resourceControlPolicies: [],
      resourcePolicy: item.policy,
    },
    {},
  );
  return NAMES[done.overallResult] ?? `unknown: ${JSON.stringify(done).slice(0, 300)}`;
}

// What differs, and why: [name, whether a case is of it].
const EXPLAINED = [
  [
    "the account's root needs no IAM policy: what is given to the account is given to it (KMS developer guide, \
Default key policy); theirs asks for one",
    (item, ours, theirs) => item.caller.endsWith(":root") && ours === "allowed" && theirs === "not_allowed" &&
      statements(item.policy).some((statement) => statement.Effect === "Allow" &&
        [statement.Principal?.AWS ?? []].flat().some((listed) => [item.caller, item.account].includes(listed))),
  ],
  [
    "NotPrincipal in a Deny that lists not every name of the caller (session, role, account) denies it with us, as \
IAM's page on NotPrincipal asks for all of them; theirs spares whoever has one name listed",
    (item, ours, theirs) => ours === "denied" && theirs !== "denied" &&
      statements(item.policy).some((statement) => isPartlySpared(item, statement)),
  ],
  [
    "a key with an empty list of values is absent to us and to Null, as IAM's page on operators has a key without a \
value; theirs has it present",
    (item) => Object.entries(item.context).some(([key, values]) => Array.isArray(values) && !values.length &&
      statements(item.policy, ...item.identity, ...item.scp).some((statement) => key in (statement.Condition?.Null ?? {}))),
  ],
];

const counts = new Map();
const count = (name) => counts.set(name, (counts.get(name) ?? 0) + 1);
let wrong = 0;

for await (const line of createInterface({ input: process.stdin })) {
  const item = JSON.parse(line);
  const theirs = await judge(item);
  const ours = item.decision;
  count("cases");
  count(ours);
  if (item.expected) {
    count("documented");
    if (ours !== item.expected) {
      wrong += 1;
      console.log(`documented: ours says ${ours}, not ${item.expected}: ${item.says}`);
      continue;
    }
  }
  if (ours === theirs) continue;
  const reason = EXPLAINED.find(([, is]) => is(item, ours, theirs));
  if (reason) {
    count(reason[0]);
    continue;
  }
  wrong += 1;
  if (wrong <= (process.env.SHOW ?? 5)) console.log(`ours ${ours}, theirs ${theirs}: ${line}`);
}

for (const [name, number] of counts) console.log(`key policies: ${name}: ${number}`);
console.log(`key policies: unexplained: ${wrong}`);
process.exit(wrong || !counts.get("cases") ? 1 : 0);
