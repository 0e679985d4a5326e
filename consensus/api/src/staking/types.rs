//! What state holds of the token.

use paralith_proto::pb;
use paralith_types::Amount;

use crate::message::message;

message! {
    /// Shares in a pool of stake. A slash lowers the balance and so what every share is worth.
    #[derive(Default)]
    SharePool = pb::staking::v1::SharePool {
        /// Base units in the pool.
        balance: Amount,
        /// Shares given out.
        total_shares: Amount,
    }
}

message! {
    /// What an account's active stake is promised to.
    Claim = pb::staking::v1::Claim {
        /// `registry.RegisterNode.<node id>` and the like; unique in the account.
        id: String,
        /// How much stake it needs.
        amount: Amount,
    }
}

message! {
    /// An account. One that was never touched is the default.
    #[derive(Default)]
    Account = pb::staking::v1::Account {
        /// Base units free to spend.
        balance: Amount,
        /// The nonce of its next transaction.
        nonce: u64,
        /// Promises of the active stake, sorted by id.
        claims: Vec<Claim>,
    }
    nested {
        /// Stake that counts for elections and can be slashed.
        active: SharePool,
        /// Stake on its way out: it can be slashed and counts for nothing.
        debonding: SharePool,
    }
}

message! {
    /// A delegator's shares in an account's active or debonding pool.
    #[derive(Default)]
    Delegation = pb::staking::v1::Delegation {
        /// Shares.
        shares: Amount,
    }
}
