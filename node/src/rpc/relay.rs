//! Transactions on their way to committee members: those of many users leave in one message.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use paralith_proto::pb::paratime::v1::Output;
use paralith_runtime_worker::{Batcher, LinkError, Links as _};
use paralith_types::{PublicKey, RuntimeId};

use crate::links::NodeLinks;

/// More members than committees of some hundred ParaTimes have: then all begin anew.
const MEMBERS_MAX: usize = 1024;

/// How long a member may take: others wait behind a message that is under way.
const TIMEOUT: Duration = Duration::from_secs(5);

type ToMember = Arc<Batcher<Result<Output, LinkError>>>;

/// The ways to the members, each made when it is first used.
#[derive(Debug, Default)]
pub(super) struct Relay {
    members: Mutex<BTreeMap<(RuntimeId, PublicKey), ToMember>>,
}

impl Relay {
    /// Puts a transaction into a member's pool; what the member says of it.
    pub(super) async fn hand_in(
        &self,
        links: &Arc<NodeLinks>,
        member: PublicKey,
        id: &RuntimeId,
        raw: Vec<u8>,
    ) -> Result<Output, LinkError> {
        let answer = self.to(links, member, id).call(raw).await;
        answer.unwrap_or_else(|| Err(LinkError::Refused("it gave no answer".to_string())))
    }

    fn to(&self, links: &Arc<NodeLinks>, member: PublicKey, id: &RuntimeId) -> ToMember {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        if members.len() >= MEMBERS_MAX {
            members.clear();
        }
        let (links, id) = (Arc::clone(links), *id);
        let start = || {
            Arc::new(Batcher::start(move |raws| {
                submit(Arc::clone(&links), member, id, raws).boxed()
            }))
        };
        Arc::clone(members.entry((id, member)).or_insert_with(start))
    }
}

async fn submit(
    links: Arc<NodeLinks>,
    member: PublicKey,
    id: RuntimeId,
    raws: Vec<Vec<u8>>,
) -> Vec<Result<Output, LinkError>> {
    let count = raws.len();
    let sending = links.submit_transactions(member, id, raws);
    let late = |_| Err(LinkError::Unreachable("it did not answer in time".to_string()));
    match tokio::time::timeout(TIMEOUT, sending).await.unwrap_or_else(late) {
        Ok(outputs) => outputs.into_iter().map(Ok).collect(),
        Err(error) => vec![Err(error); count],
    }
}
