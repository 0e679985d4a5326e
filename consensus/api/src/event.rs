//! Events: what a block reports. They are provable: each block's events are the leaves of a Merkle
//! tree whose root is in state.

use paralith_proto::{Canonical, DecodeError, pb, wire_struct};

use crate::{beacon, keymanager, registry, roothash, scheduler, staking};

/// An event as it travels: its kind, its encoded message, and the transaction that caused it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Event {
    /// `<module>.<Event>`.
    pub kind: String,
    /// The event's message, encoded.
    #[serde(with = "paralith_types::hex_bytes")]
    pub body: Vec<u8>,
    /// The index of the transaction in its block; none for events of the block itself.
    pub tx_index: Option<u32>,
}
wire_struct!(Event, pb::consensus::v1::Event, { kind, body, tx_index }, {});

macro_rules! kinds {
    ($($variant:ident($type:ty) = $kind:literal),* $(,)?) => {
        /// Every kind of event.
        #[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(tag = "kind", content = "body")]
        #[allow(missing_docs)]
        #[allow(clippy::large_enum_variant, reason = "events are encoded at once, never kept in bulk")]
        pub enum EventKind {
            $(#[serde(rename = $kind)] $variant($type),)*
        }

        impl EventKind {
            /// `<module>.<Event>`, stable.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$variant(_) => $kind,)* }
            }

            /// The event as it travels.
            pub fn to_event(&self, tx_index: Option<u32>) -> Event {
                let body = match self { $(Self::$variant(body) => body.encode(),)* };
                Event { kind: self.name().to_string(), body, tx_index }
            }

            /// Reads an event that came from outside.
            pub fn from_event(event: &Event) -> Result<Self, DecodeError> {
                match event.kind.as_str() {
                    $($kind => Ok(Self::$variant(
                        <$type>::decode(&event.body, MAX_EVENT_BYTES)?)),)*
                    other => Err(DecodeError::field("kind", format!("unknown event {other}"))),
                }
            }
        }

        $(impl From<$type> for EventKind {
            fn from(body: $type) -> Self {
                Self::$variant(body)
            }
        })*
    };
}

kinds! {
    CommitteeElected(scheduler::CommitteeElected) = "scheduler.CommitteeElected",
    DebondingStarted(staking::DebondingStarted) = "staking.DebondingStarted",
    DiscrepancyDetected(roothash::DiscrepancyDetected) = "roothash.DiscrepancyDetected",
    EnclaveRegistered(registry::EnclaveRegistered) = "registry.EnclaveRegistered",
    EnclaveRevoked(registry::EnclaveRevoked) = "registry.EnclaveRevoked",
    EntityRegistered(registry::EntityRegistered) = "registry.EntityRegistered",
    EpochSecretPublished(keymanager::EpochSecretPublished) = "keymanager.EpochSecretPublished",
    EpochStarted(beacon::EpochStarted) = "beacon.EpochStarted",
    EscrowAdded(staking::EscrowAdded) = "staking.EscrowAdded",
    EscrowReclaimed(staking::EscrowReclaimed) = "staking.EscrowReclaimed",
    EscrowTaken(staking::EscrowTaken) = "staking.EscrowTaken",
    EvidenceAccepted(roothash::EvidenceAccepted) = "roothash.EvidenceAccepted",
    InMessageProcessed(roothash::InMessageProcessed) = "roothash.InMessageProcessed",
    LivenessFailed(roothash::LivenessFailed) = "roothash.LivenessFailed",
    MasterSecretPublished(keymanager::MasterSecretPublished) = "keymanager.MasterSecretPublished",
    MessageExecuted(roothash::MessageExecuted) = "roothash.MessageExecuted",
    NodeExpired(registry::NodeExpired) = "registry.NodeExpired",
    NodeFrozen(registry::NodeFrozen) = "registry.NodeFrozen",
    NodeRegistered(registry::NodeRegistered) = "registry.NodeRegistered",
    RoundFinalised(roothash::RoundFinalised) = "roothash.RoundFinalised",
    RuntimeApproved(registry::RuntimeApproved) = "registry.RuntimeApproved",
    RuntimeProposed(registry::RuntimeProposed) = "registry.RuntimeProposed",
    RuntimeRegistered(registry::RuntimeRegistered) = "registry.RuntimeRegistered",
    StatusUpdated(keymanager::StatusUpdated) = "keymanager.StatusUpdated",
    Transferred(staking::Transferred) = "staking.Transferred",
    ValidatorAlarm(scheduler::ValidatorAlarm) = "scheduler.ValidatorAlarm",
    ValidatorsElected(scheduler::ValidatorsElected) = "scheduler.ValidatorsElected",
    VoteIgnored(roothash::VoteIgnored) = "roothash.VoteIgnored",
    Voted(roothash::Voted) = "roothash.Voted",
}

/// Longest encoded event that is read.
pub const MAX_EVENT_BYTES: usize = 1024 * 1024;
