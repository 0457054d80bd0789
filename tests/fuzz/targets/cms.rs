//! The envelope in which KMS answers. What is accepted
//! - is the same envelope in every form that its parts are written in;
//! - holds whole blocks, no more of them than the input has bytes for;
//! - is neither shorter nor longer than it should be.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nitro_signer_fuzz::cms::{Lengths, Parts, write};
use nitro_signer_shared::cms::{Enveloped, MAX_ENVELOPE};

fuzz_target!(|data: &[u8]| {
    let Ok(read) = Enveloped::parse(data) else { return };
    assert!(data.len() <= MAX_ENVELOPE && read.ciphertext.len() < data.len());
    assert!(!read.ciphertext.is_empty() && read.ciphertext.len().is_multiple_of(16));
    assert!(Enveloped::parse(&data[..data.len() - 1]).is_err());
    assert!(Enveloped::parse(&[data, &[0]].concat()).is_err());

    let parts = Parts {
        recipient: &read.recipient_id,
        key: &read.encrypted_key,
        iv: &read.iv,
        content: &read.ciphertext,
    };
    for lengths in [Lengths::Definite, Lengths::Indefinite] {
        for chunk in [None, Some(1_000), Some(100)] {
            let written = write(&parts, lengths, chunk);
            if written.len() <= MAX_ENVELOPE {
                assert_eq!(Enveloped::parse(&written).as_ref(), Ok(&read));
            }
        }
    }
});
