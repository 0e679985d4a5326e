//! When a member shows that its contract lives.
//!
//! A contract whose batches fail, and in which nothing happens, can be closed by anybody once it is
//! dormant. A member opens an empty batch (`probe`) before that: a quorum that lives ends it with YES.

use super::TURN_BLOCKS;

/// A contract that could become dormant, in verified mediator state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quiet {
    /// The height of the state.
    pub height: u64,
    /// Since when batches have failed; 0: the last one ended YES.
    pub failed_height: u64,
    /// `terms.dormant_blocks`; 0: never dormant.
    pub dormant_blocks: u64,
    /// The number of the next batch.
    pub next_batch: u64,
    /// How many members there are.
    pub members: u32,
    /// The own index, unless gone.
    pub me: Option<u32>,
    /// Whether a batch is open or about to be opened.
    pub is_busy: bool,
}

/// When this member probed last. Kept in memory: after a restart it may probe once more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Probing {
    last: u64,
}

impl Probing {
    /// PC-24: whether to probe now. A quarter of the dormant time after the first failure the members take
    /// turns. Pauses grow with the time since, so that members of a dead contract pay for few probes.
    pub fn is_due(&mut self, quiet: &Quiet) -> bool {
        let Quiet { height, failed_height, dormant_blocks, .. } = *quiet;
        let Some(me) = quiet.me else { return false };
        if quiet.is_busy || failed_height == 0 || dormant_blocks == 0 {
            return false;
        }
        let quarter = dormant_blocks.div_ceil(4);
        let members = u64::from(quiet.members);
        let turn = quiet.next_batch.checked_rem(members).unwrap_or(0);
        let rank = u64::from(me).saturating_add(members).saturating_sub(turn);
        let rank = rank.checked_rem(members).unwrap_or(0);
        // With many members, or a short time, all of them have had their turn within a quarter.
        let wait = rank.saturating_mul(TURN_BLOCKS).min(quarter);
        let from = failed_height.saturating_add(quarter).saturating_add(wait);
        let pause = quarter.max(height.saturating_sub(failed_height) / 4).max(1);
        let again = if self.last == 0 { 0 } else { self.last.saturating_add(pause) };
        let is_due = height >= from && height >= again;
        if is_due {
            self.last = height;
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Quiet = Quiet {
        height: 1000,
        failed_height: 1000,
        dormant_blocks: 400,
        next_batch: 7,
        members: 3,
        me: Some(1),
        is_busy: false,
    };

    /// The heights at which a member probes while nothing changes.
    fn probes(quiet: Quiet, blocks: u64) -> Vec<u64> {
        let mut probing = Probing::default();
        let heights = quiet.height..quiet.height + blocks;
        heights.filter(|height| probing.is_due(&Quiet { height: *height, ..quiet })).collect()
    }

    #[test]
    fn members_probe_in_turn_before_the_contract_is_dormant() {
        // Batch 7: the turn begins with member 1.
        let first = |me| probes(Quiet { me: Some(me), ..QUIET }, 400)[0];
        assert_eq!([first(1), first(2), first(0)], [1100, 1102, 1104]);
        assert!(probes(Quiet { members: 256, me: Some(0), ..QUIET }, 400)[0] < 1400);
        assert!(probes(Quiet { dormant_blocks: 3, ..QUIET }, 400)[0] < 1003);
    }

    #[test]
    fn a_member_of_a_dead_contract_pays_for_few_probes() {
        let count = probes(QUIET, 1_000_000).len();
        assert!((10..60).contains(&count), "{count}");
    }

    #[test]
    fn nothing_is_probed_that_is_busy_lives_is_never_dormant_or_is_not_mine() {
        for quiet in [
            Quiet { is_busy: true, ..QUIET },
            Quiet { failed_height: 0, ..QUIET },
            Quiet { dormant_blocks: 0, ..QUIET },
            Quiet { me: None, ..QUIET },
        ] {
            assert_eq!(probes(quiet, 10_000), [0; 0], "{quiet:?}");
        }
    }
}
