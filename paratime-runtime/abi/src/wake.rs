//! When a runtime is woken: the rule of the entry under [`crate::WAKE_KEY`].
//!
//! The entry is part of the state, so no replica can forget a timer or invent one. It is written at
//! the end of each round, outside of every call's overlay, so no trap loses a timer: a round that was
//! due and in which the block's own calls failed is due again later.

/// After so many failures in sequence the pause does not grow any more: 1,024 blocks.
const PAUSE_POWER_MAX: u8 = 10;

/// A wish to be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wake {
    /// A round that pins this height or a later one is due.
    pub height: u64,
    /// How many due rounds in sequence failed.
    pub failures: u8,
}

/// What happened in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// The consensus height that it pinned.
    pub pinned: u64,
    /// The lowest height that calls asked for and that were not undone.
    pub asked: Option<u64>,
    /// Whether `begin_block` and `end_block` succeeded, and `init` or `migrate` if one was due.
    pub succeeded: bool,
}

impl Wake {
    /// The entry's nine bytes: the height, big-endian, and the failures.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        [&self.height.to_be_bytes()[..], &[self.failures]].concat()
    }

    /// Reads an entry. Anything else than nine bytes is none: only the host writes it.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (height, rest) = bytes.split_first_chunk::<8>()?;
        let [failures] = *rest else { return None };
        Some(Self { height: u64::from_be_bytes(*height), failures })
    }

    /// The entry after a round.
    #[must_use]
    pub fn after(old: Option<Self>, round: Ended) -> Option<Self> {
        let Ended { pinned, asked, succeeded } = round;
        // AB-2: no round before the next block can serve an earlier wish.
        let asked = asked.map(|height| height.max(pinned.saturating_add(1)));
        let earliest = |height: u64| asked.map_or(height, |asked| asked.min(height));
        match old {
            Some(Self { height, failures }) if height > pinned => {
                Some(Self { height: earliest(height), failures })
            }
            Some(Self { failures, .. }) if !succeeded => {
                let pause = 1_u64 << failures.min(PAUSE_POWER_MAX);
                let height = earliest(pinned.saturating_add(pause));
                Some(Self { height, failures: failures.saturating_add(1) })
            }
            _ => asked.map(|height| Self { height, failures: 0 }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wake(height: u64, failures: u8) -> Option<Wake> {
        Some(Wake { height, failures })
    }

    #[test]
    fn the_entry_after_a_round_follows_from_the_one_before() {
        for (what, old, asked, ended_well, new) in [
            ("nothing asked for", None, None, true, None),
            ("asked for", None, Some(70), true, wake(70, 0)),
            ("asked for in a round that fails", None, Some(70), false, wake(70, 0)),
            ("what is past comes with the next block", None, Some(3), true, wake(51, 0)),
            ("so does the pinned height", None, Some(50), true, wake(51, 0)),
            ("not due: stays", wake(60, 3), None, true, wake(60, 3)),
            ("not due: stays in a round that fails", wake(60, 3), None, false, wake(60, 3)),
            ("not due: an earlier wish counts", wake(60, 3), Some(55), true, wake(55, 3)),
            ("not due: a later wish does not", wake(60, 3), Some(65), true, wake(60, 3)),
            ("due: done", wake(50, 3), None, true, None),
            ("due since long: done", wake(2, 0), None, true, None),
            ("due: the next wish", wake(50, 3), Some(80), true, wake(80, 0)),
            ("due and failed: after a block", wake(50, 0), None, false, wake(51, 1)),
            ("then after two", wake(50, 1), None, false, wake(52, 2)),
            ("at last after 1,024", wake(50, 10), None, false, wake(50 + 1024, 11)),
            ("and so on", wake(50, 255), None, false, wake(50 + 1024, 255)),
            ("an earlier wish comes first", wake(50, 9), Some(60), false, wake(60, 10)),
            ("a later one does not", wake(50, 1), Some(60), false, wake(52, 2)),
        ] {
            let round = Ended { pinned: 50, asked, succeeded: ended_well };
            assert_eq!(Wake::after(old, round), new, "{what}");
        }
    }

    #[test]
    fn heights_at_the_end_of_time_do_not_overflow() {
        let last = Some(Wake { height: u64::MAX, failures: 255 });
        let failed = Ended { pinned: u64::MAX, asked: None, succeeded: false };
        assert_eq!(Wake::after(last, failed), last);
        let asked = Ended { pinned: u64::MAX, asked: Some(0), succeeded: true };
        let asked = Wake::after(None, asked);
        assert_eq!(asked, Some(Wake { height: u64::MAX, failures: 0 }));
    }

    #[test]
    fn the_entry_has_nine_bytes() {
        let wake = Wake { height: 0x0102_0304_0506_0708, failures: 9 };
        assert_eq!(wake.encode(), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(Wake::decode(&wake.encode()), Some(wake));
        assert_eq!(Wake::decode(&[0; 8]), None);
        assert_eq!(Wake::decode(&[0; 10]), None);
    }

    #[test]
    fn the_entry_follows_the_table() {
        let ok = |asked| Ended { pinned: 100, asked, succeeded: true };
        let failed = |asked| Ended { pinned: 100, asked, succeeded: false };
        // Not due: the smaller one, and the old failures, however the round ended.
        for round in [ok, failed] {
            assert_eq!(Wake::after(None, round(None)), None);
            assert_eq!(Wake::after(None, round(Some(150))), wake(150, 0));
            assert_eq!(Wake::after(wake(101, 3), round(None)), wake(101, 3));
            assert_eq!(Wake::after(wake(120, 3), round(Some(150))), wake(120, 3));
            assert_eq!(Wake::after(wake(120, 3), round(Some(110))), wake(110, 3));
        }
        // Due and well: what was asked in this round, and nothing else.
        assert_eq!(Wake::after(wake(100, 7), ok(None)), None);
        assert_eq!(Wake::after(wake(1, 7), ok(Some(130))), wake(130, 0));
        // Due and failed: again after 1, 2, 4 and at last 1,024, or earlier if asked.
        for (failures, pause) in [(0, 1), (1, 2), (2, 4), (9, 512), (10, 1024), (11, 1024)] {
            let expected = wake(100 + pause, failures + 1);
            assert_eq!(Wake::after(wake(100, failures), failed(None)), expected);
            assert_eq!(Wake::after(wake(90, failures), failed(Some(5000))), expected);
        }
        assert_eq!(Wake::after(wake(100, 9), failed(Some(130))), wake(130, 10));
        assert_eq!(Wake::after(wake(100, 255), failed(None)), wake(1124, 255));
    }

    #[test]
    fn a_height_that_the_round_has_reached_counts_as_the_next_one() {
        for asked in [0, 99, 100, 101] {
            for old in [None, wake(100, 0), wake(500, 0)] {
                let round = Ended { pinned: 100, asked: Some(asked), succeeded: true };
                assert_eq!(Wake::after(old, round), wake(101, 0), "{asked} {old:?}");
            }
        }
        let round = Ended { pinned: u64::MAX, asked: Some(7), succeeded: false };
        assert_eq!(Wake::after(wake(7, 3), round), wake(u64::MAX, 4));
    }

    #[test]
    fn an_entry_of_other_bytes_is_none() {
        let entry = Wake { height: 0x0102, failures: 9 };
        assert_eq!(entry.encode(), [0, 0, 0, 0, 0, 0, 1, 2, 9]);
        assert_eq!(Wake::decode(&entry.encode()), Some(entry));
        assert_eq!((Wake::decode(&[0; 8]), Wake::decode(&[0; 10])), (None, None));
    }
}
