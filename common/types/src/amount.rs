//! Amounts of the native token, in base units.

use std::fmt;
use std::str::FromStr;

use crate::Invalid;

/// A number of base units. Arithmetic is checked; there are no negative amounts and no fractions.
///
/// Byte form: big-endian without leading zeros, so zero is the empty string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Amount(pub u128);

/// Arithmetic on amounts that has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// The result would be larger than any amount.
    #[error("the amount overflows")]
    Overflow,
    /// The result would be negative.
    #[error("the amount would be negative")]
    Negative,
}

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The sum.
    #[allow(clippy::should_implement_trait)] // it can fail, which an operator cannot say
    pub fn add(self, other: Self) -> Result<Self, AmountError> {
        self.0.checked_add(other.0).map(Self).ok_or(AmountError::Overflow)
    }

    /// The difference.
    #[allow(clippy::should_implement_trait)] // it can fail, which an operator cannot say
    pub fn sub(self, other: Self) -> Result<Self, AmountError> {
        self.0.checked_sub(other.0).map(Self).ok_or(AmountError::Negative)
    }

    /// `floor(self * numerator / denominator)`, exact: the product is taken at 256 bits.
    ///
    /// A denominator of zero, or a quotient over 128 bits, is an overflow.
    pub fn mul_div(self, numerator: Self, denominator: Self) -> Result<Self, AmountError> {
        if denominator.0 == 0 {
            return Err(AmountError::Overflow);
        }
        let (high, low) = widening_mul(self.0, numerator.0);
        narrow_div(high, low, denominator.0).map(Self).ok_or(AmountError::Overflow)
    }

    /// Big-endian bytes without leading zeros.
    pub fn to_be_bytes_minimal(self) -> Vec<u8> {
        let bytes = self.0.to_be_bytes();
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        bytes[zeros..].to_vec()
    }

    /// The inverse of [`Amount::to_be_bytes_minimal`]; leading zeros are refused.
    pub fn from_be_bytes_minimal(bytes: &[u8]) -> Result<Self, Invalid> {
        if bytes.len() > 16 {
            return Err(Invalid::Amount { reason: "more than 128 bits" });
        }
        if bytes.first() == Some(&0) {
            return Err(Invalid::Amount { reason: "leading zeros" });
        }
        let value = bytes.iter().fold(0u128, |value, byte| (value << 8) | u128::from(*byte));
        Ok(Self(value))
    }
}

/// The 256-bit product as (high, low) halves.
fn widening_mul(a: u128, b: u128) -> (u128, u128) {
    const MASK: u128 = u64::MAX as u128;
    let (a_high, a_low) = (a >> 64, a & MASK);
    let (b_high, b_low) = (b >> 64, b & MASK);
    let low = a_low * b_low;
    let middle_1 = a_high * b_low + (low >> 64);
    let middle_2 = a_low * b_high + (middle_1 & MASK);
    let high = a_high * b_high + (middle_1 >> 64) + (middle_2 >> 64);
    (high, (middle_2 << 64) | (low & MASK))
}

/// `floor((high * 2^128 + low) / divisor)` by long division, `None` when it exceeds 128 bits.
fn narrow_div(high: u128, low: u128, divisor: u128) -> Option<u128> {
    if high >= divisor {
        return None;
    }
    let mut remainder = high;
    let mut quotient = 0u128;
    for bit in (0..128).rev() {
        let carry = remainder >> 127;
        remainder = (remainder << 1) | ((low >> bit) & 1);
        quotient <<= 1;
        if carry == 1 || remainder >= divisor {
            remainder = remainder.wrapping_sub(divisor);
            quotient |= 1;
        }
    }
    Some(quotient)
}

impl FromStr for Amount {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Invalid::Amount { reason: "write it as a whole decimal number" });
        }
        text.parse().map(Self).map_err(|_| Invalid::Amount { reason: "more than 128 bits" })
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

crate::serde_as_text!(Amount);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn minimal_bytes_have_one_form() {
        assert_eq!(Amount::ZERO.to_be_bytes_minimal(), Vec::<u8>::new());
        assert_eq!(Amount(256).to_be_bytes_minimal(), vec![1, 0]);
        assert!(Amount::from_be_bytes_minimal(&[0, 1]).is_err());
        assert!(Amount::from_be_bytes_minimal(&[1; 17]).is_err());
    }

    #[test]
    fn mul_div_at_the_edges() {
        let max = Amount(u128::MAX);
        assert_eq!(max.mul_div(max, max), Ok(max));
        assert_eq!(max.mul_div(Amount(2), Amount(1)), Err(AmountError::Overflow));
        assert_eq!(Amount(7).mul_div(Amount(3), Amount(2)), Ok(Amount(10)));
        assert_eq!(Amount(7).mul_div(Amount(3), Amount::ZERO), Err(AmountError::Overflow));
    }

    proptest! {
        #[test]
        fn bytes_parse_back(value: u128) {
            let bytes = Amount(value).to_be_bytes_minimal();
            prop_assert_eq!(Amount::from_be_bytes_minimal(&bytes), Ok(Amount(value)));
        }

        #[test]
        fn mul_div_agrees_with_plain_arithmetic(a: u64, b: u64, c in 1u64..) {
            let plain = u128::from(a) * u128::from(b) / u128::from(c);
            let exact = Amount(a.into()).mul_div(Amount(b.into()), Amount(c.into()));
            prop_assert_eq!(exact, Ok(Amount(plain)));
        }

        #[test]
        fn mul_div_undoes_itself(a: u128, b in 1u128..) {
            prop_assert_eq!(Amount(a).mul_div(Amount(b), Amount(b)), Ok(Amount(a)));
        }
    }
}
