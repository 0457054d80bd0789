//! Typed data (EIP-712). What is accepted
//! - has the signing hash and the type hash that alloy computes, by a reader and an encoder that we
//!   share no code with;
//! - has them however its JSON is printed;
//! - is neither shorter nor longer than it should be.
#![no_main]

use alloy_primitives::keccak256;
use libfuzzer_sys::fuzz_target;
use nitro_signer_enclave::typed_data::TypedData;

fuzz_target!(|data: &[u8]| {
    let Ok(ours) = TypedData::parse(data) else { return };
    let theirs: alloy_dyn_abi::TypedData = serde_json::from_slice(data).expect("alloy reads it");
    assert_eq!(theirs.eip712_signing_hash().expect("alloy hashes it"), ours.signing_hash());
    assert_eq!(keccak256(theirs.encode_type().expect("alloy writes it")), ours.type_hash());
    assert_eq!(theirs.primary_type, ours.primary_type());

    let value: serde_json::Value = serde_json::from_slice(data).expect("a general reader reads it");
    let printed = serde_json::to_vec_pretty(&value).expect("can be printed");
    let again = TypedData::parse(&printed).expect("is the same JSON");
    assert_eq!(again.signing_hash(), ours.signing_hash());
    assert_eq!(again.message(), ours.message());

    let trimmed = data.trim_ascii_end();
    assert!(TypedData::parse(&trimmed[..trimmed.len() - 1]).is_err());
    assert!(TypedData::parse(&[data, b"0"].concat()).is_err());
});
