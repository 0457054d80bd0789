//! What the asker expects of an enclave, and the last step: from an authentic document to a
//! verified one.
//!
//! Expectations cannot be made without an image's measurements, since a chain to Amazon's root
//! proves no more than "something on Nitro". Each expectation is looked up in the document; what
//! the document lacks fails.

use super::chain::{TrustAnchor, TrustKind, VerifiedChain};
use super::document::Contents;
use super::finding::{Finding, Rejection, require};
use super::measurements::{ImageMeasurements, MeasurementsFile, PinError, insert_pin};
use super::pcr::{self, Pcr};
use crate::manifest::ManifestHash;
use crate::utc;
use std::collections::BTreeMap;
use std::ops::Deref;

/// How old a document may be unless the asker says otherwise, in milliseconds: 5 minutes. The
/// asker's nonce is what makes an answer fresh; this bounds how long a document without one, or
/// one made for another purpose, is of use.
pub const DEFAULT_MAX_AGE_MS: u64 = 5 * 60 * 1000;
/// How far ahead of the asker's clock a document may be unless the asker says otherwise, in
/// milliseconds: 1 minute. The hypervisor's clock and any host that follows NTP differ by less
/// than a second; a minute is for hosts that drift.
pub const DEFAULT_SKEW_MS: u64 = 60 * 1000;

/// The manifest's register; see [`ManifestHash::pcr16`].
const MANIFEST_PCR: u8 = crate::manifest::MANIFEST_PCR as u8;

/// A document whose signature leads to the trust anchor. It proves that Nitro said this of some
/// enclave; which one is still to be judged.
pub struct AuthenticDocument {
    contents: Contents,
    leaf_name: String,
    valid_until_s: u64,
    trust: TrustKind,
    deny_list: bool,
    judged_at_ms: u64,
}

impl AuthenticDocument {
    pub(super) fn new(
        contents: Contents,
        chain: VerifiedChain,
        anchor: &TrustAnchor,
        judged_at_ms: u64,
    ) -> Self {
        Self {
            contents,
            valid_until_s: chain.valid_until_s(),
            leaf_name: chain.into_leaf_name(),
            trust: anchor.kind(),
            deny_list: anchor.has_deny_list(),
            judged_at_ms,
        }
    }

    /// Whose root vouches for it.
    #[must_use]
    pub const fn trust(&self) -> TrustKind {
        self.trust
    }

    /// The time as of which the chain was judged, in milliseconds of Unix time.
    #[must_use]
    pub const fn judged_at_ms(&self) -> u64 {
        self.judged_at_ms
    }

    /// The last second in which the chain is valid, in seconds of Unix time: after it the document
    /// can only be judged as of an earlier time.
    #[must_use]
    pub const fn valid_until_s(&self) -> u64 {
        self.valid_until_s
    }

    /// The leaf certificate's common name.
    #[must_use]
    pub fn leaf_name(&self) -> &str {
        &self.leaf_name
    }

    /// Judges the document by what the asker expects, at `now_ms` (milliseconds of Unix time).
    /// For an archived document that is its own time, for `authenticate` as for here.
    ///
    /// # Errors
    /// A rejection T1, T2 or A1 to A8: the first, if several rules are broken.
    pub fn check(
        self,
        expected: &Expectations,
        now_ms: u64,
    ) -> Result<VerifiedDocument, Rejection> {
        self.judge(expected, now_ms).map_err(|refused| refused.first)
    }

    /// As [`Self::check`], but every rule is judged whatever became of the ones before.
    pub(super) fn judge(
        self,
        expected: &Expectations,
        now_ms: u64,
    ) -> Result<VerifiedDocument, Box<Refused>> {
        let matching = expected.matching_image(&self, now_ms).cloned();
        let judged = [
            expected.require_one_time(self.judged_at_ms, now_ms),
            expected.require_fresh(self.timestamp_ms(), now_ms),
            expected.require_production(&self),
            matching.as_ref().map(|_| ()).map_err(Clone::clone),
            expected.require_pins(&self),
            expected.require_nonce(&self),
            expected.require_bindings(&self),
            self.require_module(),
            expected.require_manifest(&self),
        ];
        let mut rejections = judged.into_iter().filter_map(Result::err);
        match (rejections.next(), matching) {
            (None, Ok(matched)) => {
                let not_asked = expected.not_asked(&self, Some(&matched));
                Ok(VerifiedDocument { document: self, matched, not_asked })
            }
            (Some(first), _) | (None, Err(first)) => {
                let not_asked = expected.not_asked(&self, None);
                let further = rejections.collect();
                Err(Box::new(Refused { document: self, first, further, not_asked }))
            }
        }
    }

    /// A6: certificate, module id and PCR4 name one instance.
    fn require_module(&self) -> Result<(), Rejection> {
        let named = self.leaf_name.strip_prefix(self.module_id());
        require(named.is_some_and(|rest| rest.starts_with('.')), Finding::A6, || {
            "the leaf's common name does not begin with the module id".to_owned()
        })?;
        let measured = pcr::of_instance_id(self.instance_id());
        require(self.pcr(4) == Some(&measured), Finding::A6, || {
            "PCR4 does not measure the instance id of the module id".to_owned()
        })
    }
}

impl Deref for AuthenticDocument {
    type Target = Contents;

    fn deref(&self) -> &Contents {
        &self.contents
    }
}

/// An authentic document that is not what was expected.
pub(super) struct Refused {
    pub(super) document: AuthenticDocument,
    pub(super) first: Rejection,
    pub(super) further: Vec<Rejection>,
    pub(super) not_asked: Vec<Finding>,
}

/// A document of an expected enclave that answers what was asked.
pub struct VerifiedDocument {
    document: AuthenticDocument,
    matched: ImageMeasurements,
    not_asked: Vec<Finding>,
}

impl VerifiedDocument {
    /// The image that matched.
    #[must_use]
    pub const fn matched(&self) -> &ImageMeasurements {
        &self.matched
    }

    /// The rules for which the asker expected nothing; the document keeps all others.
    #[must_use]
    pub fn not_asked(&self) -> &[Finding] {
        &self.not_asked
    }
}

impl Deref for VerifiedDocument {
    type Target = AuthenticDocument;

    fn deref(&self) -> &AuthenticDocument {
        &self.document
    }
}

/// What the asker wants of `user_data` or `public_key`.
#[derive(Clone, Default)]
enum Binding {
    #[default]
    NotAsked,
    Absent,
    Equal(Vec<u8>),
}

impl Binding {
    fn holds(&self, found: Option<&[u8]>) -> bool {
        match self {
            Self::NotAsked => true,
            Self::Absent => found.is_none(),
            Self::Equal(expected) => found == Some(expected),
        }
    }
}

/// What the asker expects.
#[derive(Clone)]
pub struct Expectations {
    images: Vec<ImageMeasurements>,
    pins: BTreeMap<u8, Pcr>,
    manifest: Option<ManifestHash>,
    nonce: Option<Vec<u8>>,
    user_data: Binding,
    public_key: Binding,
    max_age_ms: u64,
    skew_ms: u64,
    debug_allowed: bool,
}

impl Expectations {
    /// An enclave of this image, at most [`DEFAULT_MAX_AGE_MS`] ago.
    #[must_use]
    pub fn new(image: impl Into<ImageMeasurements>) -> Self {
        Self {
            images: vec![image.into()],
            pins: BTreeMap::new(),
            manifest: None,
            nonce: None,
            user_data: Binding::NotAsked,
            public_key: Binding::NotAsked,
            max_age_ms: DEFAULT_MAX_AGE_MS,
            skew_ms: DEFAULT_SKEW_MS,
            debug_allowed: false,
        }
    }

    /// Or of this image, as during an upgrade.
    #[must_use]
    pub fn or_image(mut self, image: impl Into<ImageMeasurements>) -> Self {
        self.images.push(image.into());
        self
    }

    /// An enclave of one of the images in this file, none of which may be revoked or over at the
    /// time of judgement.
    #[must_use]
    pub fn of_file(file: &MeasurementsFile) -> Self {
        let (first, others) =
            file.images().split_first().expect("a file of measurements has an image");
        others.iter().cloned().fold(Self::new(first.clone()), Self::or_image)
    }

    /// PCR16 is this manifest's (A8).
    #[must_use]
    pub const fn manifest(mut self, hash: &ManifestHash) -> Self {
        self.manifest = Some(*hash);
        self
    }

    /// The document carries this nonce (A4).
    #[must_use]
    pub fn nonce(mut self, nonce: &[u8]) -> Self {
        self.nonce = Some(nonce.to_vec());
        self
    }

    /// The document carries this user data (A5).
    #[must_use]
    pub fn user_data(mut self, user_data: &[u8]) -> Self {
        self.user_data = Binding::Equal(user_data.to_vec());
        self
    }

    /// The document carries this public key (A5).
    #[must_use]
    pub fn public_key(mut self, public_key: &[u8]) -> Self {
        self.public_key = Binding::Equal(public_key.to_vec());
        self
    }

    /// The document carries no public key (A5). Whatever leaves our enclave carries none: KMS
    /// would release a vault's secret to whoever holds the key in a document.
    #[must_use]
    pub fn no_public_key(mut self) -> Self {
        self.public_key = Binding::Absent;
        self
    }

    /// The document is at most this old, in milliseconds (T2).
    #[must_use]
    pub const fn max_age_ms(mut self, max_age_ms: u64) -> Self {
        self.max_age_ms = max_age_ms;
        self
    }

    /// The document is at most this far ahead of the asker's clock, in milliseconds (T2).
    #[must_use]
    pub const fn skew_ms(mut self, skew_ms: u64) -> Self {
        self.skew_ms = skew_ms;
        self
    }

    /// Takes an enclave in debug mode too, which the host can read (A1). It still has to match a
    /// set, for example [`MeasurementSet::debug_mode`](super::MeasurementSet::debug_mode).
    #[must_use]
    pub const fn allow_debug(mut self) -> Self {
        self.debug_allowed = true;
        self
    }

    /// The instance has the IAM role with this ARN: pins PCR3 (A3).
    ///
    /// # Errors
    /// [`PinError::Conflict`] if PCR3 is pinned to another value.
    pub fn role_arn(self, arn: &str) -> Result<Self, PinError> {
        self.pin(3, pcr::of_role_arn(arn))
    }

    /// The image is signed with this certificate (DER): pins PCR8 (A3).
    ///
    /// # Errors
    /// [`PinError::Conflict`] if PCR8 is pinned to another value.
    pub fn signing_certificate(self, der: &[u8]) -> Result<Self, PinError> {
        self.pin(8, pcr::of_signing_certificate(der))
    }

    /// The instance is this one: pins PCR4 (A3).
    ///
    /// # Errors
    /// [`PinError::Conflict`] if PCR4 is pinned to another value.
    pub fn instance_id(self, id: &str) -> Result<Self, PinError> {
        self.pin(4, pcr::of_instance_id(id))
    }

    /// Pins one register, for example PCR8 to an image's signer (A3).
    ///
    /// # Errors
    /// [`PinError`] if there is no such register, the value is zero, or another one is pinned.
    pub fn pin(mut self, index: u8, value: Pcr) -> Result<Self, PinError> {
        insert_pin(&mut self.pins, index, value)?;
        Ok(self)
    }

    /// T1: chain and document are judged at one time, give or take what clocks differ by.
    fn require_one_time(&self, judged_at_ms: u64, now_ms: u64) -> Result<(), Rejection> {
        require(judged_at_ms.abs_diff(now_ms) <= self.skew_ms, Finding::T1, || {
            let [chain, document] = [judged_at_ms, now_ms].map(utc::format_ms);
            format!("the chain was judged as of {chain}, the document as of {document}")
        })
    }

    fn require_fresh(&self, timestamp_ms: u64, now_ms: u64) -> Result<(), Rejection> {
        let earliest = now_ms.saturating_sub(self.max_age_ms);
        let latest = now_ms.saturating_add(self.skew_ms);
        require((earliest..=latest).contains(&timestamp_ms), Finding::T2, || {
            let [made, from, to] = [timestamp_ms, earliest, latest].map(utc::format_ms);
            format!("made at {made}, which is not between {from} and {to}")
        })
    }

    fn require_production(&self, found: &Contents) -> Result<(), Rejection> {
        let debug = (0..3).any(|index| found.pcr(index) == Some(&pcr::ZERO));
        require(self.debug_allowed || !debug, Finding::A1, || {
            "the enclave runs in debug mode: PCR0, PCR1 or PCR2 is zero".to_owned()
        })
    }

    /// A2 and A3: the first image that matches whole and is to be trusted at `now_ms`. If PCR0,
    /// PCR1 and PCR2 of an image match and another of its registers does not, the finding is that
    /// register's.
    fn matching_image(
        &self,
        found: &Contents,
        now_ms: u64,
    ) -> Result<&ImageMeasurements, Rejection> {
        let mut farthest = 0;
        let mut not_current = None;
        for image in &self.images {
            let differs = |(index, value): &(&u8, &Pcr)| found.pcr(**index) != Some(*value);
            match (image.set.pcrs().iter().find(differs), image.require_current(now_ms)) {
                (None, Ok(())) => return Ok(image),
                (None, Err(reason)) => not_current = Some(reason),
                (Some((index, _)), _) => farthest = farthest.max(*index),
            }
        }
        if let Some(reason) = not_current {
            return Err(Rejection::new(Finding::A2, reason.to_string()));
        }
        let finding = if farthest < 3 { Finding::A2 } else { Finding::A3 };
        Err(Rejection::new(finding, format!("PCR{farthest} is not the expected image's")))
    }

    fn require_pins(&self, found: &Contents) -> Result<(), Rejection> {
        for (index, value) in &self.pins {
            require(found.pcr(*index) == Some(value), Finding::A3, || {
                format!("PCR{index} is not the pinned value")
            })?;
        }
        Ok(())
    }

    fn require_manifest(&self, found: &Contents) -> Result<(), Rejection> {
        let Some(manifest) = &self.manifest else { return Ok(()) };
        let pcr16 = found.pcr(MANIFEST_PCR);
        require(pcr16 == Some(&manifest.pcr16()), Finding::A8, || match pcr16 {
            Some(_) => format!("PCR16 is not that of manifest {manifest}"),
            None => "PCR16 is not in the document: no manifest was locked".to_owned(),
        })
    }

    fn require_nonce(&self, found: &Contents) -> Result<(), Rejection> {
        let nonce = self.nonce.as_deref();
        require(nonce.is_none() || found.nonce() == nonce, Finding::A4, || {
            "the nonce is not the asker's".to_owned()
        })
    }

    fn require_bindings(&self, found: &Contents) -> Result<(), Rejection> {
        require(self.user_data.holds(found.user_data()), Finding::A5, || {
            "user_data is not the expected".to_owned()
        })?;
        require(self.public_key.holds(found.public_key()), Finding::A5, || {
            "public_key is not the expected".to_owned()
        })
    }

    /// The rules for which nothing was expected.
    fn not_asked(
        &self,
        document: &AuthenticDocument,
        matched: Option<&ImageMeasurements>,
    ) -> Vec<Finding> {
        let pinned = |image: &ImageMeasurements| image.set.pcrs().keys().any(|index| *index > 2);
        let pinned_with_image = matched.map_or_else(|| self.images.iter().any(pinned), pinned);
        let bound = |binding: &Binding| matches!(binding, Binding::Absent | Binding::Equal(_));
        let asked = [
            (document.deny_list, Finding::C10),
            (!self.debug_allowed, Finding::A1),
            (!self.pins.is_empty() || pinned_with_image, Finding::A3),
            (self.nonce.is_some(), Finding::A4),
            (bound(&self.user_data) || bound(&self.public_key), Finding::A5),
            (self.manifest.is_some(), Finding::A8),
        ];
        asked.into_iter().filter(|(asked, _)| !asked).map(|(_, finding)| finding).collect()
    }
}
