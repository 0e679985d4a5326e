//! Derivations from a confidential runtime's keys: places and ciphertexts of values, outputs and
//! blindings, seeds. Each is a function of the keys and of the round, so every replica gets the same
//! bytes.
//!
//! ```text
//! place of a key   = PRF(index key: key)
//! nonce of a value = PRF(derive(value key): place, proposal id), 12 bytes
//! value            = generation | round | nonce | AES-256-GCM-SIV(value key, aad: chain, runtime,
//!                    place, generation, round)
//! output           = generation | AES-256-GCM-SIV(PRF(derive(output key): proposal id, transaction),
//!                    nonce 0, aad: chain, runtime, generation)
//! blinding         = PRF(output key: proposal id, transaction)
//! transactions' seed = PRF(seed key: proposal id)
//! block's seed     = PRF(seed key: round, previous hash)
//! ```
//!
//! The proposal id is the hash of the whole proposal header: round, previous block, rank, pinned
//! height and batch. So two executions that differ in any of these have nothing in common that a
//! host could compare. Only the block's seed leaves the header out: the scheduler chooses the
//! header, and could try many until the draw suits.

use std::fmt;

use paralith_consensus_api::roothash::{Header, ProposalHeader};
use paralith_crypto::seal::{self, AeadKey};
use paralith_crypto::{CannotOpen, Domain, Zeroizing, kdf};
use paralith_keymanager_core::RuntimeKeys;
use paralith_types::{ChainContext, Hash, Round, RuntimeId};

const INDEX: Domain = Domain::new("paralith/host-index/v1");
const NONCE: Domain = Domain::new("paralith/host-nonce/v1");
const NONCE_KEY: Domain = Domain::new("paralith/host-nonce-key/v1");
const VALUE_AAD: &[u8] = b"paralith/host-value/v1";
const OUTPUT: Domain = Domain::new("paralith/host-output/v1");
const OUTPUT_KEY: Domain = Domain::new("paralith/host-output-key/v1");
const OUTPUT_AAD: &[u8] = b"paralith/host-output/v1";
const BLINDING: Domain = Domain::new("paralith/host-blinding/v1");
const SEED: Domain = Domain::new("paralith/host-seed/v1");
const BLOCK_SEED: Domain = Domain::new("paralith/host-block-seed/v1");
const REVEAL_SEED: Domain = Domain::new("paralith/host-reveal-seed/v1");
const GUEST_SECRET: Domain = Domain::new("paralith/host-guest-secret/v1");

/// Before the ciphertext of a value: generation, round, nonce.
const VALUE_HEADER: usize = 8 + 8 + 12;

/// Which execution something is derived for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoundContext {
    /// The round.
    pub round: Round,
    /// Hash of the block before.
    pub previous_hash: Hash,
    /// Hash of the whole proposal header; of an execution without one, what stands for it: it must
    /// differ between executions that seal different values.
    pub proposal_id: Hash,
}

impl RoundContext {
    /// That of a proposal.
    pub fn of_proposal(proposal: &ProposalHeader) -> Self {
        Self {
            round: proposal.round,
            previous_hash: proposal.previous_hash,
            proposal_id: proposal.id(),
        }
    }

    /// That of the proposal which led to a final block.
    pub fn of_final(header: &Header) -> Self {
        Self {
            round: header.round,
            previous_hash: header.previous_hash,
            proposal_id: header.proposal_id,
        }
    }
}

/// What a round's randomness grows from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seeds {
    /// Of `init`, `migrate` and `begin_block`: fixed as soon as the block before is final, so that
    /// no scheduler can choose among draws.
    pub block: [u8; 32],
    /// Of transactions and `end_block`.
    pub transactions: [u8; 32],
}

/// A confidential runtime's keys at work.
pub struct Sealer {
    chain: ChainContext,
    runtime: RuntimeId,
    index_key: Zeroizing<[u8; 32]>,
    guest_secret: Zeroizing<[u8; 32]>,
    generations: Vec<Generation>,
}

struct Generation {
    value_key: AeadKey,
    nonce_key: Zeroizing<[u8; 32]>,
    blinding_key: Zeroizing<[u8; 32]>,
    output_key: Zeroizing<[u8; 32]>,
    seed_key: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealer({} generations)", self.generations.len())
    }
}

impl Sealer {
    /// Over all generations that these keys have.
    pub fn new(chain: ChainContext, runtime: RuntimeId, keys: &RuntimeKeys) -> Self {
        let generations: Vec<Generation> = (0..=keys.generation())
            .map_while(|generation| {
                let value_key = keys.value_key(generation)?;
                let output_key = keys.output_key(generation)?;
                Some(Generation {
                    nonce_key: kdf::derive(value_key.as_slice(), &[], NONCE_KEY, &[]),
                    value_key: AeadKey::from(value_key),
                    output_key: kdf::derive(output_key.as_slice(), &[], OUTPUT_KEY, &[]),
                    blinding_key: output_key,
                    seed_key: keys.seed_key(generation)?,
                })
            })
            .collect();
        // Of generation 0, so that it does not change when generations come.
        let first = keys.seed_key(0).unwrap_or_default();
        let guest_secret = kdf::derive(first.as_slice(), &[], GUEST_SECRET, &[]);
        Self { chain, runtime, index_key: keys.index_key(), guest_secret, generations }
    }

    /// Where a key's value is stored.
    pub fn index(&self, key: &[u8]) -> Vec<u8> {
        kdf::prf(&self.index_key, INDEX, &[key]).to_vec()
    }

    /// Seals a value that is written in a round.
    pub fn seal_value(
        &self,
        generation: u64,
        context: &RoundContext,
        index: &[u8],
        value: &[u8],
    ) -> Option<Vec<u8>> {
        let keys = self.generation(generation)?;
        let nonce = kdf::prf(&keys.nonce_key, NONCE, &[index, context.proposal_id.as_bytes()]);
        let nonce = first_12(&nonce);
        let header = [generation.to_be_bytes(), context.round.0.to_be_bytes()].concat();
        let aad = self.value_aad(index, &header);
        let ciphertext = seal::seal(&keys.value_key, &nonce, &aad, value);
        Some([header.as_slice(), &nonce, &ciphertext].concat())
    }

    /// Opens a stored value.
    pub fn open_value(&self, index: &[u8], sealed: &[u8]) -> Result<Vec<u8>, CannotOpen> {
        let (header, ciphertext) = sealed.split_at_checked(VALUE_HEADER).ok_or(CannotOpen)?;
        let (numbers, nonce) = header.split_at_checked(16).ok_or(CannotOpen)?;
        let generation = numbers.first_chunk().map(|bytes| u64::from_be_bytes(*bytes));
        let keys = generation.and_then(|g| self.generation(g)).ok_or(CannotOpen)?;
        let nonce: [u8; 12] = nonce.try_into().map_err(|_| CannotOpen)?;
        let aad = self.value_aad(index, numbers);
        Ok(seal::open(&keys.value_key, &nonce, &aad, ciphertext)?.to_vec())
    }

    /// Seals an output until its round is final.
    pub fn seal_output(
        &self,
        generation: u64,
        context: &RoundContext,
        tx_hash: &Hash,
        blinded: &[u8],
    ) -> Option<Vec<u8>> {
        let key = self.output_key(generation, context, tx_hash)?;
        let generation = generation.to_be_bytes();
        let ciphertext = seal::seal(&key, &[0; 12], &self.output_aad(&generation), blinded);
        Some([generation.as_slice(), &ciphertext].concat())
    }

    /// Opens an output of a round.
    pub fn open_output(
        &self,
        context: &RoundContext,
        tx_hash: &Hash,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, CannotOpen> {
        let (number, ciphertext) = sealed.split_first_chunk::<8>().ok_or(CannotOpen)?;
        let generation = u64::from_be_bytes(*number);
        let key = self.output_key(generation, context, tx_hash).ok_or(CannotOpen)?;
        seal::open(&key, &[0; 12], &self.output_aad(number), ciphertext)
    }

    /// What makes an output's commitment hiding.
    pub fn blinding(
        &self,
        generation: u64,
        context: &RoundContext,
        tx_hash: &Hash,
    ) -> Option<Hash> {
        let keys = self.generation(generation)?;
        Some(Hash(of_transaction(&keys.blinding_key, BLINDING, context, tx_hash)))
    }

    /// The seeds of a round's randomness.
    pub fn seeds(&self, generation: u64, context: &RoundContext) -> Option<Seeds> {
        let keys = self.generation(generation)?;
        let round = context.round.0.to_be_bytes();
        let before: [&[u8]; 2] = [&round, context.previous_hash.as_bytes()];
        Some(Seeds {
            block: kdf::prf(&keys.seed_key, BLOCK_SEED, &before),
            transactions: kdf::prf(&keys.seed_key, SEED, &[context.proposal_id.as_bytes()]),
        })
    }

    /// The seed of what reads a final root: the same in every enclave, whatever generations it has.
    pub fn read_seed(&self, state_root: &Hash) -> Option<[u8; 32]> {
        let keys = self.generation(0)?;
        Some(kdf::prf(&keys.seed_key, REVEAL_SEED, &[state_root.as_bytes()]))
    }

    /// What the guest's `derive_key` begins with.
    pub fn guest_secret(&self) -> [u8; 32] {
        *self.guest_secret
    }

    fn generation(&self, generation: u64) -> Option<&Generation> {
        self.generations.get(usize::try_from(generation).ok()?)
    }

    fn output_key(
        &self,
        generation: u64,
        context: &RoundContext,
        tx_hash: &Hash,
    ) -> Option<AeadKey> {
        let keys = self.generation(generation)?;
        Some(AeadKey::new(of_transaction(&keys.output_key, OUTPUT, context, tx_hash)))
    }

    /// Every part but the domain has a fixed length.
    fn value_aad(&self, index: &[u8], header: &[u8]) -> Vec<u8> {
        [VALUE_AAD, self.chain.as_bytes(), self.runtime.as_bytes(), index, header].concat()
    }

    fn output_aad(&self, generation: &[u8; 8]) -> Vec<u8> {
        [OUTPUT_AAD, self.chain.as_bytes(), self.runtime.as_bytes(), generation].concat()
    }
}

fn of_transaction(
    key: &[u8; 32],
    domain: Domain,
    context: &RoundContext,
    tx_hash: &Hash,
) -> [u8; 32] {
    kdf::prf(key, domain, &[context.proposal_id.as_bytes(), tx_hash.as_bytes()])
}

fn first_12(bytes: &[u8; 32]) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    nonce
}

#[cfg(test)]
mod tests {
    use paralith_keymanager_core::Secret;
    use paralith_types::Height;

    use super::*;

    fn keys(generations: u8) -> RuntimeKeys {
        RuntimeKeys::new((1..=generations).map(|n| Secret::new([n; 32])).collect(), vec![]).unwrap()
    }

    fn sealer(generations: u8) -> Sealer {
        Sealer::new(ChainContext([1; 32]), RuntimeId([2; 32]), &keys(generations))
    }

    fn proposal(height: u64) -> ProposalHeader {
        ProposalHeader {
            runtime_id: RuntimeId([2; 32]),
            round: Round(7),
            previous_hash: Hash([3; 32]),
            rank: 0,
            consensus_height: Height(height),
            batch_hash: Hash([4; 32]),
        }
    }

    fn context(height: u64) -> RoundContext {
        RoundContext::of_proposal(&proposal(height))
    }

    #[test]
    fn a_value_opens_at_its_place_only() {
        let sealer = sealer(2);
        let (here, there) = (sealer.index(b"a"), sealer.index(b"b"));
        let sealed = sealer.seal_value(1, &context(4), &here, b"value").unwrap();
        assert_eq!(sealed[..16], [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7]);
        assert_eq!(sealer.open_value(&here, &sealed), Ok(b"value".to_vec()));
        assert_eq!(sealer.open_value(&there, &sealed), Err(CannotOpen));
        let other = Sealer::new(ChainContext([1; 32]), RuntimeId([9; 32]), &keys(2));
        assert_eq!(other.open_value(&here, &sealed), Err(CannotOpen));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(sealer.open_value(&here, &changed), Err(CannotOpen), "byte {at}");
            assert_eq!(sealer.open_value(&here, &sealed[..at]), Err(CannotOpen));
        }
    }

    #[test]
    fn old_generations_stay_readable_and_places_do_not_move() {
        let (one, two) = (sealer(1), sealer(2));
        assert_eq!(one.index(b"a"), two.index(b"a"));
        assert_eq!(one.guest_secret(), two.guest_secret());
        let sealed = one.seal_value(0, &context(4), &one.index(b"a"), b"v").unwrap();
        assert_eq!(two.open_value(&two.index(b"a"), &sealed), Ok(b"v".to_vec()));
        assert_eq!(one.seal_value(1, &context(4), &one.index(b"a"), b"v"), None);
    }

    /// Everything that a round derives.
    fn all(context: &RoundContext) -> (Vec<u8>, Vec<u8>, Hash, Seeds) {
        let (sealer, tx) = (sealer(1), Hash([5; 32]));
        (
            sealer.seal_value(0, context, &sealer.index(b"a"), b"v").unwrap(),
            sealer.seal_output(0, context, &tx, b"o").unwrap(),
            sealer.blinding(0, context, &tx).unwrap(),
            sealer.seeds(0, context).unwrap(),
        )
    }

    #[test]
    fn nothing_of_two_proposals_can_be_compared() {
        let (sealer, tx, one) = (sealer(1), Hash([5; 32]), proposal(1));
        let here = RoundContext::of_proposal(&one);
        let a = all(&here);
        assert_eq!(a, all(&here));
        assert_eq!(sealer.open_output(&here, &tx, &a.1).unwrap().as_slice(), b"o");
        for other in [
            ProposalHeader { consensus_height: Height(2), ..one.clone() },
            ProposalHeader { rank: 1, ..one.clone() },
            ProposalHeader { batch_hash: Hash([9; 32]), ..one.clone() },
            ProposalHeader { previous_hash: Hash([9; 32]), ..one.clone() },
        ] {
            let there = RoundContext::of_proposal(&other);
            let b = all(&there);
            assert_ne!(a.0[16..28], b.0[16..28], "nonce");
            assert_ne!(a.0[28..], b.0[28..], "ciphertext");
            assert_ne!(a.1, b.1);
            assert_ne!(a.2, b.2);
            assert_ne!(a.3.transactions, b.3.transactions);
            assert!(sealer.open_output(&there, &tx, &a.1).is_err());
            // A scheduler chooses all but the block before: it cannot choose the block's seed.
            assert_eq!(a.3.block == b.3.block, one.previous_hash == other.previous_hash);
        }
    }

    #[test]
    fn derivations_are_frozen() {
        let (value, output, blinding, seeds) = all(&context(4));
        let got = [&value[..], &output, &blinding.0, &seeds.block, &seeds.transactions]
            .map(|bytes| hex::encode(&paralith_crypto::sha256(bytes)[..8]));
        assert_eq!(got, FROZEN);
    }

    const FROZEN: [&str; 5] = [
        "aaf3a82342095efd",
        "a05083b4b19c471d",
        "9b45b80658bee520",
        "29af1172d68d7bcf",
        "e71f791b32260a2a",
    ];
}
