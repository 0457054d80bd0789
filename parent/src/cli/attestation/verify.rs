//! `attestation verify`: is this document of the enclave that I expect, and what does that prove?

use super::super::connection::{Stack, Tls};
use super::super::output::{Failure, Report, now_ms, random, read_input};
use super::super::trust::Trust;
use super::appliance::{self, Wanted};
use super::fetch::address;
use super::given::{Given, Keys};
use super::report::{Check, Format, Judged, Policy};
use super::{Bytes, Nonce, bytes, duration_ms, milliseconds, nonce};
use alloy_primitives::Address;
use nitro_signer_shared::attestation::{
    DEFAULT_MAX_AGE_MS, Expectations, MeasurementSet, Outcome, Pcr, PinError, Skipped, Time,
    UnverifiedDocument, Verdict, VerifiedDocument, verify,
};
use nitro_signer_shared::claims::{ClaimSet, Claims, ProvedKeys};
use nitro_signer_shared::manifest::{Manifest, ManifestHash};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::path::{Path, PathBuf};

const MAX_PEM: u64 = 65_536;
/// What the `user_data` of every document of our own enclave begins with.
const OURS: &[u8] = b"nitro-signer/";

/// Verify a document. Needs no AWS account, and no appliance unless given one's URL.
#[derive(clap::Args)]
#[command(after_help = "\
Examples: a live appliance, a file, an archived document of somebody else's enclave
  nitro-signer attestation verify https://signer.example:8443 --expect measurements.json \\
    --manifest manifest.cbor --ca ca.pem --cert me.pem --key me.key
  nitro-signer attestation verify attestation.json --expect measurements.json \\
    --manifest manifest.cbor --nonce 00112233445566778899aabbccddeeff
  nitro-signer attestation verify archived.b64 --expect theirs.json --at document

Exit codes: 0 verified, 1 not what was expected, 2 usage, 3 malformed, 4 chain or signature,
5 time, 6 debug mode, 7 the appliance cannot be reached.")]
pub(in crate::cli) struct Verify {
    /// The document: a file or - for standard input (raw, hex, base64, base64url, or what
    /// `attestation fetch` wrote), or an appliance's https:// URL, which is asked over a fresh
    /// nonce.
    #[arg(value_name = "DOC|-|URL")]
    document: String,
    /// The form of the output.
    #[arg(long, value_name = "FORM", value_parser = ["text", "json", "junit"])]
    format: Option<String>,
    #[command(flatten)]
    trust: Trust,
    /// Judge without the manifest. Then nothing is known of the policy, and no address is said to
    /// be held.
    #[arg(long, conflicts_with = "manifest", help_heading = "Trust")]
    without_manifest: bool,
    /// Refuse chains with this certificate (SHA-256 of its DER, in hex); several are possible.
    #[arg(long = "deny", value_name = "SHA256", value_parser = sha256, help_heading = "Trust")]
    denied: Vec<[u8; 32]>,
    #[command(flatten)]
    expected: Expected,
    #[command(flatten)]
    tls: Tls,
}

/// What is expected beside image and manifest.
#[derive(clap::Args)]
#[command(next_help_heading = "Expectations")]
struct Expected {
    /// The nonce that the document must carry. A URL is asked over a fresh one.
    #[arg(long, value_name = "HEX", value_parser = nonce)]
    nonce: Option<Nonce>,
    /// An address that the enclave must hold; several are possible.
    #[arg(long = "address", value_name = "0x…", value_parser = address)]
    addresses: Vec<Address>,
    /// The IAM role of its instance (PCR3).
    #[arg(long, value_name = "ARN")]
    role_arn: Option<String>,
    /// Its instance (PCR4).
    #[arg(long, value_name = "ID")]
    instance_id: Option<String>,
    /// The certificate that its image is signed with (PCR8).
    #[arg(long, value_name = "PEM")]
    signing_certificate: Option<PathBuf>,
    /// Any other register, for example 17=<96 hex digits>.
    #[arg(long = "pcr", value_name = "N=HEX", value_parser = pcr)]
    pcrs: Vec<(u8, Pcr)>,
    /// The user data that the document must carry, of an enclave that is not nitro-signer's.
    #[arg(long, value_name = "HEX", value_parser = bytes)]
    user_data: Option<Bytes>,
    /// The public key that the document must carry, likewise.
    #[arg(long, value_name = "HEX", value_parser = bytes)]
    public_key: Option<Bytes>,
    /// How old the document may be, for example 90s, 5m or 24h. Default 5m.
    #[arg(long, value_name = "DURATION", value_parser = duration_ms)]
    max_age: Option<u64>,
    /// How far ahead of this machine's clock it may be. Default 1m.
    #[arg(long, value_name = "DURATION", value_parser = duration_ms)]
    skew: Option<u64>,
    /// Judge as of another time than now: one such as 2026-01-31T12:00:00Z, or `document` for its
    /// own.
    #[arg(long, value_name = "RFC3339|document", value_parser = at)]
    at: Option<Time>,
    /// Accept an enclave in debug mode, whose memory its host can read.
    #[arg(long)]
    allow_debug: bool,
}

impl Verify {
    /// The report, whatever the verdict. A failure before any verdict is the caller's to print,
    /// unless programs read the output: they get one form in every case.
    pub(super) async fn run(self, stack: &Stack, json: bool) -> Result<Report, Failure> {
        let format = self.format.as_deref().and_then(Format::named);
        let format = format.unwrap_or(if json { Format::Json } else { Format::Text });
        match (self.judge(stack).await, format) {
            (Err(failure), Format::Text) => Err(failure),
            (Err(failure), _) => Ok(Judged::not_begun(&failure).format(Some(format))),
            (Ok(judged), _) => Ok(judged.report().format(Some(format))),
        }
    }

    async fn judge(&self, stack: &Stack) -> Result<Judged, Failure> {
        let anchor = self.trust.anchor(stack)?.deny(self.denied.iter().copied());
        let manifest =
            if self.without_manifest { None } else { self.trust.manifest().find(stack)? };
        let expected = self.expected.beside(self.trust.expectations(stack)?)?;
        let (given, nonce) = self.given(stack).await?;
        let policy = self.policy(manifest, &given)?;
        let expected = bind(expected, &policy, &given, nonce.as_deref());
        let time = self.expected.at.unwrap_or_else(|| Time::Now(now_ms()));
        let verification = verify(&given.document, &anchor, &expected, time);
        let beside = match verification.verdict() {
            Verdict::Verified(document) => {
                Beside::judge(document, &policy, given, &self.expected.addresses)
            }
            Verdict::Mismatch(_) | Verdict::Refused => {
                Beside::not_reached(verification.rejections()[0].finding())
            }
        };
        Ok(Judged {
            verification,
            trust: anchor.kind(),
            time,
            max_age_ms: self.expected.max_age.unwrap_or(DEFAULT_MAX_AGE_MS),
            policy,
            claims: beside.claims,
            keys: beside.keys,
            beside: beside.checks,
        })
    }

    /// The document, and the nonce it must carry.
    async fn given(&self, stack: &Stack) -> Result<(Given, Option<Vec<u8>>), Failure> {
        let named = self.expected.nonce.as_ref().map(|Nonce(nonce)| nonce.clone());
        if !self.document.contains("://") {
            return Ok((Given::load(Path::new(&self.document))?, named));
        }
        if named.is_some() || self.expected.at.is_some() {
            return Err(Failure::usage(
                "a URL is asked over a fresh nonce and judged now; leave --nonce and --at away, or \
                 use `attestation fetch` and give its file",
            ));
        }
        let nonce = random::<32>()?;
        let client = self.tls.client(&self.document, stack)?;
        let wanted = match self.expected.addresses.as_slice() {
            [] => Wanted::All,
            addresses => Wanted::These(addresses),
        };
        let fetched = appliance::fetch(&client, &nonce, wanted).await?;
        Ok((fetched.decode()?, Some(nonce.to_vec())))
    }

    /// For one of our own appliances the manifest must be named, or its absence accepted.
    fn policy(
        &self,
        manifest: Option<(Manifest, ManifestHash)>,
        given: &Given,
    ) -> Result<Policy, Failure> {
        let asked = !self.expected.addresses.is_empty();
        if asked && self.without_manifest {
            return Err(Failure::usage(
                "--address needs --manifest: under an unknown manifest anybody may use the key",
            ));
        }
        if is_ours(given) && self.expected.names_fields() {
            return Err(Failure::usage(
                "--user-data and --public-key are for other enclaves: this one's user data commits \
                 to its claims, and it gives away no public key",
            ));
        }
        match manifest {
            Some((manifest, hash)) => Ok(Policy::Manifest(Box::new(manifest), hash)),
            None if self.without_manifest => Ok(Policy::NotVerified),
            None if asked || is_ours(given) => Err(Failure::usage(
                "--manifest is needed: this is a nitro-signer's document, and without the manifest \
                 it may be our image under anybody's policy and KMS key. Or say --without-manifest",
            )),
            None => Ok(Policy::NotAsked),
        }
    }
}

/// Whether this comes from a nitro-signer, by anything it says.
fn is_ours(given: &Given) -> bool {
    given.claims.is_some()
        || UnverifiedDocument::parse(&given.document).is_ok_and(|document| {
            document.unverified().user_data().is_some_and(|data| data.starts_with(OURS))
        })
}

/// Adds what follows from the policy and from what came with the document.
fn bind(
    mut expected: Expectations,
    policy: &Policy,
    given: &Given,
    nonce: Option<&[u8]>,
) -> Expectations {
    if let Policy::Manifest(_, hash) = policy {
        expected = expected.manifest(hash);
    }
    if is_ours(given) {
        // KMS would give the vault's secret to whoever holds the key in a document.
        expected = expected.no_public_key();
    }
    if let Some(claims) = &given.claims {
        expected = expected.user_data(&Claims::user_data(claims));
    }
    match nonce {
        Some(nonce) => expected.nonce(nonce),
        None => expected,
    }
}

impl Expected {
    const fn names_fields(&self) -> bool {
        self.user_data.is_some() || self.public_key.is_some()
    }

    /// What is expected of the image, and everything that this holds.
    fn beside(&self, mut expected: Expectations) -> Result<Expectations, Failure> {
        if self.allow_debug {
            expected = expected.allow_debug().or_image(MeasurementSet::debug_mode());
        }
        if let Some(max_age_ms) = self.max_age {
            expected = expected.max_age_ms(max_age_ms);
        }
        if let Some(skew_ms) = self.skew {
            expected = expected.skew_ms(skew_ms);
        }
        if let Some(Bytes(user_data)) = &self.user_data {
            expected = expected.user_data(user_data);
        }
        if let Some(Bytes(public_key)) = &self.public_key {
            expected = expected.public_key(public_key);
        }
        let signer = self.signing_certificate.as_ref().map(|path| one_certificate(path));
        let signer = signer.transpose()?;
        self.pin(expected, signer.as_deref()).map_err(|e| Failure::usage(e.to_string()))
    }

    fn pin(
        &self,
        mut expected: Expectations,
        signer: Option<&[u8]>,
    ) -> Result<Expectations, PinError> {
        if let Some(arn) = &self.role_arn {
            expected = expected.role_arn(arn)?;
        }
        if let Some(id) = &self.instance_id {
            expected = expected.instance_id(id)?;
        }
        if let Some(certificate) = signer {
            expected = expected.signing_certificate(certificate)?;
        }
        self.pcrs.iter().try_fold(expected, |expected, (index, value)| expected.pin(*index, *value))
    }
}

/// What came with a verified document, judged.
struct Beside {
    claims: Option<Claims>,
    keys: Option<ProvedKeys>,
    checks: Vec<Check>,
}

impl Beside {
    const CLAIMS: (&str, &str) =
        ("claims", "The claims are those of the document, and name the manifest's own.");
    const KEYS: (&str, &str) = ("keys", "The keys listed are those under the claims' root.");
    const ADDRESS: (&str, &str) = ("address", "Every address asked for is that of a key listed.");

    fn not_reached(broken: nitro_signer_shared::attestation::Finding) -> Self {
        let skipped = Outcome::Skipped(Skipped::NotReached(broken));
        let skip = |(id, rule)| Check::new(id, rule, &skipped);
        let checks = [Self::CLAIMS, Self::KEYS, Self::ADDRESS].map(skip).to_vec();
        Self { claims: None, keys: None, checks }
    }

    fn judge(
        document: &VerifiedDocument,
        policy: &Policy,
        given: Given,
        asked: &[Address],
    ) -> Self {
        let mut checks = Vec::new();
        let claims = given.claims.map(|bytes| open(&bytes, document, policy));
        let claims = note(&mut checks, Self::CLAIMS, claims, "no claims came with the document");
        let keys = match (&claims, policy) {
            (Some(claims), Policy::Manifest(..)) => prove(claims, given.keys),
            _ => None,
        };
        let why = "without claims and manifest no address is said to be held, and none was listed";
        let keys = note(&mut checks, Self::KEYS, keys, why);
        let held = (!asked.is_empty()).then(|| hold(keys.as_ref(), asked));
        note(&mut checks, Self::ADDRESS, held, "no address was asked for");
        Self { claims, keys, checks }
    }
}

/// Notes what became of a check, and hands on what it proved.
fn note<T>(
    checks: &mut Vec<Check>,
    (id, rule): (&str, &str),
    judged: Option<Result<T, (String, &'static str)>>,
    not_asked: &str,
) -> Option<T> {
    let (check, proved) = match judged {
        None => (Check::skipped(id, rule, not_asked), None),
        Some(Ok(proved)) => (Check::new(id, rule, &Outcome::Passed), Some(proved)),
        Some(Err((how, remedy))) => (Check::failed(id, rule, &how, remedy), None),
    };
    checks.push(check);
    proved
}

type Judgement<T> = Result<T, (String, &'static str)>;

/// The claims, if they are this document's and name the manifest that PCR16 measures and what
/// stands in it.
fn open(bytes: &[u8], document: &VerifiedDocument, policy: &Policy) -> Judgement<Claims> {
    let remedy = "Do not trust this appliance: what is served beside the document is not the \
                  enclave's, or the enclave is of another release than this program.";
    let claims = Claims::open(bytes, document.user_data().unwrap_or_default())
        .map_err(|e| (e.to_string(), remedy))?;
    let Policy::Manifest(manifest, hash) = policy else { return Ok(claims) };
    let same = [
        (claims.manifest_hash == *hash.as_bytes(), "manifest"),
        (claims.deployment == manifest.deployment.as_str(), "deployment"),
        (claims.vault == manifest.vault.as_str(), "vault"),
        (claims.wrapping_keys == [manifest.wrapping_key().as_str()], "wrapping key"),
    ];
    match same.iter().find(|(same, _)| !same) {
        None => Ok(claims),
        Some((_, what)) => Err((format!("the claimed {what} is not the manifest's"), remedy)),
    }
}

fn prove(claims: &Claims, keys: Keys) -> Option<Judgement<ProvedKeys>> {
    let proved = match keys {
        Keys::None => return None,
        Keys::All(keys) => claims.prove_all(keys),
        Keys::Some(inclusions) => claims.prove_each(inclusions),
    };
    let remedy = "Fetch again, in case a key was made in between; if it stays, the host lists keys \
                  that the enclave does not hold.";
    Some(proved.map_err(|e| (e.to_string(), remedy)))
}

fn hold(keys: Option<&ProvedKeys>, asked: &[Address]) -> Judgement<()> {
    let remedy = "Send nothing to it. Name an appliance that holds it, or fetch the document with \
                  its keys.";
    let missing = |address: &&Address| !keys.is_some_and(|keys| keys.contains(address));
    match asked.iter().find(missing) {
        None => Ok(()),
        Some(address) => Err((format!("{address} is not proved to be held"), remedy)),
    }
}

fn one_certificate(path: &Path) -> Result<Vec<u8>, Failure> {
    let pem = read_input(path, MAX_PEM)?;
    let mut certificates = CertificateDer::pem_slice_iter(&pem);
    match (certificates.next(), certificates.next()) {
        (Some(Ok(der)), None) => Ok(der.as_ref().to_vec()),
        _ => {
            let path = path.display();
            Err(Failure::usage(format!("{path}: not PEM with exactly one certificate")))
        }
    }
}

fn at(text: &str) -> Result<Time, String> {
    match text {
        "document" => Ok(Time::OfDocument),
        _ => milliseconds(text)
            .map(Time::Given)
            .map_err(|_| "`document`, or a time such as 2026-01-31T12:00:00Z".to_owned()),
    }
}

fn sha256(text: &str) -> Result<[u8; 32], String> {
    let mut digest = [0; 32];
    hex::decode_to_slice(text, &mut digest).map(|()| digest).map_err(|_| "64 hex digits".to_owned())
}

fn pcr(text: &str) -> Result<(u8, Pcr), String> {
    let parsed = text.split_once('=').and_then(|(index, digits)| {
        let mut value = [0; 48];
        hex::decode_to_slice(digits, &mut value).ok()?;
        Some((index.parse().ok()?, value))
    });
    parsed.ok_or_else(|| "N=<96 hex digits>".to_owned())
}
