//! Frames, the messages in them, claims, and manifests.

use crate::Seeds;
use crate::ready::now;
use alloy_primitives::{Address, B256, FixedBytes};
use nitro_signer_shared::claims::{ClaimSet, Claims, KeyClaims};
use nitro_signer_shared::frame;
use nitro_signer_shared::manifest::Manifest;
use nitro_signer_shared::message::{
    Attestation, CreatedKey, Credentials, KeyInfo, Origin, RecordsLoaded, RefusedRecord, Request,
    RequestFrame, Response, ResponseFrame, SignedHash, SignedTransaction, State, Status,
};
use nitro_signer_shared::proof::ClientProof;
use nitro_signer_shared::refusal::{Refusal, RefusalCode};
use nitro_signer_shared::secret::SecretString;
use nitro_signer_tests::deployment::{self, ClientKey};
use serde::Serialize;
use serde_bytes::ByteBuf;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

const KEY_ARN: &str = "arn:aws:kms:us-east-1:000000000000:key/0a1b2c3d-0000-4000-8000-000000000001";

pub(crate) fn write(seeds: &Seeds) -> io::Result<()> {
    for request in requests() {
        let name = request.name();
        let request = RequestFrame {
            id: 7,
            asserted: Some("dev-client".to_owned()),
            proofs: vec![proof()],
            request,
        };
        add(seeds, name, &request)?;
    }
    for (place, result) in responses().into_iter().enumerate() {
        let response = ResponseFrame { id: 7, request_hash: B256::repeat_byte(1), result };
        add(seeds, &format!("response-{place}"), &response)?;
    }
    let (claims, key_claims) = claims();
    let failed = |_| io::Error::other("claims do not encode");
    seeds.add("message", "claims", claims.to_bytes().map_err(failed)?)?;
    seeds.add("message", "key-claims", key_claims.to_bytes().map_err(failed)?)
}

fn add(seeds: &Seeds, name: &str, message: &impl Serialize) -> io::Result<()> {
    let body = frame::encode(message).map_err(io::Error::other)?;
    seeds.add("message", name, body.as_slice())?;
    // In pieces of 3 bytes, with the beginning of another frame behind it.
    let mut stream = vec![3];
    now(frame::write(&mut stream, &body)).map_err(io::Error::other)?;
    stream.extend(b"NS\0");
    seeds.add("frame", name, stream)
}

fn proof() -> ClientProof {
    ClientProof { request_id: B256::repeat_byte(2), expiry: 99, signature: FixedBytes([3; 65]) }
}

fn labels() -> BTreeMap<String, String> {
    [("team".to_owned(), "treasury".to_owned()), ("use".to_owned(), String::new())].into()
}

fn credentials() -> Credentials {
    let secret = |text: &str| SecretString::new(text.to_owned());
    Credentials {
        access_key_id: secret("an id"),
        secret_access_key: secret("a secret"),
        session_token: Some(secret("a token")),
    }
}

fn requests() -> Vec<Request> {
    let bytes = |length: usize| ByteBuf::from(vec![5; length]);
    let (key, address) = (Address::repeat_byte(4), Address::repeat_byte(5));
    vec![
        Request::Status {},
        Request::Configure {
            manifest: bytes(40),
            vault: Some(bytes(30)),
            credentials: credentials(),
        },
        Request::UpdateCredentials { credentials: credentials() },
        Request::LoadRecords { records: vec![bytes(9), bytes(300)] },
        Request::CreateVault {},
        Request::CreateKey { labels: labels(), nonce: bytes(16) },
        Request::ListKeys { after: Some(address) },
        Request::Attest { nonce: bytes(64) },
        Request::SignTransaction { key, payload: bytes(120) },
        Request::SignMessage { key, message: bytes(5) },
        Request::SignTypedData { key, typed_data: bytes(7) },
        Request::SignAuthorization { key, chain_id: u64::MAX, address, nonce: 24 },
        Request::SignDigest { key, digest: B256::repeat_byte(6) },
    ]
}

fn responses() -> Vec<Result<Response, Refusal>> {
    let bytes = || ByteBuf::from(vec![5; 33]);
    let (hash, r, s) = (B256::repeat_byte(1), B256::repeat_byte(2), B256::repeat_byte(3));
    let (address, record_id) = (Address::repeat_byte(4), FixedBytes([6; 16]));
    let key = KeyInfo {
        address,
        public_key: FixedBytes([7; 64]),
        origin: Origin::Imported,
        created: 1,
        creator: "dev-operator".to_owned(),
        labels: labels(),
    };
    let status = Status {
        version: "0.1.0".to_owned(),
        state: State::Opening,
        boot_id: record_id,
        manifest_hash: Some(FixedBytes([8; 48])),
        keys: 3,
    };
    let refused = vec![RefusedRecord { index: 1, code: RefusalCode::Internal }];
    let [document, claims, record] = [bytes(), bytes(), bytes()];
    let created = CreatedKey {
        address,
        record_id,
        record,
        document: document.clone(),
        claims: claims.clone(),
    };
    let signed = SignedTransaction {
        signing_hash: hash,
        transaction_hash: hash,
        raw: bytes(),
        r,
        s,
        y_parity: true,
    };
    vec![
        Ok(Response::Status(status)),
        Ok(Response::Configured { state: State::Ready }),
        Ok(Response::CredentialsUpdated {}),
        Ok(Response::RecordsLoaded(RecordsLoaded { accepted: 1, refused })),
        Ok(Response::VaultCreated { vault: bytes() }),
        Ok(Response::KeyCreated(created)),
        Ok(Response::Keys { keys: vec![key.clone(), key], more: true }),
        Ok(Response::Attestation(Attestation { document, claims })),
        Ok(Response::Signed(signed)),
        Ok(Response::SignedHash(SignedHash { signing_hash: hash, r, s, y_parity: false })),
        Err(Refusal::new(RefusalCode::PolicyDenied, "no rule permits it")),
    ]
}

fn claims() -> (Claims, KeyClaims) {
    let (hash, fingerprint) = (FixedBytes([1; 48]), B256::repeat_byte(2));
    let claims = Claims {
        version: "0.1.0".to_owned(),
        manifest_hash: hash,
        manifest_version: 1,
        deployment: "development".to_owned(),
        vault: "main".to_owned(),
        vault_fingerprint: Some(fingerprint),
        wrapping_keys: vec![KEY_ARN.to_owned()],
        state: State::Ready,
        boot_id: FixedBytes([3; 16]),
        keys: 1,
        custody: None,
        keys_root: B256::repeat_byte(4),
    };
    let key_claims = KeyClaims {
        manifest_hash: hash,
        deployment: "development".to_owned(),
        vault: "main".to_owned(),
        vault_fingerprint: fingerprint,
        address: Address::repeat_byte(5),
        origin: Origin::Generated,
        created: 1,
        labels: labels(),
        record_hash: B256::repeat_byte(6),
    };
    (claims, key_claims)
}

/// The development manifest, and each of the examples as the command line packs it.
pub(crate) fn manifests(seeds: &Seeds, tests: &Path) -> io::Result<()> {
    let key = KEY_ARN.parse().map_err(io::Error::other)?;
    let mut manifest = deployment::manifest(&key, &ClientKey::generate());
    add_manifest(seeds, "development", &manifest)?;
    manifest.policy = String::new();
    add_manifest(seeds, "without-rules", &manifest)?;

    let packed = tempfile::tempdir()?;
    for folder in std::fs::read_dir(tests.join("manifests"))? {
        let folder = folder?;
        let output = packed.path().join(folder.file_name());
        let arguments = ["nitro-signer", "manifest", "build"].map(Into::into).into_iter();
        let files = [folder.path().into(), "--output".into(), output.clone().into()];
        nitro_signer_parent::run(arguments.chain(files));
        // Where it was not written, the command line has said why.
        let name = folder.file_name().to_string_lossy().into_owned();
        seeds.add("manifest", &name, std::fs::read(output)?)?;
    }
    Ok(())
}

fn add_manifest(seeds: &Seeds, name: &str, manifest: &Manifest) -> io::Result<()> {
    seeds.add("manifest", name, manifest.to_bytes().map_err(io::Error::other)?)
}
