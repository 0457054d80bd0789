//! The one JSON reader: RFC 8259 without what lets two readers see two things.
//!
//! Duplicate keys, text after the value and nesting beyond [`MAX_DEPTH`] are refused. Objects are
//! then taken apart field by field, and [`Object::finish`] refuses what nobody asked for. It must
//! never turn a number into a float that stands for another number: a field that wants an integer
//! takes an integer.

use crate::refusal::{Refusal, RefusalCode};
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

/// How deep arrays and objects may nest. Nothing that is served nests deeper than ten.
pub const MAX_DEPTH: usize = 32;

/// The most values in one text, an object counted as twelve of them. A value takes many times the
/// two bytes that its text may have; the largest request that is served, a hundred calls with an
/// access list each, has about 100,000.
pub const MAX_VALUES: usize = 262_144;
/// How many values an object counts for: its first node alone takes 632 bytes, a value 56.
const OBJECT: usize = 12;

/// The largest integer that every JSON implementation keeps exactly: 2^53 - 1 (RFC 8259,
/// section 6).
pub const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as it stands.
    Number(serde_json::Number),
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Value>),
    /// An object.
    Object(Object),
}

/// A JSON object whose keys are distinct; taken apart by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object(BTreeMap<String, Value>);

/// What is wrong with a field: a sentence that names it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FieldError(pub String);

impl FieldError {
    /// The refusal with this sentence.
    #[must_use]
    pub fn refuse(self, code: RefusalCode) -> Refusal {
        Refusal::new(code, self.0)
    }
}

impl From<FieldError> for Refusal {
    fn from(error: FieldError) -> Self {
        error.refuse(RefusalCode::MalformedRequest)
    }
}

/// Reads exactly one value.
///
/// # Errors
/// [`RefusalCode::MalformedJson`] with the place.
pub fn read(text: &[u8]) -> Result<Value, Refusal> {
    let refuse = |e: serde_json::Error| Refusal::new(RefusalCode::MalformedJson, e.to_string());
    let mut reader = serde_json::Deserializer::from_slice(text);
    let values = Cell::new(MAX_VALUES);
    let value =
        Nested { left: MAX_DEPTH, values: &values }.deserialize(&mut reader).map_err(refuse)?;
    reader.end().map_err(refuse)?;
    Ok(value)
}

/// Reads exactly one object.
///
/// # Errors
/// [`RefusalCode::MalformedJson`], or [`RefusalCode::MalformedRequest`] if it is another value.
pub fn read_object(text: &[u8]) -> Result<Object, Refusal> {
    Ok(read(text)?.object("the body")?)
}

impl Value {
    /// The object that `name` must be.
    ///
    /// # Errors
    /// [`FieldError`] names the field.
    pub fn object(self, name: &str) -> Result<Object, FieldError> {
        match self {
            Self::Object(object) => Ok(object),
            _ => Err(FieldError(format!("{name} must be an object"))),
        }
    }

    /// The array that `name` must be.
    ///
    /// # Errors
    /// [`FieldError`] names the field.
    pub fn array(self, name: &str) -> Result<Vec<Self>, FieldError> {
        match self {
            Self::Array(items) => Ok(items),
            _ => Err(FieldError(format!("{name} must be an array"))),
        }
    }

    /// The string that `name` must be.
    ///
    /// # Errors
    /// [`FieldError`] names the field.
    pub fn string(self, name: &str) -> Result<String, FieldError> {
        match self {
            Self::String(text) => Ok(text),
            _ => Err(FieldError(format!("{name} must be a string"))),
        }
    }

    /// The integer from 0 to [`MAX_SAFE_INTEGER`] that `name` must be.
    ///
    /// # Errors
    /// [`FieldError`] names the field.
    pub fn integer(self, name: &str) -> Result<u64, FieldError> {
        let integer = if let Self::Number(number) = self { number.as_u64() } else { None };
        integer
            .filter(|n| *n <= MAX_SAFE_INTEGER)
            .ok_or_else(|| FieldError(format!("{name} must be an integer from 0 to 2^53-1")))
    }
}

impl Object {
    /// Takes a field out, if it is there and not null.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).filter(|value| *value != Value::Null)
    }

    /// Takes a field out that may be null: `None` only if it is absent.
    pub fn take_nullable(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name)
    }

    /// Takes a field out that must be there.
    ///
    /// # Errors
    /// [`FieldError`] if it is absent or null.
    pub fn require(&mut self, name: &str) -> Result<Value, FieldError> {
        self.take(name).ok_or_else(|| FieldError(format!("{name} is missing")))
    }

    /// Whether a field is there and not null.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| *value != Value::Null)
    }

    /// Forgets these fields where they are null.
    pub fn drop_nulls(&mut self, names: &[&str]) {
        self.0.retain(|name, value| *value != Value::Null || !names.contains(&name.as_str()));
    }

    /// The fields that are left, in order of name.
    pub fn into_fields(self) -> impl Iterator<Item = (String, Value)> {
        self.0.into_iter()
    }

    /// Ends the taking.
    ///
    /// # Errors
    /// [`FieldError`] names a field that nobody took.
    pub fn finish(self) -> Result<(), FieldError> {
        match self.0.into_iter().next() {
            None => Ok(()),
            Some((name, _)) => {
                let name: String = name.chars().take(64).collect();
                Err(FieldError(format!("{name:?} is not a field that is known here")))
            }
        }
    }
}

/// Reads one value with this many levels of nesting and this many values left.
#[derive(Clone, Copy)]
struct Nested<'a> {
    left: usize,
    values: &'a Cell<usize>,
}

impl Nested<'_> {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        let left = self.left.checked_sub(1);
        let left = left.ok_or_else(|| E::custom(format!("nested deeper than {MAX_DEPTH}")))?;
        Ok(Self { left, ..self })
    }

    fn count<E: serde::de::Error>(self, values: usize) -> Result<(), E> {
        let left = self.values.get().checked_sub(values);
        let left = left.ok_or_else(|| E::custom(format!("more than {MAX_VALUES} values")))?;
        self.values.set(left);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Nested<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        let left = self.values.get().checked_sub(1);
        let left =
            left.ok_or_else(|| D::Error::custom(format!("more than {MAX_VALUES} values")))?;
        self.values.set(left);
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Nested<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        let number = serde_json::Number::from_f64(value);
        number.map(Value::Number).ok_or_else(|| E::custom("a number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let nested = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(nested)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let nested = self.deeper()?;
        self.count(OBJECT - 1)?;
        let mut fields = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            match fields.entry(name) {
                Entry::Occupied(_) => return Err(A::Error::custom("a key stands twice")),
                Entry::Vacant(place) => place.insert(map.next_value_seed(nested)?),
            };
        }
        Ok(Value::Object(Object(fields)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, good: bool) {
        assert_eq!(read(text.as_bytes()).is_ok(), good, "{text}");
    }

    #[test]
    fn one_value_without_ambiguity_is_read() {
        for text in
            ["null", " [] ", "{}", r#"{"a":{"b":1},"c":{"b":1}}"#, "1e3", r#""\ud83d\ude00""#]
        {
            check(text, true);
        }
        for text in [
            "",
            "nul",
            "{} {}",
            "[1,]",
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":1}"#,
            r#"[{"b":{"a":1,"a":2}}]"#,
            r#""\ud83d""#,
            "01",
            "'a'",
            "NaN",
            "\u{feff}{}",
        ] {
            check(text, false);
        }
    }

    #[test]
    fn nesting_ends_at_the_limit() {
        let nested = |depth| "[".repeat(depth) + &"]".repeat(depth);
        check(&nested(MAX_DEPTH), true);
        check(&nested(MAX_DEPTH + 1), false);
        check(&nested(100_000), false);
        check(&(r#"{"a":"#.repeat(MAX_DEPTH + 1) + "1" + &"}".repeat(MAX_DEPTH + 1)), false);
    }

    #[test]
    fn values_end_at_the_limit() {
        let list = |items: usize| format!("[{}]", vec!["1"; items].join(","));
        // The list is a value too.
        check(&list(MAX_VALUES - 1), true);
        check(&list(MAX_VALUES), false);
        let objects = |n: usize| format!("[{}]", vec!["{}"; n].join(","));
        let most = (MAX_VALUES - 1) / OBJECT;
        check(&objects(most), true);
        check(&objects(most + 1), false);
    }

    #[test]
    fn an_integer_is_an_integer() {
        let check = |text: &str, expected: Option<u64>| {
            let value = read(text.as_bytes()).expect("is JSON");
            assert_eq!(value.integer("n").ok(), expected, "{text}");
        };
        check("0", Some(0));
        check("9007199254740991", Some(MAX_SAFE_INTEGER));
        check("9007199254740992", None);
        check("18446744073709551616", None);
        check("-1", None);
        check("1.0", None);
        check("1e3", None);
        check("\"1\"", None);
    }

    #[test]
    fn a_field_is_of_the_kind_that_is_asked_for() {
        let value = || read(br#"["a",[],{}]"#).expect("is JSON");
        let items = value().array("n").expect("an array");
        assert_eq!(items.len(), 3);
        assert!(value().object("n").is_err());
        assert!(value().string("n").is_err());
        assert_eq!(items[0].clone().string("n"), Ok("a".to_owned()));
        assert!(items[0].clone().array("n").is_err());
        assert!(items[2].clone().object("n").is_ok());
    }

    #[test]
    fn a_null_is_no_value_and_stays_unless_it_is_dropped() {
        let text = br#"{"some":1,"none":null,"kept":null}"#;
        let mut object = read_object(text).expect("an object");
        for (name, there) in [("some", true), ("none", false), ("other", false)] {
            assert_eq!(object.has(name), there, "{name}");
        }
        object.drop_nulls(&["some", "none"]);
        let names: Vec<String> = object.into_fields().map(|(name, _)| name).collect();
        assert_eq!(names, ["kept", "some"]);
    }

    #[test]
    fn what_nobody_took_is_named() {
        let mut object = read_object(br#"{"known":1,"other":2,"none":null}"#).expect("an object");
        assert!(object.take("known").is_some());
        assert!(object.take("none").is_none());
        let error = object.finish().expect_err("one is left");
        assert!(error.to_string().contains("other"), "{error}");
    }
}
