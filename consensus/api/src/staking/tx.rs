//! Transactions of the token.

use paralith_proto::pb;
use paralith_types::{Address, Amount};

use crate::message::message;

message! {
    /// Moves base units to another account.
    Transfer = pb::staking::v1::Transfer {
        /// To whom.
        to: Address,
        /// Base units.
        amount: Amount,
    }
}

message! {
    /// Puts base units into an account's active escrow pool.
    AddEscrow = pb::staking::v1::AddEscrow {
        /// The account that is staked on.
        account: Address,
        /// Base units.
        amount: Amount,
    }
}

message! {
    /// Takes shares out of an account's active pool; they are paid out after the debonding time.
    ReclaimEscrow = pb::staking::v1::ReclaimEscrow {
        /// The account that was staked on.
        account: Address,
        /// Shares, not base units.
        shares: Amount,
    }
}
