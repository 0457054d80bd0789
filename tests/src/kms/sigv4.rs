//! Signature Version 4, verified against the request as it was received.
//!
//! Source: IAM user guide, "Create a signed AWS API request" (reference_sigv-create-signed-request).
//! KMS takes `POST /` without a query only, which leaves nothing of the canonical URI to encode.

use super::error::ApiError;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, hmac};
use http::HeaderMap;
use nitro_signer_shared::key_policy::Principal;
use nitro_signer_shared::secret::SecretString;
use time::format_description::{self, well_known::Rfc2822};
use time::{Duration, OffsetDateTime, PrimitiveDateTime};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const SERVICE: &str = "kms";
/// How far a request's date may be from the server's; KMS names five minutes in its messages.
const SKEW: Duration = Duration::minutes(5);

/// Somebody who may call: credentials, and the principal they stand for.
pub struct Identity {
    /// The public half of the credentials.
    pub access_key_id: String,
    /// The secret half.
    pub secret_access_key: SecretString,
    /// Present with temporary credentials; then every request must carry it.
    pub session_token: Option<SecretString>,
    /// Whom the key policy sees.
    pub principal: Principal,
    /// Whether the account's IAM policies allow this principal every KMS action, as they do an
    /// administrator. Without it, only key policies that name the principal let it through.
    pub iam_allows_all: bool,
}

/// Who signed a request, and for which region.
pub(super) struct Signer<'a> {
    pub(super) identity: &'a Identity,
    pub(super) region: &'a str,
}

/// Finds out who signed the request, and for which of these regions.
pub(super) fn authenticate<'a>(
    headers: &HeaderMap,
    body: &[u8],
    regions: &'a [String],
    identities: &'a [Identity],
    now: OffsetDateTime,
) -> Result<Signer<'a>, ApiError> {
    let authorization = Authorization::read(headers)?;
    let date = RequestDate::read(headers)?;
    check_signed_headers(&authorization, headers)?;
    check_body_hash(headers, body)?;
    let identity = identities
        .iter()
        .find(|identity| identity.access_key_id == authorization.access_key_id)
        .ok_or_else(unrecognized)?;
    check_token(headers, identity)?;
    let region = check_scope(&authorization, regions, &date)?;
    check_age(date.at, now)?;
    let canonical = canonical_request(&authorization, headers, body)?;
    let to_sign = format!(
        "{ALGORITHM}\n{}\n{}\n{}",
        date.basic(),
        authorization.scope(),
        sha256_hex(canonical.as_bytes())
    );
    let expected = signature(identity, &authorization, &to_sign);
    verify_slices_are_equal(expected.as_ref(), &authorization.signature).map_err(|_| {
        invalid(
            "The request signature we calculated does not match the signature you provided. Check \
             your AWS Secret Access Key and signing method. Consult the service documentation for \
             details.",
        )
    })?;
    Ok(Signer { identity, region })
}

/// The Authorization header, taken apart.
struct Authorization<'a> {
    access_key_id: &'a str,
    day: &'a str,
    region: &'a str,
    service: &'a str,
    signed_headers: Vec<&'a str>,
    signature: Vec<u8>,
}

impl<'a> Authorization<'a> {
    fn read(headers: &'a HeaderMap) -> Result<Self, ApiError> {
        let text = one(headers, "authorization")?.ok_or_else(|| {
            ApiError::new("MissingAuthenticationTokenException", "Missing Authentication Token")
        })?;
        let fields = text.strip_prefix(ALGORITHM).ok_or_else(|| incomplete("the algorithm"))?;
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for field in fields.split(',') {
            let slot = match field.trim().split_once('=') {
                Some(("Credential", value)) => credential.replace(value),
                Some(("SignedHeaders", value)) => signed_headers.replace(value),
                Some(("Signature", value)) => signature.replace(value),
                _ => return Err(incomplete("a field")),
            };
            if slot.is_some() {
                return Err(incomplete("a field that comes twice"));
            }
        }
        let missing = |name: &str| incomplete(&format!("'{name}', which is missing"));
        let credential = credential.ok_or_else(|| missing("Credential"))?;
        let parts: Vec<&str> = credential.split('/').collect();
        let [access_key_id, day, region, service, "aws4_request"] = parts[..] else {
            return Err(incomplete("'Credential'"));
        };
        let signature = signature.ok_or_else(|| missing("Signature"))?;
        Ok(Self {
            access_key_id,
            day,
            region,
            service,
            signed_headers: signed_headers
                .ok_or_else(|| missing("SignedHeaders"))?
                .split(';')
                .collect(),
            signature: hex::decode(signature).map_err(|_| incomplete("'Signature'"))?,
        })
    }

    fn scope(&self) -> String {
        format!("{}/{}/{}/aws4_request", self.day, self.region, self.service)
    }
}

/// When the request was made: X-Amz-Date, or else Date.
struct RequestDate {
    at: OffsetDateTime,
}

impl RequestDate {
    fn read(headers: &HeaderMap) -> Result<Self, ApiError> {
        let text = match one(headers, "x-amz-date")? {
            Some(text) => text,
            None => one(headers, "date")?
                .ok_or_else(|| incomplete("a request without 'X-Amz-Date' or 'Date' header"))?,
        };
        let at = parse_basic(text)
            .or_else(|| OffsetDateTime::parse(text, &Rfc2822).ok())
            .ok_or_else(|| incomplete("the date"))?;
        Ok(Self { at })
    }

    fn basic(&self) -> String {
        basic(self.at)
    }
}

fn parse_basic(text: &str) -> Option<OffsetDateTime> {
    let format =
        format_description::parse_borrowed::<2>("[year][month][day]T[hour][minute][second]Z");
    PrimitiveDateTime::parse(text, &format.ok()?).ok().map(PrimitiveDateTime::assume_utc)
}

/// ISO 8601's basic form, as in the string to sign.
fn basic(at: OffsetDateTime) -> String {
    let at = at.to_offset(time::UtcOffset::UTC);
    let (date, clock) = (at.date(), at.time());
    format!(
        "{:04}{:02}{:02}T{:02}{:02}{:02}Z",
        date.year(),
        u8::from(date.month()),
        date.day(),
        clock.hour(),
        clock.minute(),
        clock.second()
    )
}

/// What says where the request goes, what it asks, when and for whom has to be signed.
fn check_signed_headers(
    authorization: &Authorization<'_>,
    headers: &HeaderMap,
) -> Result<(), ApiError> {
    let signed = &authorization.signed_headers;
    if !signed.is_sorted() || signed.iter().any(|name| name.bytes().any(|b| b.is_ascii_uppercase()))
    {
        return Err(incomplete("'SignedHeaders', which are sorted names in lower case"));
    }
    let date = if headers.contains_key("x-amz-date") { "x-amz-date" } else { "date" };
    let token = headers.contains_key("x-amz-security-token").then_some("x-amz-security-token");
    let unsigned =
        ["host", "x-amz-target", date].into_iter().chain(token).find(|name| !signed.contains(name));
    match unsigned {
        None => Ok(()),
        Some(name) => Err(invalid(&format!("'{name}' must be a signed header in the request."))),
    }
}

/// A client may announce the body's hash; then it has to be right. It is always signed.
fn check_body_hash(headers: &HeaderMap, body: &[u8]) -> Result<(), ApiError> {
    match one(headers, "x-amz-content-sha256")? {
        Some(announced) if announced != sha256_hex(body) => Err(invalid(
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        )),
        _ => Ok(()),
    }
}

fn check_token(headers: &HeaderMap, identity: &Identity) -> Result<(), ApiError> {
    let sent = one(headers, "x-amz-security-token")?;
    let agrees = match (sent, &identity.session_token) {
        (None, None) => true,
        (Some(sent), Some(token)) => {
            verify_slices_are_equal(sent.as_bytes(), token.expose().as_bytes()).is_ok()
        }
        _ => false,
    };
    if agrees { Ok(()) } else { Err(unrecognized()) }
}

fn check_scope<'a>(
    authorization: &Authorization<'_>,
    regions: &'a [String],
    date: &RequestDate,
) -> Result<&'a str, ApiError> {
    let region = regions
        .iter()
        .find(|region| *region == authorization.region)
        .ok_or_else(|| invalid("Credential should be scoped to a valid region. "))?;
    if authorization.service != SERVICE {
        return Err(invalid("Credential should be scoped to correct service: 'kms'. "));
    }
    let full = date.basic();
    let day = &full[..8];
    if authorization.day != day {
        return Err(invalid(&format!(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from \
             HTTP: '{}' != '{day}', from '{full}'.",
            authorization.day
        )));
    }
    Ok(region)
}

fn check_age(at: OffsetDateTime, now: OffsetDateTime) -> Result<(), ApiError> {
    let (date, server) = (basic(at), basic(now));
    if at < now - SKEW {
        let limit = basic(now - SKEW);
        return Err(invalid(&format!(
            "Signature expired: {date} is now earlier than {limit} ({server} - 5 min.)"
        )));
    }
    if at > now + SKEW {
        let limit = basic(now + SKEW);
        return Err(invalid(&format!(
            "Signature not yet current: {date} is still later than {limit} ({server} + 5 min.)"
        )));
    }
    Ok(())
}

fn canonical_request(
    authorization: &Authorization<'_>,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<String, ApiError> {
    let mut canonical = String::from("POST\n/\n\n");
    for name in &authorization.signed_headers {
        let values: Vec<String> = headers
            .get_all(*name)
            .iter()
            .map(|value| value.to_str().map(trim_all))
            .collect::<Result<_, _>>()
            .map_err(|_| incomplete("a signed header that is not ASCII"))?;
        if values.is_empty() {
            return Err(invalid(&format!("'{name}' is a signed header that is not there.")));
        }
        canonical.push_str(&format!("{name}:{}\n", values.join(",")));
    }
    canonical.push_str(&format!("\n{}\n", authorization.signed_headers.join(";")));
    canonical.push_str(&sha256_hex(body));
    Ok(canonical)
}

/// Without spaces at either end, and with one where several stood.
fn trim_all(value: &str) -> String {
    value.split(' ').filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

fn signature(identity: &Identity, authorization: &Authorization<'_>, to_sign: &str) -> hmac::Tag {
    let first = format!("AWS4{}", identity.secret_access_key.expose());
    let mac = |key: &[u8], text: &str| {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
    };
    let day = mac(first.as_bytes(), authorization.day);
    let region = mac(day.as_ref(), authorization.region);
    let service = mac(region.as_ref(), authorization.service);
    let key = mac(service.as_ref(), "aws4_request");
    mac(key.as_ref(), to_sign)
}

/// A header that may come once at most.
fn one<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, ApiError> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            value.to_str().map(Some).map_err(|_| incomplete("a header that is not ASCII"))
        }
        (Some(_), Some(_)) => Err(incomplete(&format!("'{name}', which comes twice"))),
    }
}

fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}

fn invalid(text: &str) -> ApiError {
    ApiError::new("InvalidSignatureException", text)
}

fn incomplete(what: &str) -> ApiError {
    ApiError::ours("IncompleteSignatureException", format!("cannot read {what}"))
}

fn unrecognized() -> ApiError {
    ApiError::new(
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
    )
}
