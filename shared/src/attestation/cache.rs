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

#[cfg(test)]
mod tests {
    use super::super::chain::TrustAnchor;
    use super::*;

    #[test]
    fn a_path_is_every_certificate_on_it() {
        let last = |ders: &[&[u8]]| {
            let ders: Vec<Vec<u8>> = ders.iter().map(|der| der.to_vec()).collect();
            *Path::of_each(&ders).last().expect("is not empty")
        };
        let check = |ders: &[&[u8]], same: bool| {
            assert_eq!(last(ders) == last(&[b"root", b"region", b"zone"]), same);
        };
        check(&[b"root", b"region", b"zone"], true);
        check(&[b"root", b"region", b"other"], false);
        check(&[b"root", b"other", b"zone"], false);
        check(&[b"other", b"region", b"zone"], false);
        check(&[b"region", b"zone"], false);
        check(&[b"root", b"zone"], false);
        check(&[b"zone"], false);
        check(&[b"root", b"regionzone"], false);
    }

    #[test]
    fn the_one_not_needed_for_longest_is_forgotten() {
        let certificate = Certificate::parse(TrustAnchor::aws().der()).expect("is a certificate");
        let certificate = Arc::new(certificate);
        let paths: Vec<Path> = Path::of_each(&[vec![0], vec![1], vec![2]]);
        let keep = |cache: &IssuerCache, index: usize| {
            cache.keep([(paths[index], &certificate)].into_iter());
        };
        let check = |needed: &dyn Fn(&IssuerCache), kept: [bool; 3]| {
            let cache = IssuerCache::new(NonZeroUsize::new(2).expect("not zero"));
            keep(&cache, 0);
            keep(&cache, 1);
            needed(&cache);
            keep(&cache, 2);
            assert_eq!([0, 1, 2].map(|index| cache.find(&paths[index]).is_some()), kept);
        };
        check(&|_| (), [false, true, true]);
        check(&|cache| drop(cache.find(&paths[0])), [true, false, true]);
        check(&|cache| drop(cache.find(&paths[1])), [false, true, true]);
        check(&|cache| keep(cache, 0), [true, false, true]);
    }
}
