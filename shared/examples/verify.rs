//! The attestation verifier as a library: verifies a document of any enclave by a measurements file.
//!
//! ```sh
//! cargo run --example verify -p nitro-signer-shared -- document.cbor measurements.json
//! ```
//!
//! It judges by Amazon's root and this machine's clock. A server would make its own nonce and
//! demand it by `Expectations::nonce`, and keep one anchor that remembers issuers.

use nitro_signer_shared::attestation::{
    Expectations, MeasurementsFile, Outcome, Time, TrustAnchor, Verdict, verify,
};
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(document), Some(measurements)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: verify DOCUMENT MEASUREMENTS");
        return Ok(ExitCode::from(2));
    };
    let expected =
        Expectations::of_file(&MeasurementsFile::from_json(&std::fs::read(measurements)?)?);
    let anchor = TrustAnchor::aws().remembering(NonZeroUsize::new(64).ok_or("not zero")?);
    let now_ms = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;

    let verification = verify(&std::fs::read(document)?, &anchor, &expected, Time::Now(now_ms));
    for (finding, outcome) in verification.outcomes() {
        match outcome {
            Outcome::Passed => println!("{finding} passed"),
            Outcome::Failed(how) => println!("{finding} FAILED: {how}"),
            Outcome::Skipped(why) => println!("{finding} skipped: {why}"),
        }
    }
    // Only a verified document hands out fields that may be believed.
    match verification.verdict() {
        Verdict::Verified(document) => {
            println!("verified: {} runs {:?}", document.module_id(), document.matched().version);
            Ok(ExitCode::SUCCESS)
        }
        Verdict::Mismatch(_) | Verdict::Refused => Ok(ExitCode::FAILURE),
    }
}
