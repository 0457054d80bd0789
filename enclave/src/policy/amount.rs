//! An amount of wei as policy sees it: in Cedar's 64-bit numbers, never smaller than it is.

use alloy_primitives::U256;
use cedar_policy::RestrictedExpression;

/// The schema's `Amount`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Amount {
    wei: i64,
    gwei: i64,
    ether: i64,
    hex: String,
    exceeds_long: bool,
}

impl Amount {
    pub(super) fn of(wei: U256) -> Self {
        const GWEI: U256 = U256::from_limbs([1_000_000_000, 0, 0, 0]);
        const ETHER: U256 = U256::from_limbs([1_000_000_000_000_000_000, 0, 0, 0]);
        Self {
            wei: saturated(wei),
            gwei: saturated(wei.div_ceil(GWEI)),
            ether: saturated(wei.div_ceil(ETHER)),
            hex: hex::encode(wei.to_be_bytes::<32>()),
            exceeds_long: i64::try_from(wei).is_err(),
        }
    }

    /// The record of the schema's type.
    pub(super) fn into_record(self) -> Option<RestrictedExpression> {
        RestrictedExpression::new_record([
            ("wei".to_owned(), RestrictedExpression::new_long(self.wei)),
            ("gwei".to_owned(), RestrictedExpression::new_long(self.gwei)),
            ("ether".to_owned(), RestrictedExpression::new_long(self.ether)),
            ("hex".to_owned(), RestrictedExpression::new_string(self.hex)),
            ("exceeds_long".to_owned(), RestrictedExpression::new_bool(self.exceeds_long)),
        ])
        .ok()
    }
}

fn saturated(amount: U256) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(wei: U256, expected: (i64, i64, i64, bool)) {
        let amount = Amount::of(wei);
        let got = (amount.wei, amount.gwei, amount.ether, amount.exceeds_long);
        assert_eq!(got, expected, "{wei}");
        assert_eq!(amount.hex, format!("{wei:064x}"));
    }

    #[test]
    fn amounts_are_rounded_up_and_saturated() {
        const MAX: i64 = i64::MAX;
        let power = |bits: usize| U256::from(1) << bits;
        let ether = U256::from(1_000_000_000_000_000_000_u64);
        check(U256::ZERO, (0, 0, 0, false));
        check(U256::from(1), (1, 1, 1, false));
        check(U256::from(1_000_000_000), (1_000_000_000, 1, 1, false));
        check(U256::from(1_000_000_001), (1_000_000_001, 2, 1, false));
        check(ether, (1_000_000_000_000_000_000, 1_000_000_000, 1, false));
        check(ether + U256::from(1), (1_000_000_000_000_000_001, 1_000_000_001, 2, false));
        check(power(63) - U256::from(1), (MAX, 9_223_372_037, 10, false));
        check(power(63), (MAX, 9_223_372_037, 10, true));
        check(power(64), (MAX, 18_446_744_074, 19, true));
        check(U256::from(MAX) * U256::from(1_000_000_000), (MAX, MAX, 9_223_372_037, true));
        check(power(128), (MAX, MAX, MAX, true));
        check(U256::MAX, (MAX, MAX, MAX, true));
    }
}
