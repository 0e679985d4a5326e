//! Timers as a sorted list, the host's rule in other words, and a chain beside them.

use super::alarm::{After, Alarm, Rang, Rules, item, rang};
use crate::testing::{Chain, Privacy};
use paralith_runtime_abi::WAKE_KEY;

#[derive(Debug, Clone, Default)]
struct Model {
    /// Height and number, sorted.
    live: Vec<(u64, u64)>,
    next: u64,
    rang: Vec<Rang>,
    wake: Option<(u64, u8)>,
    asked: Option<u64>,
}

impl Model {
    fn ask(&mut self, height: u64) {
        self.asked = Some(self.asked.map_or(height, |asked| asked.min(height)));
    }

    fn add(&mut self, height: u64) -> u64 {
        let id = self.next;
        self.next += 1;
        self.live.push((height, id));
        self.live.sort_unstable();
        if self.live[0].1 == id {
            self.ask(height);
        }
        id
    }

    fn take(&mut self, max: usize, now: u64) {
        let due = self.live.iter().take_while(|(height, _)| *height <= now).count().min(max);
        for (height, id) in self.live.drain(..due) {
            self.rang.push((id, height, now));
        }
        if let Some((height, _)) = self.live.first() {
            self.ask(*height);
        }
    }

    fn keep_wake(&mut self, pinned: u64, failed: bool) {
        let asked =
            self.asked.take().map(|height| if height > pinned { height } else { pinned + 1 });
        let smaller = |a: Option<u64>, b: Option<u64>| a.into_iter().chain(b).min();
        self.wake = match self.wake {
            Some((height, failures)) if height <= pinned && failed => {
                let pause =
                    [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024][usize::from(failures.min(10))];
                Some((smaller(asked, Some(pinned + pause)).unwrap(), failures.saturating_add(1)))
            }
            Some((height, _)) if height <= pinned => asked.map(|height| (height, 0)),
            other => smaller(asked, other.map(|wake| wake.0))
                .map(|height| (height, other.map_or(0, |wake| wake.1))),
        };
    }
}

/// A chain and its model, which must agree after each step.
pub(super) struct Pair {
    pub(super) chain: Chain,
    rules: Rules,
    now: Model,
    /// At the end of the last final round.
    last: Model,
    /// Of the open round.
    failed: bool,
    fails_end: bool,
    height: u64,
    /// Of timers whose call succeeded, in rounds that count or not.
    ids: Vec<u64>,
}

impl Pair {
    pub(super) fn new(rules: Rules) -> Self {
        let argument = serde_json::to_vec(&rules).unwrap();
        let mut chain = Chain::start::<Alarm>(Privacy::Public, &argument).unwrap();
        chain.next_round();
        let now = Model::default();
        let height = chain.height();
        Self {
            chain,
            rules,
            last: now.clone(),
            now,
            failed: false,
            fails_end: false,
            height,
            ids: Vec::new(),
        }
    }

    pub(super) fn height(&self) -> u64 {
        self.height
    }

    pub(super) fn add(&mut self, heights: &[u64], after: After) {
        let answer = self.chain.sender("alice").call("add", &(heights, after));
        if after == After::Succeed {
            let ids: Vec<u64> = heights.iter().map(|height| self.now.add(*height)).collect();
            assert_eq!(answer, Ok(serde_json::to_vec(&ids).unwrap()));
            self.ids.extend(ids);
        } else {
            assert!(answer.is_err());
        }
    }

    /// Cancels one of those that were ever set.
    pub(super) fn cancel(&mut self, which: usize, after: After) {
        let id = self.ids.get(which % self.ids.len().max(1)).copied().unwrap_or(7);
        let answer = self.chain.sender("alice").call("cancel", &(id, after));
        if after == After::Succeed {
            let at = self.now.live.iter().position(|live| live.1 == id);
            let gone = at.map(|at| self.now.live.remove(at));
            let gone = gone.map(|(height, _)| item(height));
            assert_eq!(answer, Ok(serde_json::to_vec(&gone).unwrap()));
        } else {
            assert!(answer.is_err());
        }
    }

    pub(super) fn fail_end_block(&mut self) {
        self.chain.fail_end_block();
        self.fails_end = true;
    }

    pub(super) fn fail_begin_block(&mut self) {
        self.chain.fail_begin_block();
        self.chain.next_round();
        self.finalise();
        self.open(self.height + 1, true);
    }

    pub(super) fn advance_to(&mut self, height: u64) {
        self.chain.advance_to(height);
        self.finalise();
        loop {
            let next = self.height + 1;
            match self.now.wake {
                Some((wake, _)) if wake.max(next) < height => self.open(wake.max(next), false),
                _ => return self.open(height.max(next), false),
            }
            self.finalise();
        }
    }

    pub(super) fn fail_round(&mut self) {
        self.chain.fail_round();
        self.now = self.last.clone();
        self.open(self.height + 1, false);
    }

    fn open(&mut self, height: u64, fails: bool) {
        self.height = height;
        self.failed = fails;
        self.now.asked = None;
        if !self.rules.at_end && !fails {
            self.now.take(self.rules.max, height);
        }
    }

    fn finalise(&mut self) {
        if std::mem::take(&mut self.fails_end) {
            self.failed = true;
        } else if self.rules.at_end {
            self.now.take(self.rules.max, self.height);
        }
        self.now.keep_wake(self.height, self.failed);
        self.last = self.now.clone();
    }

    pub(super) fn agrees(&self) {
        assert_eq!(self.chain.height(), self.height);
        assert_eq!(rang(&self.chain), self.now.rang);
        let wake = self
            .now
            .wake
            .map(|(height, failures)| [&height.to_be_bytes()[..], &[failures]].concat());
        assert_eq!(self.chain.stored(WAKE_KEY), wake);
        for id in 0..self.now.next {
            self.agrees_on(id);
        }
        // No timer that waits is forgotten, however rounds failed.
        if let Some((height, _)) = self.last.live.first() {
            let (wake, failures) = self.last.wake.unwrap();
            let pause = if failures == 0 { 1 } else { 1024 };
            assert!(wake <= (*height).max(self.height + pause));
        }
    }

    /// The chain has this timer as the model does, in the open round.
    fn agrees_on(&self, id: u64) {
        let place = self.chain.stored(&key(2, id));
        let item_of = self.chain.stored(&key(3, id));
        let Some((height, _)) = self.now.live.iter().find(|live| live.1 == id) else {
            return assert_eq!((place, item_of), (None, None), "{id} leaves nothing behind");
        };
        assert_eq!(item_of, Some(item(*height).into_bytes()));
        let place = u64::from_be_bytes(place.unwrap().try_into().unwrap());
        let slot = |place| self.chain.stored(&key(1, place)).unwrap();
        assert_eq!(slot(place), [height.to_be_bytes(), id.to_be_bytes()].concat());
        if place > 0 {
            assert!(slot((place - 1) / 2) < slot(place), "the heap is ordered");
        }
        assert!(place < self.now.live.len() as u64);
    }

    /// Whether each timer that was set and not cancelled rang once, and not early.
    pub(super) fn all_rang(&self) -> bool {
        let mut ids: Vec<u64> = self.now.rang.iter().map(|rang| rang.0).collect();
        ids.sort_unstable();
        assert!(ids.windows(2).all(|two| two[0] < two[1]), "twice");
        assert!(self.now.rang.iter().all(|(_, height, at)| height <= at), "early");
        self.now.live.is_empty()
    }
}

pub(super) fn key(tag: u8, rest: u64) -> Vec<u8> {
    [&b"\0\x05alarm\0\0"[..], &[tag], &rest.to_be_bytes()].concat()
}
