//! AWS credentials: for the enclave's calls to KMS and for a key store in S3.
//!
//! They come from the instance's role, the environment or a file, and are fetched anew whenever
//! they are handed on. With them alone KMS releases no vault secret. They must never reach a log.

mod imds;

use imds::InstanceMetadata;
use nitro_signer_shared::message::Credentials;
use nitro_signer_shared::secret::SecretString;
use object_store::aws::AwsCredential;
use serde::Deserialize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

/// A file of credentials has a few hundred bytes; session tokens may have a few thousand.
const MAX_FILE: u64 = 65_536;
/// The instance metadata service has new credentials at least five minutes before the old expire.
const RENEW_BEFORE: Duration = Duration::from_secs(300);
/// How often a file is looked at again, and expiring credentials are asked for again.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// Where credentials come from.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "source", rename_all = "lowercase", deny_unknown_fields)]
pub enum Source {
    /// The instance's role, from IMDSv2.
    Imds {
        /// Another address of the service; tests need one.
        #[serde(default)]
        address: Option<String>,
    },
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and, if set, `AWS_SESSION_TOKEN`.
    Environment {},
    /// A TOML or (by its name `*.json`) JSON file with `access_key_id`, `secret_access_key` and,
    /// if there are, `session_token` and `expiration` (RFC 3339).
    File {
        /// Where it is.
        path: PathBuf,
    },
}

/// Why there are no credentials. Never says what they are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct CredentialsError(String);

impl CredentialsError {
    fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

/// Credentials and how long they last.
pub(crate) struct Issued {
    pub(crate) credentials: Credentials,
    pub(crate) expires: Option<SystemTime>,
}

/// Fetches credentials from one source.
#[derive(Debug)]
pub(crate) struct Provider {
    source: Source,
}

impl Provider {
    pub(crate) const fn new(source: Source) -> Self {
        Self { source }
    }

    /// The credentials of this moment.
    ///
    /// # Errors
    /// [`CredentialsError`] says what to look at.
    pub(crate) async fn fetch(&self) -> Result<Issued, CredentialsError> {
        match &self.source {
            Source::Imds { address } => InstanceMetadata::new(address.as_deref()).fetch().await,
            Source::Environment {} => from_environment(|name| std::env::var(name).ok()),
            Source::File { path } => from_file(path).await,
        }
    }

    /// When to fetch newer ones than these.
    pub(crate) fn renew_in(&self, issued: &Issued, now: SystemTime) -> Duration {
        match issued.expires {
            Some(expires) if !matches!(self.source, Source::File { .. }) => {
                let left = expires.duration_since(now).unwrap_or_default();
                left.saturating_sub(RENEW_BEFORE).max(LOOK_AGAIN)
            }
            // A file may change at any time.
            _ => LOOK_AGAIN,
        }
    }

    /// Whether the same credentials last until the process ends.
    pub(crate) const fn is_constant(&self) -> bool {
        matches!(self.source, Source::Environment {})
    }
}

fn from_environment(get: impl Fn(&str) -> Option<String>) -> Result<Issued, CredentialsError> {
    let secret = |name: &str| get(name).filter(|v| !v.is_empty()).map(SecretString::new);
    let require = |name: &str| {
        secret(name).ok_or_else(|| CredentialsError::new(format!("{name} is not set")))
    };
    let credentials = Credentials {
        access_key_id: require("AWS_ACCESS_KEY_ID")?,
        secret_access_key: require("AWS_SECRET_ACCESS_KEY")?,
        session_token: secret("AWS_SESSION_TOKEN"),
    };
    Ok(Issued { credentials, expires: None })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    access_key_id: SecretString,
    secret_access_key: SecretString,
    session_token: Option<SecretString>,
    expiration: Option<String>,
}

async fn from_file(path: &std::path::Path) -> Result<Issued, CredentialsError> {
    let refuse = |what: &str| CredentialsError::new(format!("{}: {what}", path.display()));
    let size = tokio::fs::metadata(path).await.map_err(|_| refuse("cannot be read"))?.len();
    if size > MAX_FILE {
        return Err(refuse("is too long for credentials"));
    }
    let text = tokio::fs::read_to_string(path).await.map_err(|_| refuse("cannot be read"))?;
    let text = Zeroizing::new(text);
    // A parser's message may quote the line it fails on, so none is passed on.
    let document: Option<Document> = if path.extension().is_some_and(|e| e == "json") {
        serde_json::from_str(&text).ok()
    } else {
        toml::from_str(&text).ok()
    };
    let document = document.ok_or_else(|| {
        refuse(
            "must hold access_key_id, secret_access_key and at most session_token and expiration",
        )
    })?;
    let expires = document.expiration.as_deref().map(parse_time).transpose()?;
    let credentials = Credentials {
        access_key_id: document.access_key_id,
        secret_access_key: document.secret_access_key,
        session_token: document.session_token,
    };
    Ok(Issued { credentials, expires })
}

fn parse_time(text: &str) -> Result<SystemTime, CredentialsError> {
    OffsetDateTime::parse(text, &Rfc3339)
        .map(SystemTime::from)
        .map_err(|_| CredentialsError::new("the expiration is not a time of RFC 3339"))
}

/// The same source for the key store's client, which asks before every request.
#[derive(Debug)]
pub(crate) struct StoreCredentials {
    provider: Arc<Provider>,
    held: Mutex<Option<(Arc<AwsCredential>, std::time::Instant)>>,
}

impl StoreCredentials {
    pub(crate) fn new(provider: Arc<Provider>) -> Self {
        Self { provider, held: Mutex::new(None) }
    }
}

#[async_trait::async_trait]
impl object_store::CredentialProvider for StoreCredentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let mut held = self.held.lock().await;
        if let Some((credential, until)) = &*held
            && std::time::Instant::now() < *until
        {
            return Ok(Arc::clone(credential));
        }
        let issued = self.provider.fetch().await.map_err(|source| {
            object_store::Error::Generic { store: "credentials", source: source.into() }
        })?;
        let until = std::time::Instant::now() + self.provider.renew_in(&issued, SystemTime::now());
        let Credentials { access_key_id, secret_access_key, session_token } = issued.credentials;
        let credential = Arc::new(AwsCredential {
            key_id: access_key_id.expose().to_owned(),
            secret_key: secret_access_key.expose().to_owned(),
            token: session_token.map(|token| token.expose().to_owned()),
        });
        *held = Some((Arc::clone(&credential), until));
        Ok(credential)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_needs_two_of_three() {
        let check = |set: &[&str], good: bool| {
            let get = |name: &str| set.contains(&name).then(|| "x".to_owned());
            assert_eq!(from_environment(get).is_ok(), good, "{set:?}");
        };
        check(&["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"], true);
        check(&["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"], true);
        check(&["AWS_ACCESS_KEY_ID"], false);
        check(&["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"], false);
    }

    async fn check_file(name: &str, text: &str) -> Result<Issued, CredentialsError> {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("writes");
        from_file(&path).await
    }

    #[tokio::test]
    async fn a_file_is_toml_or_json() {
        let toml =
            "access_key_id = 'a'\nsecret_access_key = 'b'\nexpiration = '2030-01-01T00:00:00Z'";
        let issued = check_file("c.toml", toml).await.expect("is read");
        assert_eq!(issued.credentials.secret_access_key.expose(), "b");
        assert!(issued.expires.is_some());
        let json = r#"{"access_key_id":"a","secret_access_key":"b","session_token":"t"}"#;
        assert!(check_file("c.json", json).await.is_ok());
    }

    #[tokio::test]
    async fn an_error_does_not_quote_the_file() {
        for text in ["access_key_id = 'AKIASECRET", "secret_access_key = 'AKIASECRET'", ""] {
            let error = check_file("c.toml", text).await.err().expect("is refused").to_string();
            assert!(!error.contains("AKIASECRET"), "{error}");
        }
        let long = "x".repeat(usize::try_from(MAX_FILE).expect("fits") + 1);
        assert!(check_file("c.toml", &long).await.is_err());
    }

    #[test]
    fn credentials_are_renewed_before_they_expire() {
        let check = |source: Source, left: Option<u64>, expected: u64| {
            let now = SystemTime::UNIX_EPOCH;
            let secret = || SecretString::new(String::new());
            let credentials = Credentials {
                access_key_id: secret(),
                secret_access_key: secret(),
                session_token: None,
            };
            let expires = left.map(|s| now + Duration::from_secs(s));
            let renew = Provider::new(source).renew_in(&Issued { credentials, expires }, now);
            assert_eq!(renew.as_secs(), expected, "{left:?}");
        };
        let imds = || Source::Imds { address: None };
        check(imds(), Some(3_600), 3_300);
        check(imds(), Some(310), 30);
        check(imds(), Some(0), 30);
        check(Source::File { path: "c".into() }, Some(3_600), 30);
        check(Source::File { path: "c".into() }, None, 30);
    }
}
