//! The formulas.

use paralith_consensus_api::staking::{Account, Error, SharePool};
use paralith_consensus_api::{Error as AnyError, address};
use paralith_types::{Address, Amount};
use proptest::prelude::*;

use super::*;
use crate::testing;

const ONE: Address = Address([0; 21]);

fn pool_of(balance: u128, total_shares: u128) -> SharePool {
    SharePool { balance: Amount(balance), total_shares: Amount(total_shares) }
}

#[test]
fn shares_are_multiplied_first_and_rounded_down() {
    for (pool, amount, shares, taken) in [
        (pool_of(0, 0), 5, 5, 5),
        (pool_of(10, 10), 5, 5, 5),
        (pool_of(10, 20), 5, 10, 5),
        (pool_of(30, 20), 5, 3, 5),
        (pool_of(30, 20), 7, 4, 6),
        (pool_of(30, 20), 0, 0, 0),
        (pool_of(0, 20), 0, 0, 0),
        (pool_of(1000, 1), 1999, 1, 1000),
        (pool_of(1000, 3), 1000, 3, 1000),
        (pool_of(1000, 3), 999, 2, 667),
        (pool_of(u128::MAX - 1, u128::MAX - 1), 1, 1, 1),
    ] {
        let mut after = pool.clone();
        let (shares, taken) = (Amount(shares), Amount(taken));
        let done = pool::deposit(&mut after, Amount(amount));
        assert_eq!(done, Ok(pool::Deposit { shares, taken }), "{pool:?}");
        assert_eq!(after.balance.0, pool.balance.0 + taken.0);
        assert_eq!(after.total_shares.0, pool.total_shares.0 + shares.0);
    }
    for (pool, amount, code) in [
        (pool_of(0, 20), 5, 1),
        (pool_of(30, 20), 1, 1),
        (pool_of(u128::MAX, u128::MAX), 1, 13),
        (pool_of(1, u128::MAX), 2, 13),
    ] {
        let refusal = pool::deposit(&mut pool.clone(), Amount(amount)).unwrap_err();
        assert_eq!(refusal.code(), code, "{pool:?}");
    }
}

#[test]
fn shares_are_worth_their_part_and_the_last_ones_all_that_is_left() {
    for (pool, shares, amount) in [
        (pool_of(10, 10), 5, 5),
        (pool_of(10, 20), 5, 2),
        (pool_of(30, 20), 3, 4),
        (pool_of(0, 20), 20, 0),
        (pool_of(31, 20), 20, 31),
        (pool_of(31, 20), 0, 0),
    ] {
        let mut after = pool.clone();
        assert_eq!(pool::withdraw(&mut after, Amount(shares)), Ok(Amount(amount)), "{pool:?}");
        assert_eq!(after, pool_of(pool.balance.0 - amount, pool.total_shares.0 - shares));
    }
}

/// Both pools of an account before and after a slash.
#[test]
fn a_slash_takes_from_both_pools_in_proportion() {
    for ((active, debonding), amount, (active_after, debonding_after)) in [
        ((900, 100), 100, (810, 90)),
        ((900, 100), 5, (896, 100)),
        ((900, 100), 1000, (0, 0)),
        ((900, 100), u128::MAX, (0, 0)),
        ((900, 0), 10, (890, 0)),
        ((0, 0), 10, (0, 0)),
        ((900, 100), 0, (900, 100)),
    ] {
        testing::with_empty(|ctx| {
            let before = Account {
                active: pool_of(active, 7),
                debonding: pool_of(debonding, 7),
                ..Account::default()
            };
            state::set_account(ctx, &ONE, &before);
            let taken = slash(ctx, &ONE, Amount(amount)).unwrap().taken;
            let after = account(ctx, &ONE).unwrap();
            assert_eq!(after.active, pool_of(active_after, 7));
            assert_eq!(after.debonding, pool_of(debonding_after, 7));
            assert_eq!(taken.0, active + debonding - active_after - debonding_after);
            assert_eq!(account(ctx, &address::common_pool()).unwrap().balance, taken);
            assert_eq!(ctx.take_events().len(), usize::from(taken != Amount::ZERO));
        });
    }
}

fn fund(ctx: &mut Context<'_>, address: &Address, balance: u128) {
    let account = Account { balance: Amount(balance), ..Account::default() };
    state::set_account(ctx, address, &account);
}

#[test]
fn a_reward_adds_stake_without_shares_and_never_more_than_the_pool_has() {
    for (pool, stake, asked, paid, shares) in [
        (100, 50, 30, 30, 50),
        (100, 50, 300, 100, 50),
        (0, 50, 30, 0, 50),
        (100, 0, 30, 30, 30),
        (100, 50, 0, 0, 50),
    ] {
        testing::with_empty(|ctx| {
            fund(ctx, &ONE, stake);
            if stake != 0 {
                escrow(ctx, &ONE, &ONE, Amount(stake)).unwrap();
            }
            fund(ctx, &address::common_pool(), pool);
            assert_eq!(reward_from_common(ctx, &ONE, Amount(asked)).unwrap(), Amount(paid));
            let after = account(ctx, &ONE).unwrap();
            assert_eq!(after.active, pool_of(stake + paid, shares));
            assert_eq!(state::delegation(ctx, &ONE, &ONE).unwrap(), Amount(shares));
            let left = account(ctx, &address::common_pool()).unwrap().balance;
            assert_eq!(left, Amount(pool - paid));
        });
    }
}

#[test]
fn the_common_pool_pays_what_it_has() {
    testing::with_empty(|ctx| {
        fund(ctx, &address::common_pool(), 100);
        assert_eq!(pay_from_common(ctx, &ONE, Amount(70)).unwrap(), Amount(70));
        assert_eq!(pay_from_common(ctx, &ONE, Amount(70)).unwrap(), Amount(30));
        assert_eq!(pay_from_common(ctx, &ONE, Amount(70)).unwrap(), Amount(0));
        assert_eq!(account(ctx, &ONE).unwrap().balance, Amount(100));
        assert_eq!(ctx.take_events().len(), 2, "no event for nothing");
    });
}

#[test]
fn claims_need_stake_are_replaced_by_id_and_given_up() {
    testing::with_empty(|ctx| {
        fund(ctx, &ONE, 100);
        escrow(ctx, &ONE, &ONE, Amount(100)).unwrap();
        set_claim(ctx, &ONE, "b".into(), Amount(60)).unwrap();
        set_claim(ctx, &ONE, "a".into(), Amount(40)).unwrap();
        let refused = set_claim(ctx, &ONE, "c".into(), Amount(1)).unwrap_err();
        let needed = Error::InsufficientStake { stake: "100".into(), needed: "101".into() };
        assert_eq!(refused, AnyError::Staking(needed));
        set_claim(ctx, &ONE, "b".into(), Amount(59)).unwrap();
        set_claim(ctx, &ONE, "c".into(), Amount(1)).unwrap();
        let before = account(ctx, &ONE).unwrap();
        assert!(claims_covered(&before).unwrap());
        let ids: Vec<_> = before.claims.iter().map(|claim| claim.id.as_str()).collect();
        assert_eq!(ids, ["a", "b", "c"]);
        slash(ctx, &ONE, Amount(1)).unwrap();
        assert!(!claims_covered(&account(ctx, &ONE).unwrap()).unwrap());
        remove_claim(ctx, &ONE, "c").unwrap();
        assert!(claims_covered(&account(ctx, &ONE).unwrap()).unwrap());
    });
}

#[test]
fn nobody_transfers_to_or_from_accounts_of_the_chain() {
    testing::with_empty(|ctx| {
        fund(ctx, &address::common_pool(), 100);
        fund(ctx, &ONE, 100);
        for (from, to) in [
            (address::common_pool(), ONE),
            (ONE, address::common_pool()),
            (ONE, address::fee_accumulator()),
        ] {
            assert_eq!(transfer(ctx, &from, &to, Amount(1)).unwrap_err().code(), 5);
        }
    });
}

#[test]
fn an_account_with_nothing_in_it_is_not_stored() {
    testing::with_empty(|ctx| {
        fund(ctx, &ONE, 100);
        transfer(ctx, &ONE, &Address([0; 21]), Amount(100)).unwrap();
        let mut other = [1; 21];
        other[0] = 0;
        transfer(ctx, &ONE, &Address(other), Amount(100)).unwrap();
        assert_eq!(
            ctx.get_raw(&paralith_consensus_api::staking::keys::account(&ONE)).unwrap(),
            None
        );
    });
}

proptest! {
    #[test]
    fn a_deposit_is_worth_what_it_cost_up_to_one_base_unit(
        balance in 1..u128::from(u64::MAX),
        shares in 1..u128::from(u64::MAX),
        amount in 1..u128::from(u64::MAX),
    ) {
        let mut pool = pool_of(balance, shares);
        if let Ok(new) = pool::deposit(&mut pool, Amount(amount)) {
            let back = pool::withdraw(&mut pool, new.shares).unwrap();
            prop_assert!(new.taken <= Amount(amount));
            prop_assert!(back <= new.taken && back.0 + 1 >= new.taken.0);
            prop_assert!(pool.balance.0 >= balance, "others lose nothing");
        }
    }

    #[test]
    fn a_slash_takes_at_most_what_was_asked(
        active in 0..u128::from(u64::MAX),
        debonding in 0..u128::from(u64::MAX),
        amount: u128,
    ) {
        testing::with_empty(|ctx| {
            let before = Account {
                active: pool_of(active, 1),
                debonding: pool_of(debonding, 1),
                ..Account::default()
            };
            state::set_account(ctx, &ONE, &before);
            let taken = slash(ctx, &ONE, Amount(amount)).unwrap().taken.0;
            assert!(taken <= amount && taken <= active + debonding);
            // Rounding spares one unit for each pool at most.
            assert!(taken + 2 > amount.min(active + debonding));
        });
    }
}
