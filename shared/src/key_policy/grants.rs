//! Grants: permissions beside the key policy, as `aws kms list-grants` prints them.
//!
//! A grant allows by itself; it can ask for an encryption context but never for attestation, so
//! only a Deny stops it (KMS developer guide, "Grants in AWS KMS"; KMS API reference, GrantConstraints).

use super::condition::{Condition, Over};
use super::json::Json;
use super::parse::{Fields, Result, one_or_more, refuse, string};
use super::principal::{Named, Principal};

/// The longest list, in bytes.
pub const MAX_GRANTS_FILE: usize = 4_194_304;
/// The most grants that are looked at; a key that needs more is not ours.
const MAX_GRANTS: usize = 1_000;

/// What may stand in a grant and gives nobody anything.
const IDLE: [&str; 6] = [
    "KeyId",
    "Name",
    "CreationDate",
    "RetiringPrincipal",
    "RetiringServicePrincipal",
    "IssuingAccount",
];
const CONTEXT: &str = "kms:encryptioncontext:";
const CONTEXT_KEYS: &str = "kms:encryptioncontextkeys";

/// All grants of a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    pub(super) grants: Vec<Grant>,
}

/// One grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) id: String,
    pub(super) grantee: Named,
    /// As actions, for example `kms:Decrypt`.
    operations: Vec<String>,
    /// What it asks of the encryption context.
    pub(super) conditions: Vec<Condition>,
}

impl Grants {
    /// Reads what `aws kms list-grants` prints.
    ///
    /// # Errors
    /// [`super::PolicyParseError`] if the text is too long, is not such a list, has a part that is
    /// not understood, or says that it goes on.
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() > MAX_GRANTS_FILE {
            return Err(refuse("grants", format!("more than {MAX_GRANTS_FILE} bytes")));
        }
        let json = Json::parse(text).map_err(|error| refuse("grants", error.to_string()))?;
        let mut fields = Fields::of(json, "grants".to_owned())?;
        if matches!(fields.take("Truncated"), Some(json) if !matches!(json, Json::Bool(false))) {
            return Err(refuse("grants.Truncated", "the list goes on; all grants are needed"));
        }
        let Json::Array(items) = fields.require("Grants")? else {
            return Err(refuse("grants.Grants", "not a list"));
        };
        // Among what is left would be the marker of a list that goes on.
        fields.finish()?;
        if items.len() > MAX_GRANTS {
            return Err(refuse("grants.Grants", format!("more than {MAX_GRANTS}")));
        }
        let grants = items.into_iter().enumerate();
        let grants = grants.map(|(index, json)| Grant::read(json, format!("Grants[{index}]")));
        Ok(Self { grants: grants.collect::<Result<_>>()? })
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.grants.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.grants.is_empty()
    }
}

impl Grant {
    fn read(json: Json, place: String) -> Result<Self> {
        let mut fields = Fields::of(json, place)?;
        for name in IDLE {
            fields.take(name);
        }
        let id = string(fields.require("GrantId")?, &fields.at("GrantId"))?;
        let (place, grantee) = match fields.take("GranteeServicePrincipal") {
            Some(json) => (fields.at("GranteeServicePrincipal"), json),
            None => (fields.at("GranteePrincipal"), fields.require("GranteePrincipal")?),
        };
        let grantee = string(grantee, &place)?;
        let named = Named::parse_aws(&grantee).or_else(|| Named::parse_service(&grantee));
        let grantee = named
            .filter(|named| *named != Named::Everyone)
            .ok_or_else(|| refuse(&place, format!("{grantee:?} is not understood")))?;
        let place = fields.at("Operations");
        let operations = one_or_more(fields.require("Operations")?, &place)?.into_iter();
        let operations = operations.map(|json| Ok(format!("kms:{}", string(json, &place)?)));
        let operations = operations.collect::<Result<_>>()?;
        let conditions = match fields.take("Constraints") {
            None => Vec::new(),
            Some(json) => constraints(json, fields.at("Constraints"))?,
        };
        fields.finish()?;
        Ok(Self { id, grantee, operations, conditions })
    }

    /// Whether the grant gives this caller this action, if its conditions hold.
    pub(super) fn gives(&self, caller: &Principal, action: &str) -> bool {
        self.grantee.means(caller)
            && self.operations.iter().any(|operation| operation.eq_ignore_ascii_case(action))
    }
}

/// The constraints as conditions. KMS compares the context's names with their case and conditions
/// without: here that makes the grant wider, never narrower.
fn constraints(json: Json, place: String) -> Result<Vec<Condition>> {
    let mut fields = Fields::of(json, place)?;
    let mut conditions = Vec::new();
    for (name, exact) in [("EncryptionContextSubset", false), ("EncryptionContextEquals", true)] {
        let Some(json) = fields.take(name) else { continue };
        let place = fields.at(name);
        let mut names = Vec::new();
        for (key, json) in Fields::of(json, place.clone())?.into_entries() {
            let value = string(json, &place)?;
            conditions.push(Condition::equals(&format!("{CONTEXT}{key}"), [value], Over::Plain));
            names.push(key);
        }
        if exact {
            conditions.push(Condition::equals(CONTEXT_KEYS, names, Over::All));
        }
    }
    // It ties a service's use of the grant to a resource of its own: not seen here, so not believed.
    fields.take("SourceArn");
    fields.finish()?;
    Ok(conditions)
}
