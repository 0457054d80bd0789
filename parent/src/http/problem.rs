//! Refusals on REST: problem documents (RFC 9457) with the stable code in them.

use super::Outcome;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use nitro_signer_shared::refusal::{Refusal, RefusalCode};
use serde_json::{Value, json};

/// A refusal, on its way out by REST.
#[derive(Debug)]
pub(crate) struct Problem(Refusal);

impl<R: Into<Refusal>> From<R> for Problem {
    fn from(refusal: R) -> Self {
        Self(refusal.into())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let code = self.0.code;
        let mut response = document(&self.0).to_string().into_response();
        *response.status_mut() = status(code);
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response.extensions_mut().insert(Outcome(code));
        response
    }
}

/// A refusal as a problem document.
pub(super) fn document(refusal: &Refusal) -> Value {
    let code = refusal.code;
    json!({
        "type": format!("urn:nitro-signer:refusal:{code}"),
        "title": code.advice(),
        "status": code.http_status(),
        "code": code.as_str(),
        "detail": refusal.detail,
    })
}

/// The HTTP status of a refusal.
pub(crate) fn status(code: RefusalCode) -> StatusCode {
    StatusCode::from_u16(code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_code_makes_a_problem_document() {
        for code in RefusalCode::ALL {
            let response = Problem::from(*code).into_response();
            assert_eq!(response.status().as_u16(), code.http_status());
            assert_eq!(response.headers()["content-type"], "application/problem+json");
            let body = axum::body::to_bytes(response.into_body(), 4_096).await.expect("is short");
            let body: Value = serde_json::from_slice(&body).expect("is JSON");
            assert_eq!(body["code"], code.as_str());
            assert_eq!(body["status"], code.http_status());
        }
    }
}
