//! Events of the token.

use paralith_proto::pb;
use paralith_types::{Address, Amount, Epoch};

use crate::message::message;

message! {
    /// Base units moved.
    Transferred = pb::staking::v1::Transferred {
        /// From whom.
        from: Address,
        /// To whom.
        to: Address,
        /// Base units.
        amount: Amount,
    }
}

message! {
    /// Stake was added. Rewards add stake without new shares.
    EscrowAdded = pb::staking::v1::EscrowAdded {
        /// Whose base units.
        owner: Address,
        /// Which account is staked on.
        escrow: Address,
        /// Base units.
        amount: Amount,
        /// Shares given for them.
        new_shares: Amount,
    }
}

message! {
    /// Stake was slashed.
    EscrowTaken = pb::staking::v1::EscrowTaken {
        /// The slashed account.
        owner: Address,
        /// From both pools together.
        amount: Amount,
        /// From the debonding pool.
        debonding_amount: Amount,
    }
}

message! {
    /// Stake began to debond.
    DebondingStarted = pb::staking::v1::DebondingStarted {
        /// The delegator.
        owner: Address,
        /// The account staked on.
        escrow: Address,
        /// Base units at that moment.
        amount: Amount,
        /// Shares taken from the active pool.
        active_shares: Amount,
        /// Shares given in the debonding pool.
        debonding_shares: Amount,
        /// The epoch whose start pays out.
        debond_end_epoch: Epoch,
    }
}

message! {
    /// Debonded stake was paid out.
    EscrowReclaimed = pb::staking::v1::EscrowReclaimed {
        /// The delegator.
        owner: Address,
        /// The account staked on.
        escrow: Address,
        /// Base units paid.
        amount: Amount,
        /// Debonding shares redeemed.
        shares: Amount,
    }
}
