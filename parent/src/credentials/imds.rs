//! The instance metadata service, version 2 only: a session token first, then the role's
//! credentials.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html>

use super::{CredentialsError, Issued, parse_time};
use crate::exchange::exchange;
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use hyper::body::Bytes;
use nitro_signer_shared::message::Credentials;
use nitro_signer_shared::secret::SecretString;
use serde::Deserialize;
use std::time::Duration;
use tokio::net::TcpStream;
use zeroize::Zeroizing;

const ADDRESS: &str = "169.254.169.254:80";
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
const MAX_ANSWER: usize = 65_536;
const DEADLINE: Duration = Duration::from_secs(5);

pub(super) struct InstanceMetadata {
    address: String,
}

/// The role's document; further fields are the service's own affair.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RoleDocument {
    code: String,
    access_key_id: SecretString,
    secret_access_key: SecretString,
    token: SecretString,
    expiration: String,
}

impl InstanceMetadata {
    pub(super) fn new(address: Option<&str>) -> Self {
        Self { address: address.unwrap_or(ADDRESS).to_owned() }
    }

    pub(super) async fn fetch(&self) -> Result<Issued, CredentialsError> {
        let lifetime = ("x-aws-ec2-metadata-token-ttl-seconds", "300");
        let token = self.ask(Method::PUT, "/latest/api/token", lifetime).await?;
        let token = text(&token)?;
        let session = ("x-aws-ec2-metadata-token", token);
        let roles = self.ask(Method::GET, ROLES, session).await?;
        let role = text(&roles)?.lines().next().unwrap_or_default();
        // IAM role names: letters, digits and +=,.@-_ (IAM API reference, CreateRole).
        if role.is_empty()
            || !role.bytes().all(|c| c.is_ascii_alphanumeric() || b"+=,.@-_".contains(&c))
        {
            return Err(CredentialsError::new("the instance has no role; attach one"));
        }
        let document = self.ask(Method::GET, &format!("{ROLES}{role}"), session).await?;
        let document: RoleDocument = serde_json::from_slice(&document)
            .map_err(|_| CredentialsError::new("the role's document is not of the known form"))?;
        if document.code != "Success" {
            return Err(CredentialsError::new("the instance metadata service has no credentials"));
        }
        let expires = parse_time(&document.expiration)?;
        let credentials = Credentials {
            access_key_id: document.access_key_id,
            secret_access_key: document.secret_access_key,
            session_token: Some(document.token),
        };
        Ok(Issued { credentials, expires: Some(expires) })
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        header: (&str, &str),
    ) -> Result<Zeroizing<Vec<u8>>, CredentialsError> {
        let refuse = |what: &str| {
            CredentialsError::new(format!("the instance metadata service {what} ({path})"))
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.address)
            .header(header.0, header.1)
            .body(Full::<Bytes>::default())
            .map_err(|_| refuse("gave a token that cannot be sent"))?;
        let dialling = tokio::time::timeout(DEADLINE, TcpStream::connect(&self.address)).await;
        let Ok(Ok(stream)) = dialling else { return Err(refuse("cannot be reached")) };
        let answer = exchange(stream, request, MAX_ANSWER, DEADLINE).await;
        let answer = answer.map_err(|_| refuse("did not answer"))?;
        if answer.status() != StatusCode::OK {
            return Err(refuse(&format!("answered {}", answer.status().as_u16())));
        }
        Ok(answer.into_body())
    }
}

fn text(bytes: &[u8]) -> Result<&str, CredentialsError> {
    std::str::from_utf8(bytes)
        .map_err(|_| CredentialsError::new("the instance metadata service answered no text"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::http::HeaderMap;
    use axum::routing::{get, put};

    const GOOD: &str = r#"{"Code":"Success","LastUpdated":"2026-01-01T00:00:00Z","Type":"AWS-HMAC",
        "AccessKeyId":"id","SecretAccessKey":"secret","Token":"session","Expiration":"2030-01-01T00:00:00Z"}"#;

    /// A metadata service that answers only to its own token.
    async fn check(role: &'static str, document: &'static str) -> Result<Issued, CredentialsError> {
        let authorised = |headers: &HeaderMap| {
            headers.get("x-aws-ec2-metadata-token").is_some_and(|token| token == "t0ken")
        };
        let answer = move |headers: HeaderMap, body: &'static str| async move {
            if authorised(&headers) {
                (StatusCode::OK, body)
            } else {
                (StatusCode::UNAUTHORIZED, "")
            }
        };
        let app = Router::new()
            .route("/latest/api/token", put(|| async { "t0ken" }))
            .route(ROLES, get(move |headers: HeaderMap| answer(headers, role)))
            .route(
                &format!("{ROLES}signer"),
                get(move |headers: HeaderMap| answer(headers, document)),
            );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("is bound").to_string();
        let server = tokio::spawn(async move { axum::serve(listener, app).await });
        let issued = InstanceMetadata::new(Some(&address)).fetch().await;
        server.abort();
        issued
    }

    #[tokio::test]
    async fn a_role_gives_credentials() {
        let issued = check("signer", GOOD).await.expect("are given");
        assert_eq!(issued.credentials.access_key_id.expose(), "id");
        assert_eq!(issued.credentials.secret_access_key.expose(), "secret");
        assert_eq!(issued.credentials.session_token.expect("is temporary").expose(), "session");
        assert!(issued.expires.is_some());
    }

    #[tokio::test]
    async fn anything_else_gives_none() {
        assert!(check("", GOOD).await.is_err());
        assert!(check("../signer", GOOD).await.is_err());
        assert!(check("signer", "{}").await.is_err());
        assert!(check("signer", r#"{"Code":"Failed"}"#).await.is_err());
        assert!(InstanceMetadata::new(Some("127.0.0.1:1")).fetch().await.is_err());
    }
}
