//! What the appliance does for a client, whatever interface the request came by.
//!
//! Each method is one operation of the enclave with the storage around it. The order is the point:
//! a vault or key counts only when it is stored, read back and accepted by the enclave; if storing
//! fails, nothing further is sent and what was made is never shown.

use crate::ethereum::{AuthorizationRequest, TransactionRequest};
use crate::link::supervisor::another_answer;
use crate::link::{Ask, KMS_DEADLINE, Link, Phase, REQUEST_DEADLINE, Situation};
use crate::store::Store;
use alloy_primitives::{Address, B256, U256};
use nitro_signer_shared::manifest::{Manifest, ManifestHash};
use nitro_signer_shared::message::{
    Attestation, CreatedKey, KeyInfo, MAX_NONCE, MIN_NONCE, RecordsLoaded, Request, Response,
    SignedHash, SignedTransaction, State,
};
use nitro_signer_shared::proof::ClientProof;
use nitro_signer_shared::refusal::{Refusal, RefusalCode};
use serde_bytes::ByteBuf;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// How many pages one listing of every key reads: 100,000 keys.
const MAX_PAGES: usize = 100;

/// How long whoever asks for the status waits for the enclave's word.
const STATUS_DEADLINE: Duration = Duration::from_secs(2);

/// The pauses before a new key's record is loaded again; the link's first new attempt falls in.
const LOAD_PAUSES: [Duration; 3] =
    [Duration::from_millis(250), Duration::from_millis(500), Duration::from_secs(1)];

/// Who stands behind a request, as far as the parent knows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Caller {
    /// The name in the client's certificate.
    pub(crate) asserted: Option<String>,
    /// Proofs that came with the request.
    pub(crate) proofs: Vec<ClientProof>,
}

/// The appliance behind every interface.
#[derive(Clone)]
pub(crate) struct Appliance {
    link: Link,
    store: Store,
    manifest: Arc<Manifest>,
    manifest_hash: ManifestHash,
    creating_vault: Arc<Mutex<()>>,
}

impl Appliance {
    pub(crate) fn new(
        link: Link,
        store: Store,
        manifest: Manifest,
        manifest_hash: ManifestHash,
    ) -> Self {
        let manifest = Arc::new(manifest);
        Self { link, store, manifest, manifest_hash, creating_vault: Arc::default() }
    }

    pub(crate) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub(crate) const fn manifest_hash(&self) -> &ManifestHash {
        &self.manifest_hash
    }

    /// What the supervisor knows, at once.
    pub(crate) fn situation(&self) -> Situation {
        self.link.situation()
    }

    /// The same with the enclave's word of this moment, where it gives one soon.
    pub(crate) async fn fresh_situation(&self) -> Situation {
        let asked = self.link.call(Ask::own(Request::Status {}), STATUS_DEADLINE).await;
        let mut situation = self.link.situation();
        if let Ok(Response::Status(status)) = asked {
            situation.status = Some(status);
        }
        situation
    }

    /// Makes the vault, stores it and has it opened through KMS.
    pub(crate) async fn create_vault(&self, caller: Caller) -> Result<State, Refusal> {
        let _one_at_a_time = self.creating_vault.lock().await;
        if self.store.vault().await?.is_some() {
            return Err(RefusalCode::VaultExists.into());
        }
        let ask = ask(caller, Request::CreateVault {});
        let vault = match self.link.call(ask, KMS_DEADLINE).await? {
            Response::VaultCreated { vault } => vault,
            _ => return Err(another_answer()),
        };
        self.store.create_vault(&vault).await?;
        self.link.reconfigure().await
    }

    /// Makes a key, stores its record and has it loaded.
    pub(crate) async fn create_key(
        &self,
        caller: Caller,
        labels: BTreeMap<String, String>,
        nonce: Vec<u8>,
    ) -> Result<CreatedKey, Refusal> {
        check_nonce(&nonce)?;
        let nonce = ByteBuf::from(nonce);
        let request = ask(caller, Request::CreateKey { labels, nonce });
        let created = match self.link.call(request, KMS_DEADLINE).await? {
            Response::KeyCreated(created) => created,
            _ => return Err(another_answer()),
        };
        self.store.create_record(&created.record_id, &created.record).await?;
        let loaded = self.load(&created.record).await.map_err(|Refusal { code, .. }| {
            let address = created.address;
            Refusal::new(
                code,
                format!(
                    "the key {address} was made and stored, but not loaded yet; it will be loaded \
                     at the next reconnect: do not make another"
                ),
            )
        })?;
        if loaded.refused.is_empty() && loaded.accepted == 1 {
            return Ok(created);
        }
        let code = loaded.refused.first().map_or(RefusalCode::RecordInvalid, |r| r.code);
        Err(Refusal::new(code, "the new key's record is stored but was not accepted"))
    }

    /// Loads a stored record, which may be loaded twice, again when it was the link that failed.
    async fn load(&self, record: &ByteBuf) -> Result<RecordsLoaded, Refusal> {
        use RefusalCode::{Busy, Deadline, LinkDown};
        let mut pauses = LOAD_PAUSES.iter();
        loop {
            let refusal = match self.link.load(record.clone()).await {
                Ok(loaded) => return Ok(loaded),
                Err(refusal) => refusal,
            };
            match pauses.next() {
                Some(pause) if matches!(refusal.code, Busy | Deadline | LinkDown) => {
                    tokio::time::sleep(*pause).await;
                }
                _ => return Err(refusal),
            }
        }
    }

    /// One page of keys, in order of address.
    pub(crate) async fn keys(
        &self,
        caller: Caller,
        after: Option<Address>,
    ) -> Result<(Vec<KeyInfo>, bool), Refusal> {
        // A part of the keys would pass for all of them.
        match self.situation().phase {
            Phase::Loading => {
                return Err(Refusal::new(RefusalCode::NotReady, "key records are being loaded"));
            }
            Phase::Failed(refusal) => return Err(refusal),
            _ => {}
        }
        match self.link.call(ask(caller, Request::ListKeys { after }), REQUEST_DEADLINE).await? {
            Response::Keys { keys, more } => Ok((keys, more)),
            _ => Err(another_answer()),
        }
    }

    /// One key.
    pub(crate) async fn key(&self, caller: Caller, address: Address) -> Result<KeyInfo, Refusal> {
        let before = U256::from_be_slice(address.as_slice()).checked_sub(U256::ONE);
        let before = before.map(|n| Address::from_word(n.into()));
        let (keys, _) = self.keys(caller, before).await?;
        let found = keys.into_iter().next().filter(|key| key.address == address);
        found.ok_or_else(|| RefusalCode::UnknownKey.into())
    }

    /// One thing of every key held, in order of address.
    pub(crate) async fn every_key<T>(
        &self,
        caller: Caller,
        pick: fn(&KeyInfo) -> T,
    ) -> Result<Vec<T>, Refusal> {
        let mut picked = Vec::new();
        let mut after = None;
        for _ in 0..MAX_PAGES {
            let (keys, more) = self.keys(caller.clone(), after).await?;
            picked.extend(keys.iter().map(pick));
            // An empty page with more behind it would never end.
            after = keys.last().map(|key| key.address).filter(|_| more);
            if after.is_none() {
                return Ok(picked);
            }
        }
        Err(Refusal::new(
            RefusalCode::Capacity,
            "more keys than one answer lists; use GET /v1/keys",
        ))
    }

    /// A transaction's signature.
    pub(crate) async fn sign_transaction(
        &self,
        caller: Caller,
        asked: &TransactionRequest,
    ) -> Result<SignedTransaction, Refusal> {
        let payload = ByteBuf::from(asked.transaction.signing_payload());
        let request = Request::SignTransaction { key: asked.from, payload };
        match self.link.call(ask(caller, request), REQUEST_DEADLINE).await? {
            Response::Signed(signed) => Ok(signed),
            _ => Err(another_answer()),
        }
    }

    /// A message's signature (EIP-191); the enclave puts the prefix before it.
    pub(crate) async fn sign_message(
        &self,
        caller: Caller,
        key: Address,
        message: Vec<u8>,
    ) -> Result<SignedHash, Refusal> {
        let message = ByteBuf::from(message);
        self.sign_hash(caller, Request::SignMessage { key, message }).await
    }

    /// The signature of typed data (EIP-712), given as JSON text.
    pub(crate) async fn sign_typed_data(
        &self,
        caller: Caller,
        key: Address,
        typed_data: Vec<u8>,
    ) -> Result<SignedHash, Refusal> {
        let typed_data = ByteBuf::from(typed_data);
        self.sign_hash(caller, Request::SignTypedData { key, typed_data }).await
    }

    /// An authorization's signature (EIP-7702).
    pub(crate) async fn sign_authorization(
        &self,
        caller: Caller,
        asked: &AuthorizationRequest,
    ) -> Result<SignedHash, Refusal> {
        let &AuthorizationRequest { from: key, chain_id, address, nonce } = asked;
        let request = Request::SignAuthorization { key, chain_id, address, nonce };
        self.sign_hash(caller, request).await
    }

    /// A bare digest's signature.
    pub(crate) async fn sign_digest(
        &self,
        caller: Caller,
        key: Address,
        digest: B256,
    ) -> Result<SignedHash, Refusal> {
        self.sign_hash(caller, Request::SignDigest { key, digest }).await
    }

    async fn sign_hash(&self, caller: Caller, request: Request) -> Result<SignedHash, Refusal> {
        match self.link.call(ask(caller, request), REQUEST_DEADLINE).await? {
            Response::SignedHash(signed) => Ok(signed),
            _ => Err(another_answer()),
        }
    }

    /// An attestation document over the caller's nonce.
    pub(crate) async fn attest(
        &self,
        caller: Caller,
        nonce: Vec<u8>,
    ) -> Result<Attestation, Refusal> {
        check_nonce(&nonce)?;
        let request = Request::Attest { nonce: ByteBuf::from(nonce) };
        match self.link.call(ask(caller, request), REQUEST_DEADLINE).await? {
            Response::Attestation(attestation) => Ok(attestation),
            _ => Err(another_answer()),
        }
    }
}

fn ask(caller: Caller, request: Request) -> Ask {
    Ask { asserted: caller.asserted, proofs: caller.proofs, request }
}

fn check_nonce(nonce: &[u8]) -> Result<(), Refusal> {
    if (MIN_NONCE..=MAX_NONCE).contains(&nonce.len()) {
        return Ok(());
    }
    Err(RefusalCode::InvalidNonce.into())
}
