//! The certificates between a root and a document, in the form Nitro's have.
//!
//! ```text
//! root > region (20 d) > zonal (5 d 14 h) > instance (1 d) > leaf (3 h 3 s)
//! ```

use super::certificate::{
    CertificateDraft, ExtensionDraft, ecdsa_with_sha384, name, public_key_info,
};
use super::key::SigningKey;
use super::root::{DevelopmentRoot, ORGANIZATION};
use const_oid::db::rfc4519::{
    COMMON_NAME, COUNTRY_NAME, LOCALITY_NAME, ORGANIZATION_NAME, ORGANIZATIONAL_UNIT_NAME, ST,
};
use x509_cert::ext::pkix::KeyUsages;

/// A certificate is renewed when it has less than this left, in seconds.
const RENEW_BEFORE_S: u64 = 300;
const HOUR_S: u64 = 3600;
const DAY_S: u64 = 24 * HOUR_S;

/// What a chain's certificates say of the enclave.
#[derive(Clone, Debug)]
pub struct Identity {
    /// For example `us-east-1`.
    pub region: String,
    /// `i-<17 hex>`.
    pub instance_id: String,
    /// The 8 bytes after `-enc` in the module id.
    pub enclave_id: [u8; 8],
}

impl Identity {
    /// `i-<17 hex>-enc<16 hex>`.
    #[must_use]
    pub fn module_id(&self) -> String {
        format!("{}-enc{}", self.instance_id, hex::encode(self.enclave_id))
    }
}

/// The levels below the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Signed by the root.
    Region,
    /// Signed by the region's.
    Zonal,
    /// Signed by the zone's.
    Instance,
    /// Signed by the instance's; signs documents.
    Leaf,
}

impl Level {
    const ALL: [Self; 4] = [Self::Region, Self::Zonal, Self::Instance, Self::Leaf];

    /// Seconds of validity before the moment of issue, and in all.
    const fn life_s(self) -> (u64, u64) {
        match self {
            Self::Region => (4 * DAY_S, 20 * DAY_S + HOUR_S - 1),
            Self::Zonal => (14 * HOUR_S, 5 * DAY_S + 14 * HOUR_S),
            Self::Instance => (3 * HOUR_S, DAY_S),
            Self::Leaf => (3, 3 * HOUR_S + 3),
        }
    }
}

/// A root and the four certificates below it, as values and as issued.
#[derive(Clone)]
pub struct Chain {
    root: DevelopmentRoot,
    identity: Identity,
    /// Region, zonal, instance, leaf. Changes take effect with [`Self::issue`].
    pub drafts: Vec<CertificateDraft>,
    /// The drafts' certificates, in DER.
    pub issued: Vec<Vec<u8>>,
}

impl Chain {
    /// A chain issued now (seconds of Unix time).
    #[must_use]
    pub fn new(root: &DevelopmentRoot, identity: Identity, now_s: u64) -> Self {
        let (drafts, issued) = (Vec::new(), Vec::new());
        let mut chain = Self { root: root.clone(), identity, drafts, issued };
        chain.renew(now_s);
        chain
    }

    /// Issues anew what is not valid now or soon ends, and what hangs below it.
    pub fn renew(&mut self, now_s: u64) {
        let serves = |draft: &CertificateDraft| {
            (draft.not_before_s..=draft.not_after_s).contains(&now_s)
                && draft.not_after_s - now_s >= RENEW_BEFORE_S
        };
        let kept = self.drafts.iter().take_while(|draft| serves(draft)).count();
        self.drafts.truncate(kept);
        self.issued.truncate(kept);
        for level in &Level::ALL[kept..] {
            let draft = self.draft(*level, now_s);
            self.issued.push(draft.sign(self.issuer_key(self.issued.len())));
            self.drafts.push(draft);
        }
    }

    /// Signs all drafts as they stand.
    pub fn issue(&mut self) {
        self.issued = (0..self.drafts.len())
            .map(|index| self.drafts[index].sign(self.issuer_key(index)))
            .collect();
    }

    /// A level's draft, to be changed before [`Self::issue`].
    pub fn draft_mut(&mut self, level: Level) -> &mut CertificateDraft {
        &mut self.drafts[level as usize]
    }

    /// The key that signs documents.
    #[must_use]
    pub fn leaf_key(&self) -> &SigningKey {
        &self.drafts[Level::Leaf as usize].key
    }

    /// The leaf in DER.
    #[must_use]
    pub fn leaf(&self) -> &[u8] {
        &self.issued[Level::Leaf as usize]
    }

    /// Root, region, zonal and instance certificates in DER.
    #[must_use]
    pub fn cabundle(&self) -> Vec<&[u8]> {
        let issuers = &self.issued[..Level::Leaf as usize];
        [self.root.der()].into_iter().chain(issuers.iter().map(Vec::as_slice)).collect()
    }

    fn issuer_key(&self, index: usize) -> &SigningKey {
        index.checked_sub(1).map_or_else(|| self.root.key(), |above| &self.drafts[above].key)
    }

    fn draft(&self, level: Level, now_s: u64) -> CertificateDraft {
        let key = SigningKey::generate();
        let (before_s, life_s) = level.life_s();
        let not_before_s = now_s.saturating_sub(before_s);
        CertificateDraft {
            version: 2,
            serial: self.serial(level, now_s),
            inner_algorithm: ecdsa_with_sha384(),
            outer_algorithm: ecdsa_with_sha384(),
            issuer: self.drafts.last().map_or_else(|| self.root.name(), |d| d.subject.clone()),
            subject: self.subject(level),
            not_before_s,
            not_after_s: not_before_s + life_s,
            public_key_info: public_key_info(key.point()),
            extensions: self.extensions(level, &key),
            key,
        }
    }

    /// A leaf's serial is the enclave's id, zeros, and the second of issue; the others' are random.
    fn serial(&self, level: Level, now_s: u64) -> Vec<u8> {
        match level {
            Level::Leaf => [self.identity.enclave_id, now_s.to_be_bytes()].concat(),
            Level::Instance => super::random::<20>().to_vec(),
            Level::Region | Level::Zonal => super::random::<16>().to_vec(),
        }
    }

    fn subject(&self, level: Level) -> Vec<u8> {
        let Identity { region, instance_id, .. } = &self.identity;
        let random = hex::encode(super::random::<8>());
        let common_name = match level {
            Level::Region => format!("{random}.{region}.aws.nitro-enclaves"),
            Level::Zonal => format!("{random}.zonal.{region}.aws.nitro-enclaves"),
            Level::Instance => format!("{instance_id}.{region}.aws.nitro-enclaves"),
            Level::Leaf => format!("{}.{region}.aws", self.identity.module_id()),
        };
        let common_name = (COMMON_NAME, common_name.as_str());
        let (country, organization, unit) = (
            (COUNTRY_NAME, "US"),
            (ORGANIZATION_NAME, ORGANIZATION),
            (ORGANIZATIONAL_UNIT_NAME, "AWS"),
        );
        let locality = (LOCALITY_NAME, "Seattle");
        match level {
            Level::Region => name(&[country, organization, unit, common_name]),
            Level::Zonal => name(&[common_name, unit, organization, country, (ST, "WA"), locality]),
            Level::Instance | Level::Leaf => {
                name(&[country, (ST, "Washington"), locality, organization, unit, common_name])
            }
        }
    }

    fn extensions(&self, level: Level, key: &SigningKey) -> Vec<ExtensionDraft> {
        let issuer = ExtensionDraft::issuer_key(self.issuer_key(self.drafts.len()));
        let subject = ExtensionDraft::subject_key(key);
        let constraints = |path_len| ExtensionDraft::constraints(true, Some(path_len));
        let issuing = ExtensionDraft::usage(
            true,
            KeyUsages::DigitalSignature | KeyUsages::KeyCertSign | KeyUsages::CRLSign,
        );
        let list = ExtensionDraft::revocation_list(&format!(
            "http://crl-{}-development.invalid/crl/{}.crl",
            self.identity.region,
            hex::encode(super::random::<16>())
        ));
        match level {
            Level::Region => vec![constraints(2), issuer, subject, issuing, list],
            Level::Zonal => vec![constraints(1), issuer, subject, issuing, list],
            Level::Instance => {
                let usage = ExtensionDraft::usage(true, KeyUsages::KeyCertSign);
                vec![constraints(0), usage, subject, issuer]
            }
            Level::Leaf => vec![
                ExtensionDraft::constraints(false, None),
                ExtensionDraft::usage(
                    false,
                    KeyUsages::DigitalSignature | KeyUsages::NonRepudiation,
                ),
            ],
        }
    }
}
