//! `attestation show | verify`: what an enclave says of itself, and whether it is true.

mod diff;
mod measure;

use super::connection::{Connection, Stack};
use super::output::{Failure, Report, now_ms, random, read_input};
use super::trust::Trust;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD};
use nitro_signer_shared::attestation::{
    Expectations, MAX_DOCUMENT, MeasurementSet, Outcome, UnverifiedDocument, VerifiedDocument,
};
use nitro_signer_shared::claims::{ClaimSet, Claims, MAX_CLAIMS};
use nitro_signer_shared::manifest::{Manifest, ManifestHash};
use nitro_signer_shared::message::MIN_NONCE;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::path::PathBuf;

/// A document and claims in base64 inside JSON, with room for the decoded form beside them.
const MAX_INPUT: u64 = 4 * (MAX_DOCUMENT + MAX_CLAIMS) as u64;

/// Attestation documents: fetch one, verify one.
#[derive(clap::Subcommand)]
pub(super) enum Attestation {
    Show(Show),
    Verify(Box<Verify>),
    Measure(measure::Measure),
    Diff(diff::Diff),
}

/// Fetch a document over a fresh nonce and show what it claims. NOT verified: use
/// `attestation verify` for that.
#[derive(clap::Args)]
#[command(after_help = "\
Example: fetch, then verify
  NONCE=$(openssl rand -hex 32)
  nitro-signer attestation show --nonce $NONCE --json --stack stack.json > attestation.json
  nitro-signer attestation verify attestation.json --measurements measurements.json \\
    --manifest manifest.cbor --nonce $NONCE")]
pub(super) struct Show {
    /// The nonce, 16 to 64 bytes in hex; a random one if absent.
    #[arg(long, value_name = "HEX", value_parser = nonce)]
    nonce: Option<Nonce>,
    #[command(flatten)]
    connection: Connection,
}

/// Verify a document. Needs no appliance and no AWS account.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  nitro-signer attestation verify document.cbor --measurements measurements.json \\
    --manifest manifest.cbor --nonce 00112233445566778899aabbccddeeff
  nitro-signer attestation verify archived.b64 --measurements old.json --at document

Exit codes: 0 verified, 1 not what was expected, 2 usage, 3 malformed, 4 chain or signature,
5 time, 6 debug mode.")]
pub(super) struct Verify {
    /// The document: raw, hex, base64 or base64url; or what `attestation show --json` printed,
    /// whose claims are then verified too. - is standard input.
    document: PathBuf,
    #[command(flatten)]
    trust: Trust,
    /// The nonce that the document must carry, in hex.
    #[arg(long, value_name = "HEX", value_parser = nonce)]
    nonce: Option<Nonce>,
    /// Judge as of another time than now: `document` for its own, or milliseconds of Unix time.
    #[arg(long, value_name = "document|MS", value_parser = at)]
    at: Option<At>,
    /// How old the document may be, for example 90s, 5m or 24h. Default 5m.
    #[arg(long, value_name = "DURATION", value_parser = duration_ms)]
    max_age: Option<u64>,
    /// Accept an enclave in debug mode, whose memory its host can read.
    #[arg(long)]
    allow_debug: bool,
}

#[derive(Clone)]
struct Nonce(Vec<u8>);

#[derive(Clone, Copy)]
enum At {
    Document,
    Ms(u64),
}

#[derive(Deserialize)]
struct Fetched {
    document: String,
    claims: String,
    claims_decoded: Value,
}

/// What is to be verified.
struct Given {
    document: Vec<u8>,
    claims: Option<Vec<u8>>,
}

impl Attestation {
    pub(super) async fn run(self, stack: &Stack) -> Result<Report, Failure> {
        match self {
            Self::Show(show) => show.run(stack).await,
            Self::Verify(verify) => verify.run(stack),
            Self::Measure(measure) => measure.run(),
            Self::Diff(diff) => diff.run(),
        }
    }
}

impl Show {
    async fn run(self, stack: &Stack) -> Result<Report, Failure> {
        let Nonce(nonce) = match self.nonce {
            Some(nonce) => nonce,
            None => Nonce(random::<32>()?.to_vec()),
        };
        let client = self.connection.client(stack)?;
        let nonce = hex::encode(nonce);
        let fetched: Fetched = client.get(&format!("/v1/attestation?nonce={nonce}")).await?;
        let json = json!({
            "verified": false,
            "nonce": nonce,
            "document": fetched.document,
            "claims": fetched.claims,
            "claims_decoded": fetched.claims_decoded,
        });
        let mut report = Report::new(json)
            .line("NOT VERIFIED: what follows is what the appliance says. Verify it with")
            .line("`nitro-signer attestation verify`.")
            .field("nonce", &nonce);
        for (name, value) in fetched.claims_decoded.as_object().into_iter().flatten() {
            report = report.field(name, value);
        }
        Ok(report.field("document", &fetched.document))
    }
}

impl Verify {
    fn run(self, stack: &Stack) -> Result<Report, Failure> {
        let anchor = self.trust.anchor(stack)?;
        let manifest = self.trust.manifest().find(stack)?;
        let expected = self.expectations(stack, manifest.as_ref().map(|(_, hash)| hash))?;
        let given = Given::read(&read_input(&self.document, MAX_INPUT)?)?;
        let document = UnverifiedDocument::parse(&given.document)?;
        let (now_ms, time_basis) = match self.at {
            None => (now_ms(), "now"),
            Some(At::Document) => (document.unverified_timestamp_ms(), "document"),
            Some(At::Ms(ms)) => (ms, "given"),
        };
        let verified = document.authenticate(&anchor, now_ms)?.check(&expected, now_ms)?;
        let claims = given.claims.as_deref().map(|c| open(c, &verified)).transpose()?;
        if let (Some((manifest, hash)), Some(claims)) = (&manifest, &claims) {
            require_same(claims, manifest, hash)?;
        }
        let report = report(&verified, claims.as_ref(), manifest.is_some(), time_basis);
        Ok(if manifest.is_some() {
            report
        } else {
            report.line("policy: NOT VERIFIED. Without --manifest this may be our image under anybody's")
                .line("manifest and KMS key.")
        })
    }

    fn expectations(
        &self,
        stack: &Stack,
        manifest: Option<&ManifestHash>,
    ) -> Result<Expectations, Failure> {
        let mut sets = self.trust.measurements(stack)?.into_iter();
        let first = sets.next().ok_or_else(|| Failure::usage("--measurements is needed"))?;
        let mut expected = sets.fold(Expectations::new(first), Expectations::or_image);
        if let Some(hash) = manifest {
            // One of our own appliances, whose documents carry no public key.
            expected = expected.manifest(hash).no_public_key();
        }
        if let Some(Nonce(nonce)) = &self.nonce {
            expected = expected.nonce(nonce);
        }
        if let Some(max_age) = self.max_age {
            expected = expected.max_age_ms(max_age);
        }
        if self.allow_debug {
            expected = expected.allow_debug().or_image(MeasurementSet::debug_mode());
        }
        Ok(expected)
    }
}

impl Given {
    fn read(input: &[u8]) -> Result<Self, Failure> {
        if let Ok(fetched) = serde_json::from_slice::<Fetched>(input) {
            let base64 = |name: &str, text: &str| {
                let decoded = BASE64_STANDARD.decode(text);
                decoded.map_err(|_| Failure::malformed(format!("the {name} is not base64")))
            };
            let claims = Some(base64("claims", &fetched.claims)?);
            return Ok(Self { document: base64("document", &fetched.document)?, claims });
        }
        // What is no text form is the raw document; the verifier's reader judges it.
        Ok(Self { document: decode(input).unwrap_or_else(|| input.to_vec()), claims: None })
    }
}

/// Hex, base64 or base64url with or without padding; line breaks do not count.
fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let text: Vec<u8> = text.iter().copied().filter(|c| !c.is_ascii_whitespace()).collect();
    let digits = text.strip_prefix(b"0x").unwrap_or(&text);
    hex::decode(digits)
        .ok()
        .or_else(|| BASE64_STANDARD.decode(&text).ok())
        .or_else(|| BASE64_URL_SAFE.decode(&text).ok())
        .or_else(|| BASE64_URL_SAFE_NO_PAD.decode(&text).ok())
        .filter(|bytes| !bytes.is_empty())
}

fn open(claims: &[u8], verified: &VerifiedDocument) -> Result<Claims, Failure> {
    let claims = Claims::open(claims, verified.user_data().unwrap_or_default())
        .map_err(|e| Failure::mismatch(e.to_string()))?;
    Ok(claims)
}

/// The claims name the manifest that PCR16 measures, and what stands in it.
fn require_same(claims: &Claims, manifest: &Manifest, hash: &ManifestHash) -> Result<(), Failure> {
    let same = [
        (claims.manifest_hash == *hash.as_bytes(), "manifest"),
        (claims.deployment == manifest.deployment.as_str(), "deployment"),
        (claims.vault == manifest.vault.as_str(), "vault"),
        (claims.wrapping_keys == [manifest.wrapping_key().as_str()], "wrapping key"),
    ];
    match same.iter().find(|(same, _)| !same) {
        None => Ok(()),
        Some((_, what)) => {
            Err(Failure::mismatch(format!("the claimed {what} is not the manifest's")))
        }
    }
}

fn report(
    verified: &VerifiedDocument,
    claims: Option<&Claims>,
    policy_verified: bool,
    time_basis: &str,
) -> Report {
    let pcrs = |pcrs: &mut dyn Iterator<Item = (&u8, &[u8; 48])>| {
        let named = pcrs.map(|(index, value)| (index.to_string(), json!(hex::encode(value))));
        Value::Object(named.collect::<Map<_, _>>())
    };
    let checks: Vec<Value> = verified
        .outcomes()
        .map(|(finding, outcome)| {
            let outcome = match outcome {
                Outcome::Passed => "passed",
                Outcome::NotAsked => "not_asked",
            };
            json!({ "id": finding.code(), "outcome": outcome, "rule": finding.rule() })
        })
        .collect();
    let trust = verified.trust().as_str();
    let json = json!({
        "verified": true,
        "policy_verified": policy_verified,
        "claims_verified": claims.is_some(),
        "debug_mode": verified.matched().is_debug_mode(),
        "trust_anchor": trust,
        "time_basis": time_basis,
        "judged_at_ms": verified.judged_at_ms(),
        "module_id": verified.module_id(),
        "timestamp_ms": verified.timestamp_ms(),
        "pcrs": pcrs(&mut verified.pcrs().iter()),
        "matched": pcrs(&mut verified.matched().pcrs().iter()),
        "nonce": verified.nonce().map(hex::encode),
        "claims": claims,
        "checks": checks,
    });
    let mut text = Report::new(json)
        .line(format_args!("VERIFIED by the {trust} root, judged as of: {time_basis}"))
        .field("module", verified.module_id())
        .field("timestamp (ms)", verified.timestamp_ms());
    if verified.matched().is_debug_mode() {
        text =
            text.line("DEBUG MODE: the host can read this enclave's memory. It protects nothing.");
    }
    for (index, value) in verified.matched().pcrs() {
        text = text.field(&format!("PCR{index}"), hex::encode(value));
    }
    for (finding, _) in verified.outcomes().filter(|(_, o)| *o == Outcome::NotAsked) {
        text = text.line(format_args!("not asked: {finding} {}", finding.rule()));
    }
    match claims {
        None => text,
        Some(claims) => text
            .field("deployment", &claims.deployment)
            .field("vault", &claims.vault)
            .field("vault fingerprint", fingerprint(claims))
            .field("state", claims.state.as_str())
            .field("keys", claims.keys)
            .field("keys root", claims.keys_root)
            .field("wrapping keys", claims.wrapping_keys.join(" ")),
    }
}

fn fingerprint(claims: &Claims) -> String {
    claims.vault_fingerprint.map_or_else(|| "no vault is open".to_owned(), |f| f.to_string())
}

fn nonce(text: &str) -> Result<Nonce, String> {
    let bytes = hex::decode(text.strip_prefix("0x").unwrap_or(text)).ok();
    // Other appliances may have longer ones than ours.
    let bytes = bytes.filter(|bytes| (MIN_NONCE..=1_024).contains(&bytes.len()));
    bytes.map(Nonce).ok_or_else(|| format!("at least {MIN_NONCE} bytes in hex"))
}

fn at(text: &str) -> Result<At, String> {
    match text {
        "document" => Ok(At::Document),
        _ => text.parse().map(At::Ms).map_err(|_| "`document` or milliseconds".to_owned()),
    }
}

fn duration_ms(text: &str) -> Result<u64, String> {
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
    fn a_document_is_read_in_every_form() {
        let raw = [0x84, 0x44, 0xa1, 0x01, 0x38, 0x22, 0xa0, 0xff, 0xfe];
        let forms = [
            raw.to_vec(),
            hex::encode(raw).into_bytes(),
            format!("0x{}\n", hex::encode_upper(raw)).into_bytes(),
            BASE64_STANDARD.encode(raw).into_bytes(),
            BASE64_URL_SAFE_NO_PAD.encode(raw).into_bytes(),
        ];
        for form in forms {
            let given = Given::read(&form).expect("is read");
            assert_eq!(given.document, raw, "{}", String::from_utf8_lossy(&form));
            assert!(given.claims.is_none());
        }
        let json = json!({
            "document": BASE64_STANDARD.encode(raw), "claims": "AAEC", "claims_decoded": null,
            "verified": false, "nonce": "00",
        });
        let given = Given::read(json.to_string().as_bytes()).expect("is read");
        assert_eq!(
            (given.document.as_slice(), given.claims),
            (raw.as_slice(), Some(vec![0, 1, 2]))
        );
    }

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
}
