//! `attestation verify | inspect | measure | diff | fetch`: what an enclave says of itself, and
//! whether it is true.
//!
//! `verify` is the only one that believes anything, and it says what. It needs no AWS account, and
//! no appliance unless it is given one's URL.

mod appliance;
mod diff;
mod fetch;
mod given;
mod inspect;
mod measure;
mod remedy;
mod report;
mod verify;

pub(super) use remedy::remedy;

use super::connection::Stack;
use super::output::{Failure, Report};
use nitro_signer_shared::eif::Image;
use nitro_signer_shared::message::MIN_NONCE;
use std::path::Path;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Attestation: verify a document, look at one, measure an image, compare, fetch.
#[derive(clap::Subcommand)]
pub(super) enum Attestation {
    Verify(Box<verify::Verify>),
    Inspect(inspect::Inspect),
    Measure(measure::Measure),
    Diff(diff::Diff),
    Fetch(fetch::Fetch),
}

impl Attestation {
    pub(super) async fn run(self, stack: &Stack, json: bool) -> Result<Report, Failure> {
        match self {
            Self::Verify(verify) => verify.run(stack, json).await,
            Self::Inspect(inspect) => inspect.run(),
            Self::Measure(measure) => measure.run(),
            Self::Diff(diff) => diff.run(),
            Self::Fetch(fetch) => fetch.run(stack).await,
        }
    }
}

/// The image in this file, whose every check passed.
pub(super) fn measured(path: &Path) -> Result<Image, Failure> {
    measure::measure(path, measure::open(path)?)
}

/// A nonce, as its bytes.
#[derive(Clone)]
struct Nonce(Vec<u8>);

fn nonce(text: &str) -> Result<Nonce, String> {
    let Bytes(bytes) = bytes(text)?;
    // Other appliances may have longer ones than ours.
    let fits = (MIN_NONCE..=1_024).contains(&bytes.len());
    fits.then_some(Nonce(bytes)).ok_or_else(|| format!("{MIN_NONCE} to 1024 bytes in hex"))
}

/// Bytes in hex, with or without 0x.
#[derive(Clone)]
struct Bytes(Vec<u8>);

fn bytes(text: &str) -> Result<Bytes, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    hex::decode(digits).map(Bytes).map_err(|_| "bytes in hex".to_owned())
}

/// Milliseconds of Unix time as RFC 3339 has them.
fn rfc3339(ms: u64) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000);
    let text = time.ok().and_then(|time| time.format(&Rfc3339).ok());
    text.unwrap_or_else(|| format!("{ms} ms of Unix time"))
}

/// An RFC 3339 time as milliseconds of Unix time.
fn milliseconds(text: &str) -> Result<u64, String> {
    let time = OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| "a time such as 2026-01-31T12:00:00Z".to_owned())?;
    u64::try_from(time.unix_timestamp_nanos() / 1_000_000)
        .map_err(|_| "a time after 1970".to_owned())
}

/// A time such as 90s, 5m or 24h, in milliseconds.
pub(super) fn duration_ms(text: &str) -> Result<u64, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let unit = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err("a number and ms, s, m, h or d".to_owned()),
    };
    let number: u64 = digits.parse().map_err(|_| "a number and ms, s, m, h or d".to_owned())?;
    number.checked_mul(unit).ok_or_else(|| "too long".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        let check = |text: &str, expected: Option<u64>| {
            assert_eq!(duration_ms(text).ok(), expected, "{text}");
        };
        check("90s", Some(90_000));
        check("5m", Some(300_000));
        check("24h", Some(86_400_000));
        for bad in ["", "5", "m", "5 m", "-5m", "5x", "18446744073709551615d"] {
            check(bad, None);
        }
    }

    #[test]
    fn times_are_read_and_written_as_rfc_3339_has_them() {
        let check = |text: &str, expected: Option<u64>| {
            assert_eq!(milliseconds(text).ok(), expected, "{text}");
        };
        check("2026-01-01T00:00:00Z", Some(1_767_225_600_000));
        check("2026-01-01T01:00:00.25+01:00", Some(1_767_225_600_250));
        for bad in ["", "now", "2026-01-01", "2026-13-01T00:00:00Z", "1969-12-31T23:59:59Z"] {
            check(bad, None);
        }
        assert_eq!(rfc3339(1_767_225_600_250), "2026-01-01T00:00:00.25Z");
        assert_eq!(rfc3339(u64::MAX), "18446744073709551615 ms of Unix time");
    }

    #[test]
    fn a_nonce_has_16_bytes_or_more() {
        assert!(
            nonce(&"ab".repeat(16)).is_ok() && nonce(&format!("0x{}", "AB".repeat(32))).is_ok()
        );
        for bad in ["", "xy", "abc", &"ab".repeat(15), &"ab".repeat(1025)] {
            assert!(nonce(bad).is_err(), "{bad}");
        }
    }
}
