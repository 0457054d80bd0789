//! One request from its headers to its answer: who asks, which operation, what comes of it.

use super::Options;
use super::cms::{Recipient, Writer};
use super::error::ApiError;
use super::events::{Event, Events, Outcome, Seen};
use super::faults::{Fault, Faults, Forgery};
use super::keys::{Found, Keys};
use super::operations::{Call, Operation, read_policy};
use super::recipient::{Attested, RecipientInfo};
use super::sigv4::{self, Identity};
use crate::nsm::Clock;
use http::HeaderMap;
use nitro_signer_shared::attestation::TrustAnchor;
use serde_json::Value;
use std::sync::{Mutex, MutexGuard};
use time::OffsetDateTime;

const TARGET_PREFIX: &str = "TrentService.";
const CONTENT_TYPE: &str = "application/x-amz-json-1.1";

/// The KMS of one account and region.
pub(super) struct Service {
    region: String,
    account: String,
    identities: Vec<Identity>,
    anchor: TrustAnchor,
    clock: Clock,
    max_document_age_ms: u64,
    keys: Mutex<Keys>,
    events: Mutex<Events>,
    faults: Mutex<Faults>,
    writer: Writer,
}

/// What goes back to the client.
pub(super) enum Reply {
    Answer(Option<Value>),
    Refusal(ApiError),
    /// Nothing: the connection is closed.
    Close,
}

impl Service {
    pub(super) fn new(options: Options) -> Self {
        Self {
            keys: Mutex::new(Keys::new(&options.region, &options.account)),
            region: options.region,
            account: options.account,
            identities: options.identities,
            anchor: options.anchor,
            clock: options.clock,
            max_document_age_ms: options.max_document_age_ms,
            events: Mutex::default(),
            faults: Mutex::default(),
            writer: Writer::default(),
        }
    }

    /// Carries out one request whose body was read whole.
    pub(super) async fn handle(&self, headers: &HeaderMap, body: &[u8]) -> Reply {
        let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok());
        let name = target.and_then(|target| target.strip_prefix(TARGET_PREFIX)).unwrap_or_default();
        let mut principal = None;
        let reply = self.reply(headers, body, name, &mut principal).await;
        let outcome = match &reply {
            Reply::Answer(_) => Outcome::Answered,
            Reply::Refusal(error) => Outcome::Refused(error.name),
            Reply::Close => Outcome::Closed,
        };
        let Seen { document_sha256, recipient_key_sha256 } = Seen::in_body(body);
        let operation = name.to_owned();
        let event = Event { operation, principal, outcome, document_sha256, recipient_key_sha256 };
        tracing::debug!(operation = %event.operation, outcome = ?event.outcome, "KMS call");
        if let Ok(mut events) = self.events.lock() {
            events.add(event);
        }
        reply
    }

    async fn reply(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        name: &str,
        principal: &mut Option<String>,
    ) -> Reply {
        let operation = Operation::named(name);
        let fault = operation.and_then(|operation| self.strike(operation));
        match &fault {
            Some(Fault::CloseConnection) => return Reply::Close,
            Some(Fault::InternalError) => return Reply::Refusal(ApiError::internal()),
            Some(Fault::Throttling) => return Reply::Refusal(ApiError::throttling()),
            Some(Fault::Delay(delay)) => tokio::time::sleep(*delay).await,
            Some(Fault::ForgePlaintext(_) | Fault::ForgeKeyId(_)) | None => {}
        }
        match self.carry_out(headers, body, operation, Forgery::of(fault.as_ref()), principal) {
            Ok(answer) => Reply::Answer(answer),
            Err(error) => Reply::Refusal(error),
        }
    }

    fn carry_out(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        operation: Option<Operation>,
        forgery: Forgery,
        principal: &mut Option<String>,
    ) -> Result<Option<Value>, ApiError> {
        let now_ms = self.clock.now_ms();
        let caller = self.authenticate(headers, body, now_ms)?;
        *principal = Some(caller.principal.name().to_owned());
        let content_type = headers.get("content-type").and_then(|value| value.to_str().ok());
        if content_type != Some(CONTENT_TYPE) {
            return Err(ApiError::unknown_operation());
        }
        let operation = operation.ok_or_else(ApiError::unknown_operation)?;
        operation.run(&Call { service: self, caller, now_ms, forgery }, body)
    }

    fn authenticate(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now_ms: u64,
    ) -> Result<&Identity, ApiError> {
        let now = i64::try_from(now_ms / 1_000)
            .ok()
            .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
            .ok_or_else(ApiError::internal)?;
        sigv4::authenticate(headers, body, &self.region, &self.identities, now)
    }

    pub(super) fn account(&self) -> &str {
        &self.account
    }

    /// What KMS gives a key that is created without a policy (KMS developer guide,
    /// key-policy-default).
    pub(super) fn default_policy(&self) -> String {
        format!(
            r#"{{"Version":"2012-10-17","Id":"key-default-1","Statement":[{{"Sid":"Enable IAM User Permissions","Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::{}:root"}},"Action":"kms:*","Resource":"*"}}]}}"#,
            self.account
        )
    }

    pub(super) fn keys(&self) -> Result<MutexGuard<'_, Keys>, ApiError> {
        self.keys.lock().map_err(|_| ApiError::internal())
    }

    pub(super) fn find(&self, name: &str) -> Result<Found, ApiError> {
        self.keys()?.find(name)
    }

    pub(super) fn attest(&self, info: &RecipientInfo, now_ms: u64) -> Result<Attested, ApiError> {
        Attested::check(info, &self.anchor, now_ms, self.max_document_age_ms)
    }

    pub(super) fn seal(&self, plaintext: &[u8], to: &Recipient) -> Result<Vec<u8>, ApiError> {
        self.writer.seal(plaintext, to).map_err(|_| ApiError::internal())
    }

    /// Makes a key as the account's owner would, without a call.
    pub(super) fn create_key(&self, policy: &str) -> Result<String, ApiError> {
        let created = self.clock.now_ms() / 1_000;
        let mut keys = self.keys()?;
        let key = keys.create(String::new(), policy.to_owned(), read_policy(policy)?, created)?;
        Ok(key.arn.clone())
    }

    /// Replaces a key's policy as the account's owner would, without a call.
    pub(super) fn put_key_policy(&self, key: &str, policy: &str) -> Result<(), ApiError> {
        let parsed = read_policy(policy)?;
        let mut keys = self.keys()?;
        let key = keys.find(key)?.key;
        keys.put_policy(&key, policy.to_owned(), parsed)
    }

    pub(super) fn events(&self) -> Vec<Event> {
        self.events.lock().map(|events| events.all()).unwrap_or_default()
    }

    pub(super) fn inject(&self, on: Operation, skip: usize, fault: Fault) {
        if let Ok(mut faults) = self.faults.lock() {
            faults.add(on, skip, fault);
        }
    }

    fn strike(&self, operation: Operation) -> Option<Fault> {
        self.faults.lock().ok().and_then(|mut faults| faults.strike(operation))
    }
}
