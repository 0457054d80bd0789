//! Platform configuration registers: 48 bytes of SHA-384, extended and never written.
//!
//! Source: AWS Nitro Enclaves user guide, "Where to get an enclave's measurements".

use aws_lc_rs::digest::{Context, SHA384, digest};

/// A register's value.
pub type Pcr = [u8; 48];

/// How many registers a Nitro secure module has.
pub const PCR_COUNT: u8 = 32;

/// The value of a register that nothing was measured into.
pub const ZERO: Pcr = [0; 48];

/// The register's value after one extension: SHA-384(value || data).
#[must_use]
pub fn extend(value: &Pcr, data: &[u8]) -> Pcr {
    let mut context = Context::new(&SHA384);
    context.update(value);
    context.update(data);
    finish(context)
}

/// The digest of a SHA-384 in progress.
pub(crate) fn finish(context: Context) -> Pcr {
    let mut value = ZERO;
    value.copy_from_slice(context.finish().as_ref());
    value
}

/// PCR3 of an enclave on an instance with this IAM role: the role's ARN, extended into zeros.
#[must_use]
pub fn of_role_arn(arn: &str) -> Pcr {
    extend(&ZERO, arn.as_bytes())
}

/// PCR4 of an enclave on this instance: the instance id, extended into zeros.
#[must_use]
pub fn of_instance_id(id: &str) -> Pcr {
    extend(&ZERO, id.as_bytes())
}

/// PCR8 of an enclave whose image this certificate (DER) signed: the certificate's SHA-384,
/// extended into zeros. An image that is not signed leaves PCR8 zero.
#[must_use]
pub fn of_signing_certificate(der: &[u8]) -> Pcr {
    extend(&ZERO, digest(&SHA384, der).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The genuine document of 17 March 2021 that a public test suite carries has this PCR4.
    #[test]
    fn pcr4_is_the_instance_id_extended_into_zeros() {
        assert_eq!(
            hex::encode(of_instance_id("i-078824548edcf6519")),
            "8a4d049b4193ab1554c7c63e9ec581b481fd80c8c2b643f65a4fb0eb2fafeb574bd5e7b04f2e9212ff15729129330a47"
        );
    }

    /// By Python's hashlib. Images signed with real certificates are in the tests of `eif`.
    #[test]
    fn pcr8_is_the_certificates_hash_extended_into_zeros() {
        assert_eq!(
            hex::encode(of_signing_certificate(b"a certificate")),
            "546756e5378301533ea5633e4b3197db07321778872e8ef0734574e771d7284678de0215f0d3a59ada5057048793e0b2"
        );
    }
}
