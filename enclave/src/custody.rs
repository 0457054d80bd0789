//! Whether the KMS key is this image's and manifest's alone.
//!
//! Whoever else the key opens for has every key of the vault, and whoever can plant a secret under
//! it has every key that is made next. So no vault is given away or opened, and no key made, before
//! KMS was asked and its answer compared with what the manifest accepts. The answer is a snapshot,
//! and IAM policies, service control policies and other regions are not in it.

use crate::kms::{KeyDescription, Kms, KmsError};
use aws_sdk_kms::types::{KeyManagerType, KeySpec, KeyState, KeyUsageType, OriginType};
use nitro_signer_shared::claims::{self, CustodyFinding, OtherSet};
use nitro_signer_shared::key_policy::form::{AdmittedSet, Form};
use nitro_signer_shared::manifest::Manifest;
use nitro_signer_shared::refusal::{Refusal, RefusalCode};
use std::collections::BTreeSet;

/// How old an answer may be when a key is made, in seconds.
pub const MAX_AGE_S: u64 = 300;

/// Evidence that, when KMS was asked, nobody had a hand on the key but those whom the manifest names.
#[derive(Debug)]
pub struct SoleCustody(());

/// Evidence that a vault may be opened: the custody is sole, or the manifest opens regardless.
#[derive(Debug)]
pub struct Openable(());

/// What KMS said of the key's custody, judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Custody {
    checked_s: u64,
    findings: BTreeSet<CustodyFinding>,
    other_sets: BTreeSet<AdmittedSet>,
    /// About the first finding, for a person.
    detail: String,
}

impl Custody {
    /// Asks KMS now, which is `now_s` in seconds of Unix time, and judges for this image.
    ///
    /// # Errors
    /// [`KmsError`] if KMS does not say what the key is.
    pub async fn inspect(
        kms: &Kms,
        own: &AdmittedSet,
        manifest: &Manifest,
        now_s: u64,
    ) -> Result<Self, KmsError> {
        Ok(Self::judge(&kms.describe().await?, own, manifest, now_s))
    }

    /// What is known where KMS said nothing.
    #[must_use]
    pub fn unread(why: &KmsError, now_s: u64) -> Self {
        let detail = format!("its policy could not be read: {why}");
        let findings = BTreeSet::from([CustodyFinding::Unread]);
        Self { checked_s: now_s, findings, other_sets: BTreeSet::new(), detail }
    }

    fn judge(
        description: &KeyDescription,
        own: &AdmittedSet,
        manifest: &Manifest,
        now_s: u64,
    ) -> Self {
        let (findings, other_sets) = Default::default();
        let mut custody = Self { checked_s: now_s, findings, other_sets, detail: String::new() };
        custody.judge_key(description, manifest);
        let key = manifest.wrapping_key();
        match Form::read(&description.policy, key.account(), &manifest.vault_name()) {
            Ok(form) => custody.judge_policy(form, own, manifest),
            Err(error) => custody.find(CustodyFinding::Policy, error.to_string()),
        }
        custody
    }

    fn judge_key(&mut self, description: &KeyDescription, manifest: &Manifest) {
        let KeyDescription { metadata, has_grants, .. } = description;
        let accepted = &manifest.custody;
        if metadata.key_manager() != Some(&KeyManagerType::Customer)
            || metadata.key_spec() != Some(&KeySpec::SymmetricDefault)
            || metadata.key_usage() != Some(&KeyUsageType::EncryptDecrypt)
            || metadata.key_state() != Some(&KeyState::Enabled)
        {
            let what = "it is not an enabled symmetric encryption key of the customer";
            self.find(CustodyFinding::Kind, what);
        }
        match metadata.origin() {
            Some(OriginType::AwsKms) => {}
            Some(OriginType::External) if accepted.imported_material => {}
            _ => self.find(CustodyFinding::Origin, "its material was not made by KMS"),
        }
        if metadata.multi_region() != Some(false) && !accepted.multi_region {
            self.find(CustodyFinding::MultiRegion, "it is a multi-region key");
        }
        if *has_grants && !accepted.grants {
            self.find(CustodyFinding::Grant, "it has a grant");
        }
    }

    fn judge_policy(&mut self, form: Form, own: &AdmittedSet, manifest: &Manifest) {
        let accepted = &manifest.custody;
        if form.account_root && !accepted.account_root {
            let what = "its policy leaves decisions to the account's IAM policies";
            self.find(CustodyFinding::AccountRoot, what);
        }
        if form.multi_region && !accepted.multi_region {
            self.find(CustodyFinding::MultiRegion, "its policy lets somebody replicate it");
        }
        if form.imported_material && !accepted.imported_material {
            self.find(CustodyFinding::Origin, "its policy lets somebody import its material");
        }
        let unnamed = |who| !accepted.administrators.contains(who);
        if let Some(who) = form.administrators.iter().find(|who| unnamed(who)) {
            self.find(CustodyFinding::Administrator, format!("{who} administers it"));
        }
        let is_own = |set: &AdmittedSet| set.pcr0 == own.pcr0 && set.pcr16 == own.pcr16;
        let is_named = |set: &AdmittedSet| manifest.siblings.iter().any(|named| named.is(set));
        self.other_sets = form.sets;
        self.other_sets.retain(|set| !is_own(set) && !is_named(set));
        if let Some(set) = self.other_sets.first() {
            let (image, manifest) = (hex::encode(&set.pcr0[..8]), hex::encode(&set.pcr16[..8]));
            let what = format!("it opens for PCR0 {image}… with PCR16 {manifest}… too");
            self.find(CustodyFinding::OtherSet, what);
        }
    }

    fn find(&mut self, finding: CustodyFinding, detail: impl Into<String>) {
        if self.findings.is_empty() {
            self.detail = detail.into();
        }
        self.findings.insert(finding);
    }

    /// Whether the answer is young enough to make keys by.
    #[must_use]
    pub const fn is_fresh(&self, now_s: u64) -> bool {
        now_s.saturating_sub(self.checked_s) <= MAX_AGE_S
    }

    /// What a new vault or key demands.
    ///
    /// # Errors
    /// Custody, with the first finding.
    pub fn sole(&self) -> Result<SoleCustody, Refusal> {
        if self.findings.is_empty() { Ok(SoleCustody(())) } else { Err(self.refusal()) }
    }

    /// What opening a vault demands.
    ///
    /// # Errors
    /// Custody, with the first finding, unless the manifest opens regardless.
    pub fn openable(&self, manifest: &Manifest) -> Result<Openable, Refusal> {
        if self.findings.is_empty() || manifest.custody.open_regardless {
            Ok(Openable(()))
        } else {
            Err(self.refusal())
        }
    }

    /// What claims say of it.
    #[must_use]
    pub fn claim(&self) -> claims::Custody {
        let other_set =
            |set: &AdmittedSet| OtherSet { pcr0: set.pcr0.into(), pcr16: set.pcr16.into() };
        claims::Custody {
            checked: self.checked_s,
            findings: self.findings.clone(),
            other_sets: self.other_sets.iter().map(other_set).collect(),
        }
    }

    fn refusal(&self) -> Refusal {
        let codes: Vec<_> = self.findings.iter().map(|finding| finding.as_str()).collect();
        let codes = codes.join(", ");
        let detail = format!(
            "The KMS key is not this image's and manifest's alone ({codes}): {}. Correct the key, \
             or have the manifest's custody name the exception.",
            self.detail
        );
        Refusal::new(RefusalCode::Custody, detail)
    }
}

#[cfg(test)]
#[path = "custody/tests.rs"]
mod tests;
