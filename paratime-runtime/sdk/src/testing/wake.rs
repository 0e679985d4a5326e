//! When a runtime is woken: the host's rule, step by step.

use paralith_runtime_abi as abi;

/// Where the host keeps what it wakes the runtime for, under the state's root.
pub(crate) const WAKE_KEY: &[u8] = b"\xffwake";

/// The smallest height that was asked for, and how many due rounds in sequence failed. Nine bytes in
/// the state: the height, big-endian, and the failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wake {
    pub(super) height: u64,
    pub(super) failures: u8,
}

/// What happened in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ended {
    /// The consensus height that it pinned.
    pub(super) pinned: u64,
    /// The smallest height that calls asked for which were not undone.
    pub(super) asked: Option<u64>,
    /// Whether `init` or `migrate` was not due or succeeded, and `begin_block` and `end_block` did.
    pub(super) succeeded: bool,
}

/// What the host keeps after a round.
pub(super) fn after(old: Option<Wake>, round: Ended) -> Option<Wake> {
    let next = round.pinned.saturating_add(1);
    let asked = round.asked.map(|height| height.max(next));
    let due = old.filter(|old| old.height <= round.pinned);
    let (height, failures) = match (due, round.succeeded) {
        // Not due: what was asked before stays, with its failures.
        (None, _) => {
            let before = old.map(|old| old.height);
            let height = before.into_iter().chain(asked).min();
            (height, old.map_or(0, |old| old.failures))
        }
        (Some(_), true) => (asked, 0),
        (Some(due), false) => {
            let pause = 1 << due.failures.min(10);
            let again = round.pinned.saturating_add(pause);
            (Some(asked.map_or(again, |asked| asked.min(again))), due.failures.saturating_add(1))
        }
    };
    height.map(|height| Wake { height, failures })
}

impl Wake {
    pub(super) fn encode(self) -> Vec<u8> {
        [&self.height.to_be_bytes()[..], &[self.failures]].concat()
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (height, rest) = bytes.split_first_chunk::<8>()?;
        let [failures] = *rest else { return None };
        Some(Self { height: u64::from_be_bytes(*height), failures })
    }
}

const _: () = assert!(WAKE_KEY[0] == abi::HOST_KEY_PREFIX);

#[cfg(test)]
mod tests {
    use super::*;

    fn wake(height: u64, failures: u8) -> Option<Wake> {
        Some(Wake { height, failures })
    }

    #[test]
    fn the_entry_follows_the_table() {
        let ok = |asked| Ended { pinned: 100, asked, succeeded: true };
        let failed = |asked| Ended { pinned: 100, asked, succeeded: false };
        // Not due: the smaller one, and the old failures, however the round ended.
        for round in [ok, failed] {
            assert_eq!(after(None, round(None)), None);
            assert_eq!(after(None, round(Some(150))), wake(150, 0));
            assert_eq!(after(wake(101, 3), round(None)), wake(101, 3));
            assert_eq!(after(wake(120, 3), round(Some(150))), wake(120, 3));
            assert_eq!(after(wake(120, 3), round(Some(110))), wake(110, 3));
        }
        // Due and well: what was asked in this round, and nothing else.
        assert_eq!(after(wake(100, 7), ok(None)), None);
        assert_eq!(after(wake(1, 7), ok(Some(130))), wake(130, 0));
        // Due and failed: again after 1, 2, 4 and at last 1,024, or earlier if asked.
        for (failures, pause) in [(0, 1), (1, 2), (2, 4), (9, 512), (10, 1024), (11, 1024)] {
            let expected = wake(100 + pause, failures + 1);
            assert_eq!(after(wake(100, failures), failed(None)), expected);
            assert_eq!(after(wake(90, failures), failed(Some(5000))), expected);
        }
        assert_eq!(after(wake(100, 9), failed(Some(130))), wake(130, 10));
        assert_eq!(after(wake(100, 255), failed(None)), wake(1124, 255));
    }

    #[test]
    fn a_height_that_the_round_has_reached_counts_as_the_next_one() {
        for asked in [0, 99, 100, 101] {
            for old in [None, wake(100, 0), wake(500, 0)] {
                let round = Ended { pinned: 100, asked: Some(asked), succeeded: true };
                assert_eq!(after(old, round), wake(101, 0), "{asked} {old:?}");
            }
        }
        let round = Ended { pinned: u64::MAX, asked: Some(7), succeeded: false };
        assert_eq!(after(wake(7, 3), round), wake(u64::MAX, 4));
    }

    #[test]
    fn the_entry_has_nine_bytes() {
        let entry = Wake { height: 0x0102, failures: 9 };
        assert_eq!(entry.encode(), [0, 0, 0, 0, 0, 0, 1, 2, 9]);
        assert_eq!(Wake::decode(&entry.encode()), Some(entry));
        assert_eq!((Wake::decode(&[0; 8]), Wake::decode(&[0; 10])), (None, None));
    }
}
