//! What the parent asks of the enclave and what it answers.
//!
//! Everything in a request is untrusted until the enclave has parsed, authenticated and approved
//! it; everything in a response is untrusted by whoever reads it behind the parent, unless an
//! attestation document or a signature in it says otherwise. Messages travel as CBOR in
//! [frames](crate::frame); an unknown field or a byte left over refuses the whole message.

use crate::bounded;
use crate::proof::ClientProof;
use crate::refusal::{Refusal, RefusalCode};
use crate::secret::SecretString;
use alloy_primitives::{Address, B256, FixedBytes};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::collections::BTreeMap;

/// The port on which the enclave takes request frames.
pub const REQUEST_PORT: u32 = 5000;
/// The port on which the parent keeps idle connections ready for the enclave's calls to KMS.
pub const RELAY_PORT: u32 = 5001;

/// The most proofs a request may carry. One is used today; several will be approvals.
pub const MAX_PROOFS: usize = 16;
/// The most labels a key may have.
pub const MAX_LABELS: usize = 32;
/// The most records in one [`Request::LoadRecords`].
pub const MAX_RECORDS_PER_BATCH: usize = 1_000;
/// The most bytes of records in one [`Request::LoadRecords`].
pub const MAX_RECORD_BATCH_BYTES: usize = 1_048_576;
/// The longest key record, in bytes: 32 labels at their longest and the sealing around them.
pub const MAX_RECORD: usize = 8_192;
/// The longest vault header, in bytes: a few wrappings of at most 6,144 bytes each (KMS's limit).
pub const MAX_VAULT: usize = 65_536;
/// The most keys in one answer to [`Request::ListKeys`].
pub const MAX_KEYS_PER_PAGE: usize = 1_000;
/// The shortest nonce for an attestation document, in bytes.
pub const MIN_NONCE: usize = 16;
/// The longest nonce for an attestation document, in bytes.
pub const MAX_NONCE: usize = 64;
/// The longest transaction payload, in bytes: 128 KiB of calldata and the largest access list.
pub const MAX_TRANSACTION: usize = 524_288;
/// The longest message (EIP-191), in bytes: as much as calldata may have.
pub const MAX_MESSAGE: usize = 131_072;
/// The longest typed data (EIP-712), in bytes of JSON.
pub const MAX_TYPED_DATA: usize = 262_144;

/// One request on the link.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestFrame {
    /// Correlates the answer; chosen by the parent, unique among what is in flight.
    pub id: u64,
    /// The name in the client's transport certificate, as the parent says. Worth what the parent
    /// is worth; policy sees it as an `AssertedClient`.
    pub asserted: Option<String>,
    /// Proofs by client keys; at most [`MAX_PROOFS`].
    #[serde(deserialize_with = "bounded::list::<_, _, MAX_PROOFS>")]
    pub proofs: Vec<ClientProof>,
    /// What is asked.
    pub request: Request,
}

/// One answer on the link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResponseFrame {
    /// The request's correlation id.
    pub id: u64,
    /// SHA-256 of the request frame's body, so that no answer can be taken for another's.
    pub request_hash: B256,
    /// What came of it.
    pub result: Result<Response, Refusal>,
}

/// What the parent may ask. No `Debug`: [`Request::Configure`] carries credentials.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::large_enum_variant)]
pub enum Request {
    /// Where the enclave is in its life. Answered in every state.
    Status {},
    /// The manifest to measure, and the vault to open under it if one is stored. The same
    /// manifest again resumes after a failure; another one is refused until power-off.
    Configure {
        /// The manifest's exact bytes; PCR16 is extended with their hash.
        manifest: ByteBuf,
        /// The stored vault header, if there is one.
        vault: Option<ByteBuf>,
        /// For calls to KMS.
        credentials: Credentials,
    },
    /// Newer credentials for calls to KMS.
    UpdateCredentials {
        /// They replace the ones before.
        credentials: Credentials,
    },
    /// Stored key records, to be opened and held. One that does not open is refused and counted;
    /// the others serve. A record that is held already is accepted again without effect.
    LoadRecords {
        /// At most [`MAX_RECORDS_PER_BATCH`] and [`MAX_RECORD_BATCH_BYTES`].
        #[serde(deserialize_with = "bounded::list::<_, _, MAX_RECORDS_PER_BATCH>")]
        records: Vec<ByteBuf>,
    },
    /// Makes a new vault under the manifest's KMS key. Needs a client proof. The vault serves
    /// once it is stored and given back by [`Request::Configure`].
    CreateVault {},
    /// Makes a new key. Needs a client proof. The key serves once its record is stored and given
    /// back by [`Request::LoadRecords`].
    CreateKey {
        /// What policy may see of the key; fixed for its life; at most [`MAX_LABELS`].
        #[serde(deserialize_with = "bounded::texts::<_, MAX_LABELS>")]
        labels: BTreeMap<String, String>,
        /// The caller's nonce, [`MIN_NONCE`] to [`MAX_NONCE`] bytes, for the attested answer.
        nonce: ByteBuf,
    },
    /// The keys held, in order of address.
    ListKeys {
        /// Only addresses after this one.
        after: Option<Address>,
    },
    /// An attestation document over the caller's nonce and the enclave's claims.
    Attest {
        /// [`MIN_NONCE`] to [`MAX_NONCE`] bytes.
        nonce: ByteBuf,
    },
    /// Signs a transaction. Answered by [`Response::Signed`], every other signature by
    /// [`Response::SignedHash`].
    SignTransaction {
        /// The key's address.
        key: Address,
        /// The unsigned transaction as it is hashed for signing: `type || rlp(fields)` (EIP-2718)
        /// or, for a legacy one, `rlp(nonce, …, data, chainId, 0, 0)` (EIP-155), or without
        /// replay protection `rlp(nonce, …, data)`.
        payload: ByteBuf,
    },
    /// Signs a message under EIP-191's version 0x45, as eth_sign and personal_sign do: the enclave
    /// puts the prefix before it.
    SignMessage {
        /// The key's address.
        key: Address,
        /// The message itself, at most [`MAX_MESSAGE`].
        message: ByteBuf,
    },
    /// Signs typed data (EIP-712).
    SignTypedData {
        /// The key's address.
        key: Address,
        /// The JSON object `{types, primaryType, domain, message}`, at most [`MAX_TYPED_DATA`].
        typed_data: ByteBuf,
    },
    /// Signs an authorization (EIP-7702) outside any transaction. Needs a client proof.
    SignAuthorization {
        /// The key's address: the account whose code is set.
        key: Address,
        /// The one chain it holds on; 0 is every chain.
        chain_id: u64,
        /// The contract whose code the account will run; zero clears it.
        address: Address,
        /// The account's nonce at which it holds.
        nonce: u64,
    },
    /// Signs a bare 32-byte digest. Needs a client proof.
    SignDigest {
        /// The key's address.
        key: Address,
        /// What is signed, as it stands.
        digest: B256,
    },
}

impl Request {
    /// The request's name, for logs and metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Status {} => "Status",
            Self::Configure { .. } => "Configure",
            Self::UpdateCredentials { .. } => "UpdateCredentials",
            Self::LoadRecords { .. } => "LoadRecords",
            Self::CreateVault {} => "CreateVault",
            Self::CreateKey { .. } => "CreateKey",
            Self::ListKeys { .. } => "ListKeys",
            Self::Attest { .. } => "Attest",
            Self::SignTransaction { .. } => "SignTransaction",
            Self::SignMessage { .. } => "SignMessage",
            Self::SignTypedData { .. } => "SignTypedData",
            Self::SignAuthorization { .. } => "SignAuthorization",
            Self::SignDigest { .. } => "SignDigest",
        }
    }
}

/// AWS credentials for calls to KMS, from the instance's role. The enclave trusts them for
/// nothing: with them alone KMS releases no vault secret.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// The access key id.
    pub access_key_id: SecretString,
    /// The secret access key.
    pub secret_access_key: SecretString,
    /// The session token of temporary credentials.
    pub session_token: Option<SecretString>,
}

/// What the enclave answers; each variant belongs to the request of the like name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub enum Response {
    Status(Status),
    Configured { state: State },
    CredentialsUpdated {},
    RecordsLoaded(RecordsLoaded),
    VaultCreated { vault: ByteBuf },
    KeyCreated(CreatedKey),
    Keys { keys: Vec<KeyInfo>, more: bool },
    Attestation(Attestation),
    Signed(SignedTransaction),
    SignedHash(SignedHash),
}

/// Where the enclave is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Started; nothing measured yet.
    Cold,
    /// The manifest is measured and locked; no vault is open.
    Measured,
    /// KMS is being asked for the vault's secret.
    Opening,
    /// Keys are held and requests are served.
    Ready,
}

impl State {
    /// The text form, for example `ready`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Measured => "measured",
            Self::Opening => "opening",
            Self::Ready => "ready",
        }
    }
}

/// The answer to [`Request::Status`]. The parent's word to whoever asks through it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    /// The enclave's release.
    pub version: String,
    /// Where it is.
    pub state: State,
    /// Drawn anew at every boot; 16 bytes.
    pub boot_id: FixedBytes<16>,
    /// SHA-384 of the measured manifest (see [`crate::manifest::ManifestHash`]), once there is one.
    pub manifest_hash: Option<FixedBytes<48>>,
    /// The number of keys held.
    pub keys: u64,
}

/// The answer to [`Request::LoadRecords`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordsLoaded {
    /// How many now serve.
    pub accepted: u32,
    /// Which do not, and why.
    pub refused: Vec<RefusedRecord>,
}

/// One record that does not serve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefusedRecord {
    /// Its place in the batch, from 0.
    pub index: u32,
    /// Why.
    pub code: RefusalCode,
}

/// The answer to [`Request::CreateKey`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreatedKey {
    /// The new key's address.
    pub address: Address,
    /// Names the record in the store; 16 random bytes.
    pub record_id: FixedBytes<16>,
    /// The sealed record, to be stored.
    pub record: ByteBuf,
    /// An attestation document over the caller's nonce and `claims`.
    pub document: ByteBuf,
    /// [`crate::claims::KeyClaims`], the exact bytes that were hashed into the document.
    pub claims: ByteBuf,
}

/// A key the enclave holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyInfo {
    /// Its address.
    pub address: Address,
    /// Its secp256k1 public key: the point's two coordinates, big-endian.
    pub public_key: FixedBytes<64>,
    /// Where it came from.
    pub origin: Origin,
    /// When it was made, in seconds of Unix time by the enclave's clock.
    pub created: u64,
    /// The client that had it made.
    pub creator: String,
    /// What policy sees of it.
    pub labels: BTreeMap<String, String>,
}

/// Where a key came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Made inside an enclave; nobody else ever had it.
    Generated,
    /// Brought from outside; whoever had it may have it still.
    Imported,
    /// Derived from another key.
    Derived,
}

impl Origin {
    /// The text form, for example `generated`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Generated => "generated",
            Self::Imported => "imported",
            Self::Derived => "derived",
        }
    }
}

/// The answer to [`Request::Attest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attestation {
    /// The attestation document (COSE_Sign1).
    pub document: ByteBuf,
    /// [`crate::claims::Claims`], the exact bytes that were hashed into the document.
    pub claims: ByteBuf,
}

/// The answer to [`Request::SignTransaction`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedTransaction {
    /// keccak256 of the payload, computed in the enclave.
    pub signing_hash: B256,
    /// The signed transaction's hash.
    pub transaction_hash: B256,
    /// The signed transaction (EIP-2718), ready for eth_sendRawTransaction. A type 3 one comes
    /// without its sidecar.
    pub raw: ByteBuf,
    /// The signature's r, big-endian.
    pub r: B256,
    /// The signature's s, big-endian, in the lower half of the order (EIP-2).
    pub s: B256,
    /// The parity of R's y coordinate.
    pub y_parity: bool,
}

/// The answer to the requests that sign something other than a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedHash {
    /// The hash that was signed, computed in the enclave; for a digest, the digest.
    pub signing_hash: B256,
    /// The signature's r, big-endian.
    pub r: B256,
    /// The signature's s, big-endian, in the lower half of the order (EIP-2).
    pub s: B256,
    /// The parity of R's y coordinate.
    pub y_parity: bool,
}
