//! The event log in CloudTrail's form: what whoever watches a real key would see of each call.
//!
//! No key material, plaintext, ciphertext, signature, token or credential: of a request only the
//! members listed here are kept. CloudTrail shows no call whose signature was not verified, and
//! neither does this. Sources: CloudTrail user guide, "CloudTrail record contents"; KMS developer
//! guide, "Logging AWS KMS API calls with AWS CloudTrail" and "Monitoring requests for Nitro
//! enclaves" (ct-nitro-enclave).

use super::error::ApiError;
use super::operations::Operation;
use super::sigv4::Identity;
use super::wire::lower_first;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nitro_signer_shared::attestation::AuthenticDocument;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use time::OffsetDateTime;

/// Older events are forgotten; a file keeps them all.
const MAX_EVENTS: usize = 10_000;

/// Members of requests that may be seen.
const SHOWN: [&str; 38] = [
    "AliasName",
    "BypassPolicyLockoutSafetyCheck",
    "Constraints",
    "CustomerMasterKeySpec",
    "Description",
    "DestinationEncryptionAlgorithm",
    "DestinationEncryptionContext",
    "DestinationKeyId",
    "DryRun",
    "EncryptionAlgorithm",
    "EncryptionContext",
    "ExpirationModel",
    "GrantId",
    "GranteePrincipal",
    "KeyId",
    "KeyMaterialId",
    "KeySpec",
    "KeyUsage",
    "Limit",
    "MessageType",
    "MultiRegion",
    "Name",
    "NumberOfBytes",
    "Operations",
    "Origin",
    "PendingWindowInDays",
    "Policy",
    "PolicyName",
    "ReplicaRegion",
    "RetiringPrincipal",
    "RotationPeriodInDays",
    "SigningAlgorithm",
    "SourceEncryptionContext",
    "Tags",
    "TagKeys",
    "TargetKeyId",
    "WrappingAlgorithm",
    "WrappingKeySpec",
];
/// Members of answers that may be seen, of operations that change something.
const ANSWERED: [&str; 6] = [
    "DeletionDate",
    "GrantId",
    "KeyId",
    "KeyMetadata",
    "PendingWindowInDays",
    "ReplicaKeyMetadata",
];

/// What a call leaves for the log while it runs.
#[derive(Default)]
pub(super) struct Notes {
    keys: Vec<String>,
    recipient: Option<Value>,
}

impl Notes {
    /// The call was about this key.
    pub(super) fn about(&mut self, arn: &str) {
        if !self.keys.iter().any(|key| key == arn) {
            self.keys.push(arn.to_owned());
        }
    }

    /// An authentic document came along. PCR0 is the image's digest; of the others CloudTrail
    /// shows those that AWS gives a meaning.
    pub(super) fn attested(&mut self, document: &AuthenticDocument) {
        let mut recipient = Map::new();
        let module = document.module_id();
        recipient.insert("attestationDocumentModuleId".to_owned(), module.into());
        for (index, name) in
            [(0, "ImageDigest"), (1, "PCR1"), (2, "PCR2"), (3, "PCR3"), (4, "PCR4"), (8, "PCR8")]
        {
            if let Some(pcr) = document.pcr(index) {
                let name = format!("attestationDocumentEnclave{name}");
                recipient.insert(name, STANDARD.encode(pcr).into());
            }
        }
        self.recipient = Some(recipient.into());
    }
}

/// A call that was carried out or refused.
pub(super) struct Record<'a> {
    pub(super) caller: &'a Identity,
    pub(super) region: &'a str,
    pub(super) account: &'a str,
    pub(super) operation: Option<Operation>,
    pub(super) name: &'a str,
    pub(super) at_ms: u64,
    pub(super) request_id: &'a str,
    pub(super) source: &'a str,
    pub(super) user_agent: &'a str,
    pub(super) body: &'a [u8],
    pub(super) answer: Result<Option<&'a Value>, &'a ApiError>,
    pub(super) notes: &'a Notes,
}

/// One event, as CloudTrail writes it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct TrailEvent {
    pub event_version: &'static str,
    pub user_identity: Value,
    pub event_time: String,
    pub event_source: &'static str,
    pub event_name: String,
    pub aws_region: String,
    #[serde(rename = "sourceIPAddress")]
    pub source_ip_address: String,
    pub user_agent: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    pub request_parameters: Value,
    pub response_elements: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub additional_event_data: Option<Value>,
    #[serde(rename = "requestID")]
    pub request_id: String,
    #[serde(rename = "eventID")]
    pub event_id: String,
    pub read_only: bool,
    pub resources: Vec<Value>,
    pub event_type: &'static str,
    pub management_event: bool,
    pub recipient_account_id: String,
    pub event_category: &'static str,
}

impl Record<'_> {
    fn event(&self, event_id: String) -> TrailEvent {
        let refused = self.answer.err();
        let resources =
            self.notes.keys.iter().map(
                |arn| json!({ "accountId": self.account, "type": "AWS::KMS::Key", "ARN": arn }),
            );
        let recipient = self.notes.recipient.as_ref();
        TrailEvent {
            event_version: "1.11",
            user_identity: identity(self.caller),
            event_time: time_text(self.at_ms),
            event_source: "kms.amazonaws.com",
            event_name: self.name.to_owned(),
            aws_region: self.region.to_owned(),
            source_ip_address: self.source.to_owned(),
            user_agent: self.user_agent.to_owned(),
            error_code: refused.map(|error| error_code(error.name).to_owned()),
            error_message: refused.and_then(ApiError::text).map(str::to_owned),
            request_parameters: self.request_parameters(),
            response_elements: self.response_elements(),
            additional_event_data: recipient.map(|recipient| json!({ "recipient": recipient })),
            request_id: self.request_id.to_owned(),
            event_id,
            read_only: self.operation.is_some_and(Operation::reads_only),
            resources: resources.collect(),
            event_type: "AwsApiCall",
            management_event: true,
            recipient_account_id: self.account.to_owned(),
            event_category: "Management",
        }
    }

    /// A refused call's are null, as in AWS's examples. "The CloudTrail log entry for a Decrypt
    /// operation always includes the encryptionAlgorithm … even if the encryption algorithm wasn't
    /// specified in the request", and Encrypt's does.
    fn request_parameters(&self) -> Value {
        let (Ok(_), Ok(Value::Object(members))) = (self.answer, serde_json::from_slice(self.body))
        else {
            return Value::Null;
        };
        let mut parameters = shown(&members, &SHOWN);
        if matches!(self.operation, Some(Operation::Decrypt | Operation::Encrypt)) {
            parameters["encryptionAlgorithm"] = "SYMMETRIC_DEFAULT".into();
        }
        parameters
    }

    fn response_elements(&self) -> Value {
        match (self.answer, self.operation) {
            (Ok(Some(Value::Object(members))), Some(operation)) if !operation.reads_only() => {
                shown(members, &ANSWERED)
            }
            _ => Value::Null,
        }
    }
}

/// The listed members, in CloudTrail's spelling; null if there are none.
fn shown(members: &Map<String, Value>, list: &[&str]) -> Value {
    let kept: Map<String, Value> = members
        .iter()
        .filter(|(name, _)| list.contains(&name.as_str()))
        .map(|(name, value)| (lower_first(name), respelled(name, value)))
        .collect();
    if kept.is_empty() { Value::Null } else { kept.into() }
}

/// Structures' members are respelled too; an encryption context's names are the caller's own.
fn respelled(name: &str, value: &Value) -> Value {
    match value {
        Value::Object(members) if !name.contains("EncryptionContext") => members
            .iter()
            .map(|(name, value)| (lower_first(name), respelled(name, value)))
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => items.iter().map(|item| respelled(name, item)).collect(),
        _ => value.clone(),
    }
}

/// CloudTrail says AccessDenied where KMS says AccessDeniedException.
fn error_code(name: &str) -> &str {
    if name == "AccessDeniedException" { "AccessDenied" } else { name }
}

fn identity(caller: &Identity) -> Value {
    let principal = &caller.principal;
    let (arn, role) = (principal.name(), principal.identity());
    let name = |arn: &str| arn.rsplit('/').next().unwrap_or_default().to_owned();
    let mut identity = json!({
        "principalId": caller.access_key_id,
        "arn": arn,
        "accountId": principal.account(),
        "accessKeyId": caller.access_key_id,
    });
    if role.contains(":role/") {
        identity["type"] = "AssumedRole".into();
        identity["sessionContext"] = json!({ "sessionIssuer": {
            "type": "Role", "arn": role, "accountId": principal.account(), "userName": name(role),
        }});
    } else if arn.contains(":user/") {
        identity["type"] = "IAMUser".into();
        identity["userName"] = name(arn).into();
    } else {
        identity["type"] = "Root".into();
    }
    identity
}

fn time_text(ms: u64) -> String {
    let at = i64::try_from(ms / 1_000)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (date, clock) = (at.date(), at.time());
    let (month, day) = (u8::from(date.month()), date.day());
    let (hour, minute, second) = (clock.hour(), clock.minute(), clock.second());
    format!("{:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z", date.year())
}

/// The newest events, and the file that gets every one as a line of JSON.
#[derive(Default)]
pub(super) struct Trail {
    events: VecDeque<TrailEvent>,
    file: Option<File>,
}

impl Trail {
    /// Appends to this file, if there is one to be.
    pub(super) fn open(path: Option<&Path>) -> std::io::Result<Self> {
        use std::os::unix::fs::OpenOptionsExt;
        let open =
            |path| std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path);
        Ok(Self { events: VecDeque::new(), file: path.map(open).transpose()? })
    }

    pub(super) fn add(&mut self, record: &Record<'_>) {
        let event = record.event(super::server::request_id());
        if let Some(file) = &mut self.file
            && let Ok(mut line) = serde_json::to_vec(&event)
        {
            line.push(b'\n');
            if let Err(error) = file.write_all(&line) {
                tracing::warn!(%error, "an event was not written to the trail's file");
            }
        }
        if self.events.len() == MAX_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    pub(super) fn all(&self) -> Vec<TrailEvent> {
        self.events.iter().cloned().collect()
    }
}
