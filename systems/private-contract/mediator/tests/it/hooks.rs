//! A ParaTime that links the mediator and runs its own contract in the same step.

use mediator::{Hooks, Mediator};
use paralith_private_contract_core::messages::{FiniEvent, InitEvent, TransactionStatus};
use paralith_sdk::{Context, Result, fail};

use crate::fixture::{World, definition};

const COUNT: &[u8] = b"zcount";

/// Takes two transactions, and counts those that ended YES.
struct Counting;

impl Hooks for Counting {
    fn before_init(_: &mut Context, event: &InitEvent) -> Result<()> {
        if event.seq > 2 { fail(99, "two are enough") } else { Ok(()) }
    }

    fn after_fini(ctx: &mut Context, event: &FiniEvent) {
        if event.status == TransactionStatus::Yes {
            let count = ctx.get::<u64>(COUNT).ok().flatten().unwrap_or(0);
            ctx.set(COUNT, &(count + 1));
        }
    }
}

#[test]
fn a_runtime_that_links_the_mediator_acts_before_and_after_in_the_same_step() {
    let members = ["m0", "m1", "m2"];
    let definition = definition(&members, "2 of (m0, m1, m2)");
    let mut world = World::of_runtime::<Mediator<Counting>>(definition, &members);
    for name in members {
        world.join(name).unwrap();
    }
    world.submit("alice", 5).unwrap();
    world.submit("alice", 5).unwrap();
    let alice = world.of("alice");
    assert_eq!(world.submit("bob", 5).unwrap_err().code, 99);
    assert_eq!(world.of("alice"), alice);
    world.next();
    assert_eq!(world.chain.stored(COUNT), None);
    world.yes(2);
    assert_eq!(world.chain.stored(COUNT), Some(2_u64.to_be_bytes().to_vec()));
    world.next();
}
