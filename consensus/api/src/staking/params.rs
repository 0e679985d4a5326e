//! Parameters of the token.

use paralith_proto::pb;
use paralith_types::Amount;

use crate::message::message;

message! {
    /// Parameters of the token. Amounts are base units.
    Params = pb::staking::v1::Params {
        /// Epochs between a reclaim and its payment.
        debonding_epochs: u64,
        /// Least amount of a transfer.
        min_transfer: Amount,
        /// Least amount of an escrow.
        min_delegation: Amount,
        /// Stake that an entity's registration needs.
        entity_threshold: Amount,
        /// Stake that a validator's registration needs.
        validator_threshold: Amount,
        /// Stake that a compute node needs for each runtime.
        compute_threshold: Amount,
        /// Stake that a key manager needs for each runtime.
        keymanager_threshold: Amount,
        /// Stake that a runtime's registration needs.
        runtime_threshold: Amount,
        /// Gas of a transfer.
        gas_transfer: u64,
        /// Gas of an escrow.
        gas_add_escrow: u64,
        /// Gas of a reclaim.
        gas_reclaim_escrow: u64,
        /// What a validator that signs two blocks of one height loses.
        slash_equivocation: Amount,
        /// Highest penalty for a wrong result that a runtime's descriptor may set.
        max_runtime_slash_incorrect_results: Amount,
        /// Highest penalty for equivocation that a runtime's descriptor may set.
        max_runtime_slash_equivocation: Amount,
        /// How much of slashed stake is paid as rewards at most: to the reporter or the members with
        /// the right result, and to the runtime. The rest stays in the common pool.
        slash_reward_percent: u32,
        /// In how many epochs a validator that signed two blocks of one height is in no election.
        freeze_epochs: u64,
    }
}
