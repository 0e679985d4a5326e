//! Records of the mediator's state, as members, clients and auditors prove and read them.

use paralith_proto::{DecodeError, Wire};
use paralith_types::{Address, Amount, Hash, PublicKey};

use crate::macros::messages;
use crate::{Batch, ContentHash, Definition, Verdict, VoteKey};

macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident, $what:literal { $($(#[$variant_doc:meta])* $variant:ident = $number:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$variant_doc])* $variant = $number,)*
        }

        impl Wire for $name {
            type Pb = u32;
            fn to_pb(&self) -> u32 {
                *self as u32
            }
            fn from_pb(pb: u32) -> Result<Self, DecodeError> {
                match pb {
                    $($number => Ok(Self::$variant),)*
                    other => Err(DecodeError::field("", format!("{other} is no {}", $what))),
                }
            }
        }
    };
}

numbered! {
    /// A contract's state.
    ContractStatus, "status of a contract" {
        /// Members are joining.
        Proposed = 1,
        /// It runs.
        Active = 2,
        /// It runs, and a new definition waits for the transactions of the present one.
        Changing = 3,
        /// Nothing runs any more; what it held goes back.
        Closed = 4,
        /// It never ran.
        Cancelled = 5,
    }
}

numbered! {
    /// A transaction's state.
    TransactionStatus, "status of a transaction" {
        /// It waits for a batch. A stored record stays so while its batch is open.
        Pending = 1,
        /// It is in the open batch.
        Open = 2,
        /// Executed.
        Yes = 3,
        /// Executed, and refused by the contract.
        Failed = 4,
        /// Its wraps or its content are false.
        Malformed = 5,
        /// No decision in time, or its content was missing.
        Expired = 6,
        /// The members disagreed.
        No = 7,
    }
}

messages! {
    /// Keys of an account.
    AccountKeys {
        /// How often they were set.
        value number: u64 as u64, (uint64, tag = "1");
        /// The account's address.
        value address: Address as Vec<u8>, (bytes = "vec", tag = "2");
        /// The KEM.
        value kem_id: u32 as u32, (uint32, tag = "3");
        /// Its key.
        value kem_key: Vec<u8> as Vec<u8>, (bytes = "vec", tag = "4");
        /// The BLS key.
        value vote_key: VoteKey as Vec<u8>, (bytes = "vec", tag = "5");
        /// Where the account's links are.
        value link_address: String as String, (string, tag = "6");
        /// Where its data store is, or empty.
        value origin: String as String, (string, tag = "7");
    }

    /// A contract.
    ContractRecord {
        /// Its state.
        value status: ContractStatus as u32, (uint32, tag = "1");
        /// Who created it.
        value owner: PublicKey as Vec<u8>, (bytes = "vec", tag = "2");
        /// Of the definition in force; while proposed, 1.
        value version: u64 as u64, (uint64, tag = "3");
        /// Of the last accepted change, also one that was dropped since: see [`ContractRecord::newest_version`].
        value last_version: u64 as u64, (uint64, tag = "4");
        /// The newest key set.
        value keys_version: u64 as u64, (uint64, tag = "5");
        /// The one before, within the same definition; 0: none.
        value previous_keys_version: u64 as u64, (uint64, tag = "6");
        /// When the newest was made.
        value keys_height: u64 as u64, (uint64, tag = "7");
        /// The last batch that ended YES; 0: none.
        value last_batch: u64 as u64, (uint64, tag = "8");
        /// The root after it.
        value last_root: Hash as Vec<u8>, (bytes = "vec", tag = "9");
        /// Number of the next batch.
        value next_batch: u64 as u64, (uint64, tag = "10");
        /// The open batch; 0: none.
        value open_batch: u64 as u64, (uint64, tag = "11");
        /// The first transaction that is not final.
        value head: u64 as u64, (uint64, tag = "12");
        /// The number of the next transaction.
        value next_seq: u64 as u64, (uint64, tag = "13");
        /// Transactions up to this one get a batch each.
        value alone_until: u64 as u64, (uint64, tag = "14");
        /// While changing: the first transaction of the new definition.
        value boundary: u64 as u64, (uint64, tag = "15");
        /// While changing: whether `migrate` has to run.
        value migrates: bool as bool, (bool, tag = "16");
        /// Transactions before this one belong to a dropped definition and expire.
        value dropped_before: u64 as u64, (uint64, tag = "17");
        /// What it holds, without deposits that no batch took.
        value balance: Amount as Vec<u8>, (bytes = "vec", tag = "18");
        /// The first deposit that no batch took.
        value first_deposit: u64 as u64, (uint64, tag = "19");
        /// The number of the next deposit.
        value next_deposit: u64 as u64, (uint64, tag = "20");
        /// Whether it is in the ring of those that wait for a batch.
        value waiting: bool as bool, (bool, tag = "21");
        /// Whether an empty batch is wanted.
        value probe: bool as bool, (bool, tag = "22");
        /// When the first batch since the last YES failed; 0: none did.
        value failed_height: u64 as u64, (uint64, tag = "23");
        /// While proposed: how many members have joined.
        value joined: u32 as u32, (uint32, tag = "24");
        /// Who gets the balance when it is closed, and how long roots are kept: of the definition in force.
        value residual: Address as Vec<u8>, (bytes = "vec", tag = "25");
    }

    /// A definition that was accepted.
    DefinitionRecord {
        /// As signed.
        nested definition: Definition as Option<crate::calls::pb::Definition>, (message, optional, tag = "1");
        /// Its hash.
        value hash: Hash as Vec<u8>, (bytes = "vec", tag = "2");
        /// The members' BLS keys, in order. Empty while proposed.
        value vote_keys: Vec<VoteKey> as Vec<Vec<u8>>, (bytes = "vec", repeated, tag = "3");
        /// The members' addresses, in order. Empty while proposed.
        value addresses: Vec<Address> as Vec<Vec<u8>>, (bytes = "vec", repeated, tag = "4");
        /// The version with which each member's bond was locked. Empty while proposed.
        value bonds: Vec<u64> as Vec<u64>, (uint64, repeated, tag = "5");
        /// Members that have left: a bitmap.
        value gone: Vec<u8> as Vec<u8>, (bytes = "vec", tag = "6");
    }

    /// A key to which content keys are wrapped.
    KemKey {
        /// The KEM.
        value kem_id: u32 as u32, (uint32, tag = "1");
        /// Its key.
        value key: Vec<u8> as Vec<u8>, (bytes = "vec", tag = "2");
    }

    /// A contract's key set.
    KeySet {
        /// Of the definition whose members these are.
        value version: u64 as u64, (uint64, tag = "1");
        /// In the members' order.
        value keys: Vec<KemKey> as Vec<KemKey>, (message, repeated, tag = "2");
        /// Members without a wrap: a bitmap.
        value gone: Vec<u8> as Vec<u8>, (bytes = "vec", tag = "3");
        /// How many transactions with a deposit were sealed to it.
        value held: u64 as u64, (uint64, tag = "4");
    }

    /// A transaction.
    TransactionRecord {
        /// Hash of TX1, the signed transaction of the mediator.
        value tx_hash: Hash as Vec<u8>, (bytes = "vec", tag = "1");
        /// Who signed it.
        value sender: PublicKey as Vec<u8>, (bytes = "vec", tag = "2");
        /// Its address.
        value sender_address: Address as Vec<u8>, (bytes = "vec", tag = "3");
        /// Its number.
        value sender_seq: u64 as u64, (uint64, tag = "4");
        /// Of the sealed content.
        value content_hash: ContentHash as Vec<u8>, (bytes = "vec", tag = "5");
        /// Its length.
        value content_bytes: u32 as u32, (uint32, tag = "6");
        /// Binds content key and URI.
        value key_commitment: Hash as Vec<u8>, (bytes = "vec", tag = "7");
        /// The key set to which it was sealed.
        value keys_version: u64 as u64, (uint64, tag = "8");
        /// The definition under which it runs.
        value version: u64 as u64, (uint64, tag = "9");
        /// When it was taken.
        value height: u64 as u64, (uint64, tag = "10");
        /// What became of it.
        value status: TransactionStatus as u32, (uint32, tag = "11");
        /// Into the contract; zero once it moved.
        value payment: Amount as Vec<u8>, (bytes = "vec", tag = "12");
        /// The sender's deposit; zero once it moved.
        value deposit: Amount as Vec<u8>, (bytes = "vec", tag = "13");
        /// For the sender of the deciding vote; zero once it moved.
        value reward: Amount as Vec<u8>, (bytes = "vec", tag = "14");
        /// The batch in which it ended; 0: none.
        value batch: u64 as u64, (uint64, tag = "15");
    }

    /// A transaction's wraps, in the members' order.
    WrapsRecord {
        /// They.
        value wraps: Vec<Vec<u8>> as Vec<Vec<u8>>, (bytes = "vec", repeated, tag = "1");
    }

    /// Votes for one verdict.
    Tally {
        /// It.
        nested verdict: Verdict as Option<crate::protocol::pb::Verdict>, (message, optional, tag = "1");
        /// Whose: a bitmap.
        value signers: Vec<u8> as Vec<u8>, (bytes = "vec", tag = "2");
    }

    /// The open batch of a contract.
    OpenBatch {
        /// It.
        nested batch: Batch as Option<crate::protocol::pb::Batch>, (message, optional, tag = "1");
        /// The height whose round ends it, after its votes.
        value deadline: u64 as u64, (uint64, tag = "2");
        /// The timer's number.
        value timer: u64 as u64, (uint64, tag = "3");
        /// Members without a vote in it: a bitmap.
        value gone: Vec<u8> as Vec<u8>, (bytes = "vec", tag = "4");
        /// By verdict, in the order in which they came.
        value tallies: Vec<Tally> as Vec<Tally>, (message, repeated, tag = "5");
        /// Members that signed two verdicts: a bitmap.
        value void: Vec<u8> as Vec<u8>, (bytes = "vec", tag = "6");
    }

    /// A batch that ended YES.
    FinalBatch {
        /// The tree's root after it.
        value root: Hash as Vec<u8>, (bytes = "vec", tag = "1");
        /// Over its results.
        value results_root: Hash as Vec<u8>, (bytes = "vec", tag = "2");
        /// Its first transaction; 0: none.
        value first_seq: u64 as u64, (uint64, tag = "3");
        /// Its last transaction; 0: none.
        value last_seq: u64 as u64, (uint64, tag = "4");
        /// Of the definition under which it ran.
        value version: u64 as u64, (uint64, tag = "5");
    }

    /// A deposit that no batch took.
    DepositRecord {
        /// Whose.
        value caller: Address as Vec<u8>, (bytes = "vec", tag = "1");
        /// The caller's tag.
        value tag: u64 as u64, (uint64, tag = "2");
        /// How much.
        value amount: Amount as Vec<u8>, (bytes = "vec", tag = "3");
    }

    /// A sender at a contract.
    SenderRecord {
        /// The number of its next transaction.
        value next: u64 as u64, (uint64, tag = "1");
        /// How many of its transactions are not final.
        value pending: u32 as u32, (uint32, tag = "2");
    }

    /// A member's bond.
    BondRecord {
        /// What is left of it.
        value amount: Amount as Vec<u8>, (bytes = "vec", tag = "1");
        /// The height at which it returns; 0: its member has not left.
        value returns: u64 as u64, (uint64, tag = "2");
    }

    /// A join of a definition that is not accepted yet.
    JoinRecord {
        /// Hash of the definition.
        value definition: Hash as Vec<u8>, (bytes = "vec", tag = "1");
        /// The batch whose root the member has.
        value batch: u64 as u64, (uint64, tag = "2");
        /// What it locked.
        value bond: Amount as Vec<u8>, (bytes = "vec", tag = "3");
    }
}

impl ContractRecord {
    /// The newest definition that there is: while a change waits, that of the change. A change that was dropped has
    /// used up `last_version` and left no definition.
    #[must_use]
    pub const fn newest_version(&self) -> u64 {
        match self.status {
            ContractStatus::Changing => self.last_version,
            _ => self.version,
        }
    }
}
