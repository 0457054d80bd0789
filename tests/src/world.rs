//! A deployment inside a test: development KMS, key policy, manifest, and enclaves to power on.
//! The test is the parent of each, and a step that must succeed panics where it does not.

#![allow(missing_docs, clippy::missing_panics_doc, clippy::panic)]

use crate::deployment::{
    self, ACCOUNT, ADMINISTRATOR_ROLE, APPLIANCE_ROLE, CERTIFICATE_NAME, ClientKey, REGION,
};
use crate::enclave::EnclaveInTest;
use crate::kms::{DevelopmentKms, Fault, Identity, Operation, Options as KmsOptions};
use crate::nsm::{DevelopmentRoot, MockNsm, Options as NsmOptions};
use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_primitives::{Address, B256, TxKind, U256};
use nitro_signer_enclave::image_manifest::ImageManifest;
use nitro_signer_enclave::kms::TrustRoots;
use nitro_signer_enclave::nsm::SecureModule;
use nitro_signer_enclave::start::StartError;
use nitro_signer_shared::frame;
use nitro_signer_shared::key_policy::Principal;
use nitro_signer_shared::manifest::{KeyArn, Manifest, ManifestHash};
use nitro_signer_shared::message::{
    CreatedKey, Credentials, RecordsLoaded, Request, RequestFrame, Response, SignedTransaction,
    State,
};
use nitro_signer_shared::proof::{ClientProof, Intent};
use nitro_signer_shared::refusal::{Refusal, RefusalCode};
use nitro_signer_shared::secret::SecretString;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;

const APPLIANCE_ID: &str = "AKIAAPPLIANCE";

/// A deployment.
pub struct World {
    pub kms: DevelopmentKms,
    pub manifest: Manifest,
    pub manifest_bytes: Vec<u8>,
    pub measurements: [[u8; 48]; 3],
    pub root: DevelopmentRoot,
    appliance_secret: String,
    operator: ClientKey,
    manifest_hash: ManifestHash,
}

impl World {
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// The same with a manifest that somebody changed before it was put to use.
    pub async fn start_with(change: impl FnOnce(&mut Manifest)) -> Self {
        Self::start_as(change, |_| [[1; 48], [2; 48], [3; 48]]).await
    }

    /// The same for an image of these measurements, which may depend on the authority that
    /// certifies KMS (PEM).
    pub async fn start_as(
        change: impl FnOnce(&mut Manifest),
        measure: impl FnOnce(&str) -> [[u8; 48]; 3],
    ) -> Self {
        let root = DevelopmentRoot::generate();
        let appliance_secret = hex::encode(random());
        let identities = vec![
            identity("AKIAADMIN", &hex::encode(random()), ADMINISTRATOR_ROLE),
            identity(APPLIANCE_ID, &appliance_secret, APPLIANCE_ROLE),
        ];
        let kms = KmsOptions::new(REGION, ACCOUNT, identities, root.anchor());
        let kms = DevelopmentKms::start(kms).await.expect("KMS starts");
        let arn = kms.create_key(&deployment::closed_key_policy()).expect("a key is made");
        let arn: KeyArn = arn.parse().expect("is an ARN");
        let operator = ClientKey::generate();
        let mut manifest = deployment::manifest(&arn, &operator);
        change(&mut manifest);
        let manifest_bytes = manifest.to_bytes().expect("encodes");
        let hash = ManifestHash::of(&manifest_bytes);
        let measurements = measure(kms.ca_pem());
        let policy = deployment::key_policy(&measurements[0], &manifest, &hash);
        kms.put_key_policy(arn.as_str(), &policy).expect("the policy is understood");
        let manifest_hash = hash;
        Self {
            kms,
            manifest,
            manifest_bytes,
            measurements,
            root,
            appliance_secret,
            operator,
            manifest_hash,
        }
    }

    // ---- enclaves --------------------------------------------------------------------------

    pub fn module(&self) -> MockNsm {
        MockNsm::new(&self.root, self.measurements, NsmOptions::default())
    }

    pub fn roots(&self) -> TrustRoots {
        TrustRoots::from_pem([self.kms.ca_pem()]).expect("is a certificate")
    }

    /// An enclave of the right image, with a relay to the development KMS.
    pub async fn enclave(&self) -> EnclaveInTest {
        self.enclave_and_names().await.0
    }

    /// The same, and the host names it asks its relay for.
    pub async fn enclave_and_names(&self) -> (EnclaveInTest, UnboundedReceiver<String>) {
        self.enclave_of(self.module(), self.roots()).await
    }

    pub async fn enclave_measured(&self, measurements: [[u8; 48]; 3]) -> EnclaveInTest {
        let module = MockNsm::new(&self.root, measurements, NsmOptions::default());
        self.enclave_of(module, self.roots()).await.0
    }

    pub async fn enclave_in_debug_mode(&self) -> EnclaveInTest {
        let options = NsmOptions { debug_mode: true, ..NsmOptions::default() };
        let module = MockNsm::new(&self.root, self.measurements, options);
        self.enclave_of(module, self.roots()).await.0
    }

    pub async fn enclave_trusting_another_root(&self) -> EnclaveInTest {
        let roots = TrustRoots::from_pem(nitro_signer_enclave::amazon::ROOTS).expect("are roots");
        self.enclave_of(self.module(), roots).await.0
    }

    /// An enclave whose image brings this world's manifest.
    pub async fn enclave_with_built_in_manifest(&self) -> EnclaveInTest {
        let image = ImageManifest::BuiltIn(self.manifest_hash);
        EnclaveInTest::start_with(self.module(), self.roots(), image).await
    }

    /// An enclave whose PCR16 somebody extended first; gives its end.
    pub async fn enclave_with_touched_manifest_pcr(&self) -> JoinHandle<Result<(), StartError>> {
        use aws_nitro_enclaves_nsm_api::api::Request as NsmRequest;
        let module = self.module();
        module.process(NsmRequest::ExtendPCR { index: 16, data: vec![1; 48] });
        let (mut enclave, _) = self.enclave_of(module, self.roots()).await;
        std::mem::replace(&mut enclave.ended, tokio::spawn(async { Ok(()) }))
    }

    async fn enclave_of(
        &self,
        module: impl SecureModule,
        roots: TrustRoots,
    ) -> (EnclaveInTest, UnboundedReceiver<String>) {
        let enclave = EnclaveInTest::start(module, roots).await;
        let asked = enclave.relay_to(self.kms.addr());
        (enclave, asked)
    }

    // ---- the honest parent's steps ---------------------------------------------------------

    /// The appliance's credentials as the parent's file has them.
    pub fn credentials_file(&self) -> String {
        let secret = &self.appliance_secret;
        format!("access_key_id = \"{APPLIANCE_ID}\"\nsecret_access_key = \"{secret}\"\n")
    }

    pub fn credentials(&self) -> Credentials {
        Credentials {
            access_key_id: SecretString::new(APPLIANCE_ID.to_owned()),
            secret_access_key: SecretString::new(self.appliance_secret.clone()),
            session_token: None,
        }
    }

    pub async fn configure(
        &self,
        enclave: &EnclaveInTest,
        manifest: &[u8],
        vault: Option<&[u8]>,
    ) -> Result<Response, Refusal> {
        let request = Request::Configure {
            manifest: ByteBuf::from(manifest.to_vec()),
            vault: vault.map(|v| ByteBuf::from(v.to_vec())),
            credentials: self.credentials(),
        };
        enclave.ask(request).await
    }

    pub async fn try_create_vault(&self, enclave: &EnclaveInTest) -> Result<Response, Refusal> {
        self.configure(enclave, &self.manifest_bytes, None).await.expect("is measured");
        enclave.ask_as(None, vec![self.vault_proof()], Request::CreateVault {}).await
    }

    pub async fn create_vault(&self, enclave: &EnclaveInTest) -> Vec<u8> {
        match self.try_create_vault(enclave).await {
            Ok(Response::VaultCreated { vault }) => vault.into_vec(),
            other => panic!("a vault is made, not {other:?}"),
        }
    }

    pub async fn open(&self, enclave: &EnclaveInTest, vault: &[u8]) {
        let opened = self.configure(enclave, &self.manifest_bytes, Some(vault)).await;
        assert_eq!(opened, Ok(Response::Configured { state: State::Ready }));
    }

    /// An enclave with an open vault, and the vault.
    pub async fn ready(&self) -> (EnclaveInTest, Vec<u8>) {
        let enclave = self.enclave().await;
        let vault = self.create_vault(&enclave).await;
        self.open(&enclave, &vault).await;
        (enclave, vault)
    }

    /// An enclave that holds a key, and the key's address.
    pub async fn ready_with_key(&self) -> (EnclaveInTest, Address) {
        let (enclave, _) = self.ready().await;
        let key = self.create_key(&enclave).await;
        self.load(&enclave, &[&key.record]).await;
        (enclave, key.address)
    }

    pub async fn create_key(&self, enclave: &EnclaveInTest) -> CreatedKey {
        let request = Request::CreateKey { labels: labels(), nonce: nonce() };
        match enclave.ask_as(None, vec![self.key_proof()], request).await {
            Ok(Response::KeyCreated(key)) => key,
            other => panic!("a key is made, not {other:?}"),
        }
    }

    pub async fn load(&self, enclave: &EnclaveInTest, records: &[&[u8]]) {
        let records = records.iter().map(|r| ByteBuf::from(r.to_vec())).collect();
        assert_eq!(load_any(enclave, records).await.refused, []);
    }

    pub async fn sign(
        &self,
        enclave: &EnclaveInTest,
        key: Address,
        payload: Vec<u8>,
    ) -> Result<SignedTransaction, Refusal> {
        let request = Request::SignTransaction { key, payload: ByteBuf::from(payload) };
        match enclave.ask_as(Some(CERTIFICATE_NAME), vec![], request).await? {
            Response::Signed(signed) => Ok(signed),
            other => panic!("a signature is given, not {other:?}"),
        }
    }

    pub async fn attest(&self, enclave: &EnclaveInTest) -> Result<Response, Refusal> {
        enclave.ask(Request::Attest { nonce: nonce() }).await
    }

    // ---- manifests and headers that lie ----------------------------------------------------

    /// The manifest's bytes with this text in the ARN's place, whatever it is.
    pub fn manifest_with_arn_text(&self, arn: &str) -> Vec<u8> {
        let mut value: serde_cbor::Value =
            serde_cbor::from_slice(&self.manifest_bytes).expect("is CBOR");
        set(&mut value, "wrapping_keys", |keys| {
            *keys = serde_cbor::Value::Array(vec![serde_cbor::Value::Text(arn.to_owned())]);
        });
        serde_cbor::to_vec(&value).expect("encodes")
    }

    /// This vault's header, made to say what another manifest says.
    pub fn header_for(&self, vault: &[u8], manifest: &Manifest) -> Vec<u8> {
        let text = |name: &str| serde_cbor::Value::Text(name.to_owned());
        let (deployment, name) = (manifest.deployment.as_str(), manifest.vault.as_str());
        let mut header: serde_cbor::Value = serde_cbor::from_slice(vault).expect("is CBOR");
        set(&mut header, "deployment", |value| *value = text(deployment));
        set(&mut header, "vault", |value| *value = text(name));
        set(&mut header, "wrappings", |wrappings| {
            let serde_cbor::Value::Array(wrappings) = wrappings else { panic!("is a list") };
            set(&mut wrappings[0], "context", |context| {
                set(context, "deployment", |value| *value = text(deployment));
                set(context, "vault", |value| *value = text(name));
            });
        });
        serde_cbor::to_vec(&header).expect("encodes")
    }

    // ---- KMS -------------------------------------------------------------------------------

    pub fn kms_calls(&self, operation: &str) -> usize {
        self.kms.events().iter().filter(|e| e.operation.ends_with(operation)).count()
    }

    pub fn forge_next_generate(&self, plaintext: [u8; 32]) {
        let fault = Fault::ForgePlaintext(plaintext.to_vec());
        self.kms.inject(Operation::GenerateDataKey, 0, fault);
    }

    pub fn forge_next_decrypt(&self, plaintext: [u8; 32]) {
        self.kms.inject(Operation::Decrypt, 0, Fault::ForgePlaintext(plaintext.to_vec()));
    }

    /// Cuts the connection of the next calls of Decrypt, after the request was read.
    pub fn cut_next_calls(&self, count: usize) {
        for call in 0..count {
            self.kms.inject(Operation::Decrypt, call, Fault::CloseConnection);
        }
    }

    /// Recipient key and document, as hashes, of each call.
    pub fn recipients_of(&self, operation: &str) -> Vec<([u8; 32], [u8; 32])> {
        let events = self.kms.events();
        let of = events.iter().filter(|e| e.operation.ends_with(operation));
        of.filter_map(|e| Some((e.recipient_key_sha256?, e.document_sha256?))).collect()
    }

    // ---- proofs ----------------------------------------------------------------------------

    fn hash(&self) -> ManifestHash {
        self.manifest_hash
    }

    pub fn prove(&self, intent: &Intent) -> ClientProof {
        self.operator.prove(intent, &self.hash(), random(), now_s() + 60)
    }

    /// A proof whose time has passed.
    pub fn prove_too_late(&self, intent: &Intent) -> ClientProof {
        self.operator.prove(intent, &self.hash(), random(), now_s() - 1)
    }

    /// The operator's key, as the command line's `--client-key` file has it.
    pub fn operator_key(&self) -> String {
        self.operator.to_hex()
    }

    pub fn vault_proof(&self) -> ClientProof {
        self.prove(&Intent::create_vault(self.manifest.vault.as_str()))
    }

    pub fn vault_proof_for(&self, manifest: &[u8]) -> ClientProof {
        let intent = Intent::create_vault(self.manifest.vault.as_str());
        self.operator.prove(&intent, &ManifestHash::of(manifest), random(), now_s() + 60)
    }

    pub fn key_proof(&self) -> ClientProof {
        self.prove(&key_intent())
    }

    pub fn key_proof_for_other_labels(&self) -> ClientProof {
        self.prove(&Intent::create_key(&BTreeMap::new(), &nonce()))
    }

    pub fn key_proof_expired(&self) -> ClientProof {
        self.prove_too_late(&key_intent())
    }

    pub fn key_proof_far_ahead(&self) -> ClientProof {
        self.operator.prove(&key_intent(), &self.hash(), random(), now_s() + 3_600)
    }

    pub fn key_proof_for_other_manifest(&self) -> ClientProof {
        let other = ManifestHash::of(b"another manifest");
        self.operator.prove(&key_intent(), &other, random(), now_s() + 60)
    }

    pub fn key_proof_by_stranger(&self) -> ClientProof {
        ClientKey::generate().prove(&key_intent(), &self.hash(), random(), now_s() + 60)
    }
}

/// Loads records of which any may be refused.
pub async fn load_any(enclave: &EnclaveInTest, records: Vec<ByteBuf>) -> RecordsLoaded {
    match enclave.ask(Request::LoadRecords { records }).await {
        Ok(Response::RecordsLoaded(loaded)) => loaded,
        other => panic!("records are loaded one by one, not {other:?}"),
    }
}

/// Asserts that something was refused, and with this code.
pub fn refused<T: Debug>(outcome: Result<T, Refusal>, code: RefusalCode) {
    match outcome {
        Err(refusal) => assert_eq!(refusal.code, code, "{refusal}"),
        Ok(answer) => panic!("{code} was expected, not {answer:?}"),
    }
}

fn key_intent() -> Intent {
    Intent::create_key(&labels(), &nonce())
}

pub fn labels() -> BTreeMap<String, String> {
    [("team".to_owned(), "nitro".to_owned())].into()
}

pub fn nonce() -> ByteBuf {
    ByteBuf::from(vec![0x5a; 32])
}

/// A transfer of a little to somebody, as a payload.
pub fn transfer(nonce: u64) -> Vec<u8> {
    transaction(1, nonce, Address::repeat_byte(0x11))
}

pub fn transfer_to_refused() -> Vec<u8> {
    transaction(1, 0, deployment::REFUSED_RECIPIENT.parse().expect("is an address"))
}

pub fn transfer_on_chain(chain_id: u64) -> Vec<u8> {
    transaction(chain_id, 0, Address::repeat_byte(0x11))
}

fn transaction(chain_id: u64, nonce: u64, to: Address) -> Vec<u8> {
    let transaction = TxEip1559 {
        chain_id,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 2,
        max_priority_fee_per_gas: 1,
        to: TxKind::Call(to),
        value: U256::from(1),
        ..TxEip1559::default()
    };
    transaction.encoded_for_signing()
}

/// The first record with the second one's sealed content.
pub fn swap_sealed(one: &[u8], two: &[u8]) -> Vec<u8> {
    let parse = |b: &[u8]| serde_cbor::from_slice::<serde_cbor::Value>(b).expect("is CBOR");
    let (mut one, mut two) = (parse(one), parse(two));
    set(&mut one, "sealed", |mine| set(&mut two, "sealed", |theirs| std::mem::swap(mine, theirs)));
    serde_cbor::to_vec(&one).expect("encodes")
}

/// The record with one bit changed in the middle of its sealed content, where the labels are.
pub fn flip_in_the_middle(record: &[u8]) -> Vec<u8> {
    let mut changed = record.to_vec();
    let middle = changed.len() / 2;
    changed[middle] ^= 0x04;
    changed
}

fn set(map: &mut serde_cbor::Value, key: &str, change: impl FnOnce(&mut serde_cbor::Value)) {
    let serde_cbor::Value::Map(map) = map else { panic!("is a map") };
    change(map.get_mut(&serde_cbor::Value::Text(key.to_owned())).expect("has the key"));
}

pub fn status_body() -> Vec<u8> {
    let request = Request::Status {};
    let frame = RequestFrame { id: 7, asserted: None, proofs: vec![], request };
    frame::encode(&frame).expect("encodes").to_vec()
}

pub fn status_body_with_unknown_field() -> Vec<u8> {
    #[derive(Serialize, Deserialize)]
    struct Wider {
        id: u64,
        asserted: Option<String>,
        proofs: Vec<ClientProof>,
        request: Request,
        more: u8,
    }
    let request = Request::Status {};
    let frame = Wider { id: 7, asserted: None, proofs: vec![], request, more: 1 };
    serde_cbor::to_vec(&frame).expect("encodes")
}

fn identity(id: &str, secret: &str, role: &str) -> Identity {
    Identity {
        access_key_id: id.to_owned(),
        secret_access_key: SecretString::new(secret.to_owned()),
        session_token: None,
        principal: Principal::parse(role).expect("is a principal"),
        iam_allows_all: false,
    }
}

fn random() -> B256 {
    let mut bytes = B256::ZERO;
    aws_lc_rs::rand::fill(bytes.as_mut_slice()).expect("the machine has randomness");
    bytes
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}
