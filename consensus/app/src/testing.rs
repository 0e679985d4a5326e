//! What the modules' own tests share.

use paralith_consensus_api::genesis::Genesis;
use paralith_genesis::{Builder, GenesisTime, NodeKeys, development_params};
use paralith_storage::Changes;
use paralith_types::{Amount, ChainContext, Hash, Height};

use crate::base::Base;
use crate::context::Context;

pub(crate) const CHAIN: ChainContext = ChainContext([9; 32]);

/// The smallest genesis: one entity, one validator.
pub(crate) fn genesis() -> Genesis {
    let key = |number: u8| paralith_crypto::SigningKey::from_seed([number; 32]);
    let time = GenesisTime::from_seconds(1_770_000_000).unwrap();
    let keys = NodeKeys { node: key(2).public(), consensus: key(3) };
    Builder::new("test", time, development_params(Hash([1; 32])))
        .entity(key(1).public(), Amount(1000))
        .validator(key(1).public(), &keys, &[])
        .build()
        .unwrap()
        .genesis
}

/// Runs something over an empty state, as genesis does.
pub(crate) fn with_empty<T>(run: impl FnOnce(&mut Context<'_>) -> T) -> T {
    let empty = Base::Genesis(Changes::new());
    run(&mut Context::new(&empty, CHAIN, Height(0), 0))
}
