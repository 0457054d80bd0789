//! Patterns with `*` and `?`, for whole texts and for ARNs.
//!
//! Matching takes at most length × length steps, whatever the pattern.

/// The colon-separated parts of an ARN: `arn:partition:service:region:account:resource`.
const ARN_PARTS: usize = 6;

/// Whether the pattern covers the whole text: `*` any characters or none, `?` exactly one.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    // The last `*` seen, and the text position up to which it has been stretched.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, reached)) = star else { return false };
                star = Some((at, reached + 1));
                p = at + 1;
                t = reached + 1;
            }
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// A pattern for ARNs: each of the six parts is matched on its own, so that no wildcard reaches
/// over a colon into the next part; the sixth may contain colons itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ArnPattern(String);

impl ArnPattern {
    /// As it was written.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The pattern, if it has all six parts and begins with `arn`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let parts = parts(text)?;
        (parts[0] == "arn").then(|| Self(text.to_owned()))
    }

    /// Whether this ARN is covered. What is no ARN never is.
    pub(super) fn matches(&self, arn: &str) -> bool {
        match (parts(&self.0), parts(arn)) {
            (Some(pattern), Some(arn)) => {
                pattern.iter().zip(arn).all(|(pattern, part)| matches(pattern, part))
            }
            _ => false,
        }
    }
}

fn parts(arn: &str) -> Option<[&str; ARN_PARTS]> {
    arn.splitn(ARN_PARTS, ':').collect::<Vec<_>>().try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_cover_what_they_say() {
        let check = |pattern: &str, text: &str, expected: bool| {
            assert_eq!(matches(pattern, text), expected, "{pattern} on {text}");
        };
        check("", "", true);
        check("", "a", false);
        check("*", "", true);
        check("*", "anything", true);
        check("?", "", false);
        check("?", "é", true);
        check("a*c", "abc", true);
        check("a*c", "abcd", false);
        check("a*b*c", "a-b-b-c", true);
        check("*ab", "aab", true);
        check("a?c*", "abc", true);
        check("a**", "a", true);
        check("*a?", "aaab", true);
        check("ABC", "abc", false);
    }

    #[test]
    fn a_hostile_pattern_ends() {
        assert!(!matches(&"*a".repeat(2_000), &"a".repeat(1_999)));
    }

    #[test]
    fn an_arn_is_matched_part_by_part() {
        let check = |pattern: &str, arn: &str, expected: bool| {
            let pattern = ArnPattern::parse(pattern).expect("is an ARN pattern");
            assert_eq!(pattern.matches(arn), expected, "{pattern:?} on {arn}");
        };
        let key = "arn:aws:kms:eu-central-1:111122223333:key/0a1b";
        check(key, key, true);
        check("arn:aws:kms:*:*:key/*", key, true);
        check("arn:*:*:*:*:*", key, true);
        check("arn:aws:kms:*:key/*:*", key, false);
        check("arn:aws:kms:eu*:key/0a1b:x", key, false);
        check("arn:aws:kms:*:*:alias/*", key, false);
        check("arn:aws:kms:*:*:key/*", "key/0a1b", false);
        check("arn:aws:sns:*:*:a:*", "arn:aws:sns:r:1:a:b:c", true);
    }

    #[test]
    fn what_is_no_arn_pattern_is_refused() {
        for text in ["", "*", "arn:aws:kms:*", "key:a:b:c:d:e", "arn"] {
            assert_eq!(ArnPattern::parse(text), None, "{text}");
        }
    }
}
