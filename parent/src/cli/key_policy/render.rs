//! `key-policy render`: writes the one form of key policy that the enclave takes, without Terraform.

use super::sets::{GivenSets, Sets};
use crate::cli::output::{Failure, Report};
use nitro_signer_shared::attestation::{Pcr, pcr};
use nitro_signer_shared::key_policy::form::{AdmittedSet, EntityArn, Terms, VaultName};
use nitro_signer_shared::key_policy::proof::Set;
use nitro_signer_shared::manifest::Name;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Write the KMS key's policy: the appliance's role may open the vault under exactly these
/// measurement sets, administrators may do everything but use the key, and everybody else nothing.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  The key is made closed, and the manifest then names it
  nitro-signer key-policy render --closed --role arn:aws:iam::111122223333:role/appliance \\
    --administrator arn:aws:iam::111122223333:role/key-admin > closed.json
  Then it is opened to this image and manifest, for the vault to be made
  nitro-signer key-policy render --measurements measurements.json --manifest manifest.cbor \\
    --vault-creation --role arn:aws:iam::111122223333:role/appliance \\
    --administrator arn:aws:iam::111122223333:role/key-admin > policy.json
  aws kms put-key-policy --key-id KEY --policy-name default --policy file://policy.json
  An upgrade: old and new side by side, until the old is removed
  nitro-signer key-policy render --set measurements.json#0.1.0,old.cbor \\
    --set measurements.json#0.2.0,new.cbor --role ROLE --administrator ADMINISTRATOR

The enclave makes nothing under a key with another form of policy, or with administrators that its
manifest's custody does not name.")]
pub(in crate::cli) struct Render {
    /// The role that the appliance runs under; several are possible.
    #[arg(long = "role", value_name = "ARN", required = true)]
    roles: Vec<EntityArn>,
    /// Who administers the key; several are possible. Each can let somebody in by another policy.
    #[arg(long = "administrator", value_name = "ARN", required = true)]
    administrators: Vec<EntityArn>,
    /// Who may put another policy with multi-factor authentication, and nothing else.
    #[arg(long = "break-glass", value_name = "ARN")]
    break_glass: Vec<EntityArn>,
    /// Who may look at the key; several are possible.
    #[arg(long = "auditor", value_name = "ARN")]
    auditors: Vec<EntityArn>,
    #[command(flatten)]
    sets: GivenSets,
    /// A vault may be made, and not only opened.
    #[arg(long)]
    vault_creation: bool,
    /// Administrators may replicate the key to other regions.
    #[arg(long)]
    multi_region: bool,
    /// Administrators may import the key's material: whoever made it can open every vault.
    #[arg(long)]
    imported_material: bool,
    /// The deployment, where no --manifest names it.
    #[arg(long, value_name = "NAME")]
    deployment: Option<Name>,
    /// The vault, where no --manifest names it.
    #[arg(long, value_name = "NAME")]
    vault: Option<Name>,
}

impl Render {
    pub(super) fn run(self) -> Result<Report, Failure> {
        let roles: Vec<String> = self.roles.iter().map(ToString::to_string).collect();
        let Sets { sets, vaults, left_out, .. } = self.sets.read(&roles)?;
        let vault = self.vault_name(vaults, sets.is_empty())?;
        let set = |arns: Vec<EntityArn>| arns.into_iter().collect::<BTreeSet<_>>();
        let terms = Terms {
            administrators: set(self.administrators),
            break_glass: set(self.break_glass),
            auditors: set(self.auditors),
            appliance_roles: set(self.roles),
            sets: sets.iter().map(admitted).collect::<Option<_>>().ok_or_else(unknown_register)?,
            vault,
            vault_creation: self.vault_creation,
            multi_region: self.multi_region,
            imported_material: self.imported_material,
        };
        let policy = terms.write().map_err(|e| Failure::usage(e.to_string()))?;
        for image in left_out {
            eprintln!("left out: {image}");
        }
        let value: Value = serde_json::from_str(&policy).unwrap_or_else(|_| json!(policy));
        Ok(Report::new(value).line(policy))
    }

    /// The one vault: of the manifests, or of the options where there is none.
    fn vault_name(&self, mut named: Vec<VaultName>, is_closed: bool) -> Result<VaultName, Failure> {
        if let (Some(deployment), Some(vault)) = (&self.deployment, &self.vault) {
            named.push(VaultName { deployment: deployment.clone(), vault: vault.clone() });
        } else if self.deployment.is_some() || self.vault.is_some() {
            return Err(Failure::usage("--deployment and --vault go together"));
        }
        named.dedup();
        match <[VaultName; 1]>::try_from(named) {
            Ok([vault]) => Ok(vault),
            // Nothing of it is written: a closed key's policy names no vault.
            Err(none) if none.is_empty() && is_closed => {
                let none: Name = "none".parse().map_err(|_| Failure::usage("no name"))?;
                Ok(VaultName { deployment: none.clone(), vault: none })
            }
            Err(none) if none.is_empty() => {
                Err(Failure::usage("name a manifest, or --deployment and --vault"))
            }
            Err(_) => Err(Failure::usage("the manifests are of different deployments or vaults")),
        }
    }
}

fn admitted(set: &Set) -> Option<AdmittedSet> {
    let of = |index: u8| -> Option<Pcr> {
        let mut value = pcr::ZERO;
        hex::decode_to_slice(set.registers().get(&index)?, &mut value).ok()?;
        Some(value)
    };
    let known = set.registers().keys().all(|index| [0, 3, 8, 16].contains(index));
    known.then_some(AdmittedSet { pcr0: of(0)?, pcr3: of(3), pcr8: of(8), pcr16: of(16)? })
}

fn unknown_register() -> Failure {
    Failure::usage("a policy of this form pins PCR0, PCR16, PCR3 and PCR8 only")
}
