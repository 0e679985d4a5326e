//! Keys of the mediator's state: a letter, then parts of fixed length; numbers are 8 bytes, big-endian.

use paralith_types::PublicKey;

use crate::{ContractId, VoteKey};

fn key(letter: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = vec![letter];
    parts.iter().for_each(|part| key.extend_from_slice(part));
    key
}

fn numbered(letter: u8, contract: &ContractId, number: u64) -> Vec<u8> {
    key(letter, &[&contract.0, &number.to_be_bytes()])
}

/// [`crate::AccountKeys`] of an account.
#[must_use]
pub fn account(account: &PublicKey) -> Vec<u8> {
    key(b'd', &[&account.0])
}

/// The account key that registered a vote key.
#[must_use]
pub fn vote_key(vote_key: &VoteKey) -> Vec<u8> {
    key(b'u', &[&vote_key.0])
}

/// [`crate::ContractRecord`] of a contract.
#[must_use]
pub fn contract(contract: &ContractId) -> Vec<u8> {
    key(b'c', &[&contract.0])
}

/// [`crate::DefinitionRecord`] of a version.
#[must_use]
pub fn definition(contract: &ContractId, version: u64) -> Vec<u8> {
    numbered(b'v', contract, version)
}

/// [`crate::KeySet`] of a `keys_version`.
#[must_use]
pub fn key_set(contract: &ContractId, keys_version: u64) -> Vec<u8> {
    numbered(b'y', contract, keys_version)
}

/// What all key sets of a contract begin with.
#[must_use]
pub fn key_sets(contract: &ContractId) -> Vec<u8> {
    key(b'y', &[&contract.0])
}

/// [`crate::TransactionRecord`] of a transaction.
#[must_use]
pub fn transaction(contract: &ContractId, seq: u64) -> Vec<u8> {
    numbered(b't', contract, seq)
}

/// [`crate::WrapsRecord`] of a transaction.
#[must_use]
pub fn wraps(contract: &ContractId, seq: u64) -> Vec<u8> {
    numbered(b'w', contract, seq)
}

/// [`crate::OpenBatch`] of a contract.
#[must_use]
pub fn open_batch(contract: &ContractId) -> Vec<u8> {
    key(b'b', &[&contract.0])
}

/// [`crate::FinalBatch`] of a batch.
#[must_use]
pub fn final_batch(contract: &ContractId, batch: u64) -> Vec<u8> {
    numbered(b'o', contract, batch)
}

/// [`crate::DepositRecord`] of a deposit.
#[must_use]
pub fn deposit(contract: &ContractId, number: u64) -> Vec<u8> {
    numbered(b'f', contract, number)
}

/// [`crate::SenderRecord`] of a sender.
#[must_use]
pub fn sender(contract: &ContractId, sender: &PublicKey) -> Vec<u8> {
    key(b's', &[&contract.0, &sender.0])
}

/// Whether a certificate is revoked: absent, or one byte 1.
#[must_use]
pub fn revocation(contract: &ContractId, issuer: &PublicKey, serial: u64) -> Vec<u8> {
    key(b'r', &[&contract.0, &issuer.0, &serial.to_be_bytes()])
}

/// [`crate::BondRecord`] of the bond that a member locked with a version.
#[must_use]
pub fn bond(contract: &ContractId, member: &PublicKey, version: u64) -> Vec<u8> {
    key(b'k', &[&contract.0, &member.0, &version.to_be_bytes()])
}

/// [`crate::JoinRecord`] of an account.
#[must_use]
pub fn join(contract: &ContractId, account: &PublicKey) -> Vec<u8> {
    key(b'j', &[&contract.0, &account.0])
}

/// Whether a member was slashed for a batch under a definition: absent, or one byte 1.
#[must_use]
pub fn slashed(contract: &ContractId, version: u64, batch: u64, member: &PublicKey) -> Vec<u8> {
    key(b'x', &[&contract.0, &version.to_be_bytes(), &batch.to_be_bytes(), &member.0])
}

/// The ring of contracts that wait for a batch: the first number in it and the next one, 8 bytes each.
#[must_use]
pub fn ring() -> Vec<u8> {
    key(b'p', &[])
}

/// The contract with this number in the ring.
#[must_use]
pub fn ring_entry(number: u64) -> Vec<u8> {
    key(b'p', &[&number.to_be_bytes()])
}

/// The mediator's settings.
#[must_use]
pub fn settings() -> Vec<u8> {
    key(b'i', &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_frozen() {
        let contract = ContractId([1; 32]);
        let member = PublicKey([2; 32]);
        let (c, m) = ("01".repeat(32), "02".repeat(32));
        for (key, frozen) in [
            (account(&member), format!("64{m}")),
            (vote_key(&VoteKey([3; 96])), format!("75{}", "03".repeat(96))),
            (super::contract(&contract), format!("63{c}")),
            (definition(&contract, 258), format!("76{c}0000000000000102")),
            (key_set(&contract, 1), format!("79{c}0000000000000001")),
            (transaction(&contract, 1), format!("74{c}0000000000000001")),
            (wraps(&contract, 1), format!("77{c}0000000000000001")),
            (open_batch(&contract), format!("62{c}")),
            (final_batch(&contract, 1), format!("6f{c}0000000000000001")),
            (deposit(&contract, 1), format!("66{c}0000000000000001")),
            (sender(&contract, &member), format!("73{c}{m}")),
            (revocation(&contract, &member, 1), format!("72{c}{m}0000000000000001")),
            (bond(&contract, &member, 1), format!("6b{c}{m}0000000000000001")),
            (join(&contract, &member), format!("6a{c}{m}")),
            (
                slashed(&contract, 2, 1, &member),
                format!("78{c}00000000000000020000000000000001{m}"),
            ),
            (ring(), "70".into()),
            (ring_entry(1), "700000000000000001".into()),
            (settings(), "69".into()),
        ] {
            assert_eq!(hex::encode(key), frozen);
        }
    }
}
