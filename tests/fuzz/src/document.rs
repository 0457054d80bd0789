//! Attestation documents around fuzzed parts, written apart from every reader and from the mock
//! secure module: a payload in an envelope, a chain in a payload.

/// CBOR of a major type and an argument, in its shortest form.
#[must_use]
pub fn head(major: u8, argument: u64) -> Vec<u8> {
    let bytes = argument.to_be_bytes();
    let (low, from) = match argument {
        0..=23 => (bytes[7], 8),
        24..=0xff => (24, 7),
        0x100..=0xffff => (25, 6),
        0x1_0000..=0xffff_ffff => (26, 4),
        _ => (27, 0),
    };
    [&[major << 5 | low], &bytes[from..]].concat()
}

/// A byte string.
#[must_use]
pub fn bytes(content: &[u8]) -> Vec<u8> {
    [head(2, content.len() as u64).as_slice(), content].concat()
}

/// A text string.
#[must_use]
pub fn text(content: &str) -> Vec<u8> {
    [head(3, content.len() as u64).as_slice(), content.as_bytes()].concat()
}

/// The untagged COSE_Sign1 of a payload.
#[must_use]
pub fn envelope(payload: &[u8], signature: &[u8; 96]) -> Vec<u8> {
    const BEFORE: &[u8] = &[0x84, 0x44, 0xa1, 0x01, 0x38, 0x22, 0xa0];
    [BEFORE, &bytes(payload), &bytes(signature)].concat()
}

/// What a document's signature is over.
#[must_use]
pub fn signed(payload: &[u8]) -> Vec<u8> {
    let protected = [0x44, 0xa1, 0x01, 0x38, 0x22];
    [&[0x84][..], &text("Signature1"), &protected, &bytes(&[]), &bytes(payload)].concat()
}

/// The instance of [`payload`].
pub const INSTANCE: &str = "i-0123456789abcdef0";
/// The module id of [`payload`].
pub const MODULE: &str = "i-0123456789abcdef0-enc0123456789abcdef";
/// PCR0, PCR1 and PCR2 of [`payload`].
pub const IMAGE: [[u8; 48]; 3] = [[1; 48], [2; 48], [3; 48]];

/// A payload with these certificates, the leaf last, and nothing else unusual.
#[must_use]
pub fn payload(certificates: &[Vec<u8>], timestamp_ms: u64, pcr4: &[u8; 48]) -> Vec<u8> {
    let (leaf, issuers) = certificates.split_last().expect("the caller has certificates");
    let register = |index: u8, value: &[u8; 48]| [vec![index], bytes(value)].concat();
    let mut out = head(5, 9);
    out.extend([text("module_id"), text(MODULE), text("digest"), text("SHA384")].concat());
    out.extend([text("timestamp"), head(0, timestamp_ms), text("pcrs"), head(5, 4)].concat());
    for (index, value) in (0..).zip(&IMAGE) {
        out.extend(register(index, value));
    }
    out.extend([register(4, pcr4), text("certificate"), bytes(leaf)].concat());
    out.extend([text("cabundle"), head(4, issuers.len() as u64)].concat());
    out.extend(issuers.iter().flat_map(|issuer| bytes(issuer)));
    for name in ["public_key", "user_data", "nonce"] {
        out.extend([text(name), vec![0xf6]].concat());
    }
    out
}
