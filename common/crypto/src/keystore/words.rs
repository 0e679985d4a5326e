//! A signing key as 24 English words (BIP-39), to be written on paper.
//!
//! The words encode the 32-byte Ed25519 seed itself, as BIP-39 encodes entropy, with its checksum of
//! eight bits. They are not stretched to a BIP-32 seed: the same words in a wallet that derives keys
//! give other accounts.

use bip39::{Language, Mnemonic};
use zeroize::Zeroizing;

use super::KeystoreError;
use crate::ed25519::SigningKey;

/// How many words a key has.
pub const COUNT: usize = 24;

/// The words of a key, with single spaces between them.
pub fn from_key(key: &SigningKey) -> Result<Zeroizing<String>, KeystoreError> {
    let mnemonic = Mnemonic::from_entropy_in(Language::English, key.seed().as_slice())
        .map_err(|e| refused(&e))?;
    Ok(Zeroizing::new(mnemonic.to_string()))
}

/// The key of these words. Case and further spaces do not matter; a wrong word, a wrong order or a
/// missing word is an error in 255 of 256 cases.
pub fn to_key(words: &str) -> Result<SigningKey, KeystoreError> {
    let plain = words.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>();
    if plain.len() != COUNT {
        let reason = format!("{} words, not {COUNT}", plain.len());
        return Err(KeystoreError::Words { reason });
    }
    let plain = Zeroizing::new(plain.join(" "));
    let mnemonic =
        Mnemonic::parse_in_normalized(Language::English, &plain).map_err(|e| refused(&e))?;
    let entropy = Zeroizing::new(mnemonic.to_entropy());
    let seed =
        <[u8; 32]>::try_from(entropy.as_slice()).map(Zeroizing::new).map_err(|e| refused(&e))?;
    Ok(SigningKey::from_seed(*seed))
}

fn refused(error: &dyn std::fmt::Display) -> KeystoreError {
    KeystoreError::Words { reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_of_bip_39() {
        // The standard's own vectors for 256 bits.
        let zero = from_key(&SigningKey::from_seed([0; 32])).unwrap();
        assert_eq!(*zero, format!("{}art", "abandon ".repeat(23)));
        let ones = from_key(&SigningKey::from_seed([0xff; 32])).unwrap();
        assert_eq!(*ones, format!("{}vote", "zoo ".repeat(23)));
    }

    #[test]
    fn words_give_their_key_and_mistakes_are_found() {
        let key = SigningKey::from_seed([7; 32]);
        let words = from_key(&key).unwrap();
        assert_eq!(to_key(&words).unwrap().public(), key.public());
        let typed = format!("  {}\n", words.to_uppercase().replace(' ', "  "));
        assert_eq!(to_key(&typed).unwrap().public(), key.public());
        let mut swapped: Vec<&str> = words.split(' ').collect();
        swapped.reverse();
        let swapped = swapped.join(" ");
        let fewer = words.rsplit_once(' ').unwrap().0.to_string();
        for bad in [swapped, fewer, words.replace(' ', "-"), "abandon ".repeat(24), String::new()] {
            let error = to_key(&bad).map(|key| key.public()).unwrap_err();
            assert_eq!(error.code(), 7, "{error}");
        }
    }
}
