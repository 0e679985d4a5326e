//! Why the gateway refuses. Its refusals bear the module of what they are about.

use paralith_runtime_api::TxError;
use paralith_runtime_worker::{ChainError, LinkError};
use paralith_types::{Error, Retry, Round, RuntimeId};

/// A refusal to a user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GatewayError {
    /// No ParaTime has this id. The user's fault.
    #[error("there is no ParaTime {id}: list them with `paralith query runtime`")]
    NoParaTime {
        /// The id.
        id: RuntimeId,
    },
    /// Too few nodes run the ParaTime. Nobody's fault: try again in the next epoch.
    #[error("ParaTime {id} has no committee in this epoch: try again in the next")]
    NoCommittee {
        /// The ParaTime.
        id: RuntimeId,
    },
    /// The chain does not have the round, or not any more. The user's fault.
    #[error("there is no round {round} (yet, or any more)")]
    NoRound {
        /// The round.
        round: Round,
    },
    /// No member answers. Nobody's fault: try again.
    #[error("no committee member answers: try again")]
    NoMember,
    /// The members have not applied the newest round. Nobody's fault: try again.
    #[error("the committee's members have not applied the newest round yet: try again")]
    Behind,
    /// The outputs of a round are not open. Nobody's fault: try again.
    #[error("no committee member has this round opened yet: try again")]
    NotOpen,
    /// No node that answers knows the transaction as final.
    #[error("no node that answers knows a final round with this transaction")]
    NoReceipt,
    /// The node stops. Ask another.
    #[error("the node stops: ask another one")]
    Stopping,
    /// The transaction cannot be read. The sender's fault.
    #[error("{0}")]
    Transaction(TxError),
    /// Consensus state cannot be read. Ours, or the full node's.
    #[error("consensus: {0}")]
    Chain(#[from] ChainError),
    /// A member's refusal, as the member made it.
    #[error("{0}")]
    Member(Error),
}

impl GatewayError {
    /// As it travels.
    pub fn refusal(&self) -> Error {
        let (module, code, retry) = match self {
            Self::NoParaTime { .. } => ("registry", 11, Retry::Never),
            Self::NoCommittee { .. } => ("roothash", 5, Retry::Later),
            Self::NoRound { .. } => ("roothash", 2, Retry::Never),
            Self::NoMember | Self::Behind | Self::NotOpen => ("node", 9, Retry::Later),
            Self::Stopping => ("node", 9, Retry::OtherPeer),
            Self::NoReceipt => ("node", 6, Retry::Never),
            Self::Transaction(error) => ("paratime", error.code(), Retry::Never),
            Self::Chain(error) => return error.refusal(),
            Self::Member(error) => return error.clone(),
        };
        Error::new(module, code, self).with_retry(retry)
    }

    /// What the caller can do.
    pub fn retry(&self) -> Retry {
        self.refusal().retry
    }
}

impl From<LinkError> for GatewayError {
    fn from(error: LinkError) -> Self {
        Self::Member(error.refusal())
    }
}

#[cfg(test)]
mod tests {
    use paralith_proto::status::{error_of, status_of};
    use proptest::prelude::*;

    use super::*;

    fn error() -> impl Strategy<Value = GatewayError> {
        let id = || any::<[u8; 32]>().prop_map(RuntimeId);
        let retry = prop_oneof![
            Just(Retry::Never),
            Just(Retry::Later),
            Just(Retry::OtherPeer),
            any::<u64>().prop_map(|round| Retry::AlreadyFinal { round }),
            any::<u64>().prop_map(|nonce| Retry::NonceIs { nonce }),
        ];
        prop_oneof![
            id().prop_map(|id| GatewayError::NoParaTime { id }),
            id().prop_map(|id| GatewayError::NoCommittee { id }),
            any::<u64>().prop_map(|round| GatewayError::NoRound { round: Round(round) }),
            Just(GatewayError::NoMember),
            Just(GatewayError::Behind),
            Just(GatewayError::NotOpen),
            Just(GatewayError::NoReceipt),
            Just(GatewayError::Stopping),
            (any::<usize>(), any::<usize>()).prop_map(|(limit, got)| {
                GatewayError::Transaction(TxError::Oversized { limit, got })
            }),
            "[ -~ü]{0,30}".prop_map(|text| GatewayError::Chain(ChainError::Unavailable(text))),
            ("[a-z-]{1,12}", 1..u32::MAX, "[ -~ü]{0,30}", retry).prop_map(
                |(module, code, message, retry)| {
                    GatewayError::Member(Error { module, code, message, retry })
                }
            ),
        ]
    }

    proptest! {
        #[test]
        fn every_refusal_keeps_module_code_and_retry_over_grpc(error in error()) {
            let refusal = error.refusal();
            let status = status_of(tonic::Code::Unavailable, &refusal);
            prop_assert_eq!(error_of(&status), Some(refusal));
        }
    }
}
