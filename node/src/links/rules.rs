//! What each method of a link takes, and from whom. The table of docs/protocol/wire.md.

use paralith_consensus_api::registry::{ROLE_APPLICATION, ROLE_COMPUTE, ROLE_KEYMANAGER};
use paralith_runtime_vm::MAX_CODE_BYTES;

use super::MAX_MESSAGE_BYTES;
use super::peers::Caller;

/// What a message may have beside its payload.
const ENVELOPE_BYTES: usize = 64 * 1024;

/// Ids, hashes, numbers, and the requests of enclaves.
pub(super) const SMALL: usize = 256 * 1024;

/// A module, a query, a call's transactions, a vote with its messages.
pub(super) const MEDIUM: usize = 4 * 1024 * 1024 + ENVELOPE_BYTES;

/// A batch.
pub(super) const LARGE: usize = MAX_MESSAGE_BYTES;

// One limit for modules: the vm's. It must fit where modules travel.
const _: () = assert!(MAX_CODE_BYTES + ENVELOPE_BYTES <= MEDIUM);

/// The service of workers and key managers.
pub const WORKER_SERVICE: &str = "paralith.worker.v1.WorkerService";

/// Whom a method serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// Any key. Gateways and nodes that are not registered yet need it.
    Anyone,
    /// Registered compute nodes. Methods of a round serve only those that run the ParaTime.
    Compute,
    /// Registered nodes whose enclaves may have keys: compute nodes, and those that run applications.
    KeyHolder,
    /// Registered key managers.
    KeyManager,
}

impl Who {
    pub(super) fn admits(self, caller: &Caller) -> bool {
        match self {
            Self::Anyone => true,
            Self::Compute => caller.has_role(ROLE_COMPUTE),
            Self::KeyHolder => caller.has_role(ROLE_COMPUTE) || caller.has_role(ROLE_APPLICATION),
            Self::KeyManager => caller.has_role(ROLE_KEYMANAGER),
        }
    }
}

/// The rule for one method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) who: Who,
    /// Longest request.
    pub(super) request_bytes: usize,
    /// Longest request of a registered node.
    pub(super) registered_bytes: usize,
    /// Whether one call can hold megabytes: fewer of those run at once.
    pub(super) bulk: bool,
}

/// The rule for the method with this path; none if there is no such method.
pub(super) fn rule(path: &str) -> Option<Rule> {
    let method = path.strip_prefix('/')?.strip_prefix(WORKER_SERVICE)?.strip_prefix('/')?;
    // WI-4: who may call, how much a request may hold, and whether it is bulk.
    let (who, request_bytes, bulk) = match method {
        "SubmitTransactions" => (Who::Anyone, MEDIUM, false),
        "Propose" => (Who::Compute, LARGE, true),
        "SendVote" => (Who::Compute, MEDIUM, false),
        "FetchProposal" => (Who::Compute, SMALL, true),
        "FetchRound" => (Who::Anyone, SMALL, true),
        "FindRound" => (Who::Anyone, SMALL, false),
        "ProveState" | "GetHeaders" | "FetchState" => (Who::Anyone, SMALL, true),
        "FetchCode" => (Who::Anyone, SMALL, true),
        "StoreCode" => (Who::Anyone, MEDIUM, true),
        "RunQuery" => (Who::Anyone, MEDIUM, false),
        "Reveal" => (Who::Anyone, SMALL, false),
        "AnswerKeys" => (Who::KeyHolder, SMALL, false),
        "AnswerReplication" => (Who::KeyManager, SMALL, false),
        "GetRuntimePublicKey" => (Who::Anyone, SMALL, false),
        _ => return None,
    };
    // A member gives its whole pool to the next committee.
    let registered_bytes = if method == "SubmitTransactions" { LARGE } else { request_bytes };
    Some(Rule { who, request_bytes, registered_bytes, bulk })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_of_the_service_has_a_rule() {
        let methods = methods();
        assert!(methods.len() >= 16, "{methods:?}");
        for method in methods {
            let path = format!("/paralith.worker.v1.WorkerService/{method}");
            assert!(rule(&path).is_some(), "{method}");
        }
        assert_eq!(rule("/paralith.worker.v1.WorkerService/Other"), None);
        assert_eq!(rule("/Propose"), None);
    }

    /// The methods that the service's description in the proto file names.
    fn methods() -> Vec<String> {
        let text = include_str!("../../../common/proto/proto/paralith/worker/v1/links.proto");
        text.lines()
            .filter_map(|line| line.trim().strip_prefix("rpc "))
            .filter_map(|rest| rest.split('(').next())
            .map(str::to_string)
            .collect()
    }

    #[test]
    fn strangers_reach_no_method_of_members_and_no_large_request() {
        let stranger = Caller::default();
        for method in ["Propose", "SendVote", "FetchProposal", "AnswerKeys", "AnswerReplication"] {
            let rule = rule(&format!("/paralith.worker.v1.WorkerService/{method}")).unwrap();
            assert!(!rule.who.admits(&stranger), "{method}");
        }
        for method in ["SubmitTransactions", "StoreCode", "RunQuery", "FetchRound"] {
            let rule = rule(&format!("/paralith.worker.v1.WorkerService/{method}")).unwrap();
            assert!(rule.who.admits(&stranger) && rule.request_bytes <= MEDIUM, "{method}");
        }
    }
}
