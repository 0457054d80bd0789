//! A whole verification and what became of every rule in it, for those who report.
//!
//! It takes the same three steps that the types demand and adds no rule of its own. A refusal in
//! one step stops the steps behind it; what the asker expects is the last step, and there every
//! rule is judged, so that one report names all that differs.

use super::chain::TrustAnchor;
use super::document::UnverifiedDocument;
use super::expectations::{AuthenticDocument, Expectations, VerifiedDocument};
use super::finding::{Finding, JUDGED, Rejection};
use std::fmt;

/// The time that a document is judged as of, in milliseconds of Unix time (T1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// The asker's clock.
    Now(u64),
    /// Another time that the asker names, for an archived document.
    Given(u64),
    /// The document's own timestamp: it was true then. Nothing says that it is true today.
    OfDocument,
}

impl Time {
    /// The text form: `now`, `given` or `document`.
    #[must_use]
    pub const fn basis(self) -> &'static str {
        match self {
            Self::Now(_) => "now",
            Self::Given(_) => "given",
            Self::OfDocument => "document",
        }
    }
}

/// How a document stands to one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The document keeps it.
    Passed,
    /// The document breaks it: how, in one sentence.
    Failed(String),
    /// It was not judged.
    Skipped(Skipped),
}

/// Why a rule was not judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skipped {
    /// The asker expected nothing there.
    NotAsked(Finding),
    /// Another rule was broken before.
    NotReached(Finding),
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotReached(broken) => write!(f, "not judged, because {broken} failed"),
            Self::NotAsked(finding) => f.write_str(match finding {
                Finding::C10 => "no deny-list was given; revocation lists are not read",
                Finding::A1 => "debug mode was allowed",
                Finding::A3 => "no register beside PCR0, PCR1 and PCR2 was pinned",
                Finding::A4 => "no nonce was given",
                Finding::A5 => "no user_data or public_key was expected",
                Finding::A8 => "no manifest was given",
                _ => "nothing was expected",
            }),
        }
    }
}

/// What a verification came to.
pub enum Verdict {
    /// A document of an expected enclave that answers what was asked.
    Verified(Box<VerifiedDocument>),
    /// The document is authentic, and not what was expected.
    Mismatch(Box<AuthenticDocument>),
    /// The document is not believed in anything.
    Refused,
}

/// A verification: its verdict, and the outcome of every rule.
pub struct Verification {
    verdict: Verdict,
    rejections: Vec<Rejection>,
    not_asked: Vec<Finding>,
}

impl Verification {
    /// What it came to.
    #[must_use]
    pub const fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// The rules that were broken, the gravest first; none if the document is verified.
    #[must_use]
    pub fn rejections(&self) -> &[Rejection] {
        &self.rejections
    }

    /// The verified document.
    ///
    /// # Errors
    /// The gravest rejection.
    pub fn into_result(self) -> Result<VerifiedDocument, Rejection> {
        match (self.verdict, self.rejections.into_iter().next()) {
            (Verdict::Verified(document), None) => Ok(*document),
            (_, rejection) => Err(rejection.expect("what is not verified was rejected")),
        }
    }

    /// Every rule, in the order of the list, and how the document stands to it.
    pub fn outcomes(&self) -> impl Iterator<Item = (Finding, Outcome)> {
        Finding::ALL.iter().map(|finding| (*finding, self.outcome(*finding)))
    }

    fn outcome(&self, finding: Finding) -> Outcome {
        let own = self.rejections.iter().find(|rejection| rejection.finding() == finding);
        if let Some(rejection) = own {
            return Outcome::Failed(rejection.detail().to_owned());
        }
        match self.rejections.first().map(Rejection::finding) {
            Some(broken) if !is_known(finding, broken) => {
                Outcome::Skipped(Skipped::NotReached(broken))
            }
            _ if self.not_asked.contains(&finding) => Outcome::Skipped(Skipped::NotAsked(finding)),
            _ => Outcome::Passed,
        }
    }
}

/// Whether a rule that did not fail was judged to its end where `broken` failed first.
fn is_known(finding: Finding, broken: Finding) -> bool {
    let group = |wanted: Finding| JUDGED.iter().position(|group| group.contains(&wanted));
    let last = JUDGED.len() - 1;
    group(broken) == Some(last) || group(finding) < group(broken)
}

/// Verifies a document's bytes: reads it, follows its certificates to the anchor, and judges it by
/// what the asker expects, as of `time`.
///
/// ```
/// use nitro_signer_shared::attestation::{
///     Expectations, MeasurementSet, Time, TrustAnchor, Verdict, verify,
/// };
///
/// # let (pcr0, pcr1, pcr2) = ([1; 48], [2; 48], [3; 48]);
/// # let (document, my_nonce, now_ms) = ([0x84], [7; 32], 1_767_225_600_000);
/// let image = MeasurementSet::new(pcr0, pcr1, pcr2)?;
/// let expected = Expectations::new(image).nonce(&my_nonce);
/// let verification = verify(&document, &TrustAnchor::aws(), &expected, Time::Now(now_ms));
/// match verification.verdict() {
///     Verdict::Verified(document) => println!("{} runs the image", document.module_id()),
///     _ => println!("not believed: {}", verification.rejections()[0]),
/// }
/// # assert!(verification.into_result().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn verify(
    document: &[u8],
    anchor: &TrustAnchor,
    expected: &Expectations,
    time: Time,
) -> Verification {
    let refused = |rejection| {
        let not_asked = if anchor.has_deny_list() { vec![] } else { vec![Finding::C10] };
        Verification { verdict: Verdict::Refused, rejections: vec![rejection], not_asked }
    };
    let authenticated = UnverifiedDocument::parse(document).and_then(|document| {
        let at_ms = match time {
            Time::Now(ms) | Time::Given(ms) => ms,
            Time::OfDocument => document.unverified_timestamp_ms(),
        };
        document.authenticate(anchor, at_ms)
    });
    let authentic = match authenticated {
        Ok(authentic) => authentic,
        Err(rejection) => return refused(rejection),
    };
    let at_ms = authentic.judged_at_ms();
    match authentic.judge(expected, at_ms) {
        Ok(document) => Verification {
            not_asked: document.not_asked().to_vec(),
            verdict: Verdict::Verified(Box::new(document)),
            rejections: Vec::new(),
        },
        Err(mismatch) => Verification {
            verdict: Verdict::Mismatch(Box::new(mismatch.document)),
            rejections: [vec![mismatch.first], mismatch.further].concat(),
            not_asked: mismatch.not_asked,
        },
    }
}
