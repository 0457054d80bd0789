//! Times as people write them: RFC 3339 in UTC, to the second, `2027-01-01T00:00:00Z`.
//!
//! One form is read and written: with an offset, a fraction or a leap second a text would have
//! several readings, and none of them is needed.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const LENGTH: usize = "2027-01-01T00:00:00Z".len();
/// The last second of the year 9999, after which RFC 3339 has no times.
const LAST_S: u64 = 253_402_300_799;

/// Milliseconds of Unix time of `YYYY-MM-DDTHH:MM:SSZ`; `None` for any other text, for a day or
/// hour that does not exist, and before 1970.
#[must_use]
pub fn parse_ms(text: &str) -> Option<u64> {
    if text.len() != LENGTH {
        return None;
    }
    let seconds = OffsetDateTime::parse(text, &Rfc3339).ok()?.unix_timestamp();
    let ms = u64::try_from(seconds).ok()?.checked_mul(1_000)?;
    (format_ms(ms) == text).then_some(ms)
}

/// The second in which these milliseconds of Unix time lie, as [`parse_ms`] reads it. After the
/// year 9999 it is that year's last.
#[must_use]
pub fn format_ms(ms: u64) -> String {
    let seconds = i64::try_from((ms / 1_000).min(LAST_S)).expect("the year 9999 fits");
    let time = OffsetDateTime::from_unix_timestamp(seconds).expect("the year 9999 exists");
    time.format(&Rfc3339).expect("RFC 3339 has the years to 9999")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By GNU date.
    #[test]
    fn known_answers() {
        let check = |text: &str, seconds: u64| {
            assert_eq!(parse_ms(text), Some(seconds * 1_000), "{text}");
            assert_eq!(format_ms(seconds * 1_000), text);
            assert_eq!(format_ms(seconds * 1_000 + 999), text);
        };
        check("1970-01-01T00:00:00Z", 0);
        check("2000-02-29T12:34:56Z", 951_827_696);
        check("2027-01-01T00:00:00Z", 1_798_761_600);
        check("2028-02-29T23:59:59Z", 1_835_481_599);
        check("9999-12-31T23:59:59Z", LAST_S);
        assert_eq!(format_ms(u64::MAX), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn any_other_text_is_no_time() {
        for text in [
            "",
            "2027-01-01",
            "2027-01-01T00:00:00",
            "2027-01-01t00:00:00Z",
            "2027-01-01T00:00:00z",
            "2027-01-01 00:00:00Z",
            "2027-01-01T00:00:00+00:00",
            "2027-01-01T00:00:00.5Z",
            "2027-01-01T00:00+00:00",
            "2027-02-29T00:00:00Z",
            "2027-13-01T00:00:00Z",
            "2027-00-01T00:00:00Z",
            "2027-01-01T24:00:00Z",
            "2027-01-01T00:60:00Z",
            "2016-12-31T23:59:60Z",
            "1969-12-31T23:59:59Z",
            "+027-01-01T00:00:00Z",
            "2027-01-01T00:00:0\u{663}",
        ] {
            assert_eq!(parse_ms(text), None, "{text}");
        }
    }
}
