//! The calls of a round, in the host's order, and what a round leaves behind.
#![allow(clippy::panic, reason = "a failed handler is a failed test, and says why")]

use std::collections::BTreeSet;

use paralith_runtime_abi as abi;
use paralith_runtime_abi::wake::{Ended, Wake};
use paralith_runtime_abi::{ConsensusMessageKind, WAKE_KEY};
use prost::Message;

use super::chain::{Chain, Taken, round_of};
use crate::{Amount, Export};

impl Chain {
    /// Opens a round that pins this height.
    pub(super) fn open_round(&mut self, height: u64) {
        self.height = height;
        {
            let mut world = self.world.borrow_mut();
            world.round += 1;
            world.pinned = height;
            world.drawn = 0;
            world.effects.begin_round();
        }
        self.taken = Taken {
            nonces: self.nonces.clone(),
            migrate_due: self.migrate_due,
            ..Taken::default()
        };
        self.failed = false;
        if self.migrate_due {
            let request = abi::BlockRequest { context: self.context() };
            let fails = std::mem::take(&mut self.fails.migrate);
            self.failed = !self.handle(Export::Migrate, &request, fails);
            self.migrate_due = self.failed;
        }
        if !self.migrate_due {
            self.begin_block();
        }
    }

    pub(super) fn begin_block(&mut self) {
        let request = abi::BeginBlockRequest {
            context: self.context(),
            incoming: self.incoming.clone(),
            message_results: self.results.clone(),
        };
        let fails = std::mem::take(&mut self.fails.begin_block);
        if self.handle(Export::BeginBlock, &request, fails) {
            self.taken.incoming = std::mem::take(&mut self.incoming);
            self.taken.results = std::mem::take(&mut self.results);
        } else {
            self.failed = true;
        }
    }

    /// Ends the open round, keeps its state as final and executes its messages to consensus.
    pub(super) fn finalise(&mut self) {
        if !self.migrate_due {
            let request = abi::BlockRequest { context: self.context() };
            let fails = std::mem::take(&mut self.fails.end_block);
            self.failed |= !self.handle(Export::EndBlock, &request, fails);
        }
        self.keep_wake();
        self.keep_state();
        self.execute_messages();
    }

    /// Runs one of the round's own handlers; if it shall fail, its effects are undone. Whether it
    /// succeeded.
    fn handle(&self, export: Export, request: &impl Message, fails: bool) -> bool {
        let before = fails.then(|| self.world.borrow().effects.moment());
        self.enter(export, request).unwrap_or_else(|error| panic!("{export:?}: {error}"));
        if let Some(before) = before {
            self.world.borrow_mut().effects.undo_to(before);
        }
        !fails
    }

    pub(super) fn wake(&self) -> Option<Wake> {
        self.world.borrow().effects.state.get(WAKE_KEY).and_then(|bytes| Wake::decode(bytes))
    }

    fn keep_wake(&self) {
        let old = self.wake();
        let mut world = self.world.borrow_mut();
        let effects = &mut world.effects;
        let round = Ended { pinned: self.height, asked: effects.asked, succeeded: !self.failed };
        match Wake::after(old, round) {
            Some(wake) => effects.state.insert(WAKE_KEY.to_vec(), wake.encode()),
            None => effects.state.remove(WAKE_KEY),
        };
    }

    /// Adds the newest final state and drops those that nothing reads any more.
    fn keep_state(&mut self) {
        let world = self.world.borrow();
        let state = world.effects.state.all();
        let intents = state
            .range(abi::REVEAL_INTENT_PREFIX.to_vec()..)
            .take_while(|(key, _)| key.starts_with(abi::REVEAL_INTENT_PREFIX));
        let asked: BTreeSet<u64> = intents.filter_map(|(_, round)| round_of(round)).collect();
        self.finals.retain(|round, _| asked.contains(round));
        self.finals.insert(world.round, state.clone());
    }

    /// Executes the round's messages as consensus does: out of the runtime's account.
    fn execute_messages(&mut self) {
        let round = self.round();
        let messages = std::mem::take(&mut self.world.borrow_mut().effects.messages);
        let failing = std::mem::take(&mut self.failing);
        for (index, message) in (0u32..).zip(messages) {
            let Some(ConsensusMessageKind::Transfer(transfer)) = message.kind else { continue };
            let amount = Amount::from_be_bytes_minimal(&transfer.amount).ok();
            let left = amount.and_then(|amount| self.account.checked_sub(amount.0));
            self.results.push(match left {
                Some(left) if !failing.contains(&index) => {
                    self.account = left;
                    abi::MessageResult { index, module: String::new(), code: 0, round }
                }
                _ => abi::MessageResult { index, module: "staking".into(), code: 1, round },
            });
        }
    }
}
