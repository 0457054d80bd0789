//! Frames on the link.
//! - A stream reads the same whole and in pieces, however it is cut.
//! - A frame that is read was written with exactly these bytes, and what follows it is left alone.
//! - A frame that ends early is an error, never a shorter message.
//!
//! The input: the length of a piece (1 byte), the stream.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nitro_signer_fuzz::input::Input;
use nitro_signer_fuzz::ready::{Pieces, now};
use nitro_signer_shared::frame::{self, Body, FrameError};

fn read(stream: &[u8], most: usize) -> (Result<Body, FrameError>, &[u8]) {
    let mut pieces = Pieces { rest: stream, most };
    let result = now(frame::read(&mut pieces));
    (result, pieces.rest)
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let piece = usize::from(input.byte()).max(1);
    let stream = input.rest();
    let (whole, left) = read(stream, usize::MAX);
    match (&whole, read(stream, piece)) {
        (Ok(whole), (Ok(body), left_by_pieces)) => {
            assert_eq!((whole, left), (&body, left_by_pieces));
        }
        (Err(whole), (Err(error), _)) => assert_eq!(format!("{whole:?}"), format!("{error:?}")),
        _ => panic!("read in one way, refused in the other"),
    }
    assert_eq!(matches!(whole, Err(FrameError::Closed)), stream.is_empty());

    let Ok(body) = whole else { return };
    let frame = &stream[..stream.len() - left.len()];
    let mut written = Vec::new();
    now(frame::write(&mut written, &body)).expect("what was read can be written");
    assert_eq!(written, frame);
    for shorter in [1, 7, 8, frame.len() - 1] {
        assert!(matches!(read(&frame[..shorter], piece).0, Err(FrameError::Io(_))));
    }
});
