//! A key as AWS has it now: its policy, its grants and what it is, read with the caller's own
//! credentials. Three calls, each of which only reads.
//!
//! Source: KMS API reference, DescribeKey, GetKeyPolicy, ListGrants.

use crate::cli::output::Failure;
use crate::credentials::{Provider, Source};
use crate::exchange::exchange;
use crate::http::certificates;
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use http::{HeaderName, HeaderValue, Request, Uri};
use http_body_util::Full;
use hyper::body::Bytes;
use nitro_signer_enclave::amazon::ROOTS;
use nitro_signer_shared::key_policy::proof::KeyDescription;
use nitro_signer_shared::manifest::KeyArn;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A policy has up to 32 KiB, escaped in JSON; a page of grants has less.
const MAX_ANSWER: usize = 1_048_576;
const DEADLINE: Duration = Duration::from_secs(30);
/// Of 100 grants each: more than the linter takes.
const MAX_PAGES: usize = 11;

/// Where KMS is.
#[derive(clap::Args)]
#[command(next_help_heading = "From AWS")]
pub(super) struct Endpoint {
    /// Another address of KMS than the one of the key's region; development needs one.
    #[arg(long, value_name = "URL", requires = "live")]
    endpoint_url: Option<String>,
    /// Who certifies that address (PEM), in the place of Amazon.
    #[arg(long, value_name = "PEM", requires = "endpoint_url")]
    ca: Option<PathBuf>,
}

/// What KMS says of a key.
pub(super) struct Shown {
    pub(super) policy: String,
    /// As `aws kms list-grants` prints them.
    pub(super) grants: String,
    pub(super) description: KeyDescription,
}

/// Reads a key with the credentials of the environment.
pub(super) async fn show(key: &KeyArn, endpoint: &Endpoint) -> Result<Shown, Failure> {
    let provider = Provider::new(Source::Environment {});
    let issued = provider.fetch().await.map_err(|e| Failure::usage(e.to_string()))?;
    let token = issued.credentials.session_token.as_ref().map(|token| token.expose().to_owned());
    let credentials = Credentials::new(
        issued.credentials.access_key_id.expose(),
        issued.credentials.secret_access_key.expose(),
        token,
        None,
        "environment",
    );
    let kms = Kms { host: endpoint.host(key)?, tls: endpoint.tls()?, key, credentials };
    let described = kms.ask("DescribeKey", json!({ "KeyId": key.as_str() })).await?;
    let policy = json!({ "KeyId": key.as_str(), "PolicyName": "default" });
    let policy = kms.ask("GetKeyPolicy", policy).await?;
    let grants = kms.grants().await?;
    let text = |value: &Value, what: &str| {
        let text = value.as_str().map(str::to_owned);
        text.ok_or_else(|| Failure::usage(format!("KMS answers without the key's {what}")))
    };
    let metadata = &described["KeyMetadata"];
    if text(&metadata["Arn"], "ARN")? != key.as_str() {
        return Err(Failure::usage("KMS describes another key than the one that was asked for"));
    }
    Ok(Shown {
        policy: text(&policy["Policy"], "policy")?,
        grants: json!({ "Grants": grants }).to_string(),
        description: KeyDescription {
            origin: text(&metadata["Origin"], "origin")?,
            is_multi_region: metadata["MultiRegion"].as_bool().unwrap_or_default(),
        },
    })
}

impl Endpoint {
    /// Host and port.
    fn host(&self, key: &KeyArn) -> Result<(String, u16), Failure> {
        let Some(url) = &self.endpoint_url else { return Ok((key.kms_host(), 443)) };
        let wrong = || Failure::usage("--endpoint-url must be https://HOST:PORT");
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let plain = uri.scheme_str() == Some("https")
            && matches!(uri.path(), "" | "/")
            && uri.query().is_none();
        let host = uri.host().filter(|_| plain).ok_or_else(wrong)?;
        Ok((host.to_owned(), uri.port_u16().unwrap_or(443)))
    }

    fn tls(&self) -> Result<TlsConnector, Failure> {
        let failed = |e: &dyn std::fmt::Display| Failure::usage(e.to_string());
        let trusted = match &self.ca {
            Some(path) => certificates(Path::new(path)).map_err(|e| failed(&e))?,
            None => ROOTS
                .iter()
                .map(|root| CertificateDer::from_pem_slice(root.as_bytes()))
                .collect::<Result<_, _>>()
                .map_err(|e| failed(&e))?,
        };
        let mut roots = RootCertStore::empty();
        for certificate in trusted {
            roots.add(certificate).map_err(|e| failed(&e))?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| failed(&e))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

struct Kms<'a> {
    host: (String, u16),
    tls: TlsConnector,
    key: &'a KeyArn,
    credentials: Credentials,
}

impl Kms<'_> {
    /// All grants, page by page.
    async fn grants(&self) -> Result<Vec<Value>, Failure> {
        let mut all = Vec::new();
        let mut input = json!({ "KeyId": self.key.as_str(), "Limit": 100 });
        for _ in 0..MAX_PAGES {
            let mut page = self.ask("ListGrants", input.clone()).await?;
            let Value::Array(grants) = page["Grants"].take() else {
                return Err(Failure::usage("KMS answers without the key's grants"));
            };
            all.extend(grants);
            match (page["Truncated"].as_bool(), page["NextMarker"].take()) {
                (Some(true), marker @ Value::String(_)) => input["Marker"] = marker,
                (Some(true), _) => break,
                _ => return Ok(all),
            }
        }
        Err(Failure::usage("the key has more grants than can be judged"))
    }

    async fn ask(&self, operation: &str, input: Value) -> Result<Value, Failure> {
        let (host, port) = (self.host.0.as_str(), self.host.1);
        let unreachable =
            |why: &dyn std::fmt::Display| Failure::unreachable(format!("{host}:{port}: {why}"));
        let request = self.request(operation, &input)?;
        let asking = async {
            let name = ServerName::try_from(host.to_owned()).map_err(std::io::Error::other)?;
            let stream = TcpStream::connect((host, port)).await?;
            let stream = self.tls.connect(name, stream).await?;
            let answer = exchange(stream, request, MAX_ANSWER, DEADLINE).await;
            answer.map_err(std::io::Error::other)
        };
        let answer = tokio::time::timeout(DEADLINE, asking).await;
        let answer = answer.map_err(|_| unreachable(&"no answer in time"))?;
        let answer = answer.map_err(|e| unreachable(&e))?;
        let said: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
        if answer.status().is_success() {
            return Ok(said);
        }
        let name = said["__type"].as_str().unwrap_or("no name");
        let message = said["Message"].as_str().or(said["message"].as_str()).unwrap_or_default();
        Err(Failure::usage(format!("KMS refuses {operation}: {name}: {message}")))
    }

    /// A signed request (AWS Signature Version 4).
    fn request(&self, operation: &str, input: &Value) -> Result<Request<Full<Bytes>>, Failure> {
        let failed = |e: &dyn std::fmt::Display| Failure::usage(format!("cannot sign: {e}"));
        let body = input.to_string();
        let (host, port) = &self.host;
        let host = if *port == 443 { host.clone() } else { format!("{host}:{port}") };
        let mut headers = vec![
            ("host", host.clone()),
            ("content-type", "application/x-amz-json-1.1".to_owned()),
            ("x-amz-target", format!("TrentService.{operation}")),
        ];
        let identity = self.credentials.clone().into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.key.region())
            .name("kms")
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|e| failed(&e))?
            .into();
        let signable = SignableRequest::new(
            "POST",
            format!("https://{host}/"),
            headers.iter().map(|(name, value)| (*name, value.as_str())),
            SignableBody::Bytes(body.as_bytes()),
        )
        .map_err(|e| failed(&e))?;
        let (signed, _) = sign(signable, &parameters).map_err(|e| failed(&e))?.into_parts();
        let (signed, _) = signed.into_parts();
        headers.extend(signed.iter().map(|header| (header.name(), header.value().to_owned())));
        let mut request = Request::post("/").body(Full::from(body)).map_err(|e| failed(&e))?;
        for (name, value) in headers {
            let mut value = HeaderValue::from_str(&value).map_err(|e| failed(&e))?;
            value.set_sensitive(true);
            request.headers_mut().insert(HeaderName::from_static(name), value);
        }
        Ok(request)
    }
}
