//! Labels: what policy may see of a key beyond its address. Fixed when the key is made.

use nitro_signer_shared::message::MAX_LABELS;
use nitro_signer_shared::refusal::{Refusal, RefusalCode};
use std::collections::BTreeMap;

/// Labels of the allowed form: names `[a-z0-9_-]{1,32}`, values of up to 64 printable ASCII
/// characters. No line break can stand in one, which client proofs rely on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels(BTreeMap<String, String>);

impl Labels {
    /// Checks every name and value.
    ///
    /// # Errors
    /// InvalidLabel.
    pub fn parse(labels: BTreeMap<String, String>) -> Result<Self, Refusal> {
        let good = labels.len() <= MAX_LABELS
            && labels.iter().all(|(name, value)| is_name(name) && is_value(value));
        if good { Ok(Self(labels)) } else { Err(RefusalCode::InvalidLabel.into()) }
    }

    /// The labels as a map, to be sealed with the key.
    #[must_use]
    pub fn into_map(self) -> BTreeMap<String, String> {
        self.0
    }

    /// The labels as a map in order of name.
    #[must_use]
    pub const fn as_map(&self) -> &BTreeMap<String, String> {
        &self.0
    }
}

fn is_name(name: &str) -> bool {
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_' || c == b'-';
    (1..=32).contains(&name.len()) && name.bytes().all(plain)
}

fn is_value(value: &str) -> bool {
    value.len() <= 64 && value.bytes().all(|c| (0x20..0x7f).contains(&c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_labels_are_taken() {
        let check = |name: &str, value: &str| {
            Labels::parse([(name.to_owned(), value.to_owned())].into()).is_ok()
        };
        assert!(check("team", ""));
        assert!(check("a_b-9", "Hot wallet #1 = yes"));
        assert!(check(&"a".repeat(32), &"v".repeat(64)));
        assert!(!check("", "v"));
        assert!(!check("Team", "v"));
        assert!(!check("a=b", "v"));
        assert!(!check(&"a".repeat(33), "v"));
        assert!(!check("a", &"v".repeat(65)));
        assert!(check("a", " ~"));
        assert!(!check("a", "\u{1f}"));
        assert!(!check("a", "\u{7f}"));
        assert!(!check("a", "line\nbreak"));
        assert!(!check("a", "é"));
    }

    #[test]
    fn too_many_labels_are_refused() {
        let labels = |n: usize| (0..n).map(|i| (i.to_string(), String::new())).collect();
        assert!(Labels::parse(labels(MAX_LABELS)).is_ok());
        assert!(Labels::parse(labels(MAX_LABELS + 1)).is_err());
    }
}
