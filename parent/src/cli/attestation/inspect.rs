//! `attestation inspect`: shows what a document says, marked as what it is: unverified.

use super::super::output::{Failure, Report};
use super::given::Given;
use super::report::{Format, registers};
use super::rfc3339;
use nitro_signer_shared::attestation::{Contents, UnverifiedDocument};
use nitro_signer_shared::claims::Claims;
use serde_json::{Value, json};
use std::path::PathBuf;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

/// Show what a document says. NOT verified: anybody can make a document.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  nitro-signer attestation inspect document.cbor
  nitro-signer attestation inspect document.b64 --format json | jq -r .pcrs[\"0\"]")]
pub(in crate::cli) struct Inspect {
    /// The document: raw, hex, base64 or base64url, or what `attestation fetch` wrote. - is
    /// standard input.
    document: PathBuf,
    /// The form of the output.
    #[arg(long, value_name = "FORM", value_parser = ["text", "json"])]
    format: Option<String>,
}

impl Inspect {
    pub(super) fn run(self) -> Result<Report, Failure> {
        let given = Given::load(&self.document)?;
        let document = UnverifiedDocument::parse(&given.document)?;
        let report = show(document.unverified(), given.claims.as_deref());
        Ok(report.format(self.format.as_deref().and_then(Format::named)))
    }
}

fn show(contents: &Contents, claims: Option<&[u8]>) -> Report {
    let optional = |field: Option<&[u8]>| field.map(hex::encode);
    let issuers = contents.cabundle().iter().map(Vec::as_slice);
    let chain: Vec<Value> = issuers.chain([contents.certificate()]).map(certificate).collect();
    let claims = claims.and_then(|bytes| serde_cbor::from_slice::<Claims>(bytes).ok());
    let json = json!({
        "verified": false,
        "module_id": contents.module_id(),
        "instance_id": contents.instance_id(),
        "timestamp": rfc3339(contents.timestamp_ms()),
        "timestamp_ms": contents.timestamp_ms(),
        "pcrs": registers(contents.pcrs()),
        "nonce": optional(contents.nonce()),
        "user_data": optional(contents.user_data()),
        "public_key": optional(contents.public_key()),
        "certificates": chain,
        "claims": claims,
    });
    let shown = |field: Option<&[u8]>| optional(field).unwrap_or_else(|| "null".to_owned());
    let mut report = Report::new(json)
        .warn("NOT VERIFIED: what follows is what the document says. Anybody can make one.")
        .field("module", contents.module_id())
        .field("timestamp", rfc3339(contents.timestamp_ms()));
    for (index, value) in contents.pcrs().iter().filter(|(_, value)| **value != [0; 48]) {
        report = report.field(&format!("PCR{index}"), hex::encode(value));
    }
    report = report
        .line("registers that are not shown are zero or not in the document")
        .field("nonce", shown(contents.nonce()))
        .field("user_data", shown(contents.user_data()))
        .field("public_key", shown(contents.public_key()));
    for certificate in &chain {
        report = report.field("certificate", certificate);
    }
    match claims {
        Some(claims) => report.field("claims", json!(claims)),
        None => report,
    }
}

/// What one certificate says, or that it is none.
fn certificate(der: &[u8]) -> Value {
    let Ok(certificate) = Certificate::from_der(der) else {
        return json!({ "error": "not a certificate" });
    };
    let tbs = certificate.tbs_certificate();
    let time = |time: &x509_cert::time::Time| {
        rfc3339(u64::try_from(time.to_unix_duration().as_millis()).unwrap_or(u64::MAX))
    };
    json!({
        "subject": tbs.subject().to_string(),
        "not_before": time(&tbs.validity().not_before),
        "not_after": time(&tbs.validity().not_after),
    })
}
