//! Proofs of a ParaTime's state, and headers of its past rounds.
//!
//! Users verify what they get. It is checked here too, as far as this node can, so that a member that
//! lies does not keep its users from another one's answer.

use paralith_consensus_api::registry;
use paralith_consensus_api::roothash::{self, Header};
use paralith_proto::Wire;
use paralith_proto::pb::paratime::v1::{
    GetHeadersRequest, GetHeadersResponse, ProveStateRequest, ProveStateResponse,
};
use paralith_runtime_worker::places_asked_for;
use paralith_storage::Proof;
use paralith_types::{PublicKey, Round, RuntimeId};

use crate::retry::RetryBudget;
use crate::{Gateway, GatewayError};

impl Gateway {
    /// Entries of the state after a final round, with proofs. While no member can answer, they are
    /// asked again for a while.
    pub async fn prove_state(
        &self,
        id: &RuntimeId,
        request: &ProveStateRequest,
    ) -> Result<ProveStateResponse, GatewayError> {
        let runtime: Option<registry::Runtime> = self.read(registry::keys::runtime(id)).await?;
        let runtime = runtime.ok_or(GatewayError::NoParaTime { id: *id })?;
        let places = places_asked_for(&runtime, request)
            .map_err(|error| GatewayError::Member(error.refusal()))?;
        let mut budget = RetryBudget::new(self.chain.as_ref());
        loop {
            match self.proven_by_a_member(id, request, &places).await {
                Err(error) if budget.allows(error.retry()).await => {}
                answered => return answered,
            }
        }
    }

    async fn proven_by_a_member(
        &self,
        id: &RuntimeId,
        request: &ProveStateRequest,
        places: &[Vec<u8>],
    ) -> Result<ProveStateResponse, GatewayError> {
        let mut last = GatewayError::NoMember;
        let least = self.newest_state(id).await?;
        for member in self.holders(id).await? {
            let answer = match self.members.prove_state(member, *id, request.clone()).await {
                Ok(answer) => answer,
                Err(error) => {
                    last = error.into();
                    continue;
                }
            };
            let Some(header) = checked(&answer, places) else { continue };
            // RD-29: from no older state than this node knows of, or of the round that was asked for.
            if request.newest && header.round < least {
                last = GatewayError::Behind;
                continue;
            }
            if !request.newest && header.round != Round(request.round) {
                continue;
            }
            let final_one: Option<Header> =
                self.read(roothash::keys::header(id, header.round)).await?;
            // One that the chain does not have any more is the user's to verify.
            if final_one.is_none_or(|known| known == header) {
                return Ok(answer);
            }
        }
        Err(last)
    }

    /// Headers of rounds, without a gap, each naming the one before.
    pub async fn headers(
        &self,
        id: &RuntimeId,
        request: &GetHeadersRequest,
    ) -> Result<GetHeadersResponse, GatewayError> {
        let mut last = GatewayError::NoMember;
        for member in self.holders(id).await? {
            match self.members.headers(member, *id, request.clone()).await {
                Ok(answer) if is_chain(&answer, request) => return Ok(answer),
                Ok(_) => {}
                Err(error) => last = error.into(),
            }
        }
        Err(last)
    }

    /// The nodes that may have the ParaTime's state: the members, and this node if it runs the
    /// ParaTime without a seat.
    async fn holders(&self, id: &RuntimeId) -> Result<Vec<PublicKey>, GatewayError> {
        let mut holders = self.members(id).await?;
        if self.members.is_here(&self.me, id) && !holders.contains(&self.me) {
            holders.insert(0, self.me);
        }
        Ok(holders)
    }
}

/// The header of an answer whose entries are all proven under its root.
fn checked(answer: &ProveStateResponse, places: &[Vec<u8>]) -> Option<Header> {
    let header = Header::from_pb(answer.header.clone()?).ok()?;
    let mut entries = answer.entries.iter().zip(places);
    let holds = answer.entries.len() == places.len()
        && entries.all(|(entry, place)| {
            Proof::from_bytes(&entry.proof).is_ok_and(|proof| {
                proof.verify(&header.state_root, place, entry.value.as_deref()).is_ok()
            })
        });
    holds.then_some(header)
}

fn is_chain(answer: &GetHeadersResponse, request: &GetHeadersRequest) -> bool {
    let Ok(headers) = <Vec<Header> as Wire>::from_pb(answer.headers.clone()) else { return false };
    let links = headers.iter().zip(headers.iter().skip(1));
    headers.first().is_some_and(|first| first.round.0 == request.from)
        && headers.last().is_some_and(|last| last.round.0 <= request.to)
        && links.fold(true, |fits, (one, next)| {
            fits && next.round == one.round.next() && next.previous_hash == one.hash()
        })
}
