//! A cursor over CBOR (RFC 8949) that reads only what an attestation document may contain.
//!
//! It borrows and never allocates, so no length that the input claims costs memory. It has no
//! recursion: the caller knows what comes next, and whatever else comes is a [`Defect`].
//! Integers and lengths must be in their shortest form (section 4.2.1).

/// How the bytes differ from what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Defect {
    #[error("the bytes end inside the item")]
    Truncated,
    #[error("bytes follow the item")]
    Trailing,
    #[error("an integer or length is not in its shortest form")]
    NotShortest,
    #[error("a length is indefinite where it must be definite")]
    Indefinite,
    #[error("the item is not {0}")]
    NotA(&'static str),
    #[error("a text is not UTF-8")]
    NotUtf8,
}

/// Major types (RFC 8949, section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Major {
    Unsigned,
    Negative,
    Bytes,
    Text,
    Array,
    Map,
    Tag,
    Simple,
}

impl Major {
    const fn of(initial: u8) -> Self {
        match initial >> 5 {
            0 => Self::Unsigned,
            1 => Self::Negative,
            2 => Self::Bytes,
            3 => Self::Text,
            4 => Self::Array,
            5 => Self::Map,
            6 => Self::Tag,
            _ => Self::Simple,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Unsigned => "an unsigned integer",
            Self::Negative => "a negative integer",
            Self::Bytes => "a byte string",
            Self::Text => "a text string",
            Self::Array => "an array",
            Self::Map => "a map",
            Self::Tag => "a tag",
            Self::Simple => "a simple value",
        }
    }
}

const BREAK: u8 = 0xff;
const NULL: u8 = 0xf6;

/// The entries still to come in a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entries {
    /// As many as the map's head said.
    Definite(u64),
    /// Until the break.
    Indefinite,
}

/// What is left of the input.
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(input: &'a [u8]) -> Self {
        Self { rest: input }
    }

    /// Nothing is left.
    pub(super) const fn finish(self) -> Result<(), Defect> {
        if self.rest.is_empty() { Ok(()) } else { Err(Defect::Trailing) }
    }

    /// The next item's major type, without taking it.
    pub(super) fn peek(&self) -> Result<Major, Defect> {
        self.rest.first().copied().map(Major::of).ok_or(Defect::Truncated)
    }

    /// An unsigned integer.
    pub(super) fn unsigned(&mut self) -> Result<u64, Defect> {
        self.argument(Major::Unsigned)
    }

    /// A tag's number; its content follows.
    pub(super) fn tag(&mut self) -> Result<u64, Defect> {
        self.argument(Major::Tag)
    }

    /// The number of elements of an array of definite length; they follow.
    pub(super) fn array(&mut self) -> Result<u64, Defect> {
        self.argument(Major::Array)
    }

    /// The number of entries of a map of definite length; they follow.
    pub(super) fn map(&mut self) -> Result<u64, Defect> {
        self.argument(Major::Map)
    }

    /// The beginning of a map of definite or indefinite length.
    pub(super) fn any_map(&mut self) -> Result<Entries, Defect> {
        match self.map() {
            Err(Defect::Indefinite) => {
                self.take(1)?;
                Ok(Entries::Indefinite)
            }
            definite => definite.map(Entries::Definite),
        }
    }

    /// Whether another entry follows; counts it, or takes the break.
    pub(super) fn next_entry(&mut self, entries: &mut Entries) -> Result<bool, Defect> {
        match entries {
            Entries::Definite(0) => Ok(false),
            Entries::Definite(left) => {
                *left -= 1;
                Ok(true)
            }
            Entries::Indefinite => Ok(!self.take_if(BREAK)?),
        }
    }

    /// A byte string of definite length.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Defect> {
        let length = self.argument(Major::Bytes)?;
        self.take(usize::try_from(length).map_err(|_| Defect::Truncated)?)
    }

    /// A text string of definite length.
    pub(super) fn text(&mut self) -> Result<&'a str, Defect> {
        let length = self.argument(Major::Text)?;
        let bytes = self.take(usize::try_from(length).map_err(|_| Defect::Truncated)?)?;
        std::str::from_utf8(bytes).map_err(|_| Defect::NotUtf8)
    }

    /// Null, or a byte string of definite length.
    pub(super) fn optional_bytes(&mut self) -> Result<Option<&'a [u8]>, Defect> {
        if self.take_if(NULL)? { Ok(None) } else { self.bytes().map(Some) }
    }

    fn take_if(&mut self, byte: u8) -> Result<bool, Defect> {
        let found = *self.rest.first().ok_or(Defect::Truncated)? == byte;
        if found {
            self.take(1)?;
        }
        Ok(found)
    }

    /// Takes a head of this major type and gives its argument. On an error nothing is taken.
    fn argument(&mut self, major: Major) -> Result<u64, Defect> {
        let (&initial, after) = self.rest.split_first().ok_or(Defect::Truncated)?;
        if Major::of(initial) != major {
            return Err(Defect::NotA(major.name()));
        }
        let width = match initial & 0x1f {
            small @ 0..=23 => {
                self.rest = after;
                return Ok(u64::from(small));
            }
            24 => 1,
            25 => 2,
            26 => 4,
            27 => 8,
            31 => return Err(Defect::Indefinite),
            _ => return Err(Defect::NotA(major.name())),
        };
        let (digits, after) = after.split_at_checked(width).ok_or(Defect::Truncated)?;
        let value = digits.iter().fold(0, |value, digit| (value << 8) | u64::from(*digit));
        let shortest = match width {
            1 => value >= 24,
            2 => value > 0xff,
            4 => value > 0xffff,
            _ => value > 0xffff_ffff,
        };
        if !shortest {
            return Err(Defect::NotShortest);
        }
        self.rest = after;
        Ok(value)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Defect> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Defect::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<'a, T: PartialEq + std::fmt::Debug>(
        input: &'a [u8],
        read: impl FnOnce(&mut Cursor<'a>) -> Result<T, Defect>,
        expected: Result<T, Defect>,
    ) {
        let mut cursor = Cursor::new(input);
        assert_eq!(read(&mut cursor).and_then(|v| cursor.finish().map(|()| v)), expected);
    }

    #[test]
    fn integers_are_read_in_their_shortest_form_only() {
        let unsigned = |input: &[u8], expected| check(input, |c| c.unsigned(), expected);
        unsigned(&[0x17], Ok(23));
        unsigned(&[0x18, 24], Ok(24));
        unsigned(&[0x18, 23], Err(Defect::NotShortest));
        unsigned(&[0x19, 1, 0], Ok(256));
        unsigned(&[0x19, 0, 255], Err(Defect::NotShortest));
        unsigned(&[0x1a, 0, 1, 0, 0], Ok(65_536));
        unsigned(&[0x1a, 0, 0, 255, 255], Err(Defect::NotShortest));
        unsigned(&[0x1b, 0, 0, 0, 1, 0, 0, 0, 0], Ok(1 << 32));
        unsigned(&[0x1b, 0, 0, 0, 0, 255, 255, 255, 255], Err(Defect::NotShortest));
        unsigned(&[0x1b, 255, 255, 255, 255, 255, 255, 255, 255], Ok(u64::MAX));
        unsigned(&[0x1c], Err(Defect::NotA("an unsigned integer")));
        unsigned(&[0x1f], Err(Defect::Indefinite));
        unsigned(&[0x20], Err(Defect::NotA("an unsigned integer")));
        unsigned(&[0x19, 1], Err(Defect::Truncated));
        unsigned(&[], Err(Defect::Truncated));
        unsigned(&[0, 0], Err(Defect::Trailing));
    }

    #[test]
    fn a_string_longer_than_the_input_is_refused_without_memory_for_it() {
        check(&[0x42, 1, 2], |c| c.bytes(), Ok([1, 2].as_slice()));
        check(&[0x43, 1, 2], |c| c.bytes(), Err(Defect::Truncated));
        check(&[0x5b, 255, 255, 255, 255, 255, 255, 255, 255], |c| c.bytes(), {
            Err(Defect::Truncated)
        });
        check(&[0x5f, 0x41, 1, 0xff], |c| c.bytes(), Err(Defect::Indefinite));
        check(&[0x61, b'a'], |c| c.text(), Ok("a"));
        check(&[0x61, 0xff], |c| c.text(), Err(Defect::NotUtf8));
        check(&[0xf6], |c| c.optional_bytes(), Ok(None));
        check(&[0x40], |c| c.optional_bytes(), Ok(Some([].as_slice())));
        check(&[0xf7], |c| c.optional_bytes(), Err(Defect::NotA("a byte string")));
    }

    #[test]
    fn entries_are_counted_or_end_at_the_break() {
        let count = |input: &[u8], expected| {
            check(
                input,
                |c| {
                    let mut entries = c.any_map()?;
                    let mut count = 0;
                    while c.next_entry(&mut entries)? {
                        count += c.unsigned()? + c.unsigned()?;
                    }
                    Ok(count)
                },
                expected,
            );
        };
        count(&[0xa0], Ok(0));
        count(&[0xa1, 1, 2], Ok(3));
        count(&[0xbf, 1, 2, 3, 4, 0xff], Ok(10));
        count(&[0xbf, 1, 2, 3, 4], Err(Defect::Truncated));
        count(&[0xbf, 1, 0xff], Err(Defect::NotA("an unsigned integer")));
        count(&[0xa2, 1, 2], Err(Defect::Truncated));
        count(&[0xa1, 1, 2, 0xff], Err(Defect::Trailing));
    }
}
