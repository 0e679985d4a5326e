//! The first validators of a chain and the limits of light clients, from its document alone.

use std::collections::BTreeMap;

use paralith_consensus_api::genesis::Params;
use paralith_consensus_api::registry::ROLE_VALIDATOR;
use paralith_consensus_api::scheduler::{ValidatorCandidate, Validators, elect_validators};
use paralith_consensus_api::{address, light, registry};
use paralith_types::{Address, Amount, Epoch};

use crate::{Document, GenesisError};

impl Document {
    /// Longest step of a light client on this chain, in blocks: at most [`light::MAX_STEP`], and at
    /// most half the debonding time. Validators of the header that the client trusts still have
    /// stake that can be slashed when they sign the header at the other end of the step, so that to
    /// lead the client astray costs them.
    #[must_use]
    pub fn longest_light_step(&self) -> u64 {
        light::MAX_STEP.min(debonding_blocks(&self.genesis.params).div_euclid(2))
    }

    /// The validators that the chain begins with, sorted by consensus key: those that the application
    /// gives for a document that it accepts. It refuses a document whose stake does not cover its
    /// registrations, so every validator node of an accepted one is a candidate.
    pub fn first_validators(&self) -> Result<Validators, GenesisError> {
        let genesis = &self.genesis;
        let mut stakes: BTreeMap<Address, Amount> = BTreeMap::new();
        for (index, escrow) in genesis.escrows.iter().enumerate() {
            let stake = stakes.entry(escrow.escrow).or_default();
            *stake = stake.add(escrow.amount).map_err(|_| {
                let path = format!("genesis.escrows[{index}]");
                GenesisError::field(path, "the sum overflows 128 bits", "give out less")
            })?;
        }
        let candidate = |node: &registry::Node| ValidatorCandidate {
            consensus_key: node.consensus_key,
            node_id: node.id,
            entity_id: node.entity_id,
            stake: stakes.get(&address::of_key(&node.entity_id)).copied().unwrap_or_default(),
        };
        let nodes = genesis.nodes.iter().map(|registration| &registration.node);
        let candidates: Vec<_> =
            nodes.filter(|node| node.has_role(ROLE_VALIDATOR)).map(candidate).collect();
        let entropy = genesis.params.beacon.insecure_entropy(Epoch(0)).ok_or_else(|| {
            let remedy = "give 32 random bytes: this version has no other beacon";
            GenesisError::field("genesis.params.beacon.insecure_seed", "is missing", remedy)
        })?;
        let params = &genesis.params.scheduler;
        let validators = elect_validators(params, &entropy, &candidates);
        let got = u32::try_from(validators.validators.len()).unwrap_or(u32::MAX);
        let minimum = params.min_validators.max(1);
        if got < minimum {
            let problem = format!("hold {got} electable validators, {minimum} are needed");
            let remedy = "add validators, or lower genesis.params.scheduler.min_validators";
            return Err(GenesisError::field("genesis.nodes", problem, remedy));
        }
        Ok(validators)
    }
}

/// The shortest time that debonding takes, in blocks.
pub(crate) fn debonding_blocks(params: &Params) -> u64 {
    params.staking.debonding_epochs.saturating_mul(params.beacon.shortest_epoch_blocks())
}
