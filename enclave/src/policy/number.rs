//! Numbers of 256 bits as policy sees them: in Cedar's 64-bit ones, never smaller than they are.
//!
//! A Long here is rounded up to a whole unit, and what does not fit stands as the greatest Long, so
//! that an upper bound holds for every amount. It is therefore no number to compute with, and only
//! the smallest unit can be compared for equality: the load (`load/bounds.rs`) sees to that.

use super::draft::{Draft, Expressed};
use super::load::Needs;
use alloy_primitives::{I256, U256};

/// The attributes that hold such a Long of an amount, of which sums are bounds too.
pub(super) const SUMMABLE: [&str; 7] = ["wei", "gwei", "ether", "units", "micros", "whole", "gas"];
/// Those of them that are rounded.
pub(super) const ROUNDED: [&str; 4] = ["gwei", "ether", "micros", "whole"];
/// The attribute that holds such a Long of a number that may be negative or name something.
pub(super) const SINGLE: &str = "long";

/// The schema's `Amount`: wei.
pub(super) fn amount(wei: U256, needs: &Needs) -> Expressed {
    let mut record = Draft::new(needs);
    record.long("wei", saturated(wei));
    record.long_with("gwei", || saturated(wei.div_ceil(power_of_ten(9))));
    record.long_with("ether", || saturated(wei.div_ceil(power_of_ten(18))));
    exact(&mut record, wei);
    record.into_record()
}

/// The schema's `Tokens`: an amount of a token with this many decimals. Of a token whose decimals
/// nobody knows, any amount above zero may be all there is.
pub(super) fn tokens(units: U256, decimals: Option<u8>, needs: &Needs) -> Expressed {
    largest_tokens(std::iter::once((units, decimals)), needs)
}

/// The schema's `Tokens` that is nowhere below any of these amounts, each of its own token.
pub(super) fn largest_tokens(
    each: impl Iterator<Item = (U256, Option<u8>)>,
    needs: &Needs,
) -> Expressed {
    let (mut units, mut micros, mut whole) = (U256::ZERO, U256::ZERO, U256::ZERO);
    for (amount, decimals) in each {
        units = units.max(amount);
        micros = micros.max(scaled(amount, decimals, 6));
        whole = whole.max(scaled(amount, decimals, 0));
    }
    let mut record = Draft::new(needs);
    record.long("units", saturated(units));
    record.long("micros", saturated(micros));
    record.long("whole", saturated(whole));
    exact(&mut record, units);
    record.into_record()
}

/// Units of a token in steps of 10^-`places` of it, rounded up.
fn scaled(units: U256, decimals: Option<u8>, places: u8) -> U256 {
    match decimals {
        _ if units.is_zero() => U256::ZERO,
        None => U256::MAX,
        Some(decimals) if decimals >= places => units.div_ceil(power_of_ten(decimals - places)),
        Some(decimals) => units.saturating_mul(power_of_ten(places - decimals)),
    }
}

/// The schema's `Uint`: a number whose unit we do not know.
pub(super) fn unsigned(number: U256, needs: &Needs) -> Expressed {
    let mut record = Draft::new(needs);
    record.long("long", saturated(number));
    exact(&mut record, number);
    record.into_record()
}

/// The schema's `Int`: below the least Long it stands as that.
pub(super) fn signed(number: I256, needs: &Needs) -> Expressed {
    let mut record = Draft::new(needs);
    let fits = i64::try_from(number).ok();
    let nearest = if number.is_negative() { i64::MIN } else { i64::MAX };
    record.long("long", fits.unwrap_or(nearest));
    record.text_with("hex", || hex::encode(number.to_be_bytes::<32>()));
    record.flag("exceeds_long", fits.is_none());
    record.into_record()
}

fn exact(record: &mut Draft<'_>, number: U256) {
    record.text_with("hex", || hex::encode(number.to_be_bytes::<32>()));
    record.flag("exceeds_long", i64::try_from(number).is_err());
}

fn saturated(amount: U256) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

/// Decimals are at most 36 (the manifest's limit), so this does not overflow.
fn power_of_ten(exponent: u8) -> U256 {
    U256::from(10).saturating_pow(U256::from(exponent))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use cedar_policy::RestrictedExpression;

    fn check(record: Expressed, names: &[&str], longs: &[i64], exceeds: bool, hex: &str) {
        let long = RestrictedExpression::new_long;
        let mut expected: Vec<_> =
            names.iter().zip(longs).map(|(name, n)| ((*name).to_owned(), long(*n))).collect();
        expected.push(("hex".to_owned(), RestrictedExpression::new_string(hex.to_owned())));
        expected.push(("exceeds_long".to_owned(), RestrictedExpression::new_bool(exceeds)));
        let expected = RestrictedExpression::new_record(expected).unwrap();
        assert_eq!(format!("{:?}", record.unwrap()), format!("{expected:?}"));
    }

    const WEI: [&str; 3] = ["wei", "gwei", "ether"];
    const TOKENS: [&str; 3] = ["units", "micros", "whole"];
    const MAX: i64 = i64::MAX;

    fn power(bits: usize) -> U256 {
        U256::from(1) << bits
    }

    #[test]
    fn amounts_are_rounded_up_and_saturated() {
        let ether = U256::from(1_000_000_000_000_000_000_u64);
        for (wei, longs, exceeds) in [
            (U256::ZERO, [0, 0, 0], false),
            (U256::from(1), [1, 1, 1], false),
            (U256::from(1_000_000_000), [1_000_000_000, 1, 1], false),
            (U256::from(1_000_000_001), [1_000_000_001, 2, 1], false),
            (ether, [1_000_000_000_000_000_000, 1_000_000_000, 1], false),
            (ether + U256::from(1), [1_000_000_000_000_000_001, 1_000_000_001, 2], false),
            (power(63) - U256::from(1), [MAX, 9_223_372_037, 10], false),
            (power(63), [MAX, 9_223_372_037, 10], true),
            (power(64), [MAX, 18_446_744_074, 19], true),
            (U256::from(MAX) * U256::from(1_000_000_000), [MAX, MAX, 9_223_372_037], true),
            (power(128), [MAX, MAX, MAX], true),
            (U256::MAX, [MAX, MAX, MAX], true),
        ] {
            check(amount(wei, &Needs::All), &WEI, &longs, exceeds, &format!("{wei:064x}"));
        }
    }

    #[test]
    fn tokens_are_scaled_by_their_decimals() {
        for (units, decimals, longs, exceeds) in [
            (U256::from(1), 6, [1, 1, 1], false),
            (U256::from(1_500_000), 6, [1_500_000, 1_500_000, 2], false),
            (U256::from(1), 0, [1, 1_000_000, 1], false),
            (U256::from(15), 1, [15, 1_500_000, 2], false),
            (U256::from(1_000_000_000_001_u64), 18, [1_000_000_000_001, 2, 1], false),
            (power(64), 18, [MAX, 18_446_745, 19], true),
            (U256::MAX, 0, [MAX, MAX, MAX], true),
            (U256::MAX, 36, [MAX, MAX, MAX], true),
        ] {
            let hex = format!("{units:064x}");
            check(tokens(units, Some(decimals), &Needs::All), &TOKENS, &longs, exceeds, &hex);
        }
    }

    #[test]
    fn a_token_of_unknown_decimals_is_above_every_bound_but_nothing_is_nothing() {
        let hex = |n: u64| format!("{n:064x}");
        let of = |units: u64| tokens(U256::from(units), None, &Needs::All);
        check(of(1), &TOKENS, &[1, MAX, MAX], false, &hex(1));
        check(of(0), &TOKENS, &[0, 0, 0], false, &hex(0));
        let largest = |each: &[(u64, Option<u8>)]| {
            let each = each.iter().map(|(units, decimals)| (U256::from(*units), *decimals));
            largest_tokens(each, &Needs::All)
        };
        check(largest(&[(7, Some(0)), (9, Some(6))]), &TOKENS, &[9, 7_000_000, 7], false, &hex(9));
        check(largest(&[(7, Some(6)), (9, None)]), &TOKENS, &[9, MAX, MAX], false, &hex(9));
        check(largest(&[]), &TOKENS, &[0, 0, 0], false, &hex(0));
    }

    #[test]
    fn plain_numbers_are_saturated_on_both_sides() {
        let above = I256::from_raw(power(63));
        for (number, long, exceeds) in [
            (I256::ZERO, 0, false),
            (I256::MINUS_ONE, -1, false),
            (I256::try_from(i64::MIN).unwrap(), i64::MIN, false),
            (I256::try_from(i64::MIN).unwrap() - I256::ONE, i64::MIN, true),
            (above, MAX, true),
            (I256::MIN, i64::MIN, true),
        ] {
            check(
                signed(number, &Needs::All),
                &["long"],
                &[long],
                exceeds,
                &format!("{number:064x}"),
            );
        }
        check(unsigned(U256::from(7), &Needs::All), &["long"], &[7], false, &format!("{:064x}", 7));
        check(
            unsigned(power(63), &Needs::All),
            &["long"],
            &[MAX],
            true,
            &format!("{:064x}", power(63)),
        );
    }

    #[test]
    fn only_what_is_needed_is_made() {
        let needs = Needs::path(&["whole"]);
        let only = [("whole".to_owned(), RestrictedExpression::new_long(7))];
        let only = RestrictedExpression::new_record(only).unwrap();
        let made = tokens(U256::from(7), Some(0), &needs).unwrap();
        assert_eq!(format!("{made:?}"), format!("{only:?}"));
    }
}
