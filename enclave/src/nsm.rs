//! The secure module: the one door to Nitro's hypervisor.
//!
//! [`SecureModule`] is all the enclave knows of it, and the only implementation that ships is
//! [`Device`], which is /dev/nsm. Answers come from the hypervisor, which the enclave trusts; that
//! they are of the expected kind and size is checked all the same.
//!
//! Two types tell where the enclave is: a [`Module`] can read and extend registers but gives no
//! document to anybody; [`Module::measure`] locks the manifest's register and gives the
//! [`MeasuredModule`] that can. KMS ignores `user_data`, so any document with an RSA key in it
//! would open the vault for whoever holds that key: only [`crate::kms`] can ask for one.

use crate::kms::RecipientPublicKey;
use aws_nitro_enclaves_nsm_api::api::{ErrorCode, Request, Response};
use aws_nitro_enclaves_nsm_api::driver;
use nitro_signer_shared::attestation::pcr;
use nitro_signer_shared::key_policy::form::AdmittedSet;
use nitro_signer_shared::manifest::{MANIFEST_PCR, ManifestHash};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_bytes::ByteBuf;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The longest document that /dev/nsm can give, in bytes: its driver's buffer.
const MAX_DOCUMENT: usize = 0x3000;

/// A Nitro secure module: takes one request, gives its answer. Calls block for a few milliseconds.
pub trait SecureModule: Send + Sync + 'static {
    /// Carries out one request.
    fn process(&self, request: Request) -> Response;
}

/// /dev/nsm, closed on drop.
pub struct Device(i32);

impl Device {
    /// Opens /dev/nsm.
    ///
    /// # Errors
    /// [`ModuleError::Unavailable`] if there is none: this is not a Nitro Enclave.
    pub fn open() -> Result<Self, ModuleError> {
        match driver::nsm_init() {
            fd if fd >= 0 => Ok(Self(fd)),
            _ => Err(ModuleError::Unavailable),
        }
    }
}

impl SecureModule for Device {
    fn process(&self, request: Request) -> Response {
        driver::nsm_process_request(self.0, request)
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        driver::nsm_exit(self.0);
    }
}

/// Why the secure module could not serve.
#[derive(Debug, thiserror::Error)]
pub enum ModuleError {
    /// There is no /dev/nsm.
    #[error("/dev/nsm cannot be opened; this is not a Nitro Enclave")]
    Unavailable,
    /// The module refused.
    #[error("the secure module refused {0}: {1:?}")]
    Refused(&'static str, ErrorCode),
    /// The module answered something else than was asked for.
    #[error("the secure module gave an unexpected answer to {0}")]
    Unexpected(&'static str),
    /// The manifest's register was not as a fresh enclave has it.
    #[error("PCR16 was touched before the manifest was measured")]
    ManifestPcr,
}

/// A register's value and whether it is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register {
    /// Its value: SHA-384, 48 bytes.
    pub value: pcr::Pcr,
    /// Whether it can no longer be extended.
    pub locked: bool,
}

/// What measured boot left in PCR0, 1 and 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// All three hold measurements.
    Production,
    /// At least one is zero, as in debug mode: no key may be released to this enclave.
    Debug,
}

/// The secure module before a manifest is measured.
#[derive(Clone)]
pub struct Module(Arc<dyn SecureModule>);

impl Module {
    /// Wraps an implementation.
    #[must_use]
    pub fn new(module: impl SecureModule) -> Self {
        Self(Arc::new(module))
    }

    /// 256 bytes from the hypervisor's random number generator.
    ///
    /// # Errors
    /// [`ModuleError`] if the module does not give at least 32.
    pub fn random(&self) -> Result<Zeroizing<Vec<u8>>, ModuleError> {
        match self.0.process(Request::GetRandom) {
            Response::GetRandom { random } if random.len() >= 32 => Ok(Zeroizing::new(random)),
            other => Err(unexpected("GetRandom", other)),
        }
    }

    /// Reads a register.
    ///
    /// # Errors
    /// [`ModuleError`] if the module does not give 48 bytes.
    pub fn register(&self, index: u16) -> Result<Register, ModuleError> {
        match self.0.process(Request::DescribePCR { index }) {
            Response::DescribePCR { lock, data } => {
                let value = data.try_into().map_err(|_| ModuleError::Unexpected("DescribePCR"))?;
                Ok(Register { value, locked: lock })
            }
            other => Err(unexpected("DescribePCR", other)),
        }
    }

    /// Whether this enclave runs in debug mode: any of PCR0, 1, 2 is zero.
    ///
    /// # Errors
    /// [`ModuleError`] if a register cannot be read.
    pub fn mode(&self) -> Result<Mode, ModuleError> {
        for index in 0..=2 {
            if self.register(index)?.value == pcr::ZERO {
                return Ok(Mode::Debug);
            }
        }
        Ok(Mode::Production)
    }

    /// The time of a document made now, in milliseconds of Unix time. The document itself goes
    /// nowhere.
    ///
    /// # Errors
    /// [`ModuleError`] if no document comes or it cannot be read.
    pub fn timestamp_ms(&self) -> Result<u64, ModuleError> {
        timestamp_of(&self.document(None, None, None)?)
    }

    /// Whether PCR16 is as a fresh enclave has it: unlocked and zero.
    ///
    /// # Errors
    /// [`ModuleError::ManifestPcr`] if it is not.
    pub fn check_manifest_pcr(&self) -> Result<(), ModuleError> {
        let pristine = Register { value: pcr::ZERO, locked: false };
        if self.register(MANIFEST_PCR)? == pristine {
            Ok(())
        } else {
            Err(ModuleError::ManifestPcr)
        }
    }

    /// Extends PCR16 with the manifest's hash, locks it, and reads it back. From here on every
    /// document says under which manifest it was made, and this cannot be done again.
    ///
    /// # Errors
    /// [`ModuleError`] if the register was not pristine, or does not hold the expected value in
    /// the end.
    pub fn measure(&self, manifest: &ManifestHash) -> Result<MeasuredModule, ModuleError> {
        self.check_manifest_pcr()?;
        let data = manifest.as_bytes().to_vec();
        match self.0.process(Request::ExtendPCR { index: MANIFEST_PCR, data }) {
            Response::ExtendPCR { .. } => {}
            other => return Err(unexpected("ExtendPCR", other)),
        }
        match self.0.process(Request::LockPCR { index: MANIFEST_PCR }) {
            Response::LockPCR => {}
            other => return Err(unexpected("LockPCR", other)),
        }
        let expected = Register { value: manifest.pcr16(), locked: true };
        if self.register(MANIFEST_PCR)? != expected {
            return Err(ModuleError::ManifestPcr);
        }
        let admitted = AdmittedSet::new(self.register(0)?.value, manifest.pcr16());
        Ok(MeasuredModule { module: self.clone(), manifest: *manifest, admitted })
    }

    fn document(
        &self,
        public_key: Option<&[u8]>,
        user_data: Option<&[u8]>,
        nonce: Option<&[u8]>,
    ) -> Result<Vec<u8>, ModuleError> {
        let bytes = |b: &[u8]| ByteBuf::from(b.to_vec());
        let request = Request::Attestation {
            user_data: user_data.map(bytes),
            nonce: nonce.map(bytes),
            public_key: public_key.map(bytes),
        };
        match self.0.process(request) {
            Response::Attestation { document } if document.len() <= MAX_DOCUMENT => Ok(document),
            other => Err(unexpected("Attestation", other)),
        }
    }
}

/// The secure module of an enclave whose manifest is measured and locked.
#[derive(Clone)]
pub struct MeasuredModule {
    module: Module,
    manifest: ManifestHash,
    admitted: AdmittedSet,
}

impl MeasuredModule {
    /// The measured manifest's hash.
    #[must_use]
    pub const fn manifest(&self) -> &ManifestHash {
        &self.manifest
    }

    /// This image and its manifest, as a KMS key's policy lists them.
    #[must_use]
    pub const fn admitted_set(&self) -> &AdmittedSet {
        &self.admitted
    }

    /// 256 bytes from the hypervisor's random number generator.
    ///
    /// # Errors
    /// As [`Module::random`].
    pub fn random(&self) -> Result<Zeroizing<Vec<u8>>, ModuleError> {
        self.module.random()
    }

    /// A document for people and programs outside. Its `public_key` is always null.
    ///
    /// # Errors
    /// [`ModuleError`] if the module gives none.
    pub fn client_document(&self, user_data: &[u8], nonce: &[u8]) -> Result<Vec<u8>, ModuleError> {
        self.module.document(None, Some(user_data), Some(nonce))
    }

    /// A document for KMS, which encrypts its answer to `recipient`. It goes into the one TLS
    /// connection to KMS and nowhere else.
    ///
    /// # Errors
    /// [`ModuleError`] if the module gives none.
    pub(crate) fn recipient_document(
        &self,
        recipient: &RecipientPublicKey,
    ) -> Result<Vec<u8>, ModuleError> {
        self.module.document(Some(recipient.as_spki()), None, None)
    }
}

/// Reads one field and passes over all others: the document is our own hypervisor's, and a field
/// that AWS adds must not keep the enclave from starting. Verifiers outside are strict.
fn timestamp_of(document: &[u8]) -> Result<u64, ModuleError> {
    #[derive(Deserialize)]
    struct Payload {
        timestamp: u64,
    }
    type Envelope = (IgnoredAny, IgnoredAny, ByteBuf, IgnoredAny);
    let unexpected = |_| ModuleError::Unexpected("Attestation");
    let (_, _, payload, _): Envelope = serde_cbor::from_slice(document).map_err(unexpected)?;
    let Payload { timestamp } = serde_cbor::from_slice(&payload).map_err(unexpected)?;
    Ok(timestamp)
}

fn unexpected(asked: &'static str, response: Response) -> ModuleError {
    match response {
        Response::Error(code) => ModuleError::Refused(asked, code),
        _ => ModuleError::Unexpected(asked),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_cbor::Value;

    fn document(payload: &[(&str, Value)]) -> Vec<u8> {
        let payload = payload.iter().map(|(k, v)| (Value::Text((*k).to_owned()), v.clone()));
        let payload = serde_cbor::to_vec(&Value::Map(payload.collect())).expect("encodes");
        let empty = || Value::Bytes(vec![]);
        let envelope = [empty(), Value::Map([].into()), Value::Bytes(payload), empty()];
        serde_cbor::to_vec(&Value::Array(envelope.to_vec())).expect("encodes")
    }

    #[test]
    fn the_clock_reads_documents_with_fields_it_does_not_know() {
        let time = ("timestamp", Value::Integer(1_700_000_000_000));
        let new = ("added_later", Value::Array(vec![Value::Null]));
        let read = |payload: &[_]| timestamp_of(&document(payload)).ok();
        assert_eq!(read(&[new.clone(), time]), Some(1_700_000_000_000));
        assert_eq!(read(&[new]), None);
        assert_eq!(timestamp_of(b"").ok(), None);
    }
}
