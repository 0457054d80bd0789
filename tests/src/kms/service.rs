//! One request from its headers to its answer: who asks, which operation, what comes of it.

use super::certificate::Certificate;
use super::cms::{Recipient, Writer};
use super::error::ApiError;
use super::events::{Event, Events, Outcome, Seen};
use super::faults::{Fault, Faults, Forgery};
use super::grants::{Constraints, Grant, Terms, principal_of_grant};
use super::key::Origin;
use super::keys::{Keys, NewKey};
use super::operations::{Call, Operation, read_policy};
use super::recipient::{Attested, RecipientInfo};
use super::sigv4::{self, Identity, Signer};
use super::state::{StateError, StateFile};
use super::trail::{Notes, Record, Trail, TrailEvent};
use super::{Options, StartError};
use crate::nsm::Clock;
use http::HeaderMap;
use nitro_signer_shared::attestation::TrustAnchor;
use serde_json::Value;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use time::OffsetDateTime;

const TARGET_PREFIX: &str = "TrentService.";
const CONTENT_TYPE: &str = "application/x-amz-json-1.1";
/// Longer ones are cut in the event log.
const MAX_USER_AGENT: usize = 1_024;

/// The KMS of one account.
pub(super) struct Service {
    /// The first is where keys are made without a call.
    regions: Vec<String>,
    account: String,
    identities: Vec<Identity>,
    multi_factor: Vec<String>,
    anchor: TrustAnchor,
    clock: Clock,
    max_document_age_ms: u64,
    keys: Mutex<Keys>,
    state: Option<StateFile>,
    events: Mutex<Events>,
    trail: Mutex<Trail>,
    faults: Mutex<Faults>,
    writer: Writer,
}

/// A request as it came in.
pub(super) struct Incoming<'a> {
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
    /// Whence.
    pub(super) source: &'a str,
    /// What the answer will be known by.
    pub(super) id: &'a str,
}

/// What goes back to the client.
pub(super) enum Reply {
    Answer(Option<Value>),
    Refusal(ApiError),
    /// Nothing: the connection is closed.
    Close,
}

impl Incoming<'_> {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The operation's name; empty if there is none.
    fn name(&self) -> &str {
        let target = self.header("x-amz-target");
        target.and_then(|target| target.strip_prefix(TARGET_PREFIX)).unwrap_or_default()
    }

    fn user_agent(&self) -> String {
        self.header("user-agent").unwrap_or_default().chars().take(MAX_USER_AGENT).collect()
    }
}

impl Service {
    /// With the keys that were kept, if any were.
    pub(super) fn new(
        options: Options,
        certificate: Certificate,
        kept: Option<Keys>,
    ) -> Result<Self, StartError> {
        let regions: Vec<String> =
            std::iter::once(options.region).chain(options.more_regions).collect();
        let state = options.state.map(|path| StateFile::new(path, certificate));
        let names = || regions.iter().map(String::as_str);
        let mut keys = kept.unwrap_or_else(|| Keys::new(&options.account, names()));
        if !keys.serve(&options.account, names()) {
            return Err(StateError::Foreign("another account's").into());
        }
        if let Some(state) = &state {
            state.save(&keys)?;
        }
        Ok(Self {
            keys: Mutex::new(keys),
            state,
            regions,
            account: options.account,
            identities: options.identities,
            multi_factor: options.multi_factor,
            anchor: options.anchor,
            clock: options.clock,
            max_document_age_ms: options.max_document_age_ms,
            events: Mutex::default(),
            trail: Mutex::new(Trail::open(options.trail.as_deref()).map_err(StartError::Trail)?),
            faults: Mutex::default(),
            writer: Writer::default(),
        })
    }

    /// Carries out one request whose body was read whole.
    pub(super) async fn handle(&self, request: &Incoming<'_>) -> Reply {
        let mut principal = None;
        let reply = self.reply(request, &mut principal).await;
        let outcome = match &reply {
            Reply::Answer(_) => Outcome::Answered,
            Reply::Refusal(error) => Outcome::Refused(error.name),
            Reply::Close => Outcome::Closed,
        };
        let Seen { document_sha256, recipient_key_sha256 } = Seen::in_body(request.body);
        let operation = request.name().to_owned();
        let event = Event { operation, principal, outcome, document_sha256, recipient_key_sha256 };
        tracing::debug!(operation = %event.operation, outcome = ?event.outcome, "KMS call");
        if let Ok(mut events) = self.events.lock() {
            events.add(event);
        }
        reply
    }

    async fn reply(&self, request: &Incoming<'_>, principal: &mut Option<String>) -> Reply {
        let fault = Operation::named(request.name()).and_then(|operation| self.strike(operation));
        let mut off_ms = 0;
        match &fault {
            Some(Fault::CloseConnection) => return Reply::Close,
            Some(Fault::InternalError) => return Reply::Refusal(ApiError::internal()),
            Some(Fault::Throttling) => return Reply::Refusal(ApiError::throttling()),
            Some(Fault::Unavailable) => return Reply::Refusal(ApiError::unavailable()),
            Some(Fault::ExpiredCredentials) => {
                return Reply::Refusal(ApiError::expired_credentials());
            }
            Some(Fault::Delay(delay)) => tokio::time::sleep(*delay).await,
            Some(Fault::StaleClock(ms)) => off_ms = *ms,
            Some(Fault::ForgePlaintext(_) | Fault::ForgeKeyId(_) | Fault::LoseAnswer) | None => {}
        }
        let now_ms = self.clock.now_ms().saturating_add_signed(off_ms);
        let answer = self.carry_out(request, now_ms, Forgery::of(fault.as_ref()), principal);
        match (answer, fault) {
            (_, Some(Fault::LoseAnswer)) => Reply::Close,
            (Ok(answer), _) => Reply::Answer(answer),
            (Err(error), _) => Reply::Refusal(error),
        }
    }

    fn carry_out(
        &self,
        request: &Incoming<'_>,
        now_ms: u64,
        forgery: Forgery,
        principal: &mut Option<String>,
    ) -> Result<Option<Value>, ApiError> {
        let Signer { identity: caller, region } = self.authenticate(request, now_ms)?;
        *principal = Some(caller.principal.name().to_owned());
        self.settle(now_ms)?;
        let notes = RefCell::default();
        let call = Call { service: self, caller, region, now_ms, forgery, notes };
        let operation = Operation::named(request.name());
        let answer = match operation {
            Some(operation) if request.header("content-type") == Some(CONTENT_TYPE) => {
                operation.run(&call, request.body)
            }
            _ => Err(ApiError::unknown_operation()),
        };
        self.record(request, &call, operation, &answer);
        answer
    }

    fn record(
        &self,
        request: &Incoming<'_>,
        call: &Call<'_>,
        operation: Option<Operation>,
        answer: &Result<Option<Value>, ApiError>,
    ) {
        let notes: &Notes = &call.notes.borrow();
        let record = Record {
            caller: call.caller,
            region: call.region,
            account: &self.account,
            operation,
            name: request.name(),
            at_ms: call.now_ms,
            request_id: request.id,
            source: request.source,
            user_agent: &request.user_agent(),
            body: request.body,
            answer: answer.as_ref().map(Option::as_ref),
            notes,
        };
        if let Ok(mut trail) = self.trail.lock() {
            trail.add(&record);
        }
    }

    fn authenticate(&self, request: &Incoming<'_>, now_ms: u64) -> Result<Signer<'_>, ApiError> {
        let now = i64::try_from(now_ms / 1_000)
            .ok()
            .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
            .ok_or_else(ApiError::internal)?;
        let Incoming { headers, body, .. } = request;
        sigv4::authenticate(headers, body, &self.regions, &self.identities, now)
    }

    /// Whether a caller showed a second factor, which only temporary credentials can say (IAM user
    /// guide, reference_policies_condition-keys, aws:MultiFactorAuthPresent).
    pub(super) fn multi_factor(&self, caller: &Identity) -> Option<bool> {
        let present = self.multi_factor.contains(&caller.access_key_id);
        caller.session_token.as_ref().map(|_| present)
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

    /// Changes the keys, and keeps the change before it is answered.
    pub(super) fn change<T>(
        &self,
        change: impl FnOnce(&mut Keys) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let mut keys = self.keys()?;
        let changed = change(&mut keys)?;
        self.save(&keys)?;
        Ok(changed)
    }

    fn settle(&self, now_ms: u64) -> Result<(), ApiError> {
        let mut keys = self.keys()?;
        if keys.settle(now_ms)? { self.save(&keys) } else { Ok(()) }
    }

    fn save(&self, keys: &Keys) -> Result<(), ApiError> {
        let Some(state) = &self.state else { return Ok(()) };
        state.save(keys).map_err(|error| {
            tracing::error!(%error, "the keys were not kept");
            ApiError::internal()
        })
    }

    pub(super) fn attest(&self, info: &RecipientInfo, now_ms: u64) -> Result<Attested, ApiError> {
        Attested::check(info, &self.anchor, now_ms, self.max_document_age_ms)
    }

    pub(super) fn seal(&self, plaintext: &[u8], to: &Recipient) -> Result<Vec<u8>, ApiError> {
        self.writer.seal(plaintext, to).map_err(|_| ApiError::internal())
    }

    fn region(&self) -> &str {
        self.regions.first().map(String::as_str).unwrap_or_default()
    }

    /// Makes a key as the account's owner would, without a call.
    pub(super) fn create_key(&self, policy: &str) -> Result<String, ApiError> {
        read_policy(policy)?;
        let new = NewKey {
            description: String::new(),
            policy: policy.to_owned(),
            origin: Origin::Kms,
            curve: None,
            multi_region: false,
            tags: BTreeMap::new(),
        };
        let now_ms = self.clock.now_ms();
        self.change(|keys| Ok(keys.create(self.region(), new, now_ms)?.arn.clone()))
    }

    /// Replaces a key's policy as the account's owner would, without a call.
    pub(super) fn put_key_policy(&self, key: &str, policy: &str) -> Result<(), ApiError> {
        read_policy(policy)?;
        self.change(|keys| {
            let key = keys.find(self.region(), key)?.key;
            keys.stored(&key)?.policy = policy.to_owned();
            Ok(())
        })
    }

    /// Makes a grant as somebody did earlier, without a call.
    pub(super) fn create_grant(
        &self,
        key: &str,
        grantee: &str,
        operations: &[&str],
    ) -> Result<(), ApiError> {
        principal_of_grant(grantee)?;
        let terms = Terms {
            grantee: grantee.to_owned(),
            retiring: None,
            operations: operations.iter().map(|name| (*name).to_owned()).collect(),
            constraints: Constraints::default(),
            name: None,
        };
        let grant = Grant::new(terms, self.account(), self.clock.now_ms())?;
        self.change(|keys| {
            let key = keys.find(self.region(), key)?.key;
            grant.terms.check(key.signs())?;
            keys.stored(&key)?.grants.push(grant);
            Ok(())
        })
    }

    pub(super) fn events(&self) -> Vec<Event> {
        self.events.lock().map(|events| events.all()).unwrap_or_default()
    }

    pub(super) fn trail(&self) -> Vec<TrailEvent> {
        self.trail.lock().map(|trail| trail.all()).unwrap_or_default()
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
