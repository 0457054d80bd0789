//! Key derivation: HKDF-SHA-384 (RFC 5869), the only way one secret comes from another here.

use aws_lc_rs::hkdf::{HKDF_SHA384, KeyType, Salt};
use zeroize::Zeroizing;

/// Derives `N` bytes (at most 255 × 48). `info` parts are each prefixed by their length, so no two
/// lists of parts give the same input.
///
/// `N` is fixed by the caller's type, so the length is always one HKDF can give.
pub(crate) fn derive<const N: usize>(
    secret: &[u8],
    salt: &[u8],
    info: &[&[u8]],
) -> Zeroizing<[u8; N]> {
    const { assert!(N > 0 && N <= 255 * 48, "HKDF gives 1 to 255 hash lengths") };
    let info: Vec<u8> = info
        .iter()
        .flat_map(|part| (part.len() as u64).to_be_bytes().into_iter().chain(part.iter().copied()))
        .collect();
    let mut out = Zeroizing::new([0u8; N]);
    Salt::new(HKDF_SHA384, salt)
        .extract(secret)
        .expand(&[&info], Length(N))
        .and_then(|okm| okm.fill(out.as_mut_slice()))
        .expect("the length was checked at compile time");
    out
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_info_do_not_run_into_each_other() {
        let one = derive::<32>(b"secret", b"", &[b"ab", b"c"]);
        let two = derive::<32>(b"secret", b"", &[b"a", b"bc"]);
        assert_ne!(one.as_slice(), two.as_slice());
    }
}
