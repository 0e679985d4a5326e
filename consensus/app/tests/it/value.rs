//! Nobody gains by misbehaving: whatever an operator does with its entity, its runtime, its node and a
//! second name, all of them together never own more than at the beginning.

use paralith_consensus_api::registry::RegisterRuntime;
use paralith_consensus_api::roothash::{
    EquivocatedProposals, Evidence, EvidenceKind, ProposalHeader,
};
use paralith_consensus_api::staking::{AddEscrow, Delegation, ReclaimEscrow, Transfer, keys};
use paralith_consensus_api::tx::{Body, Fee};
use paralith_consensus_api::{address, staking};
use paralith_consensus_app::query;
use paralith_proto::Canonical;
use paralith_storage::StateRead;
use paralith_types::{Address, Amount, Hash, Height, Round};
use proptest::prelude::*;

use crate::support::*;

/// The operator; its node is the number after. It owns the runtime.
const OPERATOR: u8 = ENTITIES[1];
/// The operator's other name: nothing on chain shows whose it is.
const ALIAS: u8 = BOB;
/// Delegates to the operator.
const VICTIM: u8 = ALICE;

#[derive(Debug, Clone)]
enum Op {
    Delegate(u8, u128),
    Reclaim(u8, u128),
    Pay(u8, u8, u128),
    /// Two proposals of the operator's node for a round, this many after the last, reported by one.
    Equivocate(u8, u64),
    /// The same for a round that is past.
    EquivocateBefore(u8, u64),
    /// CometBFT catches the operator's validator.
    Caught,
    Penalty(u128),
    Epoch,
}

fn op() -> impl Strategy<Value = Op> {
    let person = prop::sample::select(vec![OPERATOR, ALIAS, VICTIM]);
    let amount = prop_oneof![1..20_u128, 1..20_000_u128, Just(400_000_u128)];
    let share = prop_oneof![1..20_u128, 1..20_000_u128, Just(8_000_u128)];
    let reporter = prop::sample::select(vec![OPERATOR, ALIAS, OPERATOR + 1]);
    prop_oneof![
        3 => (person.clone(), amount.clone()).prop_map(|(who, n)| Op::Delegate(who, n)),
        3 => (person, share).prop_map(|(who, n)| Op::Reclaim(who, n)),
        1 => (prop::sample::select(vec![OPERATOR, ALIAS]), prop::sample::select(vec![OPERATOR, ALIAS]), amount)
            .prop_map(|(from, to, n)| Op::Pay(from, to, n)),
        4 => (reporter.clone(), 0..2_u64).prop_map(|(who, ahead)| Op::Equivocate(who, ahead)),
        2 => (reporter, 0..4_u64).prop_map(|(who, back)| Op::EquivocateBefore(who, back)),
        1 => Just(Op::Caught),
        1 => (0..200_000_u128).prop_map(Op::Penalty),
        3 => Just(Op::Epoch),
    ]
}

fn equivocation(net: &Net, round: Round) -> Evidence {
    let header = |batch: u8| ProposalHeader {
        runtime_id: RUNTIME,
        round,
        previous_hash: Hash::ZERO,
        rank: 0,
        consensus_height: Height(1),
        batch_hash: Hash([batch; 32]),
    };
    let signed = |batch| header(batch).sign(&key(OPERATOR + 1), &net.chain);
    let kind = EvidenceKind::Proposals(EquivocatedProposals { a: signed(1), b: signed(2) });
    Evidence { runtime_id: RUNTIME, kind }
}

/// Fees would hide small gains.
fn run(net: &mut Net, signer: u8, body: impl Into<Body>) {
    let tx = net.paying(signer, body, Fee { amount: Amount(0), gas_limit: 1_000_000 });
    if net.block(vec![tx]).txs[0].module == "consensus" {
        net.unuse(signer);
    }
}

/// What shares of these delegators are worth, and what they have.
fn wealth(state: &dyn StateRead, people: &[Address]) -> u128 {
    let account = |address: &Address| query::account(state, address).unwrap();
    let worth = |pool: &staking::SharePool, shares: Amount| {
        shares.mul_div(pool.balance, pool.total_shares).unwrap().0
    };
    let mut total: u128 = people.iter().map(|address| account(address).balance.0).sum();
    for (key, value) in state.scan(&keys::delegations(), None, usize::MAX / 2).unwrap() {
        let rest = &key[keys::delegations().len()..];
        let (escrow, owner) = rest.split_at(Address::LEN);
        if people.iter().any(|one| one.0 == owner) {
            let shares = Delegation::decode(&value, value.len()).unwrap().shares;
            total += worth(&account(&Address::try_from(escrow).unwrap()).active, shares);
        }
    }
    for (key, value) in state.scan(&keys::debonding_queue(), None, usize::MAX / 2).unwrap() {
        let rest = &key[keys::debonding_queue().len() + 8..];
        let (owner, escrow) = rest.split_at(Address::LEN);
        if people.iter().any(|one| one.0 == owner) {
            let shares = Delegation::decode(&value, value.len()).unwrap().shares;
            total += worth(&account(&Address::try_from(escrow).unwrap()).debonding, shares);
        }
    }
    total
}

fn apply(net: &mut Net, op: Op) {
    let last = query::runtime_state(&net.state(), &RUNTIME).unwrap().unwrap().last_block.round;
    let operator = account(OPERATOR);
    match op {
        Op::Delegate(who, amount) => {
            run(net, who, AddEscrow { account: operator, amount: Amount(amount) });
        }
        Op::Reclaim(who, shares) => {
            run(net, who, ReclaimEscrow { account: operator, shares: Amount(shares) });
        }
        Op::Pay(from, to, amount) => {
            run(net, from, Transfer { to: account(to), amount: Amount(amount) });
        }
        Op::Equivocate(reporter, ahead) => {
            let evidence = equivocation(net, last.plus(ahead + 1));
            run(net, reporter, evidence);
        }
        Op::EquivocateBefore(reporter, back) => {
            let evidence = equivocation(net, last.minus(back));
            run(net, reporter, evidence);
        }
        Op::Caught => drop(net.slash(OPERATOR + 2)),
        Op::Penalty(amount) => {
            let mut runtime = penal();
            runtime.staking.slash_equivocation = Amount(amount);
            run(net, OPERATOR, RegisterRuntime { runtime });
        }
        Op::Epoch => net.next_epoch(),
    }
}

/// The operator's runtime: all rewards that it may give itself go to its own account.
fn penal() -> paralith_consensus_api::registry::Runtime {
    let mut runtime = runtime(OPERATOR);
    runtime.staking.slash_equivocation = Amount(5000);
    runtime.staking.slash_incorrect_results = Amount(5000);
    runtime.staking.reward_equivocation_percent = 60;
    runtime
}

fn net(delegated: u128) -> Net {
    let mut net = Net::of(
        builder_without_runtime()
            .runtime(penal())
            .account(address::common_pool(), Amount(1_000_000))
            .delegation(&public(VICTIM), &public(OPERATOR), Amount(delegated)),
    );
    net.next_epoch();
    net
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn no_operator_gains_by_any_sequence_and_no_base_unit_is_made_or_lost(
        ops in prop::collection::vec(op(), 1..40),
        delegated in prop_oneof![Just(1_u128), 1..10_000_u128, Just(500_000_u128)],
    ) {
        let mut net = net(delegated);
        let people = [
            account(OPERATOR),
            account(OPERATOR + 1),
            account(ALIAS),
            address::of_runtime(&RUNTIME),
        ];
        let supply = query::total_supply(&net.state()).unwrap();
        let before = wealth(&net.state(), &people);
        for (done, op) in (1_u128..).zip(ops) {
            apply(&mut net, op.clone());
            assert_conserved(&net.state()).unwrap();
            let after = wealth(&net.state(), &people);
            // Rounding is in favour of a pool, by less than one base unit a step in each of two pools.
            prop_assert!(after <= before + 2 * done, "{before} became {after} by {op:?}");
        }
        prop_assert_eq!(query::total_supply(&net.state()).unwrap(), supply);
    }
}

/// The attack as it was found: nine tenths of the stake are a victim's.
#[test]
fn an_operator_does_not_take_its_delegators_stake_by_reporting_itself() {
    let mut net = net(500_000);
    let people = [account(OPERATOR), account(ALIAS), address::of_runtime(&RUNTIME)];
    let before = wealth(&net.state(), &people);
    for _ in 0..20 {
        let last = query::runtime_state(&net.state(), &RUNTIME).unwrap().unwrap().last_block.round;
        let evidence = equivocation(&net, last.next());
        run(&mut net, ALIAS, evidence);
        net.next_epoch();
    }
    let taken = 508_000 - net.account(&account(OPERATOR)).active.balance.0;
    assert!(taken >= 5000, "it was in some committee, and was slashed: {taken}");
    assert!(wealth(&net.state(), &people) <= before);
}
