//! The description of web3signer's routes.

use super::rest::{FROM, proof};
use super::schema::{named, object, optional};
use super::{AT_ANY_ROUTE, BY_THE_ENCLAVE, answer, body, operation, path_parameter};
use serde_json::{Map, Value, json};

pub(super) fn paths() -> Map<String, Value> {
    let paths = [
        ("/upcheck", json!({ "get": upcheck() })),
        ("/api/v1/eth1/publicKeys", json!({ "get": public_keys() })),
        ("/api/v1/eth1/sign/{identifier}", json!({ "post": sign() })),
    ];
    paths.into_iter().map(|(path, item)| (path.to_owned(), item)).collect()
}

fn text(description: &str, schema: &Value) -> Value {
    json!({ "description": description, "content": { "text/plain": { "schema": schema } } })
}

fn upcheck() -> Value {
    let ok = json!({ "200": text("The process runs.", &json!({ "const": "OK" })) });
    operation("upcheck", "web3signer", "Whether the process runs", ok, AT_ANY_ROUTE)
}

fn public_keys() -> Value {
    let keys = json!({ "type": "array", "items": named("PublicKey") });
    let ok = json!({ "200": answer("Every key, in order of address.", &keys) });
    operation("eth1PublicKeys", "web3signer", "The public keys held", ok, BY_THE_ENCLAVE)
}

fn sign() -> Value {
    let ok = json!({ "200": text("r, s and v.", &named("Signature")) });
    let summary = "Sign keccak256 of the data: a bare digest; needs a client proof";
    let mut operation = operation("eth1Sign", "web3signer", summary, ok, BY_THE_ENCLAVE);
    let identifier = "^((0x)?[0-9a-fA-F]{128}|0x[0-9a-fA-F]{40})$";
    operation["parameters"] = json!([path_parameter("identifier", identifier, FROM)]);
    let asked =
        object(&["data"], &json!({ "data": named("Bytes"), "proof": optional(&named("Proof")) }));
    let examples = [
        ("by_the_certificates_name", json!({ "data": "0x68656c6c6f" })),
        ("proved", json!({ "data": "0x68656c6c6f", "proof": proof() })),
    ];
    operation["requestBody"] = body(&asked, &examples);
    operation
}
