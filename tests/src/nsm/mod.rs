//! A secure module for machines without Nitro: the requests, limits and errors of /dev/nsm, and
//! documents of exactly the genuine form under a development root.
//!
//! It is code of the tests and nothing of it ships. Its documents verify for whoever was given
//! the development root and for nobody else.

pub mod certificate;
pub mod chain;
pub mod clock;
pub mod document;
#[cfg(test)]
mod genuine_form;
pub mod key;
mod registers;
#[cfg(test)]
mod requests;
pub mod root;
#[cfg(test)]
mod verification;

use aws_nitro_enclaves_nsm_api::api::{Digest, ErrorCode, Request, Response};
use chain::{Chain, Identity};
pub use clock::Clock;
pub use document::{DocumentDraft, MapForm};
use document::{EnvelopeDraft, PayloadDraft, cbor};
use nitro_signer_enclave::nsm::SecureModule;
use nitro_signer_shared::attestation::pcr::{self, PCR_COUNT, Pcr};
use nitro_signer_shared::attestation::{MAX_FIELD, MeasurementSet, PinError};
use registers::Registers;
pub use root::DevelopmentRoot;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What GetRandom gives, in bytes.
const RANDOM_BYTES: usize = 256;

/// Which of the genuine map forms documents have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapForms {
    /// Always this one.
    Only(MapForm),
    /// Each in turn, so that whoever reads the documents reads both.
    Alternating,
}

/// What a mock secure module is like; the default is an ordinary enclave.
#[derive(Clone)]
pub struct Options {
    /// `i-<17 hex>`: PCR4 and the first part of the module id.
    pub instance_id: String,
    /// The region in the certificates' names.
    pub region: String,
    /// The instance's IAM role, for PCR3.
    pub role_arn: Option<String>,
    /// PCR8, of a signed image.
    pub signer: Option<Pcr>,
    /// How documents are written.
    pub map_forms: MapForms,
    /// Debug mode: PCR0, PCR1, PCR2 and PCR8 are zero.
    pub debug_mode: bool,
    /// For documents and certificates.
    pub clock: Clock,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            instance_id: "i-0123456789abcdef0".to_owned(),
            region: "us-east-1".to_owned(),
            role_arn: None,
            signer: None,
            map_forms: MapForms::Alternating,
            debug_mode: false,
            clock: Clock::system(),
        }
    }
}

/// A mock secure module: one enclave's, from its start to its end. Thread-safe.
pub struct MockNsm {
    measurements: [Pcr; 3],
    options: Options,
    identity: Identity,
    state: Mutex<State>,
}

struct State {
    registers: Registers,
    chain: Chain,
    documents: u64,
}

impl MockNsm {
    /// The secure module of an enclave that starts now with these PCR0, PCR1 and PCR2.
    #[must_use]
    pub fn new(root: &DevelopmentRoot, measurements: [Pcr; 3], options: Options) -> Self {
        let now_ms = options.clock.now_ms();
        let identity = Identity {
            region: options.region.clone(),
            instance_id: options.instance_id.clone(),
            enclave_id: enclave_id(now_ms),
        };
        let state = State {
            registers: Registers::new(&initial_pcrs(measurements, &options)),
            chain: Chain::new(root, identity.clone(), now_ms / 1000),
            documents: 0,
        };
        Self { measurements, options, identity, state: Mutex::new(state) }
    }

    /// `i-<17 hex>-enc<16 hex>`.
    #[must_use]
    pub fn module_id(&self) -> String {
        self.identity.module_id()
    }

    /// The image's measurements as a verifier pins them.
    ///
    /// # Errors
    /// [`PinError::Zero`] if a register is zero.
    pub fn measurements(&self) -> Result<MeasurementSet, PinError> {
        let [pcr0, pcr1, pcr2] = self.measurements;
        MeasurementSet::new(pcr0, pcr1, pcr2)
    }

    /// A document over these fields, as the enclave would get it; for tests that attack with
    /// documents they could not ask for over the wire.
    #[must_use]
    pub fn document(
        &self,
        user_data: Option<&[u8]>,
        nonce: Option<&[u8]>,
        public_key: Option<&[u8]>,
    ) -> Vec<u8> {
        self.draft(user_data, nonce, public_key).sign()
    }

    /// The same before it is signed, to be changed.
    #[must_use]
    pub fn draft(
        &self,
        user_data: Option<&[u8]>,
        nonce: Option<&[u8]>,
        public_key: Option<&[u8]>,
    ) -> DocumentDraft {
        let now_ms = self.options.clock.now_ms();
        let mut state = self.lock();
        state.chain.renew(now_ms / 1000);
        state.documents += 1;
        let payload = PayloadDraft {
            form: self.map_form(state.documents),
            entries: self.entries(
                now_ms,
                &state.registers.attested(),
                [public_key, user_data, nonce],
            ),
        };
        let chain = state.chain.clone();
        let mut draft = DocumentDraft { chain, payload, envelope: EnvelopeDraft::default() };
        draft.embed_chain();
        draft
    }

    /// The nine entries in the genuine order; `optional` are public_key, user_data and nonce.
    fn entries(
        &self,
        now_ms: u64,
        pcrs: &BTreeMap<u8, Pcr>,
        optional: [Option<&[u8]>; 3],
    ) -> Vec<(String, Vec<u8>)> {
        let registers: Vec<u8> = pcrs
            .iter()
            .flat_map(|(index, value)| {
                [cbor::unsigned((*index).into()), cbor::bytes(value)].concat()
            })
            .collect();
        let [public_key, user_data, nonce] =
            optional.map(|field| field.map_or_else(cbor::null, cbor::bytes));
        [
            ("module_id", cbor::text(&self.module_id())),
            ("digest", cbor::text("SHA384")),
            ("timestamp", cbor::unsigned(now_ms)),
            ("pcrs", [cbor::head(5, pcrs.len() as u64), registers].concat()),
            ("certificate", cbor::null()),
            ("cabundle", cbor::null()),
            ("public_key", public_key),
            ("user_data", user_data),
            ("nonce", nonce),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into()
    }

    const fn map_form(&self, count: u64) -> MapForm {
        match self.options.map_forms {
            MapForms::Only(form) => form,
            MapForms::Alternating if count.is_multiple_of(2) => MapForm::Definite,
            MapForms::Alternating => MapForm::Indefinite,
        }
    }

    fn carry_out(&self, request: Request) -> Result<Response, ErrorCode> {
        match request {
            Request::DescribePCR { index } => self
                .lock()
                .registers
                .get(index)
                .map(|r| Response::DescribePCR { lock: r.locked, data: r.value.to_vec() }),
            Request::ExtendPCR { index, data } => self
                .lock()
                .registers
                .extend(index, &data)
                .map(|value| Response::ExtendPCR { data: value.to_vec() }),
            Request::LockPCR { index } => {
                self.lock().registers.lock(index).map(|()| Response::LockPCR)
            }
            Request::LockPCRs { range } => {
                self.lock().registers.lock_range(range).map(|()| Response::LockPCRs)
            }
            Request::DescribeNSM => Ok(self.describe()),
            Request::Attestation { user_data, nonce, public_key } => {
                let fields = [user_data, nonce, public_key];
                if fields.iter().flatten().any(|field| field.len() > MAX_FIELD) {
                    return Err(ErrorCode::InputTooLarge);
                }
                let [user_data, nonce, public_key] =
                    fields.each_ref().map(|f| f.as_ref().map(|bytes| bytes.as_slice()));
                Ok(Response::Attestation { document: self.document(user_data, nonce, public_key) })
            }
            Request::GetRandom => {
                Ok(Response::GetRandom { random: random::<RANDOM_BYTES>().to_vec() })
            }
            _ => Err(ErrorCode::InvalidOperation),
        }
    }

    fn describe(&self) -> Response {
        Response::DescribeNSM {
            version_major: 1,
            version_minor: 0,
            version_patch: 0,
            module_id: self.module_id(),
            max_pcrs: u16::from(PCR_COUNT),
            locked_pcrs: self.lock().registers.locked(),
            digest: Digest::SHA384,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SecureModule for MockNsm {
    fn process(&self, request: Request) -> Response {
        self.carry_out(request).unwrap_or_else(Response::Error)
    }
}

/// The registers the hypervisor fills: image, role, instance, signer.
fn initial_pcrs(measurements: [Pcr; 3], options: &Options) -> BTreeMap<u8, Pcr> {
    let mut pcrs = BTreeMap::from([(4, pcr::of_instance_id(&options.instance_id))]);
    pcrs.extend(options.role_arn.as_deref().map(|arn| (3, pcr::of_role_arn(arn))));
    if !options.debug_mode {
        pcrs.extend((0..).zip(measurements));
        pcrs.extend(options.signer.map(|value| (8, value)));
    }
    pcrs
}

/// 48 bits of the time in milliseconds, then 16 random ones, as in genuine module ids.
fn enclave_id(now_ms: u64) -> [u8; 8] {
    let mut id = (now_ms << 16).to_be_bytes();
    id[6..].copy_from_slice(&random::<2>());
    id
}

/// Random bytes.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system has random numbers");
    bytes
}
