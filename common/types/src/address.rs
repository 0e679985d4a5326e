//! Account addresses.

use std::fmt;
use std::str::FromStr;

use bech32::{Bech32, Hrp};

use crate::Invalid;

/// Human-readable prefix of every address.
pub const ADDRESS_HRP: &str = "paralith";

/// The address of an account: a version byte (0) and 20 bytes of a domain-separated hash of what
/// owns it (a key, a runtime, a module). `consensus-api::address` derives them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(pub [u8; 21]);

impl Address {
    /// Length in bytes.
    pub const LEN: usize = 21;

    /// The bytes, borrowed.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<&[u8]> for Address {
    type Error = Invalid;
    fn try_from(bytes: &[u8]) -> Result<Self, Invalid> {
        let array: [u8; 21] = bytes.try_into().map_err(|_| Invalid::Length {
            what: "an address",
            expected: Self::LEN,
            got: bytes.len(),
        })?;
        if array[0] != 0 {
            return Err(Invalid::Address { reason: format!("unknown version {}", array[0]) });
        }
        Ok(Self(array))
    }
}

impl FromStr for Address {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (hrp, bytes) =
            bech32::decode(text).map_err(|e| Invalid::Address { reason: e.to_string() })?;
        if hrp.as_str() != ADDRESS_HRP {
            let reason = format!("it starts with {}1, not {ADDRESS_HRP}1", hrp.as_str());
            return Err(Invalid::Address { reason });
        }
        let address = Self::try_from(bytes.as_slice())?;
        // bech32 also reads bech32m and upper case: one address has one text form.
        if address.to_string() != text {
            let reason = "not in its usual lower-case Bech32 form".to_string();
            return Err(Invalid::Address { reason });
        }
        Ok(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hrp = Hrp::parse(ADDRESS_HRP).map_err(|_| fmt::Error)?;
        let text = bech32::encode::<Bech32>(hrp, &self.0).map_err(|_| fmt::Error)?;
        f.write_str(&text)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

crate::serde_as_text!(Address);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_parses_back_and_is_frozen() {
        let mut bytes = [7; 21];
        bytes[0] = 0;
        let address = Address(bytes);
        let text = address.to_string();
        assert!(text.starts_with("paralith1"), "{text}");
        assert_eq!(text.parse::<Address>(), Ok(address));
    }

    #[test]
    fn bad_text_says_why() {
        let good = Address([0; 21]).to_string();
        let upper = good.to_uppercase();
        let other = bech32::encode::<Bech32>(Hrp::parse("oasis").unwrap(), &[0; 21]).unwrap();
        for bad in ["", "paralith1", upper.as_str(), other.as_str(), &good[..good.len() - 1]] {
            assert!(matches!(bad.parse::<Address>(), Err(Invalid::Address { .. })), "{bad}");
        }
    }
}
