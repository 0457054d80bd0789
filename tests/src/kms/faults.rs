//! Faults that tests ask for: what a network, a busy KMS or a forger does to an enclave.

use super::operations::Operation;
use std::time::Duration;

/// What happens to one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection is closed after the request was read; nothing is carried out.
    CloseConnection,
    /// The answer comes this much later.
    Delay(Duration),
    /// HTTP 500, KMSInternalException.
    InternalError,
    /// HTTP 400, ThrottlingException.
    Throttling,
    /// HTTP 503, ServiceUnavailableException.
    Unavailable,
    /// HTTP 400, ExpiredTokenException: the credentials are taken for run out.
    ExpiredCredentials,
    /// KMS's clock is off by this many milliseconds for one call: signatures and attestation
    /// documents are judged by it, and times are answered from it.
    StaleClock(i64),
    /// The call is carried out, and the connection closed before the answer.
    LoseAnswer,
    /// CiphertextForRecipient holds this plaintext instead. Whoever relays the call could make
    /// it, since the recipient's key is public and the envelope has no integrity.
    ForgePlaintext(Vec<u8>),
    /// KeyId names this key instead.
    ForgeKeyId(String),
}

/// The part of a fault that changes an answer.
#[derive(Default)]
pub(super) struct Forgery {
    plaintext: Option<Vec<u8>>,
    key_id: Option<String>,
}

impl Forgery {
    pub(super) fn of(fault: Option<&Fault>) -> Self {
        match fault {
            Some(Fault::ForgePlaintext(plaintext)) => {
                Self { plaintext: Some(plaintext.clone()), key_id: None }
            }
            Some(Fault::ForgeKeyId(id)) => Self { plaintext: None, key_id: Some(id.clone()) },
            _ => Self::default(),
        }
    }

    pub(super) fn plaintext<'a>(&'a self, real: &'a [u8]) -> &'a [u8] {
        self.plaintext.as_deref().unwrap_or(real)
    }

    pub(super) fn key_id<'a>(&'a self, real: &'a str) -> &'a str {
        self.key_id.as_deref().unwrap_or(real)
    }
}

/// Faults that wait for their call.
#[derive(Default)]
pub(super) struct Faults(Vec<Waiting>);

struct Waiting {
    on: Operation,
    skip: usize,
    fault: Fault,
}

impl Faults {
    /// The fault strikes the call of this operation that comes after `skip` more, once.
    pub(super) fn add(&mut self, on: Operation, skip: usize, fault: Fault) {
        self.0.push(Waiting { on, skip, fault });
    }

    /// The fault of a call that has just come in. Every waiting fault counts the call.
    pub(super) fn strike(&mut self, operation: Operation) -> Option<Fault> {
        let mut struck = None;
        for (at, waiting) in self.0.iter_mut().enumerate() {
            if waiting.on != operation {
                continue;
            }
            match waiting.skip.checked_sub(1) {
                Some(left) => waiting.skip = left,
                None if struck.is_none() => struck = Some(at),
                None => {}
            }
        }
        struck.map(|at| self.0.remove(at).fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_once_and_where_it_was_put() {
        let mut faults = Faults::default();
        faults.add(Operation::Decrypt, 1, Fault::InternalError);
        faults.add(Operation::Decrypt, 0, Fault::Throttling);
        faults.add(Operation::Encrypt, 0, Fault::CloseConnection);
        assert_eq!(faults.strike(Operation::Decrypt), Some(Fault::Throttling));
        assert_eq!(faults.strike(Operation::Decrypt), Some(Fault::InternalError));
        assert_eq!(faults.strike(Operation::Decrypt), None);
        assert_eq!(faults.strike(Operation::Encrypt), Some(Fault::CloseConnection));
        assert_eq!(faults.strike(Operation::Encrypt), None);
    }
}
