//! Key-manager nodes, their enclaves, and a chain that counts epochs.

use paralith_attest::{Claims, Measurement, SoftwarePlatform};
use paralith_consensus_api::event::EventKind;
use paralith_consensus_api::keymanager::{
    Ciphertext, EncryptedEpochSecret, EncryptedMasterSecret, INIT_RESPONSE_DOMAIN, InitResponse,
    PUBLISH_EPOCH_DOMAIN, PUBLISH_MASTER_DOMAIN, Params, Policy, PublishEpochSecret,
    PublishMasterSecret, SignedInitResponse, Status, UpdatePolicy, keys,
};
use paralith_consensus_api::registry::{
    Batching, CapabilityTee, Executor, Node, NodeRuntime, ROLE_KEYMANAGER, Runtime, RuntimeKind,
    RuntimeStaking, TeePolicy,
};
use paralith_consensus_api::staking::{Account, Claim, SharePool};
use paralith_consensus_api::tx::Body;
use paralith_consensus_api::{Error, address, beacon, registry, staking};
use paralith_crypto::ed25519::SigningKey;
use paralith_proto::Canonical;
use paralith_storage::{Durability, Kv, Snapshot, Tree, WriteBatch};
use paralith_types::{
    Amount, ChainContext, Epoch, Hash, Height, PublicKey, RuntimeId, X25519PublicKey,
};

use crate::keymanager;
use crate::{Context, Signer};

pub(super) const CHAIN: ChainContext = ChainContext([7; 32]);
pub(super) const KM: RuntimeId = RuntimeId([3; 32]);
pub(super) const ENCLAVE: Hash = Hash([21; 32]);
/// An enclave that the runtime's descriptor allows and the policy does not.
pub(super) const OLD_ENCLAVE: Hash = Hash([22; 32]);
/// What every state of this chain is said to have as its root.
const ROOT: Hash = Hash([41; 32]);
pub(super) const FIRST_SECRET: Hash = Hash([31; 32]);

pub(super) fn node_key(node: u8) -> SigningKey {
    SigningKey::from_seed([node + 1; 32])
}

pub(super) fn rak(node: u8) -> SigningKey {
    SigningKey::from_seed([node + 51; 32])
}

pub(super) fn rek(node: u8) -> X25519PublicKey {
    X25519PublicKey([node + 101; 32])
}

pub(super) fn owner() -> SigningKey {
    SigningKey::from_seed([200; 32])
}

/// The key manager's own key once it has the first secret.
pub(super) fn km_key() -> PublicKey {
    SigningKey::from_seed([201; 32]).public()
}

fn platform() -> SoftwarePlatform {
    SoftwarePlatform::new(SigningKey::from_seed([202; 32]))
}

pub(super) fn ids(nodes: &[u8]) -> Vec<PublicKey> {
    let mut ids: Vec<_> = nodes.iter().map(|node| node_key(*node).public()).collect();
    ids.sort();
    ids
}

/// A node's registration, to be spoiled.
#[derive(Clone)]
pub(super) struct Registration {
    pub(super) node: u8,
    pub(super) roles: u32,
    pub(super) expiration: u64,
    pub(super) measurement: Hash,
    pub(super) attested_rak: PublicKey,
    pub(super) response_signer: SigningKey,
    pub(super) response: InitResponse,
    pub(super) rak: PublicKey,
    pub(super) rek: X25519PublicKey,
    pub(super) entity: SigningKey,
}

pub(super) struct Net {
    tree: Tree,
    pub(super) height: u64,
    pub(super) epoch: u64,
}

impl Net {
    /// Epoch 1 of a chain with a key manager, its policy of genesis, and no nodes.
    pub(super) fn new() -> Self {
        let mut net = Self { tree: Tree::new(Kv::memory(), b"test"), height: 0, epoch: 0 };
        net.run(|ctx| {
            let params =
                Params { gas_update_policy: 10, gas_publish_secret: 20, replication_percent: 66 };
            ctx.set(keys::params(), &params);
            ctx.set(registry::keys::params(), &registry_params());
            ctx.set(registry::keys::runtime(&KM), &runtime());
            let mut status = keymanager::unborn(&KM);
            status.policy = Some(policy(1));
            ctx.set(keys::status(&KM), &status);
        });
        net.begin_epoch();
        net
    }

    /// One with that many nodes in the committee of epoch 2.
    pub(super) fn with_committee(nodes: u8) -> Self {
        let mut net = Self::new();
        for node in 0..nodes {
            let registration = net.registration(node);
            net.register(&registration);
        }
        net.begin_epoch();
        assert_eq!(net.status().nodes.len(), usize::from(nodes));
        net
    }

    /// One whose committee has generation 0, in epoch 3.
    pub(super) fn initialised(nodes: u8) -> Self {
        let mut net = Self::with_committee(nodes);
        let all: Vec<u8> = (0..nodes).collect();
        let published = net.publish(0, &net.master(0, FIRST_SECRET, &all));
        assert!(published.is_ok(), "{published:?}");
        for node in 0..nodes {
            net.replicate(node, FIRST_SECRET);
        }
        net.begin_epoch();
        assert!(net.status().initialised);
        net
    }

    pub(super) fn run<T>(
        &mut self,
        step: impl FnOnce(&mut Context<'_>) -> T,
    ) -> (T, Vec<EventKind>) {
        let latest = self.tree.latest().unwrap().map(|(version, _)| version);
        let base = Snapshot::new(self.tree.clone(), latest);
        self.height += 1;
        let mut ctx = Context::new(&base, CHAIN, Height(self.height), 0);
        crate::roots::record(&mut ctx, ROOT);
        let result = step(&mut ctx);
        let events = ctx.take_events();
        let changes = ctx.into_changes();
        let prepared = self.tree.prepare(latest, self.height, &changes).unwrap();
        self.tree.commit(prepared, WriteBatch::new(), Durability::Lazy).unwrap();
        (result, events.iter().map(|event| EventKind::from_event(event).unwrap()).collect())
    }

    pub(super) fn begin_epoch(&mut self) -> Vec<EventKind> {
        self.epoch += 1;
        let epoch = Epoch(self.epoch);
        let ((), events) = self.run(|ctx| {
            let (height, next_height) = (ctx.height(), ctx.height().plus(100));
            let entropy = Hash::ZERO;
            let state = beacon::EpochState { epoch, height, next_height, entropy };
            ctx.set(beacon::keys::epoch(), &state);
            keymanager::on_epoch(ctx).unwrap();
        });
        events
    }

    /// Delivers a transaction; gives its events.
    pub(super) fn deliver(
        &mut self,
        signer: &SigningKey,
        body: &Body,
    ) -> Result<Vec<EventKind>, Error> {
        let key = signer.public();
        let (result, events) = self.run(|ctx| {
            ctx.begin_tx(Signer { key, address: address::of_key(&key), tx_index: 0 }, 1000);
            ctx.isolated(|ctx| match body {
                Body::UpdatePolicy(body) => keymanager::execute::update_policy(ctx, body),
                Body::PublishMasterSecret(body) => {
                    keymanager::execute::publish_master_secret(ctx, body)
                }
                Body::PublishEpochSecret(body) => {
                    keymanager::execute::publish_epoch_secret(ctx, body)
                }
                other => panic!("{} is not of this module", other.method()),
            })
        });
        result.map(|()| events)
    }

    pub(super) fn status(&self) -> Status {
        keymanager::query::status(&self.snapshot(), &KM).unwrap().unwrap()
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot::new(self.tree.clone(), Some(self.height))
    }

    /// What an honest node registers for the epoch that comes next.
    pub(super) fn registration(&self, node: u8) -> Registration {
        let status = self.status();
        let policy = status.next_policy.as_ref().or(status.policy.as_ref());
        Registration {
            node,
            roles: ROLE_KEYMANAGER,
            expiration: self.epoch + 10,
            measurement: ENCLAVE,
            attested_rak: rak(node).public(),
            response_signer: rak(node),
            rak: rak(node).public(),
            rek: rek(node),
            entity: owner(),
            response: InitResponse {
                id: KM,
                node: node_key(node).public(),
                checksum: status.checksum,
                next_checksum: None,
                policy_checksum: policy.map_or(Hash::ZERO, Policy::checksum),
                signing_key: status.signing_key,
                next_signing_key: None,
            },
        }
    }

    /// Gives an entity stake, of which a part is claimed.
    pub(super) fn stake(&mut self, entity: &SigningKey, stake: u128, claimed: u128) {
        let pool = SharePool { balance: Amount(stake), total_shares: Amount(stake) };
        let claims = vec![Claim { id: "test".to_string(), amount: Amount(claimed) }];
        let account = Account { active: pool, claims, ..Account::default() };
        let key = staking::keys::account(&address::of_key(&entity.public()));
        self.run(|ctx| ctx.set(key, &account));
    }

    /// Registers a node that has opened a proposal.
    pub(super) fn replicate(&mut self, node: u8, checksum: Hash) {
        let mut registration = self.registration(node);
        registration.response.next_checksum = Some(checksum);
        registration.response.next_signing_key = Some(km_key());
        self.register(&registration);
    }

    pub(super) fn register(&mut self, registration: &Registration) {
        let node = registration.node;
        let claims = Claims {
            measurement: Measurement(registration.measurement),
            rak: registration.attested_rak,
            rek: registration.rek,
            node: node_key(node).public(),
            runtime: KM,
            code: None,
            height: Height(self.height),
            state_root: ROOT,
        };
        let tee = CapabilityTee {
            rak: registration.rak,
            rek: registration.rek,
            evidence: platform().quote(&claims, &CHAIN),
        };
        let response = registration.response.encode();
        let signature = registration.response_signer.sign(INIT_RESPONSE_DOMAIN, &CHAIN, &response);
        let extra_info = SignedInitResponse { response, signature }.encode();
        let id = node_key(node).public();
        let registered = Node {
            id,
            entity_id: registration.entity.public(),
            expiration: Epoch(registration.expiration),
            roles: registration.roles,
            consensus_key: SigningKey::from_seed([node + 151; 32]).public(),
            addresses: Vec::new(),
            runtimes: vec![NodeRuntime { runtime_id: KM, tee: Some(tee), extra_info }],
            software_version: String::new(),
        };
        self.run(|ctx| ctx.set(registry::keys::node(&id), &registered));
    }

    /// A proposal for the next epoch.
    pub(super) fn master(
        &self,
        generation: u64,
        checksum: Hash,
        recipients: &[u8],
    ) -> EncryptedMasterSecret {
        let (id, epoch) = (KM, Epoch(self.epoch + 1));
        EncryptedMasterSecret { id, generation, epoch, checksum, ciphertexts: sealed(recipients) }
    }

    pub(super) fn publish(
        &mut self,
        node: u8,
        secret: &EncryptedMasterSecret,
    ) -> Result<Vec<EventKind>, Error> {
        self.deliver(&node_key(node), &signed_master(node, &rak(node), secret))
    }

    pub(super) fn epoch_secret(&self, recipients: &[u8]) -> EncryptedEpochSecret {
        let (checksum, epoch) = (Hash([41; 32]), Epoch(self.epoch + 1));
        EncryptedEpochSecret { id: KM, epoch, checksum, ciphertexts: sealed(recipients) }
    }

    pub(super) fn update_policy(
        &mut self,
        signer: &SigningKey,
        policy: Policy,
    ) -> Result<Vec<EventKind>, Error> {
        self.deliver(signer, &UpdatePolicy { policy }.into())
    }
}

pub(super) fn code(result: &Result<Vec<EventKind>, Error>) -> u32 {
    result.as_ref().map_or_else(Error::code, |_| 0)
}

pub(super) fn signed_master(node: u8, rak: &SigningKey, secret: &EncryptedMasterSecret) -> Body {
    let secret = secret.encode();
    let signature = rak.sign(PUBLISH_MASTER_DOMAIN, &CHAIN, &secret);
    PublishMasterSecret { secret, node: node_key(node).public(), signature }.into()
}

pub(super) fn signed_epoch(node: u8, rak: &SigningKey, secret: &EncryptedEpochSecret) -> Body {
    let secret = secret.encode();
    let signature = rak.sign(PUBLISH_EPOCH_DOMAIN, &CHAIN, &secret);
    PublishEpochSecret { secret, node: node_key(node).public(), signature }.into()
}

fn sealed(recipients: &[u8]) -> Vec<Ciphertext> {
    recipients.iter().map(|node| Ciphertext { rek: rek(*node), sealed: vec![1] }).collect()
}

pub(super) fn policy(serial: u32) -> Policy {
    Policy {
        serial,
        id: KM,
        measurements: vec![ENCLAVE],
        runtimes: Vec::new(),
        max_epoch_secret_age: 5,
        rotation_epochs: 2,
        nodes: Vec::new(),
    }
}

fn registry_params() -> registry::Params {
    registry::Params {
        max_node_expiration_epochs: 100,
        gas_register_entity: 0,
        gas_register_node: 0,
        gas_register_runtime: 0,
        gas_prove_freshness: 0,
        max_code_bytes: 1,
        software_platforms: vec![platform().public()],
    }
}

fn runtime() -> Runtime {
    Runtime {
        id: KM,
        entity_id: owner().public(),
        kind: RuntimeKind::KeyManager,
        name: "keys".to_string(),
        code: None,
        confidential: true,
        allow_plain_calls: false,
        key_manager: None,
        tee: Some(TeePolicy { measurements: vec![ENCLAVE, OLD_ENCLAVE], max_age_blocks: 1000 }),
        init_argument: Vec::new(),
        min_gas_price: Amount(0),
        max_tx_gas: 0,
        sequence: 1,
        approval: None,
        terms: Vec::new(),
        raw_transactions: false,
        second_key_manager: None,
        executor: Executor {
            workers: 0,
            backups: 0,
            allowed_stragglers: 0,
            round_timeout_blocks: 0,
            max_messages: 0,
            max_in_messages: 0,
            max_failed_rounds: 0,
            liveness: Default::default(),
        },
        batching: Batching {
            max_batch_size: 0,
            max_batch_bytes: 0,
            flush_timeout_ms: 0,
            propose_timeout_ms: 0,
            max_batch_gas: 0,
            empty_round_blocks: 0,
        },
        staking: RuntimeStaking {
            slash_incorrect_results: Amount(0),
            slash_equivocation: Amount(0),
            reward_incorrect_results_percent: 0,
            reward_equivocation_percent: 0,
            min_in_message_fee: Amount(0),
        },
    }
}
