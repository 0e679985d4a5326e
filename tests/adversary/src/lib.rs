//! Compute nodes that misbehave on purpose, and attacks on systems (`attack`).
//!
//! The product has no way to lie. Here its connections are wrapped: what an honest worker sends over
//! its [links](paralith_runtime_worker::Links), asks of its
//! [enclave](paralith_runtime_worker::Enclave) and submits to the
//! [chain](paralith_runtime_worker::Chain) is changed, dropped or held back on its way. The worker
//! inside stays honest, as a host that lies is still bound by what its node signs.

#[cfg(feature = "node")]
pub mod attack;
mod chain;
mod enclave;
#[cfg(feature = "node")]
pub mod endorser;
mod late;
mod links;
mod sign;

use std::str::FromStr;
use std::sync::Arc;

use paralith_crypto::ed25519::SigningKey;
use paralith_runtime_worker::{Connections, WorkerConfig};
use paralith_storage::Kv;
use paralith_types::{ChainContext, PublicKey, RuntimeId};

/// One way to misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misbehaviour {
    /// It votes for a state root that its own write log leads to, but honest execution does not. In a
    /// confidential ParaTime the enclave's signature does not cover it, so its votes do not count.
    WrongRoot,
    /// It never proposes and never votes.
    Silent,
    /// Its votes leave only when the round's timeout has passed or the round is disputed.
    Late,
    /// It signs a vote and a failure, and as a scheduler two proposals, and sends each half of its
    /// peers another one.
    Equivocate,
    /// It votes failure on every proposal but its own, on which it stays silent.
    Failure,
    /// As a scheduler it proposes two batches for one rank, each to other members.
    TwoBatches,
    /// As a scheduler it sends header and vote of a batch that it gives to nobody.
    WithholdBatch,
    /// Of the votes that it submits to the chain it leaves out one of another member.
    WithholdVote,
}

impl Misbehaviour {
    /// All of them with their names.
    pub const NAMES: [(&'static str, Self); 8] = [
        ("wrong-root", Self::WrongRoot),
        ("silent", Self::Silent),
        ("late", Self::Late),
        ("equivocate", Self::Equivocate),
        ("failure", Self::Failure),
        ("two-batches", Self::TwoBatches),
        ("withhold-batch", Self::WithholdBatch),
        ("withhold-vote", Self::WithholdVote),
    ];

    /// Whether it proposes two batches for one rank.
    fn proposes_twice(self) -> bool {
        matches!(self, Self::Equivocate | Self::TwoBatches)
    }
}

impl FromStr for Misbehaviour {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::NAMES.iter().find(|(name, _)| *name == text);
        found.map(|(_, how)| *how).ok_or_else(|| {
            let names: Vec<_> = Self::NAMES.iter().map(|(name, _)| *name).collect();
            format!("`{text}` is no misbehaviour; there are {}", names.join(", "))
        })
    }
}

/// The node that misbehaves.
#[derive(Clone)]
struct Me {
    how: Misbehaviour,
    key: SigningKey,
    chain_context: ChainContext,
    runtime_id: RuntimeId,
    kv: Kv,
}

impl Me {
    fn id(&self) -> PublicKey {
        self.key.public()
    }

    fn is(&self, how: Misbehaviour) -> bool {
        self.how == how
    }
}

/// Wraps a worker's connections so that the node misbehaves. Call it within the async runtime.
#[must_use]
pub fn misbehave(
    how: Misbehaviour,
    config: &WorkerConfig,
    Connections { chain, links, enclave }: Connections,
) -> Connections {
    let me = Me {
        how,
        key: config.node_key.clone(),
        chain_context: config.chain_context,
        runtime_id: config.runtime_id,
        kv: config.kv.clone(),
    };
    let late = late::Late::start(&me, Arc::clone(&chain), Arc::clone(&links));
    Connections {
        chain: Arc::new(chain::Chain::new(me.clone(), chain, late.clone())),
        links: Arc::new(links::Links::new(me.clone(), links, late)),
        enclave: Arc::new(enclave::LyingEnclave::new(me, enclave)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back() {
        for (name, how) in Misbehaviour::NAMES {
            assert_eq!(name.parse(), Ok(how));
        }
        assert!("honest".parse::<Misbehaviour>().is_err());
    }
}
