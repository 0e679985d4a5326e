//! The enclave's answers, as a host that misbehaves gives them to its node.

use std::sync::Arc;

use paralith_proto::pb::host::v1::{Change, Execute, Executed, runtime_call, runtime_reply};
use paralith_runtime_worker::{Enclave, EnclaveError};
use paralith_storage::{Changes, Tree};

use crate::{Me, Misbehaviour};

pub(crate) struct LyingEnclave {
    me: Me,
    inner: Arc<dyn Enclave>,
}

impl LyingEnclave {
    pub(crate) fn new(me: Me, inner: Arc<dyn Enclave>) -> Self {
        Self { me, inner }
    }

    fn execute(&self, call: Execute) -> Result<runtime_reply::Kind, EnclaveError> {
        if self.me.is(Misbehaviour::Failure) {
            return Err(failed("on purpose"));
        }
        let reply = self.inner.call(runtime_call::Kind::Execute(call))?;
        match reply {
            runtime_reply::Kind::Executed(executed) if self.me.is(Misbehaviour::WrongRoot) => {
                Ok(runtime_reply::Kind::Executed(self.wrong(executed)?))
            }
            other => Ok(other),
        }
    }

    /// One change more, and the root that it leads to.
    fn wrong(&self, mut executed: Executed) -> Result<Executed, EnclaveError> {
        let key = self.me.id().as_bytes().to_vec();
        executed.changes.push(Change { key, value: Some(b"wrong".to_vec()) });
        let changes: Changes =
            executed.changes.iter().map(|c| (c.key.clone(), c.value.clone())).collect();
        let tree = Tree::new(self.me.kv.clone(), self.me.runtime_id.as_bytes());
        let results = executed.results.as_mut().ok_or_else(|| failed("no results"))?;
        let base = tree.latest().map_err(|e| failed(&e.to_string()))?.map(|(version, _)| version);
        let prepared =
            tree.prepare(base, results.round, &changes).map_err(|e| failed(&e.to_string()))?;
        results.state_root = prepared.root().as_bytes().to_vec();
        Ok(executed)
    }
}

impl Enclave for LyingEnclave {
    fn call(&self, call: runtime_call::Kind) -> Result<runtime_reply::Kind, EnclaveError> {
        match call {
            runtime_call::Kind::Execute(call) => self.execute(call),
            other => self.inner.call(other),
        }
    }
}

fn failed(message: &str) -> EnclaveError {
    EnclaveError { module: "adversary".to_string(), code: 1, message: message.to_string() }
}
