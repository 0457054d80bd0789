//! The description of the routes under /v1.

use super::schema::{ADDRESS, answer as all, hex, named, object, optional};
use super::{
    AT_ANY_ROUTE, BY_THE_ENCLAVE, answer, body, operation, path_parameter, sidecar_parameter,
    transaction,
};
use crate::http::batch::MAX_ITEMS;
use crate::http::rest::sign::Kind;
use nitro_signer_shared::message::{MAX_LABELS, MAX_MESSAGE, MAX_NONCE, MIN_NONCE};
use nitro_signer_shared::refusal::RefusalCode;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The address that examples sign with.
pub(super) const FROM: &str = "0x1111111111111111111111111111111111111111";
/// The address that examples send to.
pub(super) const TO: &str = "0x2222222222222222222222222222222222222222";

pub(super) fn paths() -> Map<String, Value> {
    let paths = [
        ("/v1/status", json!({ "get": status() })),
        ("/v1/vaults", json!({ "post": create_vault() })),
        ("/v1/keys", json!({ "get": list_keys(), "post": create_key() })),
        ("/v1/keys/{address}", json!({ "get": show_key() })),
        ("/v1/transactions", json!({ "post": sign(Kind::Transaction) })),
        ("/v1/messages", json!({ "post": sign(Kind::Message) })),
        ("/v1/typed-data", json!({ "post": sign(Kind::TypedData) })),
        ("/v1/authorizations", json!({ "post": sign(Kind::Authorization) })),
        ("/v1/digests", json!({ "post": sign(Kind::Digest) })),
        ("/v1/batch", json!({ "post": batch() })),
        ("/v1/attestation", json!({ "get": attestation() })),
    ];
    paths.into_iter().map(|(path, item)| (path.to_owned(), item)).collect()
}

pub(super) fn schemas() -> Map<String, Value> {
    let schemas = [
        ("Status", status_schema()),
        ("Key", key()),
        ("Attested", attested()),
        ("SignedTransaction", signed_transaction()),
        ("SignedHash", signed_hash()),
        ("AuthorizationSigned", authorization_signed()),
    ];
    schemas.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect()
}

fn status() -> Value {
    let ok = answer("What is known of the appliance.", &named("Status"));
    let summary = "The appliance's state";
    operation("status", "appliance", summary, json!({ "200": ok }), AT_ANY_ROUTE)
}

fn status_schema() -> Value {
    let text = json!({ "type": "string" });
    let count = json!({ "type": "integer", "minimum": 0 });
    let enclave = all(&json!({
        "version": text,
        "state": { "enum": ["cold", "measured", "opening", "ready"] },
        "boot_id": hex(16),
        "manifest_hash": optional(&hex(48)),
        "keys": count,
    }));
    all(&json!({
        "version": text,
        "phase": {
            "enum": [
                "connecting", "version_mismatch", "manifest_conflict", "configuring", "failed",
                "no_vault", "loading", "ready",
            ],
        },
        "detail": text,
        "deployment": text,
        "vault": text,
        "manifest_version": count,
        "manifest_hash": hex(48),
        "refused_records": count,
        "enclave": optional(&enclave),
    }))
}

fn create_vault() -> Value {
    let made = all(&json!({
        "deployment": { "type": "string" },
        "vault": { "type": "string" },
        "state": { "enum": ["cold", "measured", "opening", "ready"] },
    }));
    let created = answer("The vault is stored and open.", &made);
    let mut operation = operation(
        "createVault",
        "appliance",
        "Make the vault; needs a client proof",
        json!({ "201": created }),
        BY_THE_ENCLAVE,
    );
    let asked = object(&[], &json!({ "proof": optional(&named("Proof")) }));
    operation["requestBody"] = body(&asked, &[("proved", json!({ "proof": proof() }))]);
    operation
}

fn list_keys() -> Value {
    let page = all(&json!({
        "keys": { "type": "array", "items": named("Key") },
        "more": { "type": "boolean", "description": "Whether there are keys after these." },
    }));
    let mut operation = operation(
        "listKeys",
        "keys",
        "A page of keys, in order of address",
        json!({ "200": answer("A page.", &page) }),
        BY_THE_ENCLAVE,
    );
    operation["parameters"] = json!([{
        "name": "after",
        "in": "query",
        "description": "Only keys after this address.",
        "schema": { "type": "string", "pattern": ADDRESS },
    }]);
    operation
}

fn key() -> Value {
    all(&json!({
        "address": named("Address"),
        "public_key": named("PublicKey"),
        "origin": { "enum": ["generated", "imported", "derived"] },
        "created": { "type": "integer", "minimum": 0, "description": "In seconds of Unix time." },
        "creator": { "type": "string" },
        "labels": { "type": "object", "additionalProperties": { "type": "string" } },
    }))
}

fn show_key() -> Value {
    let ok = json!({ "200": answer("The key.", &named("Key")) });
    let mut operation = operation("showKey", "keys", "One key", ok, BY_THE_ENCLAVE);
    operation["parameters"] = json!([path_parameter("address", ADDRESS, FROM)]);
    operation
}

fn create_key() -> Value {
    let labels = json!({
        "type": ["object", "null"],
        "description": "What policy may see of the key; fixed for its life.",
        "maxProperties": MAX_LABELS,
        "propertyNames": { "pattern": "^[a-z0-9_-]{1,32}$" },
        "additionalProperties": { "type": "string", "pattern": "^[ -~]{0,64}$" },
    });
    let nonce = format!("^0x([0-9a-fA-F]{{2}}){{{MIN_NONCE},{MAX_NONCE}}}$");
    let asked = object(
        &["nonce"],
        &json!({
            "labels": labels,
            "nonce": { "type": "string", "pattern": nonce, "description": "Fresh and random." },
            "proof": optional(&named("Proof")),
        }),
    );
    let made = all(&json!({
        "address": named("Address"),
        "record_id": hex(16),
        "record": base64("The sealed record, to be kept as a copy."),
        "attestation": named("Attested"),
    }));
    let created = json!({ "201": answer("The key is stored and loaded.", &made) });
    let summary = "Make a key; needs a client proof";
    let mut operation = operation("createKey", "keys", summary, created, BY_THE_ENCLAVE);
    let example = json!({
        "labels": { "team": "payments" },
        "nonce": format!("0x{}", "07".repeat(16)),
        "proof": proof(),
    });
    operation["requestBody"] = body(&asked, &[("labelled", example)]);
    operation
}

fn attestation() -> Value {
    let ok = json!({ "200": answer("The document over the nonce.", &named("Attested")) });
    let summary = "An attestation document over the caller's nonce";
    let mut operation = operation("attestation", "appliance", summary, ok, BY_THE_ENCLAVE);
    let pattern = format!("^(0x)?([0-9a-fA-F]{{2}}){{{MIN_NONCE},{MAX_NONCE}}}$");
    operation["parameters"] = json!([{
        "name": "nonce",
        "in": "query",
        "required": true,
        "description": "Fresh and random, in hex.",
        "schema": { "type": "string", "pattern": pattern },
        "example": "00112233445566778899aabbccddeeff",
    }]);
    operation
}

fn attested() -> Value {
    all(&json!({
        "document": base64("A Nitro attestation document (COSE_Sign1)."),
        "claims": base64("CBOR; their SHA-384 is in the document's user_data."),
        "claims_decoded": {
            "type": ["object", "null"],
            "description": "For people; a verifier decodes `claims`.",
        },
    }))
}

fn base64(description: &str) -> Value {
    json!({ "type": "string", "contentEncoding": "base64", "description": description })
}

impl Kind {
    const fn operation_id(self) -> &'static str {
        match self {
            Self::Transaction => "signTransaction",
            Self::Message => "signMessage",
            Self::TypedData => "signTypedData",
            Self::Authorization => "signAuthorization",
            Self::Digest => "signDigest",
        }
    }

    const fn summary(self) -> &'static str {
        match self {
            Self::Transaction => "Sign a transaction of type 0, 1, 2, 3 or 4",
            Self::Message => "Sign a message (EIP-191), as eth_sign and personal_sign do",
            Self::TypedData => "Sign typed data (EIP-712)",
            Self::Authorization => "Sign an authorization (EIP-7702); needs a client proof",
            Self::Digest => "Sign a bare digest; needs a client proof",
        }
    }

    /// The fields of a request but for the proof, and an example of them.
    fn fields(self) -> (Value, Value) {
        match self {
            Self::Transaction => (
                json!({ "transaction": named("Transaction") }),
                json!({ "transaction": transaction::example() }),
            ),
            Self::Message => (
                json!({ "from": named("Address"), "message": message() }),
                json!({ "from": FROM, "message": "0x68656c6c6f" }),
            ),
            Self::TypedData => (
                json!({ "from": named("Address"), "typed_data": named("TypedData") }),
                json!({ "from": FROM, "typed_data": typed_data_example() }),
            ),
            Self::Authorization => (
                json!({
                    "from": named("Address"),
                    "chain_id": named("Uint64"),
                    "address": named("Address"),
                    "nonce": named("Uint64"),
                }),
                json!({ "from": FROM, "chain_id": 1, "address": TO, "nonce": 0 }),
            ),
            Self::Digest => (
                json!({ "from": named("Address"), "digest": named("Hash") }),
                json!({ "from": FROM, "digest": format!("0x{}", "ab".repeat(32)) }),
            ),
        }
    }

    /// A request's schema; in a batch it names its method too.
    fn request(self, method: Option<&str>) -> Value {
        let (mut fields, _) = self.fields();
        if let Some(method) = method {
            fields["method"] = json!({ "const": method });
        }
        let mut schema = all(&fields);
        schema["properties"]["proof"] = optional(&named("Proof"));
        schema
    }

    fn signed(self) -> Value {
        named(match self {
            Self::Transaction => "SignedTransaction",
            Self::Authorization => "AuthorizationSigned",
            Self::Message | Self::TypedData | Self::Digest => "SignedHash",
        })
    }
}

fn sign(kind: Kind) -> Value {
    let ok = json!({ "200": answer("Signed.", &kind.signed()) });
    let (id, summary) = (kind.operation_id(), kind.summary());
    let mut operation = operation(id, "signing", summary, ok, BY_THE_ENCLAVE);
    let (_, asserted) = kind.fields();
    let mut proved = asserted.clone();
    proved["proof"] = proof();
    let examples = [("by_the_certificates_name", asserted), ("proved", proved)];
    operation["requestBody"] = body(&kind.request(None), &examples);
    if matches!(kind, Kind::Transaction) {
        operation["parameters"] = json!([sidecar_parameter()]);
    }
    operation
}

fn batch() -> Value {
    let requests: Vec<_> =
        Kind::ALL.iter().map(|(kind, method)| kind.request(Some(method))).collect();
    let asked = all(&json!({
        "requests": {
            "type": "array",
            "minItems": 1,
            "maxItems": MAX_ITEMS,
            "items": { "anyOf": requests },
        },
    }));
    let signed: Vec<_> =
        ["SignedTransaction", "SignedHash", "AuthorizationSigned"].map(named).into();
    let statuses: BTreeSet<_> = RefusalCode::ALL.iter().map(|code| code.http_status()).collect();
    let results = all(&json!({
        "results": {
            "type": "array",
            "items": {
                "anyOf": [
                    all(&json!({ "status": { "const": 200 }, "body": { "anyOf": signed } })),
                    all(&json!({ "status": { "enum": statuses }, "body": named("Problem") })),
                ],
            },
        },
    }));
    let ok = json!({ "200": answer("One result per request, in their order.", &results) });
    let summary = "Up to 100 signing requests; one that is refused spoils only itself";
    let mut operation = operation("batch", "signing", summary, ok, BY_THE_ENCLAVE);
    let example: Vec<_> = Kind::ALL
        .iter()
        .map(|(kind, method)| {
            let (_, mut example) = kind.fields();
            example["method"] = json!(method);
            example
        })
        .collect();
    operation["requestBody"] = body(&asked, &[("one_of_each", json!({ "requests": example }))]);
    operation["parameters"] = json!([sidecar_parameter()]);
    operation
}

/// The message itself, without EIP-191's prefix.
pub(super) fn message() -> Value {
    json!({
        "type": "string",
        "pattern": "^0x([0-9a-fA-F]{2})*$",
        "maxLength": 2 + 2 * MAX_MESSAGE,
        "description": "The message itself; the prefix (EIP-191) is put before it.",
    })
}

fn signed_transaction() -> Value {
    all(&json!({
        "raw": named("Bytes"),
        "transaction_hash": named("Hash"),
        "signing_hash": named("Hash"),
        "r": named("Hash"),
        "s": named("Hash"),
        "y_parity": named("Parity"),
    }))
}

fn signed_hash() -> Value {
    all(&json!({
        "signature": named("Signature"),
        "signing_hash": named("Hash"),
        "r": named("Hash"),
        "s": named("Hash"),
        "y_parity": named("Parity"),
    }))
}

fn authorization_signed() -> Value {
    all(&json!({
        "chain_id": { "type": "integer", "minimum": 0 },
        "address": named("Address"),
        "nonce": { "type": "integer", "minimum": 0 },
        "y_parity": named("Parity"),
        "r": named("Hash"),
        "s": named("Hash"),
        "signing_hash": named("Hash"),
    }))
}

/// A proof of the right form; no key has signed it.
pub(super) fn proof() -> Value {
    json!({
        "request_id": format!("0x{}", "01".repeat(32)),
        "expiry": 1_900_000_000,
        "signature": format!("0x{}1b", "02".repeat(64)),
    })
}

/// EIP-712's own example.
pub(super) fn typed_data_example() -> Value {
    json!({
        "types": {
            "Person": [{ "name": "name", "type": "string" }, { "name": "wallet", "type": "address" }],
            "Mail": [
                { "name": "from", "type": "Person" },
                { "name": "to", "type": "Person" },
                { "name": "contents", "type": "string" },
            ],
        },
        "primaryType": "Mail",
        "domain": {
            "name": "Ether Mail",
            "version": "1",
            "chainId": 1,
            "verifyingContract": "0xcccccccccccccccccccccccccccccccccccccccc",
        },
        "message": {
            "from": { "name": "Cow", "wallet": "0xcd2a3d9f938e13cd947ec05abc7fe734df8dd826" },
            "to": { "name": "Bob", "wallet": "0xbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb" },
            "contents": "Hello, Bob!",
        },
    })
}
