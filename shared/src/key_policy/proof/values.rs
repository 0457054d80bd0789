//! The values that a condition key can have, as far as given conditions can tell them apart.
//!
//! A policy compares a key with finitely many patterns, so all texts fall into finitely many
//! classes, and one text of each class is enough. For literals these are the literals themselves,
//! another case of each, and a text that nobody mentions. With wildcards, all patterns are walked at
//! once, character by character, and for every combination of matches that a text can reach the
//! first such text is kept: so a class is missed neither where patterns overlap nor where none
//! matches.

use super::super::condition::{Condition, Context, Value};
use super::TooComplex;
use super::vocabulary::is_attestation;
use std::collections::{BTreeSet, HashSet, VecDeque};

/// The most states that the walk over patterns may have.
const MAX_STATES: usize = 20_000;
/// The most classes of one key, or of sets of its values.
const MAX_CLASSES: usize = 4_096;

/// Hexadecimal digits of a register.
pub(super) const REGISTER_DIGITS: usize = 96;

/// What texts a key's value can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Domain {
    /// Any text.
    Text,
    /// A register as KMS gives it: 96 hexadecimal digits in lower case (KMS developer guide,
    /// "Condition keys for attested platforms").
    Register,
}

/// A value of a key, or values; `None` is the absent key.
pub(super) type Case = Option<Vec<String>>;

/// Every case that the conditions, all on this one key, tell apart; the absent key is among them.
pub(super) fn cases(
    key: &str,
    conditions: &[&Condition],
    domain: Domain,
    is_multivalued: bool,
) -> Result<Vec<Case>, TooComplex> {
    // Whether there is a document matters whatever the conditions say.
    let apart = is_attestation(key);
    let mut singles = texts(conditions.iter().flat_map(|c| c.values()), domain)?;
    singles.sort_by_key(|text| (text.is_empty(), text.len()));
    let mut all: Vec<Case> = vec![None];
    if is_multivalued {
        all.extend(sets(conditions, &singles)?.into_iter().map(Some));
    } else {
        all.extend(singles.into_iter().map(|text| Some(vec![text])));
    }
    let mut seen = HashSet::new();
    all.retain(|case| seen.insert((apart && case.is_none(), outcome(key, conditions, case))));
    Ok(all)
}

/// What each condition says to a case.
fn outcome(key: &str, conditions: &[&Condition], case: &Case) -> Vec<bool> {
    let mut context = Context::default();
    if let Some(values) = case {
        context.insert(key, values.iter().map(String::as_str));
    }
    conditions.iter().map(|condition| condition.holds(&context)).collect()
}

/// One set of values for everything that sets of values can be to the conditions. What a set is
/// depends on whether all, and whether any, of its values match each condition; adding a value
/// changes that in a way that depends on nothing else.
fn sets(conditions: &[&Condition], singles: &[String]) -> Result<Vec<Vec<String>>, TooComplex> {
    let state = |set: &[String]| -> (bool, Vec<(bool, bool)>) {
        let each = |condition: &&Condition| {
            let mut admitted = set.iter().map(|value| condition.admits(value));
            (admitted.clone().all(|x| x), admitted.any(|x| x))
        };
        (set.iter().all(String::is_empty), conditions.iter().map(each).collect())
    };
    let mut seen = HashSet::new();
    let mut waiting: VecDeque<Vec<String>> = singles.iter().map(|one| vec![one.clone()]).collect();
    let mut all = Vec::new();
    while let Some(set) = waiting.pop_front() {
        if !seen.insert(state(&set)) {
            continue;
        }
        if all.len() == MAX_CLASSES {
            return Err(TooComplex);
        }
        let larger = singles.iter().filter(|value| !set.contains(value));
        waiting.extend(larger.map(|value| [set.as_slice(), std::slice::from_ref(value)].concat()));
        all.push(set);
    }
    Ok(all)
}

/// A text of every class that the values tell apart.
fn texts<'a>(
    values: impl Iterator<Item = &'a Value>,
    domain: Domain,
) -> Result<Vec<String>, TooComplex> {
    let values: Vec<&Value> = values.collect();
    let patterns: Vec<Pattern> = values.iter().map(|value| Pattern::of(value)).collect();
    let literals: Option<Vec<Literal>> = patterns.iter().map(Pattern::literal).collect();
    match literals {
        // Of other letters, what their other case is takes more than `spelling` knows.
        Some(literals) if literals.iter().all(|literal| literal.text.is_ascii()) => {
            Ok(of_literals(&literals, domain))
        }
        _ => walk(&patterns, domain),
    }
}

/// A text without wildcards.
struct Literal {
    text: String,
    any_case: bool,
}

fn of_literals(literals: &[Literal], domain: Domain) -> Vec<String> {
    let exact: BTreeSet<&str> =
        literals.iter().filter(|l| !l.any_case).map(|l| l.text.as_str()).collect();
    let mut all: BTreeSet<String> = exact.iter().map(|text| (*text).to_owned()).collect();
    for literal in literals.iter().filter(|literal| literal.any_case) {
        all.insert(literal.text.to_lowercase());
        // Of more spellings than are mentioned, one is not mentioned.
        let spellings = (0..=exact.len()).filter_map(|number| spelling(&literal.text, number));
        all.extend(spellings.filter(|text| !exact.contains(text.as_str())).take(1));
    }
    match domain {
        Domain::Text => {
            all.insert(String::new());
            all.insert(unmentioned("another", literals));
        }
        Domain::Register => {
            all.retain(|text| is_register(text));
            all.insert("0".repeat(REGISTER_DIGITS));
            let fresh = (0xee..=u8::MAX).chain(1..0xee).map(|byte| hex::encode([byte; 48]));
            let fresh = fresh.map(|text| (all.contains(&text), text)).find(|(known, _)| !known);
            all.extend(fresh.map(|(_, text)| text));
        }
    }
    all.into_iter().collect()
}

/// The `number`th way to spell a text in upper and lower case, if there are so many.
fn spelling(text: &str, number: usize) -> Option<String> {
    let mut left = number;
    let spelled = text.chars().map(|c| {
        let is_letter = c.is_ascii_alphabetic();
        let turned = is_letter && left & 1 == 1;
        left >>= usize::from(is_letter);
        if turned { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() }
    });
    let spelled = spelled.collect();
    (left == 0).then_some(spelled)
}

fn unmentioned(start: &str, literals: &[Literal]) -> String {
    let mut text = start.to_owned();
    while literals.iter().any(|literal| literal.text.eq_ignore_ascii_case(&text)) {
        text.push('-');
    }
    text
}

pub(super) fn is_register(text: &str) -> bool {
    text.len() == REGISTER_DIGITS
        && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// One element of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Is(char),
    /// In either case.
    Fold(char),
    One {
        colon: bool,
    },
    Many {
        colon: bool,
    },
}

impl Token {
    fn takes(self, c: char) -> bool {
        match self {
            Self::Is(own) => own == c,
            Self::Fold(own) => own.to_lowercase().eq(c.to_lowercase()),
            Self::One { colon } | Self::Many { colon } => colon || c != ':',
        }
    }
}

/// A pattern, and the positions in it are from 0 to its length.
#[derive(Debug)]
struct Pattern(Vec<Token>);

impl Pattern {
    fn of(value: &Value) -> Self {
        let wild = |c, colon| match c {
            '*' => Token::Many { colon },
            '?' => Token::One { colon },
            c => Token::Is(c),
        };
        Self(match value {
            Value::Exact(text) => text.chars().map(Token::Is).collect(),
            Value::IgnoreCase(text) => text.chars().map(Token::Fold).collect(),
            Value::Bool(value) => value.to_string().chars().map(Token::Fold).collect(),
            Value::Like(text) => text.chars().map(|c| wild(c, true)).collect(),
            Value::Arn(pattern) => {
                let mut colons = 0;
                let mut token = |c| {
                    colons += usize::from(c == ':');
                    // Wildcards of the first five parts stay within their part.
                    wild(c, colons >= 5)
                };
                pattern.as_str().chars().map(&mut token).collect()
            }
        })
    }

    fn literal(&self) -> Option<Literal> {
        let has_wildcard =
            self.0.iter().any(|t| matches!(t, Token::One { .. } | Token::Many { .. }));
        let char_of = |token: &Token| match token {
            Token::Is(c) | Token::Fold(c) => Some(*c),
            Token::One { .. } | Token::Many { .. } => None,
        };
        let text = self.0.iter().map(char_of).collect::<Option<String>>()?;
        let any_case = matches!(self.0.first(), Some(Token::Fold(_)));
        (!has_wildcard).then_some(Literal { text, any_case })
    }

    /// The positions that are reached without another character.
    fn rest(&self, positions: impl IntoIterator<Item = usize>) -> Vec<usize> {
        let mut all = BTreeSet::new();
        for mut position in positions {
            all.insert(position);
            while matches!(self.0.get(position), Some(Token::Many { .. })) {
                position += 1;
                all.insert(position);
            }
        }
        all.into_iter().collect()
    }

    fn step(&self, positions: &[usize], c: char) -> Vec<usize> {
        let next = positions.iter().filter_map(|position| {
            let token = self.0.get(*position)?;
            let stays = matches!(token, Token::Many { .. });
            token.takes(c).then_some(position + usize::from(!stays))
        });
        self.rest(next)
    }
}

/// The first text of every combination of matches.
fn walk(patterns: &[Pattern], domain: Domain) -> Result<Vec<String>, TooComplex> {
    type State = Vec<Vec<usize>>;
    let alphabet = alphabet(patterns, domain);
    let start: State = patterns.iter().map(|pattern| pattern.rest([0])).collect();
    let mut seen = HashSet::from([(0, start.clone())]);
    let mut waiting = VecDeque::from([(start, String::new())]);
    let (mut texts, mut combinations) = (Vec::new(), HashSet::new());
    while let Some((state, text)) = waiting.pop_front() {
        let accepts = state.iter().zip(patterns).map(|(at, p)| at.contains(&p.0.len()));
        let whole = domain == Domain::Text || text.len() == REGISTER_DIGITS;
        if whole && combinations.insert((text.is_empty(), accepts.collect::<Vec<_>>())) {
            texts.push(text.clone());
        }
        if domain == Domain::Register && text.len() == REGISTER_DIGITS {
            continue;
        }
        for c in &alphabet {
            let next: State = state.iter().zip(patterns).map(|(at, p)| p.step(at, *c)).collect();
            let depth = if domain == Domain::Register { text.len() + 1 } else { 0 };
            if seen.insert((depth, next.clone())) {
                waiting.push_back((next, format!("{text}{c}")));
            }
        }
        if seen.len() > MAX_STATES || texts.len() > MAX_CLASSES {
            return Err(TooComplex);
        }
    }
    if domain == Domain::Register {
        texts.push("0".repeat(REGISTER_DIGITS));
    }
    Ok(texts)
}

/// The characters that patterns tell apart, and one that they do not mention.
fn alphabet(patterns: &[Pattern], domain: Domain) -> Vec<char> {
    if domain == Domain::Register {
        return "0123456789abcdef".chars().collect();
    }
    let mentioned =
        patterns.iter().flat_map(|pattern| &pattern.0).filter_map(|token| match token {
            Token::Is(c) | Token::Fold(c) => Some(*c),
            Token::One { .. } | Token::Many { .. } => None,
        });
    let both = |c: char| [c].into_iter().chain(c.to_lowercase()).chain(c.to_uppercase());
    let mut all: BTreeSet<char> = mentioned.flat_map(both).chain([':']).collect();
    // More letters than a policy mentions: one of them is not mentioned.
    let fresh = ('a'..='z')
        .chain('\u{100}'..='\u{2ff}')
        .find(|c| !all.contains(c) && !c.to_uppercase().any(|c| all.contains(&c)));
    all.extend(fresh);
    all.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::condition::{Operator, Over};
    use super::*;

    const KEY: &str = "kms:encryptioncontextkeys";

    fn values(given: &[(&str, &str)]) -> Vec<Value> {
        let value = |(operator, text): &(&str, &str)| {
            let Ok(Operator::Compare { kind, .. }) = Operator::parse(operator) else {
                unreachable!("{operator} compares")
            };
            kind.value(text).expect("is a value")
        };
        given.iter().map(value).collect()
    }

    /// Which combinations of matches the texts have, against those of every text of up to `length`
    /// characters of the alphabet.
    fn check(given: &[(&str, &str)], alphabet: &str, length: u32) {
        let values = values(given);
        let combination = |text: &str| values.iter().map(|v| v.matches(text)).collect::<Vec<_>>();
        let found = texts(values.iter(), Domain::Text).expect("is not too much");
        let found: HashSet<_> = found.iter().map(|text| combination(text)).collect();
        let letters: Vec<char> = alphabet.chars().collect();
        for size in 0..=length {
            for mut number in 0..letters.len().pow(size) {
                let mut text = String::new();
                for _ in 0..size {
                    text.push(letters[number % letters.len()]);
                    number /= letters.len();
                }
                assert!(found.contains(&combination(&text)), "{text:?} of {given:?}");
            }
        }
    }

    #[test]
    fn every_way_to_match_is_found() {
        check(&[], "ab", 2);
        check(&[("StringEquals", "ab"), ("StringEquals", "AB")], "abAB", 3);
        check(&[("StringEqualsIgnoreCase", "ab"), ("StringEquals", "AB")], "abAB", 3);
        let spelled = ["ab", "Ab", "aB", "AB"].map(|text| ("StringEquals", text));
        let folded = [("StringEqualsIgnoreCase", "ab")];
        check(&[&spelled[..2], &folded].concat(), "abAB", 3);
        check(&[&spelled[..], &folded].concat(), "abAB", 3);
        check(&[("StringLike", "a*"), ("StringLike", "*b")], "abc", 4);
        check(&[("StringLike", "a*"), ("StringLike", "?"), ("StringEquals", "a")], "abc", 4);
        check(&[("StringLike", "*a*"), ("StringLike", "*b*"), ("StringLike", "*")], "abc", 4);
        check(&[("StringLike", "a?b"), ("StringEqualsIgnoreCase", "acb")], "abcAC", 4);
        check(&[("Bool", "true"), ("StringLike", "T*")], "tTx", 2);
        check(&[("ArnLike", "arn:*:?::*:b*"), ("StringLike", "*:b")], "arn:b", 5);
    }

    #[test]
    fn wildcards_of_arns_stay_within_their_part() {
        let values = values(&[("ArnLike", "arn:aws:iam::*:role/a*")]);
        let found = texts(values.iter(), Domain::Text).expect("is not too much");
        let matching: Vec<_> = found.iter().filter(|text| values[0].matches(text)).collect();
        assert_eq!(matching, ["arn:aws:iam:::role/a"]);
    }

    #[test]
    fn registers_are_lower_case_digits() {
        let (lower, upper) = ("ab".repeat(48), "AB".repeat(48));
        let check = |given: &[(&str, &str)], expected: &[&str]| {
            let values = values(given);
            let found = texts(values.iter(), Domain::Register).expect("is not too much");
            assert!(found.iter().all(|text| is_register(text)), "{found:?}");
            assert!(found.contains(&"0".repeat(96)));
            let matching = found.iter().filter(|text| values.iter().any(|v| v.matches(text)));
            assert_eq!(matching.collect::<Vec<_>>(), expected, "{given:?}");
            assert!(found.iter().any(|text| !values.iter().any(|v| v.matches(text))));
        };
        check(&[("StringEquals", &lower)], &[&lower]);
        check(&[("StringEquals", &upper)], &[]);
        check(&[("StringEqualsIgnoreCase", &upper)], &[&lower]);
        check(&[("StringEquals", "ab")], &[]);
        check(&[("StringLike", &format!("{}*", &lower[..94]))], &[&format!("{}00", &lower[..94])]);
        check(&[("StringLike", &format!("{}*", &upper[..94]))], &[]);
    }

    #[test]
    fn sets_of_values_are_told_apart() {
        let all = |values: &[&str]| {
            let values = values.iter().map(|v| (*v).to_owned());
            Condition::equals(KEY, values, Over::All)
        };
        let (first, second) = (all(&["a", "b"]), all(&["b", "c"]));
        let found = cases(KEY, &[&first, &second], Domain::Text, true);
        let found = found.expect("is not too much");
        let outcomes: HashSet<_> =
            found.iter().map(|case| outcome(KEY, &[&first, &second], case)).collect();
        // Only a, only c, both b, neither; and the absent key is as good as b.
        assert_eq!(outcomes.len(), 4, "{found:?}");
        assert!(found.contains(&None));
    }

    #[test]
    fn too_many_patterns_are_refused() {
        let patterns: Vec<String> =
            (b'a'..=b'p').map(|c| format!("*{0}*{0}*", char::from(c))).collect();
        let given: Vec<_> = patterns.iter().map(|p| ("StringLike", p.as_str())).collect();
        assert!(texts(values(&given).iter(), Domain::Text).is_err());
    }
}
