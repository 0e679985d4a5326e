//! What members and senders hash, sign, seal and exchange.

use paralith_proto::{DecodeError, Wire};
use paralith_types::{Address, Amount, ChainContext, Hash, PublicKey, RuntimeId};

use crate::macros::messages;
use crate::{ContentHash, ContractId, VoteSignature};

messages! {
    /// Names the place and the sender of a content.
    ContentInfo {
        /// 1.
        value version: u32 as u32, (uint32, tag = "1");
        /// The chain.
        value chain_context: ChainContext as Vec<u8>, (bytes = "vec", tag = "2");
        /// The mediator.
        value mediator: RuntimeId as Vec<u8>, (bytes = "vec", tag = "3");
        /// The contract.
        value contract_id: ContractId as Vec<u8>, (bytes = "vec", tag = "4");
        /// The sender.
        value sender: PublicKey as Vec<u8>, (bytes = "vec", tag = "5");
        /// Its number.
        value sender_seq: u64 as u64, (uint64, tag = "6");
    }

    /// What is sealed for the members.
    Content {
        /// The encoded call of the contract's ABI.
        value call: Vec<u8> as Vec<u8>, (bytes = "vec", tag = "1");
    }

    /// Names everything that a wrap contains or is made for.
    WrapInfo {
        /// 1.
        value version: u32 as u32, (uint32, tag = "1");
        /// `content` or `package`.
        value purpose: String as String, (string, tag = "2");
        /// The chain.
        value chain_context: ChainContext as Vec<u8>, (bytes = "vec", tag = "3");
        /// The mediator.
        value mediator: RuntimeId as Vec<u8>, (bytes = "vec", tag = "4");
        /// The contract.
        value contract_id: ContractId as Vec<u8>, (bytes = "vec", tag = "5");
        /// The key set; 0 for packages.
        value keys_version: u64 as u64, (uint64, tag = "6");
        /// The member.
        value index: u32 as u32, (uint32, tag = "7");
        /// Of the content; for packages the package's hash.
        value content_hash: ContentHash as Vec<u8>, (bytes = "vec", tag = "8");
        /// Binds key and URI; for packages zero.
        value key_commitment: Hash as Vec<u8>, (bytes = "vec", tag = "9");
        /// The sender; for packages the owner.
        value sender: PublicKey as Vec<u8>, (bytes = "vec", tag = "10");
        /// Its number; 0 for packages.
        value sender_seq: u64 as u64, (uint64, tag = "11");
    }

    /// What the owner gives to each member, sealed.
    Package {
        /// The contract's WebAssembly module.
        value module: Vec<u8> as Vec<u8>, (bytes = "vec", tag = "1");
        /// The argument of its `init`.
        value init_argument: Vec<u8> as Vec<u8>, (bytes = "vec", tag = "2");
        /// Of `derive_key`; never changes.
        value derive_secret: Hash as Vec<u8>, (bytes = "vec", tag = "3");
        /// Of salts and draws; another one when a member is dropped.
        value group_secret: Hash as Vec<u8>, (bytes = "vec", tag = "4");
    }

    /// A batch, as the mediator opens it.
    Batch {
        /// From 1, never used again.
        value number: u64 as u64, (uint64, tag = "1");
        /// Of the definition under which it runs.
        value version: u64 as u64, (uint64, tag = "2");
        /// Its first transaction; 0: it has none.
        value first_seq: u64 as u64, (uint64, tag = "3");
        /// Its last transaction; 0: it has none.
        value last_seq: u64 as u64, (uint64, tag = "4");
        /// Consensus height of the round that opened it.
        value open_height: u64 as u64, (uint64, tag = "5");
        /// Epoch of that round.
        value epoch: u64 as u64, (uint64, tag = "6");
        /// The last final root.
        value old_root: Hash as Vec<u8>, (bytes = "vec", tag = "7");
        /// What the contract has at the mediator, the batch's deposits included.
        value balance: Amount as Vec<u8>, (bytes = "vec", tag = "8");
        /// Its first deposit; 0: it has none.
        value first_deposit: u64 as u64, (uint64, tag = "9");
        /// Its last deposit; 0: it has none.
        value last_deposit: u64 as u64, (uint64, tag = "10");
        /// 1 transactions, 2 probe, 3 `migrate`.
        value kind: BatchKind as u32, (uint32, tag = "11");
    }

    /// What a member says of a batch.
    Verdict {
        /// The tree's root afterwards.
        value new_root: Hash as Vec<u8>, (bytes = "vec", tag = "1");
        /// Over the leaves of its transactions.
        value results_root: Hash as Vec<u8>, (bytes = "vec", tag = "2");
        /// Two bits for each transaction: see `Classes` of the crate `core`.
        value classes: Vec<u8> as Vec<u8>, (bytes = "vec", tag = "3");
        /// Whether `begin_block` succeeded, which took deposits and payments.
        value taken: bool as bool, (bool, tag = "4");
        /// Hash of [`Actions`].
        value actions_hash: Hash as Vec<u8>, (bytes = "vec", tag = "5");
    }

    /// A payment out of the contract's balance.
    Pay {
        /// To this account at the mediator.
        value to: Address as Vec<u8>, (bytes = "vec", tag = "1");
        /// How much.
        value amount: Amount as Vec<u8>, (bytes = "vec", tag = "2");
    }

    /// A public event of the contract.
    Emit {
        /// Without its prefix.
        value topic: String as String, (string, tag = "1");
        /// What happened.
        value data: Vec<u8> as Vec<u8>, (bytes = "vec", tag = "2");
    }

    /// A batch's public actions, in order.
    Actions {
        /// They.
        value actions: Vec<Action> as Vec<ActionPb>, (message, repeated, tag = "1");
    }

    /// A member's vote, as members exchange it.
    ContractVote {
        /// The contract.
        value contract_id: ContractId as Vec<u8>, (bytes = "vec", tag = "1");
        /// The batch.
        value batch: u64 as u64, (uint64, tag = "2");
        /// What the member says.
        nested verdict: Verdict as Option<Verdict>, (message, optional, tag = "3");
        /// Those to which the verdict commits.
        nested actions: Actions as Option<Actions>, (message, optional, tag = "4");
        /// The member.
        value index: u32 as u32, (uint32, tag = "5");
        /// Over the vote's hash.
        value signature: VoteSignature as Vec<u8>, (bytes = "vec", tag = "6");
    }

    /// The right to put a content; signed by the certificate's subject.
    Upload {
        /// The contract.
        value contract_id: ContractId as Vec<u8>, (bytes = "vec", tag = "1");
        /// Of the content.
        value content_hash: ContentHash as Vec<u8>, (bytes = "vec", tag = "2");
        /// Its length.
        value length: u32 as u32, (uint32, tag = "3");
        /// The first height at which it is no longer valid.
        value expires: u64 as u64, (uint64, tag = "4");
        /// Of the signer.
        foreign certificate: ::paralith_policy::Certificate as Option<::paralith_policy::pb::Certificate>, (message, optional, tag = "5");
    }

    /// What a receipt says: the member has the content and keeps it to this height.
    Stored {
        /// The contract.
        value contract_id: ContractId as Vec<u8>, (bytes = "vec", tag = "1");
        /// Of the content.
        value content_hash: ContentHash as Vec<u8>, (bytes = "vec", tag = "2");
        /// Whose content.
        value sender: PublicKey as Vec<u8>, (bytes = "vec", tag = "3");
        /// Its number.
        value sender_seq: u64 as u64, (uint64, tag = "4");
        /// The last height.
        value until: u64 as u64, (uint64, tag = "5");
    }

    /// The right to get a content; signed by the member's account key.
    Ticket {
        /// The contract.
        value contract_id: ContractId as Vec<u8>, (bytes = "vec", tag = "1");
        /// Of the content.
        value content_hash: ContentHash as Vec<u8>, (bytes = "vec", tag = "2");
        /// The member.
        value index: u32 as u32, (uint32, tag = "3");
        /// The first height at which it is no longer valid.
        value expires: u64 as u64, (uint64, tag = "4");
    }
}

/// What a batch is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BatchKind {
    /// Transactions.
    Transactions = 1,
    /// None: shows that a quorum lives.
    Probe = 2,
    /// `migrate` of the next definition's code.
    Migrate = 3,
}

impl Wire for BatchKind {
    type Pb = u32;
    fn to_pb(&self) -> u32 {
        *self as u32
    }
    fn from_pb(pb: u32) -> Result<Self, DecodeError> {
        match pb {
            1 => Ok(Self::Transactions),
            2 => Ok(Self::Probe),
            3 => Ok(Self::Migrate),
            other => Err(DecodeError::field("", format!("{other} is no kind of a batch"))),
        }
    }
}

/// A public action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Field 1.
    Pay(Pay),
    /// Field 2.
    Emit(Emit),
}

/// [`Action`] as a protobuf message: a `oneof`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct ActionPb {
    /// A payment.
    #[prost(message, optional, tag = "1")]
    pub pay: Option<pb::Pay>,
    /// An event.
    #[prost(message, optional, tag = "2")]
    pub emit: Option<pb::Emit>,
}

impl Wire for Action {
    type Pb = ActionPb;
    fn to_pb(&self) -> ActionPb {
        match self {
            Self::Pay(pay) => ActionPb { pay: Some(pay.to_pb()), emit: None },
            Self::Emit(emit) => ActionPb { pay: None, emit: Some(emit.to_pb()) },
        }
    }
    fn from_pb(pb: ActionPb) -> Result<Self, DecodeError> {
        match (pb.pay, pb.emit) {
            (Some(pay), None) => Ok(Self::Pay(Pay::from_pb(pay).map_err(|e| e.within("pay"))?)),
            (None, Some(emit)) => {
                Ok(Self::Emit(Emit::from_pb(emit).map_err(|e| e.within("emit"))?))
            }
            _ => Err(DecodeError::field("", "an action is one of the two kinds")),
        }
    }
}

impl Batch {
    /// How many transactions it has.
    #[must_use]
    pub const fn len(&self) -> u64 {
        count(self.first_seq, self.last_seq)
    }

    /// Whether it has none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its transactions' numbers.
    pub fn seqs(&self) -> impl Iterator<Item = u64> + use<> {
        range(self.first_seq, self.last_seq)
    }

    /// Its deposits' numbers.
    pub fn deposits(&self) -> impl Iterator<Item = u64> + use<> {
        range(self.first_deposit, self.last_deposit)
    }

    /// How many classes a verdict of it has: one for each transaction, and one for `migrate`.
    #[must_use]
    pub const fn classes(&self) -> u64 {
        match self.kind {
            BatchKind::Transactions | BatchKind::Probe => self.len(),
            BatchKind::Migrate => 1,
        }
    }
}

const fn count(first: u64, last: u64) -> u64 {
    if first == 0 || last < first { 0 } else { last.saturating_sub(first).saturating_add(1) }
}

fn range(first: u64, last: u64) -> impl Iterator<Item = u64> {
    let (first, last) = if first == 0 { (1, 0) } else { (first, last) };
    first..=last
}
