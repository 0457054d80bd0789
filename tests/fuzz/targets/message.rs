//! The messages in frames, and the claims that an attestation document commits to. What is accepted
//! - is written in one form, which reads as the same message again;
//! - is neither shorter nor longer than it should be.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nitro_signer_shared::claims::{ClaimSet, Claims, KeyClaims};
use nitro_signer_shared::frame;
use nitro_signer_shared::message::{RequestFrame, ResponseFrame};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The message and its one form, if the body is a message of this kind.
fn settle<T: Serialize + DeserializeOwned>(body: &[u8]) -> Option<(T, frame::Body)> {
    let message: T = frame::decode(body).ok()?;
    let written = frame::encode(&message).expect("what was read can be written");
    let again: T = frame::decode(&written).expect("what was written can be read");
    assert_eq!(frame::encode(&again).expect("can be written"), written);
    assert!(frame::decode::<T>(&body[..body.len() - 1]).is_err());
    assert!(frame::decode::<T>(&[body, &[0]].concat()).is_err());
    Some((again, written))
}

fn check_claims<T: ClaimSet + PartialEq>(bytes: &[u8]) {
    let Ok(claims) = T::open(bytes, &T::user_data(bytes)) else { return };
    let Ok(written) = claims.to_bytes() else { return };
    assert!(T::open(&written, &T::user_data(&written)).is_ok_and(|again| again == claims));
    assert!(written == bytes || T::open(&written, &T::user_data(bytes)).is_err());
}

fuzz_target!(|body: &[u8]| {
    settle::<RequestFrame>(body);
    if let Some((response, written)) = settle::<ResponseFrame>(body) {
        let read: ResponseFrame = frame::decode(&written).expect("was read");
        assert_eq!(read, response);
    }
    check_claims::<Claims>(body);
    check_claims::<KeyClaims>(body);
});
