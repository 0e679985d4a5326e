//! Where our host forks, and what it gets.

use paralith_consensus_api::roothash::{ProposalHeader, RuntimeState};
use paralith_storage::Changes;
use paralith_tee_channel::pb;
use paralith_types::{Epoch, Round};

/// Where the chain stands when our node forks: it is a worker that has keys and the final state.
pub(crate) struct Stand {
    /// The ParaTime's final state.
    pub(crate) state: RuntimeState,
    /// The epoch that runs.
    pub(crate) epoch: Epoch,
    /// What each of our proposals says beside its batch.
    pub(super) header: ProposalHeader,
}

impl Stand {
    /// The round that is forked.
    pub(crate) fn forked(&self) -> Round {
        self.state.last_block.round.next()
    }

    /// The newest round that has results.
    pub(crate) fn last_final(&self) -> Round {
        self.state.last_normal_round
    }
}

/// A batch that our enclave executed, and what it gave its host for it.
#[derive(Clone)]
pub(crate) struct Fork {
    /// What was proposed.
    pub(crate) header: ProposalHeader,
    /// What came out.
    pub(crate) executed: pb::Executed,
}

impl Fork {
    /// What the enclave says the state is after it.
    pub(crate) fn state_root(&self) -> Vec<u8> {
        self.executed.results.as_ref().unwrap().state_root.clone()
    }

    pub(super) fn changes(&self) -> Changes {
        let changes = self.executed.changes.iter();
        changes.map(|change| (change.key.clone(), change.value.clone())).collect()
    }
}
