//! The token.

use paralith_consensus_api::address;
use paralith_consensus_api::staking::{AddEscrow, ReclaimEscrow, Transfer};
use paralith_consensus_app::query;
use paralith_types::{Address, Amount};
use proptest::prelude::*;

use crate::support::*;

fn escrow(account: Address, amount: u128) -> AddEscrow {
    AddEscrow { account, amount: Amount(amount) }
}

fn reclaim(account: Address, shares: u128) -> ReclaimEscrow {
    ReclaimEscrow { account, shares: Amount(shares) }
}

#[test]
fn each_refusal_has_its_code() {
    let mut net = Net::with(|params| {
        params.staking.min_transfer = Amount(10);
        params.staking.min_delegation = Amount(100);
    });
    let transfer = |to, amount| Transfer { to, amount: Amount(amount) };
    let bob = account(BOB);
    assert_eq!(net.refused(ALICE, reclaim(bob, 0)), "staking/1");
    assert_eq!(net.refused(ALICE, transfer(bob, 1_000_001)), "staking/3");
    assert_eq!(net.refused(ALICE, transfer(address::fee_accumulator(), 10)), "staking/5");
    assert_eq!(net.refused(ALICE, escrow(address::common_pool(), 100)), "staking/5");
    assert_eq!(net.refused(ALICE, escrow(bob, 99)), "staking/8");
    assert_eq!(net.refused(ALICE, transfer(bob, 9)), "staking/9");
    assert_eq!(net.refused(ALICE, reclaim(bob, 1)), "staking/12");
}

#[test]
fn a_transfer_to_oneself_needs_the_balance_and_moves_nothing() {
    let mut net = Net::new();
    let to = account(ALICE);
    assert_eq!(net.refused(ALICE, Transfer { to, amount: Amount(1_000_000) }), "staking/3");
    net.ok(ALICE, Transfer { to, amount: Amount(999_980) });
    assert_eq!(net.balance(ALICE), 1_000_000 - 20);
}

#[test]
fn debonding_stake_is_paid_when_its_epoch_begins_and_slashed_until_then() {
    let mut net = Net::new();
    let entity = account(ENTITIES[1]);
    net.ok(ALICE, escrow(entity, 2000));
    net.ok(ALICE, reclaim(entity, 1000));
    let staked = net.account(&entity);
    assert_eq!((staked.active.balance.0, staked.debonding.balance.0), (9000, 1000));

    // A hundredth of the stake: each pool loses a hundredth.
    net.slash(ENTITIES[1] + 2);
    let staked = net.account(&entity);
    assert_eq!((staked.active.balance.0, staked.debonding.balance.0), (8910, 990));
    assert_eq!(net.account(&address::common_pool()).balance.0, 1000 + 100 + 20);

    net.run_until_epoch(1);
    assert_eq!(net.balance(ALICE), 1_000_000 - 2000 - 20);
    net.run_until_epoch(2);
    assert_eq!(net.balance(ALICE), 1_000_000 - 2000 - 20 + 990);
    assert_eq!(net.account(&entity).debonding, Default::default());
    let held = query::delegation(&net.state(), &entity, &account(ALICE)).unwrap();
    assert_eq!(held.shares.0, 1000);
    assert_conserved(&net.state()).unwrap();
}

#[test]
fn slashed_shares_are_worth_less_and_new_ones_cost_less() {
    let mut net = Net::with(|params| params.staking.slash_equivocation = Amount(4000));
    let entity = account(ENTITIES[1]);
    net.slash(ENTITIES[1] + 2);
    let outcome = net.ok(ALICE, escrow(entity, 100));
    assert_eq!(outcome.code, 0);
    let held = query::delegation(&net.state(), &entity, &account(ALICE)).unwrap();
    assert_eq!(held.shares.0, 200, "half was slashed");
}

#[test]
fn who_was_slashed_to_nothing_takes_no_stake() {
    let mut net = Net::with(|params| params.staking.slash_equivocation = Amount(u128::MAX));
    net.slash(ENTITIES[1] + 2);
    assert_eq!(net.account(&account(ENTITIES[1])).active.balance.0, 0);
    assert_eq!(net.refused(ALICE, escrow(account(ENTITIES[1]), 100)), "staking/1");
    assert_conserved(&net.state()).unwrap();
}

#[derive(Debug, Clone)]
enum Op {
    Transfer(u8, u8, u128),
    Escrow(u8, u8, u128),
    Reclaim(u8, u8, u128),
    Slash(u8),
    Epoch,
}

fn op() -> impl Strategy<Value = Op> {
    let person = prop::sample::select(vec![ALICE, BOB, ENTITIES[0], ENTITIES[1]]);
    let amount = prop_oneof![0..20_u128, 0..20_000_u128, Just(u128::MAX)];
    prop_oneof![
        (person.clone(), person.clone(), amount.clone())
            .prop_map(|(a, b, n)| Op::Transfer(a, b, n)),
        (person.clone(), person.clone(), amount.clone()).prop_map(|(a, b, n)| Op::Escrow(a, b, n)),
        (person.clone(), person, amount).prop_map(|(a, b, n)| Op::Reclaim(a, b, n)),
        prop::sample::select(ENTITIES.to_vec()).prop_map(Op::Slash),
        Just(Op::Epoch),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn no_base_unit_is_made_or_lost_and_pools_hold_what_is_delegated(
        ops in prop::collection::vec(op(), 1..40),
        slash in 1..9000_u128,
    ) {
        let mut net = Net::with(|params| params.staking.slash_equivocation = Amount(slash));
        net.block(vec![]);
        let supply = query::total_supply(&net.state()).unwrap();
        for op in ops {
            match op {
                Op::Transfer(from, to, amount) => {
                    drop(net.run(from, Transfer { to: account(to), amount: Amount(amount) }));
                }
                Op::Escrow(from, to, amount) => drop(net.run(from, escrow(account(to), amount))),
                Op::Reclaim(from, to, amount) => drop(net.run(from, reclaim(account(to), amount))),
                Op::Slash(entity) => drop(net.slash(entity + 2)),
                Op::Epoch => net.next_epoch(),
            }
            assert_conserved(&net.state()).unwrap();
        }
        prop_assert_eq!(query::total_supply(&net.state()).unwrap(), supply);
    }
}
