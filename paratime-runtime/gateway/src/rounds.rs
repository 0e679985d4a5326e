//! Final rounds: fetched and checked once for all that wait for a transaction in them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use paralith_consensus_api::roothash::{self, Header, HeaderType};
use paralith_proto::Wire;
use paralith_proto::pb::worker::v1::RoundData;
use paralith_runtime_api::output::{IoLeaf, OpenedOutput, io_root};
use paralith_runtime_worker::FinalRound;
use paralith_types::{Round, RuntimeId};
use tokio::sync::OnceCell;

use crate::{Gateway, GatewayError};

/// How many rounds are kept, of all ParaTimes: a user that waits is at most a few rounds behind.
const KEPT: usize = 16;

type Slot = Arc<OnceCell<Arc<FinalRound>>>;

/// The newest rounds that somebody asked for.
#[derive(Debug, Default)]
pub(crate) struct FinalRounds {
    kept: Mutex<VecDeque<((RuntimeId, Round), Slot)>>,
}

impl FinalRounds {
    /// The slot of a round. The first caller fills it, while others wait for that.
    pub(crate) fn slot(&self, id: &RuntimeId, round: Round) -> Slot {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, slot)) = kept.iter().find(|(of, _)| *of == (*id, round)) {
            return Arc::clone(slot);
        }
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        let slot = Slot::default();
        kept.push_back(((*id, round), Arc::clone(&slot)));
        slot
    }
}

/// Why a slot is not filled.
enum Unfilled {
    /// The round is known, its outputs are not open.
    Closed(Arc<FinalRound>),
    Refused(GatewayError),
}

impl Gateway {
    /// A final round with its outputs opened, checked against the header in consensus state.
    pub async fn round(
        &self,
        id: &RuntimeId,
        round: Round,
    ) -> Result<Arc<FinalRound>, GatewayError> {
        let found = self.round_as_it_is(id, round).await?;
        if found.is_open() { Ok(found) } else { Err(GatewayError::NotOpen) }
    }

    /// A final round with its outputs opened, or without them if no member has them.
    pub(crate) async fn round_as_it_is(
        &self,
        id: &RuntimeId,
        round: Round,
    ) -> Result<Arc<FinalRound>, GatewayError> {
        let slot = self.rounds.slot(id, round);
        match slot.get_or_try_init(|| self.fetch_round(id, round)).await {
            Ok(found) => Ok(Arc::clone(found)),
            Err(Unfilled::Closed(found)) => Ok(found),
            Err(Unfilled::Refused(error)) => Err(error),
        }
    }

    async fn fetch_round(&self, id: &RuntimeId, round: Round) -> Result<Arc<FinalRound>, Unfilled> {
        let header: Option<Header> =
            self.read(roothash::keys::header(id, round)).await.map_err(Unfilled::Refused)?;
        let header = header.ok_or(Unfilled::Refused(GatewayError::NoRound { round }))?;
        if header.header_type != HeaderType::Normal {
            let data = RoundData { header: Some(header.to_pb()), ..RoundData::default() };
            return Ok(Arc::new(FinalRound::new(data)));
        }
        let mut closed = None;
        for member in self.members(id).await.map_err(Unfilled::Refused)? {
            let Ok(data) = self.members.fetch_round(member, *id, round).await else { continue };
            match checked(data, &header) {
                Some(data) if is_open(&data) => return Ok(Arc::new(FinalRound::new(data))),
                Some(data) => closed = closed.or(Some(data)),
                None => {}
            }
        }
        Err(match closed {
            Some(data) => Unfilled::Closed(Arc::new(FinalRound::new(data))),
            None => Unfilled::Refused(GatewayError::NotOpen),
        })
    }
}

/// A member's data of a round, if its leaves are those of the final header. Outputs that are not all
/// what the leaves commit to are left out.
fn checked(mut data: RoundData, header: &Header) -> Option<RoundData> {
    let leaves: Vec<IoLeaf> = Wire::from_pb(data.leaves.clone()).ok()?;
    if io_root(&leaves) != header.io_root {
        return None;
    }
    let opened: Option<Vec<OpenedOutput>> = Wire::from_pb(data.outputs.clone()).ok();
    let fits = opened.is_some_and(|opened| {
        opened.len() == leaves.len()
            && opened.iter().zip(&leaves).all(|(output, leaf)| output.matches(leaf))
    });
    if !fits {
        data.outputs.clear();
    }
    data.header = Some(header.to_pb());
    Some(data)
}

fn is_open(data: &RoundData) -> bool {
    data.outputs.len() == data.leaves.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: RuntimeId = RuntimeId([1; 32]);

    #[tokio::test]
    async fn a_round_is_fetched_once_and_anew_where_that_failed() {
        let rounds = FinalRounds::default();
        let failed = rounds.slot(&ID, Round(1)).get_or_try_init(async || Err(())).await.is_err();
        assert!(failed);
        let found = || async { Ok::<_, ()>(Arc::new(FinalRound::new(RoundData::default()))) };
        let first = Arc::clone(rounds.slot(&ID, Round(1)).get_or_try_init(found).await.unwrap());
        let again = rounds.slot(&ID, Round(1));
        assert!(Arc::ptr_eq(again.get().unwrap(), &first));
        for round in 2..2 + KEPT as u64 {
            rounds.slot(&ID, Round(round));
        }
        assert!(rounds.slot(&ID, Round(1)).get().is_none(), "the oldest goes first");
    }
}
