//! Lists and maps from outside that stop being read at their maximum, before memory is spent on
//! what lies beyond it.

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

/// Reads a list of at most `MOST` items.
pub(crate) fn list<'de, D, T, const MOST: usize>(reader: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    reader.deserialize_seq(ListVisitor::<T, MOST>(PhantomData))
}

/// Reads a map of at most `MOST` texts by text, no name twice.
pub(crate) fn texts<'de, D, const MOST: usize>(
    reader: D,
) -> Result<BTreeMap<String, String>, D::Error>
where
    D: Deserializer<'de>,
{
    reader.deserialize_map(TextsVisitor::<MOST>)
}

struct ListVisitor<T, const MOST: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for ListVisitor<T, MOST> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MOST}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            if list.len() == MOST {
                return Err(A::Error::invalid_length(MOST + 1, &self));
            }
            list.push(item);
        }
        Ok(list)
    }
}

struct TextsVisitor<const MOST: usize>;

impl<'de, const MOST: usize> Visitor<'de> for TextsVisitor<MOST> {
    type Value = BTreeMap<String, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a map of at most {MOST} texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut map = BTreeMap::new();
        while let Some((name, value)) = items.next_entry()? {
            if map.len() == MOST {
                return Err(A::Error::invalid_length(MOST + 1, &self));
            }
            if map.insert(name, value).is_some() {
                return Err(A::Error::custom("a name stands twice"));
            }
        }
        Ok(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Read {
        #[serde(default, deserialize_with = "list::<_, _, 2>")]
        list: Vec<u8>,
        #[serde(default, deserialize_with = "texts::<_, 2>")]
        texts: BTreeMap<String, String>,
    }

    #[test]
    fn what_is_beyond_the_maximum_is_refused() {
        let check = |text: &str, expected: Option<(usize, usize)>| {
            let read: Option<Read> = serde_json::from_str(text).ok();
            assert_eq!(read.map(|r| (r.list.len(), r.texts.len())), expected, "{text}");
        };
        check(r#"{"list": [], "texts": {}}"#, Some((0, 0)));
        check(r#"{"list": [1, 2], "texts": {"a": "", "b": ""}}"#, Some((2, 2)));
        check(r#"{"list": [1, 2, 3]}"#, None);
        check(r#"{"texts": {"a": "", "b": "", "c": ""}}"#, None);
        check(r#"{"texts": {"a": "", "a": ""}}"#, None);
    }
}
