//! Issuers' certificates whose way to the root was verified before.
//!
//! A certificate is found only by its whole path, the root included, so what is found was signed
//! by exactly these issuers. Nothing else about it is remembered as true: validity, the length of
//! the path and the deny-list are judged anew for each document.

use super::certificate::Certificate;
use aws_lc_rs::digest::{Context, SHA256};
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The certificates from the root to one issuer: SHA-256 of the path before and this certificate's
/// DER.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Path([u8; 32]);

impl Path {
    /// The path to each certificate of a list that begins with the root.
    pub(super) fn of_each(certificates: &[Vec<u8>]) -> Vec<Self> {
        let mut path = Self([0; 32]);
        let to_next = |der: &Vec<u8>| {
            path = path.then(der);
            path
        };
        certificates.iter().map(to_next).collect()
    }

    fn then(self, der: &[u8]) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(&self.0);
        context.update(der);
        let mut next = [0; 32];
        next.copy_from_slice(context.finish().as_ref());
        Self(next)
    }
}

/// A bounded number of verified issuers.
pub(super) struct IssuerCache {
    capacity: NonZeroUsize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    certificates: BTreeMap<Path, Entry>,
    /// Counts the uses, by which the one longest unused is found.
    uses: u64,
}

struct Entry {
    certificate: Arc<Certificate>,
    used: u64,
}

impl IssuerCache {
    pub(super) fn new(capacity: NonZeroUsize) -> Self {
        Self { capacity, kept: Mutex::default() }
    }

    /// The certificate at the end of this path, if every signature on it was verified.
    pub(super) fn find(&self, path: &Path) -> Option<Arc<Certificate>> {
        let mut kept = self.kept();
        let now = kept.next_use();
        let entry = kept.certificates.get_mut(path)?;
        entry.used = now;
        Some(Arc::clone(&entry.certificate))
    }

    /// Keeps certificates at the end of these paths, every signature on which was verified.
    pub(super) fn keep<'a>(&self, verified: impl Iterator<Item = (Path, &'a Arc<Certificate>)>) {
        let mut kept = self.kept();
        for (path, certificate) in verified {
            let used = kept.next_use();
            let certificate = Arc::clone(certificate);
            kept.certificates.insert(path, Entry { certificate, used });
            if kept.certificates.len() > self.capacity.get() {
                kept.forget_one();
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.kept().certificates.len()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // No step in between leaves it inconsistent.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    const fn next_use(&mut self) -> u64 {
        self.uses += 1;
        self.uses
    }

    fn forget_one(&mut self) {
        let oldest = self.certificates.iter().min_by_key(|(_, entry)| entry.used);
        if let Some(path) = oldest.map(|(path, _)| *path) {
            self.certificates.remove(&path);
        }
    }
}
