//! What an examination finds, and what it says about it. Codes are stable.

use super::vocabulary::Danger;
use std::collections::BTreeSet;
use std::fmt;

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// A request that would be allowed and must not be.
    Hole,
    /// Nobody gets in by it today, but a statement is not what it seems, or one other statement is
    /// all that stands in the way.
    Defect,
    /// To be known.
    Warning,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Code {
    /// Somebody gets in or plants something without a listed measurement set.
    Opened,
    /// Somebody who is no named administrator can make it so.
    Reopenable,
    /// Something allows what only a Deny stops.
    OnlyDenied,
    /// A grant would let somebody in: no Deny stops it.
    GrantsNotStopped,
    /// A listed measurement set cannot get in.
    SetNotAdmitted,
    /// A statement applies to no request at all.
    NeverMatches,
    /// A condition key that AWS does not know.
    UnknownConditionKey,
    /// An action that KMS does not have.
    UnknownAction,
    /// A statement about everything but what it lists.
    AllBut,
    /// The key's material does not come from KMS.
    ForeignMaterial,
    /// The key can have replicas, which are not judged here.
    MultiRegion,
    /// Somebody else than the named roles may ask under a listed measurement set.
    AdmitsOthers,
}

impl Code {
    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Reopenable => "reopenable",
            Self::OnlyDenied => "only_denied",
            Self::GrantsNotStopped => "grants_not_stopped",
            Self::SetNotAdmitted => "set_not_admitted",
            Self::NeverMatches => "never_matches",
            Self::UnknownConditionKey => "unknown_condition_key",
            Self::UnknownAction => "unknown_action",
            Self::AllBut => "all_but",
            Self::ForeignMaterial => "foreign_material",
            Self::MultiRegion => "multi_region",
            Self::AdmitsOthers => "admits_others",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Opened => "Remove what allows it, or list the measurement set it is meant for.",
            Self::Reopenable => {
                "Remove what allows it, or name the principal with --administrator if that is meant."
            }
            Self::OnlyDenied => "Remove what allows it: one statement is all that stops it.",
            Self::GrantsNotStopped => {
                "Deny it to everybody, with one statement for each register: a Deny with several \
                 registers stops only what differs in all of them."
            }
            Self::SetNotAdmitted => "Give the set its statement, or take it off the list.",
            Self::NeverMatches => {
                "Correct or remove the statement. KMS has registers in lower-case hex, and only \
                 Decrypt, DeriveSharedSecret, GenerateDataKey and GenerateDataKeyPair carry them."
            }
            Self::UnknownConditionKey => "Correct the key's name: a request never carries it.",
            Self::UnknownAction => "Correct the action's name.",
            Self::AllBut => "Name who and what is meant: whatever AWS adds later is in it too.",
            Self::ForeignMaterial => {
                "Make a key whose material KMS generates, or accept imported material with \
                 --imported-material."
            }
            Self::MultiRegion => {
                "Lint every replica too and accept them with --multi-region, or make a key of one \
                 region."
            }
            Self::AdmitsOthers => "Name the role with --role, or name only the role in the policy.",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A request by which something shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counterexample {
    /// Who asks: an ARN, or whom it stands for.
    pub caller: String,
    /// The action.
    pub action: &'static str,
    /// Whether it carries an attestation document.
    pub is_attested: bool,
    /// The condition keys that matter, in lower case; all others may be as they like.
    pub context: Vec<(String, Vec<String>)>,
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let attested = if self.is_attested { "with" } else { "without" };
        write!(f, "{} by {}, {attested} an attestation document", self.action, self.caller)?;
        for (key, values) in &self.context {
            write!(f, ", {key} = {}", values.join(" + "))?;
        }
        Ok(())
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong.
    pub code: Code,
    /// How grave it is.
    pub severity: Severity,
    /// Which statement, grant or set, for a person.
    pub place: String,
    /// What exactly, for a person.
    pub detail: String,
    /// A request by which it shows.
    pub counterexample: Option<Counterexample>,
    /// Every action of which it is true.
    pub actions: BTreeSet<&'static str>,
    /// Everybody of whom it is true.
    pub callers: BTreeSet<String>,
}

/// Somebody who can make it so and is trusted not to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// Who.
    pub caller: String,
    /// What they may do.
    pub action: &'static str,
    /// By which statement.
    pub by: String,
    /// What it would give them.
    pub danger: Danger,
    /// The alarm that tells of it.
    pub alarm: &'static str,
}

/// A measurement set that gets in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    /// The set's name.
    pub set: String,
    /// Who asks.
    pub caller: String,
    /// What they may do.
    pub action: &'static str,
    /// By which statement.
    pub by: String,
}

/// The alarm (`terraform/modules/alarms`) that tells of an action.
pub(super) fn alarm(action: &str) -> &'static str {
    match action {
        "kms:PutKeyPolicy" => "PutKeyPolicy",
        "kms:CreateGrant" => "CreateGrant",
        "kms:ReplicateKey" => "ReplicateKey",
        "kms:ScheduleKeyDeletion" => "ScheduleKeyDeletion",
        "kms:DisableKey" => "DisableKey",
        "kms:ImportKeyMaterial" => "ImportKeyMaterial",
        _ => "use of the administrator role",
    }
}
