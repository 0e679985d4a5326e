//! Births, epochs and restarts: registrations, secrets, freshness, keys.

use paralith_attest::Claims;
use paralith_consensus_api::keymanager::{PublishEpochSecret, PublishMasterSecret};
use paralith_consensus_api::registry::{
    CONSENSUS_KEY_DOMAIN, CapabilityTee, Node, NodeRuntime, ProveFreshness, ROLE_COMPUTE,
    ROLE_KEYMANAGER, RegisterNode,
};
use paralith_consensus_api::tx::Body;
use paralith_proto::Canonical;
use paralith_tee_channel::pb::runtime_reply::Kind as Reply;
use paralith_types::{Hash, RuntimeId};

use super::{Recorder, genesis};
use crate::keys::{COMPUTE, ENTITY, KEY_MANAGER, KEY_MANAGER_NODE, consensus_key, key, platform};
use crate::{Call, Raw};

impl Recorder {
    /// From nothing to a key manager with a generation, two registered compute nodes and the first
    /// epoch in which all of them work.
    pub(super) fn birth(&mut self) {
        self.block(vec![]);
        self.block(vec![]);
        let claims = start(self.key_manager_call(Call::Start(1)));
        self.key_manager.seed = 1;
        self.key_manager_call(Call::Sync(self.proven()));
        let response = initialised(self.key_manager_call(Call::Init));
        let mut txs = vec![self.register_key_manager(&claims, response)];
        for node in 0..COMPUTE.len() {
            let claims = self.start_compute(node, 1);
            txs.push(self.register_compute(node, &claims));
        }
        self.block(txs);

        self.next_epoch();
        let next = self.epoch().epoch.next().0;
        self.key_manager_call(Call::Sync(self.proven()));
        let secrets = self.secrets(next);
        let height = self.block(secrets);
        self.block(vec![]);
        // Each epoch has another REK.
        let claims = self.key_manager_claims();
        self.load(&claims, height.0);

        self.next_epoch();
        self.key_manager_call(Call::Sync(self.proven()));
        let response = initialised(self.key_manager_call(Call::Init));
        let claims = self.key_manager_claims();
        let registration = self.register_key_manager(&claims, response);
        self.block(vec![registration]);
        self.begin_epoch();
    }

    /// Blocks until an epoch has begun and its first state is proven.
    pub(super) fn next_epoch(&mut self) {
        let epoch = self.epoch().epoch;
        while self.epoch().epoch == epoch {
            self.block(vec![]);
        }
        self.block(vec![]);
    }

    /// The key manager makes the next epoch's generation and secret; everybody proves freshness; the confidential
    /// ParaTimes' enclaves fetch the keys of this epoch.
    pub(super) fn begin_epoch(&mut self) {
        self.key_manager_call(Call::Sync(self.proven()));
        let blob = self.key_manager_bytes(Call::Blob);
        let mut txs = self.secrets(self.epoch().epoch.next().0);
        txs.push(freshness(KEY_MANAGER_NODE, KEY_MANAGER, &blob));
        let height = self.block(txs);
        self.block(vec![]);
        self.key_manager_call(Call::Sync(height.0));
        self.key_manager_call(Call::Confirm(height.0));
        let claims = self.key_manager_claims();
        self.load(&claims, height.0);
        self.fetch_keys(&[0, 1]);
        self.begun = self.epoch().epoch;
    }

    /// The second compute node's enclaves end and start again, with other keys.
    pub(super) fn restart_second(&mut self) {
        self.ensure_room(RESTART_BLOCKS);
        let second = 1;
        for place in 0..self.paratimes.len() {
            self.call(place, second, Call::Stop);
        }
        let seed = self.compute[second].seed + 1;
        let claims = self.start_compute(second, seed);
        let registration = self.register_compute(second, &claims);
        self.block(vec![registration]);
        self.fetch_keys(&[second]);
    }

    /// Goes on to the next epoch if this one has fewer than `blocks` left.
    pub(super) fn ensure_room(&mut self, blocks: u64) {
        if self.tip().0 + blocks >= self.epoch().next_height.0 {
            self.next_epoch();
        }
        if self.begun != self.epoch().epoch {
            self.begin_epoch();
        }
    }

    /// These compute nodes' enclaves of the confidential ParaTimes prove freshness and ask the key
    /// manager for keys: one ParaTime after the other, since a node has one blob at a time.
    fn fetch_keys(&mut self, nodes: &[usize]) {
        for place in 0..self.paratimes.len() {
            if !genesis::is_confidential(&self.paratimes[place]) {
                continue;
            }
            let mut txs = Vec::new();
            let proven = self.proven();
            for node in nodes {
                self.call(place, *node, Call::Sync(proven));
                let blob = bytes(self.call(place, *node, Call::Blob));
                txs.push(freshness(COMPUTE[*node], self.paratimes[place].id, &blob));
            }
            let height = self.block(txs).0;
            self.block(vec![]);
            self.key_manager_call(Call::Sync(height));
            let epoch = self.epoch().epoch.0;
            for node in nodes {
                self.call(place, *node, Call::Sync(height));
                self.call(place, *node, Call::Confirm(height));
                let request = bytes(self.call(place, *node, Call::KeyRequest(epoch)));
                let reply = self.key_manager_bytes(Call::AnswerKeys(Raw(request)));
                self.call(place, *node, Call::Keys(Raw(reply)));
            }
        }
    }

    /// Takes what was published up to a height, and says so on chain.
    fn load(&mut self, claims: &Claims, height: u64) {
        self.key_manager_call(Call::Sync(height));
        let response = initialised(self.key_manager_call(Call::Load));
        let registration = self.register_key_manager(claims, response);
        self.block(vec![registration]);
    }

    /// A generation and an epoch's secret, to be published.
    fn secrets(&mut self, epoch: u64) -> Vec<(u8, Body)> {
        let master = self.key_manager_bytes(Call::GenerateMaster(epoch));
        let master = PublishMasterSecret::decode(&master, master.len()).unwrap();
        let secret = self.key_manager_bytes(Call::GenerateEpochSecret(epoch));
        let secret = PublishEpochSecret::decode(&secret, secret.len()).unwrap();
        vec![(KEY_MANAGER_NODE, master.into()), (KEY_MANAGER_NODE, secret.into())]
    }

    fn start_compute(&mut self, node: usize, seed: u8) -> Vec<Claims> {
        let places = 0..self.paratimes.len();
        let claims = places.map(|place| {
            let tape = self.tape(place, node);
            self.compute[tape].seed = seed;
            start(self.call(place, node, Call::Start(seed)))
        });
        claims.collect()
    }

    fn register_compute(&self, node: usize, claims: &[Claims]) -> (u8, Body) {
        let runtimes = self.paratimes.iter().zip(claims).map(|(paratime, claims)| NodeRuntime {
            runtime_id: paratime.id,
            tee: genesis::is_confidential(paratime).then(|| self.tee(claims)),
            extra_info: Vec::new(),
        });
        self.registration(COMPUTE[node], ROLE_COMPUTE, runtimes.collect())
    }

    fn register_key_manager(&self, claims: &Claims, extra_info: Vec<u8>) -> (u8, Body) {
        let tee = Some(self.tee(claims));
        let runtime = NodeRuntime { runtime_id: KEY_MANAGER, tee, extra_info };
        self.registration(KEY_MANAGER_NODE, ROLE_KEYMANAGER, vec![runtime])
    }

    fn registration(&self, node: u8, roles: u32, runtimes: Vec<NodeRuntime>) -> (u8, Body) {
        let registered = Node {
            id: key(node).public(),
            entity_id: key(ENTITY).public(),
            expiration: genesis::EXPIRATION,
            roles,
            consensus_key: consensus_key(node).public(),
            addresses: vec![],
            runtimes,
            software_version: String::new(),
        };
        let encoded = registered.encode();
        let signature = consensus_key(node).sign(CONSENSUS_KEY_DOMAIN, &self.chain, &encoded);
        (node, RegisterNode { consensus_signature: signature, node: registered }.into())
    }

    fn tee(&self, claims: &Claims) -> CapabilityTee {
        let evidence = platform().quote(claims, &self.chain);
        CapabilityTee { rak: claims.rak, rek: claims.rek, evidence }
    }

    /// A second start gives the claims again.
    fn key_manager_claims(&mut self) -> Claims {
        let seed = self.key_manager.seed;
        start(self.key_manager_call(Call::Start(seed)))
    }

    pub(super) fn key_manager_call(&mut self, call: Call) -> Reply {
        self.key_manager.call(call, &self.paratimes)
    }

    pub(super) fn key_manager_bytes(&mut self, call: Call) -> Vec<u8> {
        self.key_manager.bytes(call, &self.paratimes)
    }

    pub(super) fn tape(&self, place: usize, node: usize) -> usize {
        COMPUTE.len() * place + node
    }

    /// A call to the enclave of a ParaTime on a compute node.
    pub(super) fn call(&mut self, place: usize, node: usize, call: Call) -> Reply {
        let tape = self.tape(place, node);
        self.compute[tape].call(call, &self.paratimes)
    }
}

/// Blocks that a restart takes, with some to spare.
const RESTART_BLOCKS: u64 = 8;

fn freshness(node: u8, runtime_id: RuntimeId, blob: &[u8]) -> (u8, Body) {
    (node, ProveFreshness { runtime_id, blob: Hash::try_from(blob).unwrap() }.into())
}

fn start(reply: Reply) -> Claims {
    match reply {
        Reply::Started(started) => Claims::decode(&started.claims).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn initialised(reply: Reply) -> Vec<u8> {
    match reply {
        Reply::Bytes(response) => response,
        other => panic!("{other:?}"),
    }
}

fn bytes(reply: Reply) -> Vec<u8> {
    match reply {
        Reply::Bytes(bytes) => bytes,
        other => panic!("{other:?}"),
    }
}
