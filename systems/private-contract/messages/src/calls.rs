//! Arguments of the mediator's calls.

use paralith_policy::{Certificate, Policy};
use paralith_types::{Address, Amount, Hash, PublicKey};

use crate::macros::messages;
use crate::{Actions, ContentHash, ContractId, Revealed, Verdict, VoteKey, VoteSignature};

messages! {
    /// `set_keys`: binds keys to the caller's account.
    SetKeys {
        /// [`paralith_types`]' number of the KEM: 0x0020 X25519, 0x647a X-Wing.
        value kem_id: u32 as u32, (uint32, tag = "1");
        /// To which content keys are wrapped.
        value kem_key: Vec<u8> as Vec<u8>, (bytes = "vec", tag = "2");
        /// With which the account votes.
        value vote_key: VoteKey as Vec<u8>, (bytes = "vec", tag = "3");
        /// Shows that the account has the secret of `vote_key`.
        value possession: VoteSignature as Vec<u8>, (bytes = "vec", tag = "4");
        /// Where the account's links are.
        value link_address: String as String, (string, tag = "5");
        /// Where its data store is, or empty.
        value origin: String as String, (string, tag = "6");
    }

    /// What a contract's members agree on, besides each other.
    Terms {
        /// Blocks in which members fetch contents, at least 1.
        value fetch_blocks: u32 as u32, (uint32, tag = "1");
        /// Blocks in which they vote, at least 8.
        value vote_blocks: u32 as u32, (uint32, tag = "2");
        /// Most transactions of a batch, 1 to 64.
        value max_batch: u32 as u32, (uint32, tag = "3");
        /// Longest sealed content.
        value max_content_bytes: u32 as u32, (uint32, tag = "4");
        /// Gas of each call.
        value gas_limit: u64 as u64, (uint64, tag = "5");
        /// What each member locks.
        value bond: Amount as Vec<u8>, (bytes = "vec", tag = "6");
        /// What each sender locks for a transaction.
        value deposit: Amount as Vec<u8>, (bytes = "vec", tag = "7");
        /// What a member loses that signs two verdicts of one batch; at most the bond.
        value slash: Amount as Vec<u8>, (bytes = "vec", tag = "8");
        /// Receipts that `submit` needs.
        value min_receipts: u32 as u32, (uint32, tag = "9");
        /// Where contents may be fetched besides from members.
        value origins: Vec<String> as Vec<String>, (string, repeated, tag = "10");
        /// Blocks for which roots, results and bonds of former members are kept; at least `fetch_blocks + vote_blocks`.
        value retention_blocks: u32 as u32, (uint32, tag = "11");
        /// Blocks after which a contract whose batches fail may be closed; 0: never.
        value dormant_blocks: u32 as u32, (uint32, tag = "12");
        /// Who gets the balance of a closed contract.
        value residual: Address as Vec<u8>, (bytes = "vec", tag = "13");
    }

    /// A contract's definition, replaced whole.
    Definition {
        /// 1, then that of the last accepted change plus 1.
        value version: u64 as u64, (uint64, tag = "1");
        /// Of the package that the members got.
        value package_hash: Hash as Vec<u8>, (bytes = "vec", tag = "2");
        /// Whose certificates count.
        value issuers: Vec<PublicKey> as Vec<Vec<u8>>, (bytes = "vec", repeated, tag = "3");
        /// The stakeholders' account keys.
        value members: Vec<PublicKey> as Vec<Vec<u8>>, (bytes = "vec", repeated, tag = "4");
        /// Over the members' indices.
        foreign policy: Policy as Option<::paralith_policy::pb::Policy>, (message, optional, tag = "5");
        /// The rest.
        nested terms: Terms as Option<Terms>, (message, optional, tag = "6");
    }

    /// `create`.
    Create {
        /// Version 1.
        nested definition: Definition as Option<Definition>, (message, optional, tag = "1");
        /// Of the tree after the module's `init`, as batch 0.
        value genesis_root: Hash as Vec<u8>, (bytes = "vec", tag = "2");
    }

    /// `join`.
    Join {
        /// The contract.
        value contract_id: ContractId as Vec<u8>, (bytes = "vec", tag = "1");
        /// Hash of the definition.
        value definition: Hash as Vec<u8>, (bytes = "vec", tag = "2");
        /// The batch after which the caller's tree has `root`.
        value batch: u64 as u64, (uint64, tag = "3");
        /// That root.
        value root: Hash as Vec<u8>, (bytes = "vec", tag = "4");
        /// The bond of the definition's terms: the mediator does not know yet what it joins.
        value bond: Amount as Vec<u8>, (bytes = "vec", tag = "5");
    }

    /// A member's receipt for a content, as `submit` carries it.
    Receipt {
        /// The member.
        value index: u32 as u32, (uint32, tag = "1");
        /// The last height at which `submit` takes it.
        value until: u64 as u64, (uint64, tag = "2");
        /// Over [`crate::Stored`].
        value signature: paralith_types::Signature as Vec<u8>, (bytes = "vec", tag = "3");
    }

    /// `submit` (TX1).
    Submit {
        /// The contract.
        value contract_id: ContractId as Vec<u8>, (bytes = "vec", tag = "1");
        /// The key set to which the wraps are sealed.
        value keys_version: u64 as u64, (uint64, tag = "2");
        /// Of the caller.
        foreign certificate: Certificate as Option<::paralith_policy::pb::Certificate>, (message, optional, tag = "3");
        /// Of the sealed content.
        value content_hash: ContentHash as Vec<u8>, (bytes = "vec", tag = "4");
        /// Its length.
        value content_bytes: u32 as u32, (uint32, tag = "5");
        /// Binds the content key and its URI.
        value key_commitment: Hash as Vec<u8>, (bytes = "vec", tag = "6");
        /// The sender's number for it in this contract, from 0.
        value sender_seq: u64 as u64, (uint64, tag = "7");
        /// One for each member, in order; empty for a member that is gone.
        value wraps: Vec<Vec<u8>> as Vec<Vec<u8>>, (bytes = "vec", repeated, tag = "8");
        /// By ascending index.
        value receipts: Vec<Receipt> as Vec<Receipt>, (message, repeated, tag = "9");
        /// Into the contract.
        value payment: Amount as Vec<u8>, (bytes = "vec", tag = "10");
    }

    /// `vote` (TX3).
    Vote {
        /// The contract.
        value contract_id: ContractId as Vec<u8>, (bytes = "vec", tag = "1");
        /// The batch.
        value batch: u64 as u64, (uint64, tag = "2");
        /// What the signers say of it.
        nested verdict: Verdict as Option<crate::protocol::pb::Verdict>, (message, optional, tag = "3");
        /// Those to which the verdict commits.
        nested actions: Actions as Option<crate::protocol::pb::Actions>, (message, optional, tag = "4");
        /// Bitmap.
        value signers: Vec<u8> as Vec<u8>, (bytes = "vec", tag = "5");
        /// Their aggregate.
        value signature: VoteSignature as Vec<u8>, (bytes = "vec", tag = "6");
    }

    /// `complain`: a wrap of this transaction is false.
    Complain {
        /// The contract.
        value contract_id: ContractId as Vec<u8>, (bytes = "vec", tag = "1");
        /// The transaction.
        value seq: u64 as u64, (uint64, tag = "2");
        /// Its content key.
        value sk: Revealed as Vec<u8>, (bytes = "vec", tag = "3");
        /// Its URI.
        value uri: String as String, (string, tag = "4");
        /// The member whose wrap is false.
        value index: u32 as u32, (uint32, tag = "5");
    }

    /// A verdict with its signers.
    Evidence {
        /// What they signed.
        nested verdict: Verdict as Option<crate::protocol::pb::Verdict>, (message, optional, tag = "1");
        /// Bitmap.
        value signers: Vec<u8> as Vec<u8>, (bytes = "vec", tag = "2");
        /// Their aggregate.
        value signature: VoteSignature as Vec<u8>, (bytes = "vec", tag = "3");
    }

    /// `accuse`: members signed two verdicts of one batch.
    Accuse {
        /// The contract.
        value contract_id: ContractId as Vec<u8>, (bytes = "vec", tag = "1");
        /// Of the definition under which the batch ran.
        value version: u64 as u64, (uint64, tag = "2");
        /// The batch.
        value batch: u64 as u64, (uint64, tag = "3");
        /// Its inputs, as both verdicts name them.
        value inputs_hash: Hash as Vec<u8>, (bytes = "vec", tag = "4");
        /// One verdict.
        nested first: Evidence as Option<Evidence>, (message, optional, tag = "5");
        /// Another one.
        nested second: Evidence as Option<Evidence>, (message, optional, tag = "6");
    }

    /// `change`: a new definition.
    Change {
        /// The contract.
        value contract_id: ContractId as Vec<u8>, (bytes = "vec", tag = "1");
        /// The new one.
        nested definition: Definition as Option<Definition>, (message, optional, tag = "2");
        /// Whether its package has new code, whose `migrate` runs before it is in force.
        value migrate: bool as bool, (bool, tag = "3");
        /// Bitmap over the present members.
        value signers: Vec<u8> as Vec<u8>, (bytes = "vec", tag = "4");
        /// Their aggregate over the change's hash.
        value signature: VoteSignature as Vec<u8>, (bytes = "vec", tag = "5");
    }

    /// `close`: by members that satisfy the policy, or by anybody if the contract is dormant.
    Close {
        /// The contract.
        value contract_id: ContractId as Vec<u8>, (bytes = "vec", tag = "1");
        /// Bitmap; empty: the contract is dormant.
        value signers: Vec<u8> as Vec<u8>, (bytes = "vec", tag = "2");
        /// Their aggregate over the closing's hash, if there are signers.
        value signature: Option<VoteSignature> as Option<Vec<u8>>, (bytes = "vec", optional, tag = "3");
    }

    /// `revoke`: by the issuer or the owner.
    Revoke {
        /// The contract.
        value contract_id: ContractId as Vec<u8>, (bytes = "vec", tag = "1");
        /// Whose certificate.
        value issuer: PublicKey as Vec<u8>, (bytes = "vec", tag = "2");
        /// Its number.
        value serial: u64 as u64, (uint64, tag = "3");
    }

    /// `fund`: a deposit into a contract.
    Fund {
        /// The contract.
        value contract_id: ContractId as Vec<u8>, (bytes = "vec", tag = "1");
        /// The caller's own tag.
        value tag: u64 as u64, (uint64, tag = "2");
        /// How much.
        value amount: Amount as Vec<u8>, (bytes = "vec", tag = "3");
    }

    /// `withdraw`: from the caller's balance at the mediator to a consensus account.
    Withdraw {
        /// The consensus account.
        value to: Address as Vec<u8>, (bytes = "vec", tag = "1");
        /// How much.
        value amount: Amount as Vec<u8>, (bytes = "vec", tag = "2");
    }

    /// `leave`, `cancel`, `probe` and `refresh`.
    OfContract {
        /// The contract.
        value contract_id: ContractId as Vec<u8>, (bytes = "vec", tag = "1");
    }
}
