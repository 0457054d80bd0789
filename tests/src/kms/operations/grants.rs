//! CreateGrant, ListGrants, ListRetirableGrants, RetireGrant, RevokeGrant.

use super::authorization::Asked;
use super::{Answer, Call, unless_dry_run, within};
use crate::kms::error::{ApiError, Denial};
use crate::kms::grants::{Constraints, Grant, MAX_GRANTS, Terms, principal_of_grant, read_token};
use crate::kms::key::Key;
use crate::kms::pages::{Length, Page};
use nitro_signer_shared::key_policy::Context;
use serde::Deserialize;
use serde_json::{Value, json};

const MAX_NAME: usize = 256;
const MAX_PRINCIPAL: usize = 256;
/// "a list of grant tokens", of a request.
const MAX_TOKENS: usize = 10;
const PAGES: Length = Length { usual: 50, most: 100 };

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct CreateGrant {
    key_id: String,
    grantee_principal: String,
    retiring_principal: Option<String>,
    operations: Vec<String>,
    #[serde(default)]
    constraints: Constraints,
    name: Option<String>,
    #[serde(default)]
    grant_tokens: Vec<String>,
    #[serde(default)]
    dry_run: bool,
}

impl CreateGrant {
    fn terms(self) -> Result<Terms, ApiError> {
        if let Some(name) = &self.name {
            let allowed = |b: u8| b.is_ascii_alphanumeric() || b":/_-".contains(&b);
            within("name", name.len(), MAX_NAME)?;
            if !name.bytes().all(allowed) {
                let pattern = "satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$";
                return Err(ApiError::constraint("name", pattern));
            }
        }
        within("granteePrincipal", self.grantee_principal.len(), MAX_PRINCIPAL)?;
        if let Some(retiring) = &self.retiring_principal {
            within("retiringPrincipal", retiring.len(), MAX_PRINCIPAL)?;
        }
        let mut operations = vec![];
        for operation in self.operations {
            if !operations.contains(&operation) {
                operations.push(operation);
            }
        }
        Ok(Terms {
            grantee: self.grantee_principal,
            retiring: self.retiring_principal,
            operations,
            constraints: self.constraints,
            name: self.name,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct ListGrants {
    key_id: String,
    limit: Option<i64>,
    marker: Option<String>,
    grant_id: Option<String>,
    grantee_principal: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct ListRetirableGrants {
    limit: Option<i64>,
    marker: Option<String>,
    retiring_principal: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct RetireGrant {
    grant_token: Option<String>,
    key_id: Option<String>,
    grant_id: Option<String>,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct RevokeGrant {
    key_id: String,
    grant_id: String,
    #[serde(default)]
    dry_run: bool,
}

impl Call<'_> {
    pub(super) fn create_grant(&self, input: CreateGrant) -> Answer {
        self.check_grant_tokens(&input.grant_tokens)?;
        let found = self.find_without_alias(&input.key_id)?;
        let dry_run = input.dry_run;
        let terms = input.terms()?;
        self.authorize("CreateGrant", &found, asked(&terms))?;
        let key = found.key;
        terms.check(key.signs())?;
        key.require_enabled()?;
        unless_dry_run(dry_run)?;
        let grant = self.service.change(|keys| {
            let key = keys.stored(&key)?;
            // "When this value is present, you can retry a CreateGrant request with identical
            // parameters; if the grant already exists, the original GrantId is returned".
            let same = |grant: &&Grant| terms.name.is_some() && grant.terms == terms;
            if let Some(known) = key.grants.iter().find(same) {
                return Ok(known.clone());
            }
            if key.grants.len() >= MAX_GRANTS {
                return Err(ApiError::limit("too many grants"));
            }
            let grant = Grant::new(terms, self.service.account(), self.now_ms)?;
            key.grants.push(grant.clone());
            Ok(grant)
        })?;
        Ok(Some(json!({ "GrantId": grant.id, "GrantToken": grant.token(&key.arn)? })))
    }

    pub(super) fn list_grants(&self, input: ListGrants) -> Answer {
        let found = self.find_without_alias(&input.key_id)?;
        self.authorize("ListGrants", &found, for_aws_resource())?;
        let grants = found.key.grants.iter().filter(|grant| {
            input.grant_id.as_ref().is_none_or(|id| *id == grant.id)
                && input.grantee_principal.as_ref().is_none_or(|arn| *arn == grant.terms.grantee)
        });
        let items = grants.map(|grant| item(&found.key, grant));
        let page = Page { limit: input.limit, marker: input.marker };
        Ok(Some(page.of("Grants", items, &PAGES)?.into()))
    }

    pub(super) fn list_retirable_grants(&self, input: ListRetirableGrants) -> Answer {
        principal_of_grant(&input.retiring_principal)?;
        self.require_identity_policy("ListRetirableGrants", "*")?;
        let keys = self.service.keys()?;
        let retirable =
            |grant: &&Grant| grant.terms.retiring.as_ref() == Some(&input.retiring_principal);
        let items = keys
            .all(self.region)
            .flat_map(|key| key.grants.iter().filter(retirable).map(move |grant| item(key, grant)));
        let page = Page { limit: input.limit, marker: input.marker };
        Ok(Some(page.of("Grants", items, &PAGES)?.into()))
    }

    pub(super) fn retire_grant(&self, input: RetireGrant) -> Answer {
        let (arn, id) = match (input.grant_token, input.key_id, input.grant_id) {
            (Some(token), None, None) => read_token(&token)?,
            (None, Some(key), Some(id)) => (key, id),
            _ => {
                let text = "either a grant token, or a key's ARN and a grant's id";
                return Err(ApiError::validation(text));
            }
        };
        if !arn.starts_with("arn:") {
            let text = "the key of a grant is named by its ARN";
            return Err(ApiError::ours("InvalidArnException", text));
        }
        let found = self.find_without_alias(&arn)?;
        let grant = grant_of(&found.key, &id)?;
        // A Deny of the key policy comes first; what it allows, it allows to none but these.
        let policies = self.ask_policies("RetireGrant", &found, Context::default())?;
        if policies == Err(Denial::Explicit) || !grant.retirable_by(self.caller) {
            let denial = policies.err().unwrap_or(Denial::NoIdentityPolicy);
            return Err(self.denied("RetireGrant", &arn, denial));
        }
        unless_dry_run(input.dry_run)?;
        self.remove(&found.key, &id)
    }

    pub(super) fn revoke_grant(&self, input: RevokeGrant) -> Answer {
        let found = self.find_without_alias(&input.key_id)?;
        self.authorize("RevokeGrant", &found, for_aws_resource())?;
        grant_of(&found.key, &input.grant_id)?;
        unless_dry_run(input.dry_run)?;
        self.remove(&found.key, &input.grant_id)
    }

    fn remove(&self, key: &Key, id: &str) -> Answer {
        self.service.change(|keys| {
            keys.stored(key)?.grants.retain(|grant| grant.id != id);
            Ok(())
        })?;
        Ok(None)
    }

    /// Grants work at once here, so their tokens change nothing; a token must be one all the same.
    pub(super) fn check_grant_tokens(&self, tokens: &[String]) -> Result<(), ApiError> {
        if tokens.len() > MAX_TOKENS {
            let text = "have length less than or equal to 10";
            return Err(ApiError::constraint("grantTokens", text));
        }
        tokens.iter().try_for_each(|token| read_token(token).map(drop))
    }
}

/// The condition keys of CreateGrant (KMS developer guide, "AWS KMS condition keys").
fn asked(terms: &Terms) -> Asked<'_> {
    let mut asked = for_aws_resource().with("kms:GranteePrincipal", terms.grantee.as_str());
    asked.conditions.insert("kms:GrantOperations", terms.operations.iter().map(String::as_str));
    if let Some(retiring) = &terms.retiring {
        asked = asked.with("kms:RetiringPrincipal", retiring.as_str());
    }
    if let Some(kind) = terms.constraints.kind() {
        asked = asked.with("kms:GrantConstraintType", kind);
    }
    asked.new_grant = Some(terms);
    asked
}

/// No AWS service calls on somebody's behalf here.
fn for_aws_resource() -> Asked<'static> {
    Asked::default().with("kms:GrantIsForAWSResource", "false")
}

fn grant_of<'a>(key: &'a Key, id: &str) -> Result<&'a Grant, ApiError> {
    key.grants
        .iter()
        .find(|grant| grant.id == id)
        .ok_or_else(|| ApiError::new("NotFoundException", format!("Grant ID {id} not found")))
}

/// Oldest first.
fn item(key: &Key, grant: &Grant) -> (String, Value) {
    (format!("{:020}{}", grant.created_ms, grant.id), grant.entry(&key.arn))
}
