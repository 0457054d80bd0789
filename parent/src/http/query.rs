//! Query strings, strictly: known names, once each, plain values.

use super::problem::Problem;
use crate::ethereum::SidecarForm;
use axum::extract::FromRequestParts;
use http::request::Parts;
use nitro_signer_shared::refusal::{Refusal, RefusalCode};
use std::collections::BTreeMap;

/// The values of the known names. All that is served takes hex or words, so a percent sign, which
/// could hide a second meaning, is refused.
pub(crate) fn read<'a>(
    query: Option<&'a str>,
    known: &[&str],
) -> Result<BTreeMap<&'a str, &'a str>, Refusal> {
    let refuse = |what: &str| {
        Err(Refusal::new(RefusalCode::MalformedRequest, format!("the query string: {what}")))
    };
    let mut values = BTreeMap::new();
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let Some((name, value)) = pair.split_once('=') else { return refuse("write name=value") };
        if !value.bytes().all(|c| c.is_ascii_alphanumeric()) {
            return refuse("values have letters and digits only");
        }
        if !known.contains(&name) {
            return match known {
                [] => refuse("this path takes none; leave it out"),
                known => refuse(&format!("known are: {}", known.join(", "))),
            };
        }
        if values.insert(name, value).is_some() {
            return refuse("a name stands twice");
        }
    }
    Ok(values)
}

/// No query string: what a client asks for there and nobody reads must not pass for understood.
pub(super) struct NoQuery;

impl<S: Sync> FromRequestParts<S> for NoQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        read(parts.uri.query(), &[])?;
        Ok(Self)
    }
}

/// The form of sidecars that a query asks for.
pub(crate) fn sidecar(query: &BTreeMap<&str, &str>) -> Result<SidecarForm, Refusal> {
    query.get("sidecar").map_or(Ok(SidecarForm::default()), |form| form.parse())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_names_once() {
        let check = |query: &str, expected: Option<usize>| {
            let read = read(Some(query), &["nonce", "after"]);
            assert_eq!(read.ok().map(|values| values.len()), expected, "{query}");
        };
        check("", Some(0));
        check("nonce=00", Some(1));
        check("nonce=0xab&after=0x1", Some(2));
        for bad in ["nonce", "nonce=1&nonce=1", "other=1", "nonce=%30", "nonce=a=b", "nonce=a+b"] {
            check(bad, None);
        }
    }
}
