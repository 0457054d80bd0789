//! The manifest and all that the enclave makes of it before it serves. What is accepted
//! - can be written, and what is written reads as the same manifest;
//! - is neither shorter nor longer than it should be;
//! - names a KMS host of Amazon's and nothing else;
//! - loads or not, the same each time, without end or panic.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use nitro_signer_enclave::client::Callers;
use nitro_signer_enclave::policy::Policy;
use nitro_signer_shared::manifest::{Manifest, ManifestError};

/// Cedar takes longer for a longer policy; the reader is tried on any length.
const MAX_LOADED: usize = 8_192;

fuzz_target!(|data: &[u8]| -> Corpus {
    let Ok(manifest) = Manifest::parse(data) else { return Corpus::Keep };
    assert!(Manifest::parse(&data[..data.len() - 1]).is_err());
    assert!(Manifest::parse(&[data, &[0]].concat()).is_err());
    match manifest.to_bytes() {
        Ok(bytes) => assert_eq!(Manifest::parse(&bytes).as_ref(), Ok(&manifest)),
        Err(error) => assert!(matches!(error, ManifestError::TooLarge(_)), "{error}"),
    }
    let host = manifest.wrapping_key().kms_host();
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let region = host.strip_prefix("kms.").and_then(|rest| {
        rest.strip_suffix(".amazonaws.com").or_else(|| rest.strip_suffix(".amazonaws.com.cn"))
    });
    assert!(region.is_some_and(|region| !region.is_empty() && region.chars().all(plain)), "{host}");

    let rest: usize = manifest.abis.iter().map(|abi| abi.json.len()).sum();
    if manifest.policy.len() + rest > MAX_LOADED || Callers::new(&manifest).is_err() {
        return Corpus::Keep;
    }
    if let Ok(policy) = Policy::load(&manifest) {
        let rules = Policy::rule_texts(&manifest).expect("it loaded");
        let known = |name: &String| rules.iter().any(|rule| rule.name == *name);
        for action in policy.rules_by_action() {
            assert!(
                action.rules.iter().all(|(name, _, callers)| known(name) && !callers.is_empty())
            );
        }
    }
    Corpus::Keep
});
