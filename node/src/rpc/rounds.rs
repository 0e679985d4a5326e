//! Final rounds that are shared by all who wait for a transaction in them: fetched and checked
//! once.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use paralith_runtime_worker::FinalRound;
use paralith_types::{Round, RuntimeId};
use tokio::sync::OnceCell;

/// How many rounds are kept, of all ParaTimes: who waits is at most a few rounds behind.
const KEPT: usize = 16;

type Place = Arc<OnceCell<Arc<FinalRound>>>;

/// The newest rounds that somebody asked for.
#[derive(Debug, Default)]
pub(super) struct FinalRounds {
    kept: Mutex<VecDeque<((RuntimeId, Round), Place)>>,
}

impl FinalRounds {
    /// The place of a round: whoever finds it empty fills it, while others wait for that.
    pub(super) fn place(&self, id: &RuntimeId, round: Round) -> Place {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, place)) = kept.iter().find(|(of, _)| *of == (*id, round)) {
            return Arc::clone(place);
        }
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        let place = Place::default();
        kept.push_back(((*id, round), Arc::clone(&place)));
        place
    }
}

#[cfg(test)]
mod tests {
    use paralith_proto::pb::worker::v1::RoundData;

    use super::*;

    const ID: RuntimeId = RuntimeId([1; 32]);

    #[tokio::test]
    async fn a_round_is_fetched_once_and_anew_where_that_failed() {
        let rounds = FinalRounds::default();
        let failed = rounds.place(&ID, Round(1)).get_or_try_init(async || Err(())).await.is_err();
        assert!(failed);
        let found = || async { Ok::<_, ()>(Arc::new(FinalRound::new(RoundData::default()))) };
        let first = Arc::clone(rounds.place(&ID, Round(1)).get_or_try_init(found).await.unwrap());
        let again = rounds.place(&ID, Round(1));
        assert!(Arc::ptr_eq(again.get().unwrap(), &first));
        for round in 2..2 + KEPT as u64 {
            rounds.place(&ID, Round(round));
        }
        assert!(rounds.place(&ID, Round(1)).get().is_none(), "the oldest goes first");
    }
}
