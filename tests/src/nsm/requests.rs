//! Does the mock answer requests with the limits and errors of the device?
#![allow(clippy::panic)]

use super::*;
use serde_bytes::ByteBuf;

#[test]
fn requests_have_the_limits_and_errors_of_the_device() {
    let nsm = MockNsm::new(&DevelopmentRoot::generate(), [[1; 48]; 3], Options::default());
    let check = |request: Request, expected: &str| {
        let answer = format!("{:?}", nsm.process(request));
        assert!(answer.starts_with(expected), "{answer} instead of {expected}");
    };
    let extend = |index, data: &[u8]| Request::ExtendPCR { index, data: data.to_vec() };
    let attest = |length: usize| {
        let field = Some(ByteBuf::from(vec![7; length]));
        Request::Attestation { user_data: field.clone(), nonce: field.clone(), public_key: field }
    };
    check(Request::DescribePCR { index: 15 }, "DescribePCR { lock: true");
    check(Request::DescribePCR { index: 16 }, "DescribePCR { lock: false, data: [0, 0");
    check(Request::DescribePCR { index: 31 }, "DescribePCR { lock: false");
    check(Request::DescribePCR { index: 32 }, "Error(InvalidIndex)");
    check(extend(0, b"data"), "Error(ReadOnlyIndex)");
    check(extend(15, b"data"), "Error(ReadOnlyIndex)");
    check(extend(32, b"data"), "Error(InvalidIndex)");
    check(extend(16, b""), "Error(InvalidArgument)");
    check(extend(16, &[0; 4097]), "Error(InputTooLarge)");
    let once = pcr::extend(&pcr::ZERO, b"one");
    check(extend(16, b"one"), &format!("ExtendPCR {{ data: {once:?} }}"));
    let twice = pcr::extend(&once, b"two");
    check(extend(16, b"two"), &format!("ExtendPCR {{ data: {twice:?} }}"));
    check(Request::LockPCR { index: 3 }, "Error(ReadOnlyIndex)");
    check(Request::LockPCR { index: 32 }, "Error(InvalidIndex)");
    check(Request::LockPCR { index: 16 }, "LockPCR");
    check(Request::LockPCR { index: 16 }, "Error(ReadOnlyIndex)");
    check(extend(16, b"three"), "Error(ReadOnlyIndex)");
    check(
        Request::DescribePCR { index: 16 },
        &format!("DescribePCR {{ lock: true, data: {twice:?}"),
    );
    check(Request::LockPCRs { range: 33 }, "Error(InvalidIndex)");
    check(Request::LockPCRs { range: 18 }, "LockPCRs");
    check(extend(17, b"data"), "Error(ReadOnlyIndex)");
    check(extend(18, b"data"), "ExtendPCR");
    check(attest(1024), "Attestation");
    check(attest(1025), "Error(InputTooLarge)");
    match nsm.process(Request::DescribeNSM) {
        Response::DescribeNSM { module_id, max_pcrs, locked_pcrs, digest, .. } => {
            assert_eq!(module_id, nsm.module_id());
            assert_eq!(max_pcrs, 32);
            assert_eq!(locked_pcrs, (0..18).collect());
            assert_eq!(digest, Digest::SHA384);
        }
        other => panic!("{other:?}"),
    }
    let random = || match nsm.process(Request::GetRandom) {
        Response::GetRandom { random } => random,
        other => panic!("{other:?}"),
    };
    assert_eq!(random().len(), 256);
    assert_ne!(random(), random());
}
