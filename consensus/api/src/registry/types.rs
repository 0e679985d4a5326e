//! What state holds of those who take part.

use paralith_crypto::hash::{Domain, hash};
use paralith_proto::{Canonical, pb};
use paralith_types::{Amount, CodeId, Epoch, Hash, Height, PublicKey, RuntimeId, X25519PublicKey};

use crate::message::{message, message_enum};

/// Bit of [`Node::roles`]: executes rounds of runtimes.
pub const ROLE_COMPUTE: u32 = 1;
/// Bit of [`Node::roles`]: runs enclaves of applications for its entity.
pub const ROLE_APPLICATION: u32 = 2;
/// Bit of [`Node::roles`]: holds master secrets.
pub const ROLE_KEYMANAGER: u32 = 4;
/// Bit of [`Node::roles`]: may be elected validator.
pub const ROLE_VALIDATOR: u32 = 8;

message! {
    /// Who answers for nodes and runtimes with stake.
    Entity = pb::registry::v1::Entity {
        /// Its key; its account is the key's.
        id: PublicKey,
        /// Keys of the nodes it answers for, sorted.
        nodes: Vec<PublicKey>,
    }
}

message! {
    /// Keys inside a node's enclave and the proof that they are there.
    CapabilityTee = pb::registry::v1::CapabilityTee {
        /// Runtime attestation key: signs results.
        rak: PublicKey,
        /// Runtime encryption key: receives secrets.
        rek: X25519PublicKey,
        /// Attestation evidence that binds both to node, runtime, code and chain.
        #[serde(with = "paralith_types::hex_bytes")]
        evidence: Vec<u8>,
    }
}

message! {
    /// A runtime that a node runs.
    NodeRuntime = pb::registry::v1::NodeRuntime {
        /// The runtime.
        runtime_id: RuntimeId,
        /// None for public runtimes.
        tee: Option<CapabilityTee>,
        /// Of key managers: a signed init response, encoded. Else empty.
        #[serde(with = "paralith_types::hex_bytes")]
        extra_info: Vec<u8>,
    }
}

message! {
    /// A node and what it offers.
    Node = pb::registry::v1::Node {
        /// Its key: signs commitments, and is the key of its TLS links.
        id: PublicKey,
        /// Who answers for it.
        entity_id: PublicKey,
        /// The last epoch in which it counts.
        expiration: Epoch,
        /// Bits of `ROLE_*`.
        roles: u32,
        /// Its validator key in CometBFT, unique among nodes.
        consensus_key: PublicKey,
        /// "host:port" of its service for other nodes.
        addresses: Vec<String>,
        /// The runtimes that it runs, sorted by id.
        runtimes: Vec<NodeRuntime>,
        /// Free text.
        software_version: String,
    }
}

impl Node {
    /// Whether it offers the role.
    pub fn has_role(&self, role: u32) -> bool {
        self.roles & role != 0
    }

    /// What it registered for the runtime.
    pub fn runtime(&self, id: &RuntimeId) -> Option<&NodeRuntime> {
        self.runtimes.iter().find(|runtime| runtime.runtime_id == *id)
    }
}

message! {
    /// What the chain notes about a node.
    #[derive(Default)]
    NodeStatus = pb::registry::v1::NodeStatus {
        /// Its expiry has been announced.
        expiration_processed: bool,
        /// Electable in epochs after this one; none until the first epoch after registration.
        election_eligible_after: Option<u64>,
        /// The last epoch in which it is in no election because it misbehaved.
        frozen_until: Option<u64>,
    }
}

message! {
    /// Who answers for what a consensus key signs. It is kept by the key's address in CometBFT as long
    /// as evidence may come, whatever key or entity its node registers with meanwhile.
    ConsensusKeyOwner = pb::registry::v1::ConsensusKeyOwner {
        /// The node.
        node_id: PublicKey,
        /// The entity whose stake is slashed.
        entity_id: PublicKey,
        /// The last epoch in which they answer, and in which nobody else may register the key.
        until: Epoch,
        /// Heights of the offences that were punished, sorted: each costs once, however many
        /// contradicting votes there are of it.
        punished: Vec<Height>,
    }
}

message_enum! {
    /// What a runtime is for.
    RuntimeKind {
        /// Executes transactions of users.
        Compute = 1,
        /// Holds secrets of other runtimes.
        KeyManager = 2,
        /// Runs in enclaves of several organisations, which approve its descriptor. It has no
        /// committee and no rounds.
        Application = 3,
    }
}

message! {
    /// The module that a runtime's replicas execute.
    Code = pb::registry::v1::Code {
        /// Hash of the module.
        id: CodeId,
        /// Its length.
        size_bytes: u32,
        /// The contract with the host that it is written for.
        abi_version: u32,
        /// The gas table under which all replicas meter it.
        gas_schedule_version: u32,
    }
}

message! {
    /// Which enclaves may hold a runtime's keys.
    TeePolicy = pb::registry::v1::TeePolicy {
        /// Enclave identities, sorted.
        measurements: Vec<Hash>,
        /// How old an attestation may be.
        max_age_blocks: u64,
    }
}

message! {
    /// Who approves changes of a runtime.
    Approval = pb::registry::v1::Approval {
        /// Entities, sorted; at most [`MAX_ORGANISATIONS`].
        organisations: Vec<PublicKey>,
        /// A policy over the indices of `organisations`, encoded: which of them must approve.
        #[serde(with = "paralith_types::hex_bytes")]
        policy: Vec<u8>,
    }
}

/// Most organisations of one [`Approval`].
pub const MAX_ORGANISATIONS: usize = 32;

/// Most bytes of [`Runtime::terms`].
pub const MAX_TERMS_BYTES: usize = 64 * 1024;

message! {
    /// Rules of a runtime's rounds.
    #[derive(Default)]
    Executor = pb::registry::v1::Executor {
        /// Size of the committee.
        workers: u32,
        /// Size of the backup committee.
        backups: u32,
        /// Votes that may be missing or failures.
        allowed_stragglers: u32,
        /// How long votes are waited for.
        round_timeout_blocks: u64,
        /// Most messages to consensus in a round.
        max_messages: u32,
        /// Most messages from consensus in a round.
        max_in_messages: u32,
        /// Missed proposals of one scheduler in one epoch before it is skipped.
        max_failed_rounds: u32,
    }
    nested {
        /// What a member of the committee must do in an epoch.
        liveness: Liveness,
    }
}

message! {
    /// What a member of the committee must do in an epoch. One that does less is suspended.
    #[derive(Default)]
    Liveness = pb::registry::v1::Liveness {
        /// Members that were asked in fewer rounds are not judged by `min_live_percent`.
        min_rounds: u32,
        /// Share of the rounds that asked for its vote in which it must have given the right
        /// result, in percent. 0 is no rule.
        min_live_percent: u32,
        /// Share of its turns as scheduler that it may miss, in percent. 0 is no rule.
        max_missed_percent: u32,
    }
}

impl Liveness {
    /// For runtimes of the public: half of the votes and half of the turns. A scheduler that
    /// withholds its batches from one member reaches it in its own turns only, which are fewer.
    pub const STANDARD: Self =
        Self { min_rounds: 10, min_live_percent: 50, max_missed_percent: 50 };
}

/// Most transactions that a batch may have: with what an enclave says of each, a round fits into one
/// frame to its host.
pub const MAX_BATCH_SIZE: u32 = 16 * 1024;

message! {
    /// When a scheduler closes a batch.
    #[derive(Default)]
    Batching = pb::registry::v1::Batching {
        /// Most transactions, 1 to [`MAX_BATCH_SIZE`].
        max_batch_size: u32,
        /// Most bytes of all transactions.
        max_batch_bytes: u32,
        /// How long the first transaction waits for company.
        flush_timeout_ms: u32,
        /// How long the next scheduler in rank waits for a proposal.
        propose_timeout_ms: u32,
        /// Most gas of all transactions' limits.
        max_batch_gas: u64,
        /// A round is due this many consensus blocks after the last one, transactions or not.
        /// 0: never.
        empty_round_blocks: u64,
    }
}

message! {
    /// What misbehaviour costs and who is paid.
    #[derive(Default)]
    RuntimeStaking = pb::registry::v1::RuntimeStaking {
        /// What each entity loses whose result differs from the truth.
        slash_incorrect_results: Amount,
        /// What an equivocator's entity loses.
        slash_equivocation: Amount,
        /// Share of the first that goes to the runtime's account; the rest to the right ones.
        reward_incorrect_results_percent: u32,
        /// Share of the second that goes to the runtime's account; the rest to the submitter.
        reward_equivocation_percent: u32,
        /// Least fee of a message to the runtime.
        min_in_message_fee: Amount,
    }
}

message! {
    /// A runtime: a ParaTime, a key manager, or an application.
    Runtime = pb::registry::v1::Runtime {
        /// Its id.
        id: RuntimeId,
        /// Who registered it, and may change it unless there is an `approval`.
        entity_id: PublicKey,
        /// What it is for.
        kind: RuntimeKind,
        /// A short name for people; not unique.
        name: String,
        /// What it executes; none for key managers and for applications that are native programs.
        code: Option<Code>,
        /// Whether its state is encrypted.
        confidential: bool,
        /// Whether a confidential runtime takes calls in plain too.
        allow_plain_calls: bool,
        /// Who holds its keys; none if it needs none.
        key_manager: Option<RuntimeId>,
        /// Which enclaves may run it; none if it is public.
        tee: Option<TeePolicy>,
        /// Given to the guest's `init`.
        #[serde(with = "paralith_types::hex_bytes")]
        init_argument: Vec<u8>,
        /// Least fee for a unit of gas limit, in base units of the fee that the runtime charges.
        min_gas_price: Amount,
        /// Highest gas limit of one transaction; 1 to `batching.max_batch_gas` in compute runtimes.
        max_tx_gas: u64,
        /// 1, and one more with each change that takes effect.
        sequence: u64,
        /// Who approves changes. Applications have one, compute runtimes may, key managers have none.
        /// Where there is none, the owner decides alone.
        approval: Option<Approval>,
        /// What is agreed upon besides; opaque to consensus. At most [`MAX_TERMS_BYTES`].
        #[serde(with = "paralith_types::hex_bytes")]
        terms: Vec<u8>,
        /// It takes transactions in an encoding of its own, and no others.
        raw_transactions: bool,
        /// Keys are derived from the answers of this key manager and `key_manager`.
        second_key_manager: Option<RuntimeId>,
    }
    nested {
        /// Rules of its rounds.
        executor: Executor,
        /// Rules of its batches.
        batching: Batching,
        /// What misbehaviour costs.
        staking: RuntimeStaking,
    }
}

/// Domain of [`Runtime::descriptor_hash`].
pub const DESCRIPTOR_DOMAIN: Domain = Domain::new("paralith/registry/descriptor/v1");

impl Runtime {
    /// What organisations approve: a hash of the whole descriptor.
    pub fn descriptor_hash(&self) -> Hash {
        hash(DESCRIPTOR_DOMAIN, &[&self.encode()])
    }
}

message! {
    /// A change of a runtime that waits for its epoch.
    RuntimeChange = pb::registry::v1::RuntimeChange {
        /// It takes effect when this epoch begins, before its elections.
        epoch: Epoch,
    }
    nested {
        /// The runtime as it will be.
        runtime: Runtime,
    }
}

message! {
    /// The newest blob that a node had included for a runtime.
    Freshness = pb::registry::v1::Freshness {
        /// The blob.
        blob: Hash,
        /// The block.
        height: Height,
    }
}

message! {
    /// What is being decided about a runtime: who proposed which descriptor, who approved which, and
    /// whose enclaves are to be revoked. Descriptors lie under their hashes.
    Decisions = pb::registry::v1::Decisions {
        /// The runtime, registered or not yet.
        runtime_id: RuntimeId,
        /// Sorted by proposer, one each.
        proposals: Vec<Proposed>,
        /// Sorted by organisation, one each.
        approvals: Vec<Approved>,
        /// Sorted by RAK and organisation.
        revocations: Vec<RevocationVote>,
    }
}

message! {
    /// Who proposed which descriptor.
    Proposed = pb::registry::v1::Proposed {
        /// The runtime's owner or one of its organisations.
        proposer: PublicKey,
        /// [`Runtime::descriptor_hash`].
        descriptor: Hash,
        /// The epoch in which it was proposed.
        epoch: Epoch,
    }
}

message! {
    /// Who approved which descriptor.
    Approved = pb::registry::v1::Approved {
        /// One of the organisations.
        organisation: PublicKey,
        /// [`Runtime::descriptor_hash`].
        descriptor: Hash,
        /// The epoch in which it was approved.
        epoch: Epoch,
    }
}

message! {
    /// An organisation that wants an enclave revoked.
    RevocationVote = pb::registry::v1::RevocationVote {
        /// The enclave.
        rak: PublicKey,
        /// Who wants it.
        organisation: PublicKey,
        /// The epoch in which it said so.
        epoch: Epoch,
    }
}

/// After how many epochs a proposal, an approval or a vote for a revocation lapses.
pub const DECISION_EPOCHS: u64 = 10;

/// Most revocations that one organisation asks for at once; an earlier one gives way.
pub const MAX_REVOCATION_VOTES: usize = 16;

message! {
    /// An enclave of a node that counts: registered, not expired, not frozen, not revoked. It says
    /// what was attested, not that it is still wanted: readers compare measurement and code with the
    /// descriptor of the same height, and the height with `expires_height`.
    Enclave = pb::registry::v1::Enclave {
        /// The node that runs it.
        node: PublicKey,
        /// Who answers for the node.
        entity_id: PublicKey,
        /// Receives secrets.
        rek: X25519PublicKey,
        /// The enclave's identity.
        measurement: Hash,
        /// The code that it executes; none for a key manager or a native application.
        code: Option<CodeId>,
        /// The height that the evidence names.
        attested_height: Height,
        /// The evidence counts below this height.
        expires_height: Height,
        /// The last epoch in which the node counts.
        node_expiration: Epoch,
        /// It was attested by software only, which protects nothing.
        software: bool,
    }
}

message! {
    /// An enclave that is revoked for ever.
    Revoked = pb::registry::v1::Revoked {
        /// Since when.
        height: Height,
    }
}
