//! Many contracts at once: bounded work in each round, and nobody is forgotten.

use paralith_private_contract_core::messages::{
    ContractId, TransactionRecord, TransactionStatus, keys,
};

use crate::fixture::{World, definition};

#[test]
fn seventy_contracts_open_in_two_rounds_and_expire_in_three() {
    let one = definition(&["m0"], "1 of (m0)");
    let mut world = World::proposed(one.clone(), &["m0"]);
    let mut ids: Vec<ContractId> = Vec::new();
    for number in 0..70 {
        if number > 0 {
            world.create(one.clone());
        }
        world.join("m0").unwrap();
        world.submit("alice", 1).unwrap();
        ids.push(world.id);
    }
    let opened = |world: &World| {
        ids.iter().filter(|id| world.chain.stored(&keys::open_batch(id)).is_some()).count()
    };
    world.chain.next_round();
    assert_eq!(opened(&world), 64, "64 in a round");
    assert_eq!(world.chain.wake_height(), Some(world.chain.height()), "and the next is asked for");
    world.chain.next_round();
    assert_eq!(opened(&world), 70);
    let expired = |world: &World| {
        let is_expired = |id: &&ContractId| {
            let stored = world.chain.stored(&keys::transaction(id, 1));
            stored.is_none_or(|bytes| {
                use paralith_private_contract_core::messages::Canonical;
                let tx = TransactionRecord::decode(&bytes, 4096).unwrap();
                tx.status == TransactionStatus::Expired
            })
        };
        ids.iter().filter(is_expired).count()
    };
    world.id = ids[0];
    let deadline = world.open().deadline;
    world.chain.advance_to(deadline);
    assert_eq!(expired(&world), 0, "never early");
    // 64 deadlines fell due at one height: 32 timers in a round, the next round at the next height.
    for least in [32, 64, 70] {
        world.chain.next_round();
        assert!(expired(&world) >= least, "{} of {least}", expired(&world));
    }
    // Nobody sends anything any more: everything returns.
    let now = world.chain.height();
    world.chain.advance_to(now + 60);
    assert_eq!(world.balance(&mediator::custody()), 70 * 1000, "only bonds are left");
}
