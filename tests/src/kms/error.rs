//! KMS's errors as they go over the wire.
//!
//! Names and texts are AWS's where they are known. A text of our own begins with
//! "development KMS:", so that nobody learns AWS's behaviour from it.

use http::StatusCode;
use serde_json::{Value, json};

/// A refused call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ApiError {
    pub(super) status: StatusCode,
    /// AWS's name, as it stands in `__type`.
    pub(super) name: &'static str,
    message: Message,
}

/// Where the text stands: KMS spells the member in two ways, and leaves it out in some errors.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Message {
    None,
    Lower(String),
    Capital(String),
}

impl ApiError {
    pub(super) fn new(name: &'static str, text: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, name, message: Message::Lower(text.into()) }
    }

    fn bare(status: StatusCode, name: &'static str) -> Self {
        Self { status, name, message: Message::None }
    }

    /// A refusal whose text is ours.
    pub(super) fn ours(name: &'static str, text: impl AsRef<str>) -> Self {
        Self::new(name, format!("development KMS: {}", text.as_ref()))
    }

    pub(super) fn validation(text: impl AsRef<str>) -> Self {
        Self::ours("ValidationException", text)
    }

    /// AWS's form for a member outside its constraint.
    pub(super) fn constraint(member: &str, constraint: &str) -> Self {
        Self::new(
            "ValidationException",
            format!(
                "1 validation error detected: Value at '{member}' failed to satisfy constraint: \
                 Member must {constraint}"
            ),
        )
    }

    /// AWS's form for a member that has to be there.
    pub(super) fn missing(member: &str) -> Self {
        Self::new(
            "ValidationException",
            format!(
                "1 validation error detected: Value null at '{member}' failed to satisfy \
                 constraint: Member must not be null"
            ),
        )
    }

    pub(super) fn unsupported(text: impl AsRef<str>) -> Self {
        Self::ours("UnsupportedOperationException", text)
    }

    pub(super) fn unknown_operation() -> Self {
        Self::bare(StatusCode::BAD_REQUEST, "UnknownOperationException")
    }

    pub(super) fn invalid_ciphertext() -> Self {
        Self::bare(StatusCode::BAD_REQUEST, "InvalidCiphertextException")
    }

    pub(super) fn incorrect_key() -> Self {
        Self::new(
            "IncorrectKeyException",
            "The key ID in the request does not identify a CMK that can perform this operation.",
        )
    }

    pub(super) fn internal() -> Self {
        Self::bare(StatusCode::INTERNAL_SERVER_ERROR, "KMSInternalException")
    }

    /// A text about the key, behind its ARN.
    pub(super) fn state(arn: &str, text: &str) -> Self {
        Self::new("KMSInvalidStateException", format!("{arn} {text}"))
    }

    pub(super) fn disabled(arn: &str) -> Self {
        Self::new("DisabledException", format!("{arn} is disabled."))
    }

    pub(super) fn usage(arn: &str, usage: &str, operation: &str) -> Self {
        let text = format!("{arn} key usage is {usage} which is not valid for {operation}.");
        Self::new("InvalidKeyUsageException", text)
    }

    pub(super) fn invalid_signature() -> Self {
        Self::bare(StatusCode::BAD_REQUEST, "KMSInvalidSignatureException")
    }

    pub(super) fn incorrect_material() -> Self {
        Self::ours("IncorrectKeyMaterialException", "not the material of this key, or not 32 bytes")
    }

    pub(super) fn limit(text: impl AsRef<str>) -> Self {
        Self::ours("LimitExceededException", text)
    }

    pub(super) fn dry_run() -> Self {
        let text = "The request would have succeeded, but the DryRun option is set.";
        Self {
            status: StatusCode::PRECONDITION_FAILED,
            ..Self::new("DryRunOperationException", text)
        }
    }

    pub(super) fn unavailable() -> Self {
        Self::bare(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailableException")
    }

    pub(super) fn expired_credentials() -> Self {
        let text = "The security token included in the request is expired";
        Self::new("ExpiredTokenException", text)
    }

    pub(super) fn throttling() -> Self {
        Self::new("ThrottlingException", "Rate exceeded")
    }

    pub(super) fn too_large(limit: usize) -> Self {
        let text = format!("a body of more than {limit} bytes");
        Self { status: StatusCode::PAYLOAD_TOO_LARGE, ..Self::validation(text) }
    }

    /// What KMS says to a caller whom the key policy does not let through.
    pub(super) fn access_denied(who: &str, action: &str, resource: &str, why: Denial) -> Self {
        let because = match why {
            Denial::NoKeyPolicy => {
                format!("because no resource-based policy allows the {action} action")
            }
            Denial::NoIdentityPolicy => {
                format!("because no identity-based policy allows the {action} action")
            }
            Denial::Explicit => "with an explicit deny in a resource-based policy".to_owned(),
        };
        let text = format!(
            "User: {who} is not authorized to perform: {action} on resource: {resource} {because}"
        );
        Self {
            status: StatusCode::BAD_REQUEST,
            name: "AccessDeniedException",
            message: Message::Capital(text),
        }
    }

    /// The text, if there is one.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.message {
            Message::None => None,
            Message::Lower(text) | Message::Capital(text) => Some(text),
        }
    }

    /// The body: `__type` and, if there is one, the text.
    pub(super) fn body(&self) -> Value {
        match &self.message {
            Message::None => json!({ "__type": self.name }),
            Message::Lower(text) => json!({ "__type": self.name, "message": text }),
            Message::Capital(text) => json!({ "__type": self.name, "Message": text }),
        }
    }
}

/// Why a caller may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denial {
    /// The key policy does not speak of it.
    NoKeyPolicy,
    /// The key policy leaves it to IAM, or there is no key, and IAM does not allow it.
    NoIdentityPolicy,
    /// A Deny of the key policy.
    Explicit,
}
