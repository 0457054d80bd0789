//! `key-policy lint`: reads the documents that decide about a key, and says whether they are proved.

use super::live::{self, Endpoint, Shown};
use super::report;
use super::sets::{GivenSets, Sets};
use crate::cli::output::{Failure, Format, Report, read_input};
use nitro_signer_shared::key_policy::proof::Question;
use nitro_signer_shared::key_policy::{
    Documents, Grants, Identity, IdentityPolicy, MAX_GRANTS_FILE, MAX_POLICY, Policy,
    PolicyParseError, Principal,
};
use nitro_signer_shared::manifest::KeyArn;
use std::path::{Path, PathBuf};

/// Prove that nobody gets in, plants anything or makes that possible but under the listed
/// measurement sets, or show a request that would be allowed.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  nitro-signer key-policy lint --key-policy policy.json \\
    --measurements measurements.json --manifest manifest.cbor \\
    --role arn:aws:iam::111122223333:role/appliance \\
    --administrator arn:aws:iam::111122223333:role/key-admin
  An upgrade: two images under two manifests, and what else decides
  nitro-signer key-policy lint --key-policy policy.json --role ROLE \\
    --set measurements.json#0.1.0,old.cbor --set measurements.json#0.2.0,new.cbor \\
    --grants grants.json --scp scp.json --iam-policy ROLE=role-policy.json
  As AWS has it now, by three calls that only read; or by hand
  nitro-signer key-policy lint --live KEY-ARN --role ROLE --set measurements.json,manifest.cbor
  aws kms get-key-policy --key-id KEY --policy-name default --query Policy --output text > policy.json
  aws kms list-grants --key-id KEY > grants.json

What is not shown is taken to allow: IAM policies that the key policy leaves the decision to, other
accounts' IAM policies, and grants as far as no Deny stops them. Service control policies do not bind
a management account; show none for a key there. Several --scp are one level's: one of them has to
allow, and none may deny.

Exit codes: 0 proved; 1 not proved: a hole, a statement that is not what it seems, or too complex;
2 usage, or a document that cannot be read or is not understood in every part; 7 AWS cannot be reached.")]
pub(in crate::cli) struct Lint {
    /// The key policy, as `aws kms get-key-policy --output text` or `key-policy render` writes it;
    /// - is standard input.
    #[arg(long, value_name = "FILE", required_unless_present = "live")]
    key_policy: Option<PathBuf>,
    /// The key, whose policy, grants and description AWS is asked for, with the credentials of the
    /// environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN.
    #[arg(long, value_name = "KEY-ARN", conflicts_with_all = ["key_policy", "grants", "key_arn"])]
    live: Option<KeyArn>,
    /// The role that the appliance runs under; several are possible.
    #[arg(long = "role", value_name = "ARN", required = true, value_parser = role)]
    roles: Vec<String>,
    /// The form of the output.
    #[arg(long, value_name = "FORM", value_parser = ["text", "json"])]
    format: Option<String>,
    #[command(flatten)]
    sets: GivenSets,
    #[command(flatten)]
    beside: Beside,
    #[command(flatten)]
    excepted: Excepted,
    #[command(flatten)]
    endpoint: Endpoint,
}

/// What decides beside the key policy.
#[derive(clap::Args)]
#[command(next_help_heading = "What else decides")]
struct Beside {
    /// The key. Needed if a document names resources and no --manifest names the key.
    #[arg(long, value_name = "ARN")]
    key_arn: Option<KeyArn>,
    /// An IAM policy of a user or role of the key's account; several are possible. Show all of a
    /// principal's, with its groups', or none.
    #[arg(long = "iam-policy", value_name = "PRINCIPAL=FILE", value_parser = identity)]
    identities: Vec<(Principal, PathBuf)>,
    /// The account has no other IAM policies than these.
    #[arg(long)]
    iam_complete: bool,
    /// The key's grants, as `aws kms list-grants` prints them.
    #[arg(long, value_name = "FILE")]
    grants: Option<PathBuf>,
    /// A service control policy that binds the key's account; several are possible.
    #[arg(long = "scp", value_name = "FILE")]
    service_control: Vec<PathBuf>,
}

/// What is meant to be possible, and is reported with the alarm that tells of it.
#[derive(clap::Args)]
#[command(next_help_heading = "Exceptions")]
struct Excepted {
    /// Somebody who may change the key's policy; several are possible. An account's root stands for
    /// everybody in the account.
    #[arg(long = "administrator", value_name = "ARN", value_parser = principal)]
    administrators: Vec<Principal>,
    /// Administrators may replicate the key to other regions.
    #[arg(long)]
    multi_region: bool,
    /// Administrators may import the key's material: whoever made it can open every vault.
    #[arg(long)]
    imported_material: bool,
}

impl Lint {
    pub(super) async fn run(self, json: bool) -> Result<Report, Failure> {
        let format = self.format.as_deref().and_then(Format::named);
        let format = format.unwrap_or(if json { Format::Json } else { Format::Text });
        match (self.examine().await, format) {
            (Err(failure), Format::Text) => Err(failure),
            (Err(failure), _) => Ok(report::not_begun(&failure).format(Some(format))),
            (Ok(report), _) => Ok(report.format(Some(format))),
        }
    }

    async fn examine(self) -> Result<Report, Failure> {
        let Sets { sets, keys, left_out, .. } = self.sets.read(&self.roles)?;
        let key = self.key(&keys)?;
        let live = match &self.live {
            Some(key) => Some(live::show(key, &self.endpoint).await?),
            None => None,
        };
        let documents = self.documents(key, live.as_ref())?;
        let principals = self.roles.iter().map(|role| principal(role).map_err(Failure::usage));
        let question = Question {
            documents: &documents,
            description: live.map(|shown| shown.description),
            sets,
            roles: principals.collect::<Result<_, _>>()?,
            administrators: self.excepted.administrators,
            multi_region: self.excepted.multi_region,
            imported_material: self.excepted.imported_material,
        };
        Ok(match question.examine() {
            Ok(examination) => report::examined(&question, &examination, &left_out),
            Err(too_complex) => report::too_complex(too_complex),
        })
    }

    fn documents(&self, key: Option<KeyArn>, live: Option<&Shown>) -> Result<Documents, Failure> {
        let account = match &key {
            Some(key) => key.account().to_owned(),
            // The role's, unless somebody says otherwise.
            None => self.roles[0].split(':').nth(4).unwrap_or_default().to_owned(),
        };
        let mut identities = Vec::new();
        for (principal, path) in &self.beside.identities {
            let policy = read(path, MAX_POLICY, IdentityPolicy::parse)?;
            identities.push(Identity { principal: principal.clone(), policy });
        }
        let service_control = self.beside.service_control.iter();
        let service_control =
            service_control.map(|path| read(path, MAX_POLICY, IdentityPolicy::parse));
        let (policy, grants) = self.policy_and_grants(live)?;
        let is_named = key.is_some();
        let documents = Documents {
            key: key.map_or_else(|| unnamed(&account), |key| key.as_str().to_owned()),
            account,
            policy,
            identities,
            identities_complete: self.beside.iam_complete,
            grants,
            service_control: service_control.collect::<Result<_, _>>()?,
        };
        if !is_named && documents.name_resources() {
            return Err(Failure::usage(
                "a document is about named resources: say by --key-arn which the key is",
            ));
        }
        Ok(documents)
    }

    fn policy_and_grants(&self, live: Option<&Shown>) -> Result<(Policy, Option<Grants>), Failure> {
        if let Some(shown) = live {
            let wrong = |e: PolicyParseError| Failure::usage(format!("what KMS has: {e}"));
            let policy = Policy::parse(&shown.policy).map_err(wrong)?;
            return Ok((policy, Some(Grants::parse(&shown.grants).map_err(wrong)?)));
        }
        let Some(path) = &self.key_policy else {
            return Err(Failure::usage("name --key-policy or --live"));
        };
        let grants = self.beside.grants.as_ref();
        let grants = grants.map(|path| read(path, MAX_GRANTS_FILE, Grants::parse));
        Ok((read(path, MAX_POLICY, Policy::parse)?, grants.transpose()?))
    }

    /// The key, by its own option or by the manifests.
    fn key(&self, named: &[KeyArn]) -> Result<Option<KeyArn>, Failure> {
        let Some(given) = self.live.as_ref().or(self.beside.key_arn.as_ref()) else {
            let mut distinct: Vec<&KeyArn> = named.iter().collect();
            distinct.dedup_by(|a, b| a.as_str() == b.as_str());
            return match distinct.as_slice() {
                [] => Ok(None),
                [key] => Ok(Some((*key).clone())),
                _ => Err(Failure::usage("the manifests name several keys; say --key-arn")),
            };
        };
        if !named.is_empty() && !named.iter().any(|key| key.as_str() == given.as_str()) {
            return Err(Failure::usage("no manifest names this key"));
        }
        Ok(Some(given.clone()))
    }
}

/// The ARN of a key that nobody has named, which only `*` covers.
fn unnamed(account: &str) -> String {
    format!("arn:aws:kms:unnamed:{account}:key/unnamed")
}

/// A document of at most `limit` bytes.
fn read<T>(
    path: &Path,
    limit: usize,
    parse: impl Fn(&str) -> Result<T, PolicyParseError>,
) -> Result<T, Failure> {
    let wrong = |e: &dyn std::fmt::Display| Failure::usage(format!("{}: {e}", path.display()));
    let bytes = read_input(path, limit as u64)?;
    let text = String::from_utf8(bytes).map_err(|_| wrong(&"not UTF-8"))?;
    parse(&text).map_err(|e| wrong(&e))
}

fn principal(text: &str) -> Result<Principal, String> {
    Principal::parse(text).map_err(|e| e.to_string())
}

fn role(text: &str) -> Result<String, String> {
    let is_role = Principal::role_session(text, "any").is_ok();
    is_role.then(|| text.to_owned()).ok_or_else(|| "a role's ARN".to_owned())
}

/// Names and paths may have an equals sign: the first that ends a user's or role's ARN counts.
fn identity(text: &str) -> Result<(Principal, PathBuf), String> {
    let parsed = |(at, _): (usize, &str)| {
        let principal = Principal::parse(&text[..at]).ok()?;
        let path = &text[at + 1..];
        let holds = principal.name().contains(":iam::") && !principal.name().ends_with(":root");
        (holds && !path.is_empty()).then(|| (principal, PathBuf::from(path)))
    };
    let found = text.match_indices('=').find_map(parsed);
    found.ok_or_else(|| "a user's or role's ARN, an equals sign and a file".to_owned())
}
