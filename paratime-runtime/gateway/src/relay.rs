//! Transactions on their way to members: those of many users leave in one message.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use paralith_runtime_worker::{Admitted, Batcher, LinkError, Submission};
use paralith_types::{PublicKey, RuntimeId};

use crate::members::Members;

/// More members than committees of some hundred ParaTimes have: then all begin anew.
const MEMBERS_MAX: usize = 1024;

/// How long a member may take: others wait behind a message that is under way.
const TIMEOUT: Duration = Duration::from_secs(5);

type ToMember = Arc<Batcher<Vec<u8>, Result<Admitted, LinkError>>>;

/// The ways to the members, each made when it is first used.
#[derive(Debug, Default)]
pub(crate) struct Relay {
    members: Mutex<BTreeMap<(RuntimeId, PublicKey), ToMember>>,
}

impl Relay {
    /// Puts a transaction into a member's pool, and gives the member's result.
    pub(crate) async fn submit(
        &self,
        members: &Arc<dyn Members>,
        member: PublicKey,
        id: RuntimeId,
        submission: &Submission,
    ) -> Result<Admitted, LinkError> {
        let silent = || LinkError::Unreachable("it gave no answer".to_string());
        // In this node transactions are collected behind this call.
        if members.is_here(&member, &id) {
            return members.submit_here(id, submission.clone()).await;
        }
        let raw = submission.bytes().to_vec();
        self.to(members, member, id).call(raw).await.unwrap_or_else(|| Err(silent()))
    }

    fn to(&self, members: &Arc<dyn Members>, member: PublicKey, id: RuntimeId) -> ToMember {
        let mut ways = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        if ways.len() >= MEMBERS_MAX {
            ways.clear();
        }
        let members = Arc::clone(members);
        let start = || {
            Arc::new(Batcher::start(Vec::len, move |raws| {
                send(Arc::clone(&members), member, id, raws).boxed()
            }))
        };
        Arc::clone(ways.entry((id, member)).or_insert_with(start))
    }
}

async fn send(
    members: Arc<dyn Members>,
    member: PublicKey,
    id: RuntimeId,
    raws: Vec<Vec<u8>>,
) -> Vec<Result<Admitted, LinkError>> {
    let count = raws.len();
    let sending = members.submit(member, id, raws);
    let late = |_| Err(LinkError::Unreachable("it did not answer in time".to_string()));
    match paralith_rt::timeout(TIMEOUT, sending).await.unwrap_or_else(late) {
        Ok(results) => results.into_iter().map(Ok).collect(),
        Err(error) => vec![Err(error); count],
    }
}
