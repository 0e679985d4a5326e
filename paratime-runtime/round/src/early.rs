//! Messages for a later round, kept until it begins.
//!
//! Only members' messages are kept, and each member has a space of its own, in number and in bytes.
//! So no member's messages push out another's, and a stranger's cost nothing.

use paralith_proto::{Message as _, Wire as _};
use paralith_types::PublicKey;

use crate::machine::Input;

/// What came too early, in the order of its arrival.
#[derive(Debug, Default)]
pub(crate) struct Early {
    items: Vec<Item>,
}

#[derive(Debug)]
struct Item {
    sender: PublicKey,
    bytes: usize,
    input: Input,
}

impl Early {
    /// Keeps a proposal or a vote of a member, if it is not there yet and its member's space is not
    /// used up.
    pub(crate) fn keep(&mut self, input: Input, is_member: impl Fn(&PublicKey) -> bool) {
        let Some((sender, bytes)) = measured(&input) else { return };
        let own = || self.items.iter().filter(|item| item.sender == sender);
        let held = own().fold(bytes, |sum, item| sum.saturating_add(item.bytes));
        // RD-12: each member has a space of its own.
        if is_member(&sender)
            && own().count() < ITEMS_OF_SENDER_MAX
            && held <= BYTES_OF_SENDER_MAX
            && !own().any(|item| item.input == input)
        {
            self.items.push(Item { sender, bytes, input });
        }
    }

    /// Everything that was kept.
    pub(crate) fn take(&mut self) -> Vec<Input> {
        std::mem::take(&mut self.items).into_iter().map(|item| item.input).collect()
    }
}

/// Whose message it is, and what it costs to keep.
fn measured(input: &Input) -> Option<(PublicKey, usize)> {
    match input {
        Input::Proposal { proposal, .. } => {
            Some((proposal.signed.scheduler, proposal.signed.header.len()))
        }
        Input::Vote(vote) => {
            let messages = vote.messages.iter().flatten();
            let bytes = messages
                .map(|message| message.to_pb().encoded_len())
                .fold(vote.proposal.signed.header.len(), usize::saturating_add);
            Some((vote.vote.node, bytes))
        }
        Input::Chain(_)
        | Input::BatchMissing { .. }
        | Input::Executed { .. }
        | Input::ExecutionFailed { .. }
        | Input::Pool(_)
        | Input::Tick => None,
    }
}

/// A proposal and a vote a round, twice each, of a member that contradicts itself.
const ITEMS_OF_SENDER_MAX: usize = 8;
/// Votes carry the messages of their results to consensus.
const BYTES_OF_SENDER_MAX: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use paralith_consensus_api::roothash::{Message, ProposalHeader, TransferMessage, Vote};
    use paralith_crypto::ed25519::SigningKey;
    use paralith_types::{
        Address, Amount, ChainContext, Hash, Height, Round, RuntimeId, Signature,
    };

    use super::*;
    use crate::machine::{CheckedProposal, CheckedVote};

    fn vote(node: u8, batch: u8, messages: usize) -> Input {
        let header = ProposalHeader {
            runtime_id: RuntimeId([1; 32]),
            round: Round(4),
            previous_hash: Hash::ZERO,
            rank: 0,
            consensus_height: Height(1),
            batch_hash: Hash([batch; 32]),
        };
        let signed = header.sign(&SigningKey::from_seed([node; 32]), &ChainContext([0; 32]));
        let message =
            Message::Transfer(TransferMessage { to: Address([1; 21]), amount: Amount(1) });
        Input::Vote(Box::new(CheckedVote {
            vote: Vote {
                node: PublicKey([node; 32]),
                proposal_id: header.id(),
                results: None,
                failure: None,
                rak_signature: None,
                signature: Signature([0; 64]),
            },
            proposal: CheckedProposal { signed, header },
            messages: Some(vec![message; messages]),
        }))
    }

    #[test]
    fn each_member_has_a_space_of_its_own_in_number_and_in_bytes() {
        let is_member = |node: &PublicKey| node.0[0] < 3;
        let mut early = Early::default();
        early.keep(vote(9, 0, 0), is_member);
        early.keep(vote(1, 0, 0), is_member);
        early.keep(vote(1, 0, 0), is_member);
        assert_eq!(early.items.len(), 1, "a stranger's is not kept, the same one is kept once");
        for batch in 1..100 {
            early.keep(vote(1, batch, 0), is_member);
        }
        assert_eq!(early.items.len(), ITEMS_OF_SENDER_MAX);
        // Each has more than half of the bytes that one sender may have.
        early.keep(vote(2, 0, 20_000), is_member);
        early.keep(vote(2, 1, 20_000), is_member);
        assert_eq!(early.items.len(), ITEMS_OF_SENDER_MAX + 1);
        assert_eq!(early.take().len(), ITEMS_OF_SENDER_MAX + 1);
        assert!(early.take().is_empty());
    }
}
