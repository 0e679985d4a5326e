//! Three stakeholders, their disks, the links between them, data stores and the model of the mediator.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use paralith_crypto::SigningKey;
use paralith_policy::Policy;
use paralith_private_contract_core::messages::{
    Accuse, Canonical, ContentHash, ContractId, ContractVote, Definition, Package, Vote,
};
use paralith_private_contract_stakeholder::{
    BatchLog, Contract, ContractStore, Keys, LinkError, LinkFuture, Links, Mediator, Origins,
    Outside, Page, Server, ServiceError, Snapshot, Stakeholder, Step,
};
use paralith_runtime_abi as abi;
use paralith_types::{Error, Hash, PublicKey};
use prost::Message as _;

use crate::disk::Disk;
use crate::guests::engine;
use crate::model::{Frozen, Model, PLACE, terms};

/// What everybody outside of the stakeholders' processes does.
#[derive(Default)]
pub(crate) struct Outer {
    pub(crate) model: Option<Model>,
    pub(crate) servers: BTreeMap<PublicKey, Server>,
    /// Contents at the origin, by URI.
    pub(crate) origin: BTreeMap<String, Vec<u8>>,
    pub(crate) asked_uris: Vec<String>,
    /// Members that nobody reaches.
    pub(crate) down: BTreeSet<PublicKey>,
    /// Members whose logs, or pages, are false.
    pub(crate) false_logs: bool,
    /// Members that get no content from anybody.
    pub(crate) no_content: BTreeSet<PublicKey>,
    pub(crate) false_pages: BTreeSet<PublicKey>,
    /// Members that leave an entry out of each page.
    pub(crate) omits: BTreeSet<PublicKey>,
    pub(crate) pages: usize,
    /// Every vote that left a process, by batch and index.
    pub(crate) left: BTreeMap<(u64, u32), BTreeSet<Vec<u8>>>,
    pub(crate) refused: Vec<&'static str>,
    pub(crate) probes: usize,
}

pub(crate) type Shared = Arc<Mutex<Outer>>;

/// One member's end of all links.
struct Net {
    me: PublicKey,
    outer: Shared,
}

impl Net {
    fn at<T>(
        &self,
        peer: PublicKey,
        ask: impl FnOnce(&Server) -> Result<T, ServiceError>,
    ) -> Result<T, LinkError> {
        let server = {
            let outer = self.outer.lock().unwrap();
            if outer.down.contains(&peer) || outer.down.contains(&self.me) {
                return Err(LinkError::Unreachable("down".into()));
            }
            outer.servers.get(&peer).cloned()
        };
        let server = server.ok_or_else(|| LinkError::Unreachable("not running".into()))?;
        ask(&server).map_err(|error| LinkError::Refused(error.into()))
    }
}

impl Net {
    fn has_no_content(&self) -> bool {
        self.outer.lock().unwrap().no_content.contains(&self.me)
    }
}

fn ready<'a, T: Send + 'a>(value: Result<T, LinkError>) -> LinkFuture<'a, T> {
    Box::pin(std::future::ready(value))
}

impl Links for Net {
    fn send_vote(&self, peer: PublicKey, vote: ContractVote) -> LinkFuture<'_, ()> {
        let place = (vote.batch, vote.index);
        self.outer.lock().unwrap().left.entry(place).or_default().insert(vote.encode());
        ready(self.at(peer, |server| server.send_vote(&self.me, vote)))
    }

    fn fetch_vote(
        &self,
        peer: PublicKey,
        _: ContractId,
        batch: u64,
        index: u32,
    ) -> LinkFuture<'_, ContractVote> {
        let found = self.at(peer, |server| server.fetch_vote(&self.me, batch, index));
        ready(found.and_then(|found| found.ok_or(LinkError::NotFound)))
    }

    fn fetch_batch(&self, peer: PublicKey, _: ContractId, batch: u64) -> LinkFuture<'_, BatchLog> {
        let mut log = self.at(peer, |server| server.fetch_batch(&self.me, batch));
        if self.outer.lock().unwrap().false_logs
            && let Ok(log) = &mut log
        {
            log.writes[0].held = Some(vec![7; 40]);
        }
        ready(log)
    }

    fn fetch_page(
        &self,
        peer: PublicKey,
        _: ContractId,
        batch: u64,
        after: Option<Vec<u8>>,
    ) -> LinkFuture<'_, Page> {
        let mut page = self.at(peer, |server| server.fetch_page(&self.me, batch, after.as_deref()));
        let mut outer = self.outer.lock().unwrap();
        outer.pages += 1;
        if outer.false_pages.contains(&peer)
            && let Ok(page) = &mut page
        {
            page.entries[0].held[33] ^= 1;
        }
        if outer.omits.contains(&peer)
            && let Ok(page) = &mut page
        {
            page.entries.remove(0);
        }
        ready(page)
    }

    fn fetch_content(
        &self,
        peer: PublicKey,
        _: ContractId,
        content: ContentHash,
    ) -> LinkFuture<'_, Vec<u8>> {
        let found = self.at(peer, |server| server.fetch_content(&self.me, &content));
        let found = if self.has_no_content() { Err(LinkError::NotFound) } else { found };
        ready(found.and_then(|found| found.ok_or(LinkError::NotFound)))
    }
}

impl Origins for Net {
    fn get(&self, uri: String, ticket: Vec<u8>, _: u32) -> LinkFuture<'_, Vec<u8>> {
        assert!(!ticket.is_empty());
        let mut outer = self.outer.lock().unwrap();
        let found = outer.origin.get(&uri).cloned();
        let found = found.filter(|_| !outer.no_content.contains(&self.me));
        outer.asked_uris.push(uri);
        ready(found.ok_or(LinkError::NotFound))
    }
}

impl Mediator for Net {
    fn submit(&self, method: &'static str, arguments: Vec<u8>) -> BoxFuture<'_, Result<(), Error>> {
        let mut outer = self.outer.lock().unwrap();
        if outer.down.contains(&self.me) {
            return Box::pin(std::future::ready(Err(Error::new("node", 1, "down"))));
        }
        let model = outer.model.as_mut().unwrap();
        let refused = match method {
            "vote" => model.vote(&Vote::decode(&arguments, 1 << 20).unwrap()).err(),
            "complain" => {
                model.complaints.push(arguments);
                None
            }
            "accuse" => model.accuse(&Accuse::decode(&arguments, 1 << 20).unwrap()).err(),
            "probe" => {
                model.probe();
                outer.probes += 1;
                None
            }
            other => panic!("{other}"),
        };
        outer.refused.extend(refused);
        Box::pin(std::future::ready(Ok(())))
    }
}

pub(crate) struct Node {
    pub(crate) keys: Keys,
    pub(crate) disk: Disk,
    pub(crate) running: Option<Stakeholder>,
    /// Effects that were carried out since the beginning of the test.
    pub(crate) steps: usize,
    /// The effect before which the process dies next.
    pub(crate) dies_before: Option<usize>,
}

pub(crate) struct World {
    pub(crate) outer: Shared,
    pub(crate) nodes: Vec<Node>,
}

pub(crate) fn keys_of(number: u8) -> Keys {
    let seed = |kind: u8| SigningKey::from_seed([number * 10 + kind; 32]);
    Keys::from_seeds(seed(1), &seed(2), &seed(3))
}

pub(crate) fn package(module: Vec<u8>, init_argument: &[u8]) -> Package {
    Package {
        module,
        init_argument: init_argument.to_vec(),
        derive_secret: Hash([21; 32]),
        group_secret: Hash([22; 32]),
    }
}

pub(crate) fn call(method: &str, args: &str) -> Vec<u8> {
    abi::Call { method: method.into(), args: args.as_bytes().to_vec() }.encode_to_vec()
}

impl World {
    pub(crate) async fn new(package: Package, policy: &str) -> Self {
        let outer = Shared::default();
        let mut nodes = Vec::new();
        let mut installed = Vec::new();
        for number in 1..=3 {
            let disk = Disk::default();
            let store = ContractStore::new(disk.kv(), &PLACE.contract_id);
            let gas = terms().gas_limit;
            let done = Stakeholder::install(&engine(), PLACE, &store, package.clone(), gas).await;
            installed.push(done.unwrap());
            let keys = keys_of(number);
            nodes.push(Node { keys, disk, running: None, steps: 0, dies_before: None });
        }
        assert!(installed.iter().all(|one| *one == installed[0]), "one genesis root");
        let members: Vec<PublicKey> = nodes.iter().map(|node| node.keys.account()).collect();
        let definition = Definition {
            version: 1,
            package_hash: installed[0].package_hash,
            issuers: vec![],
            members,
            policy: Policy::parse(policy, &["a", "b", "c"]).unwrap(),
            terms: terms(),
        };
        let votes = nodes.iter().map(|node| node.keys.vote_key()).collect();
        let kem = nodes.iter().map(|node| node.keys.kem_key().unwrap()).collect();
        outer.lock().unwrap().model = Some(Model::new(definition, installed[0].root, votes, kem));
        let mut world = Self { outer, nodes };
        for number in 0..3 {
            world.start(number);
        }
        world
    }

    pub(crate) fn start(&mut self, number: usize) {
        let node = &mut self.nodes[number];
        let me = node.keys.account();
        let net = Arc::new(Net { me, outer: self.outer.clone() });
        let outside = Outside { links: net.clone(), origins: net.clone(), mediator: net };
        let store = ContractStore::new(node.disk.kv(), &PLACE.contract_id);
        let (stakeholder, server) =
            Stakeholder::start(engine(), PLACE, node.keys.clone(), store, outside).unwrap();
        node.running = Some(stakeholder);
        self.outer.lock().unwrap().servers.insert(me, server);
    }

    pub(crate) fn stop(&mut self, number: usize) {
        let node = &mut self.nodes[number];
        node.running = None;
        self.outer.lock().unwrap().servers.remove(&node.keys.account());
    }

    pub(crate) fn with<T>(&self, use_model: impl FnOnce(&mut Model) -> T) -> T {
        use_model(self.outer.lock().unwrap().model.as_mut().unwrap())
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.with(|model| Snapshot {
            height: model.height,
            state: Arc::new(Frozen(model.state.clone())),
        })
    }

    pub(crate) fn contract(&self) -> Contract {
        Contract::new(self.snapshot(), PLACE)
    }

    pub(crate) fn server(&self, number: usize) -> Server {
        self.outer.lock().unwrap().servers[&self.nodes[number].keys.account()].clone()
    }

    /// A call of this sender, whose content every member finds at the origin.
    pub(crate) fn submit(&self, sender: u8, call: &[u8], payment: u128) -> u64 {
        let (seq, hash, content) =
            self.with(|model| model.submit(sender, call, payment, true, |_| ()));
        let uri = format!("https://a.example/data/{}", hash.to_hex());
        self.outer.lock().unwrap().origin.insert(uri, content);
        seq
    }

    /// A round of the mediator, and everything that follows from it.
    pub(crate) async fn round(&mut self) {
        self.with(Model::round);
        self.show().await;
    }

    /// Shows the mediator's state to all that run, and lets them work until nothing is left to do.
    pub(crate) async fn show(&mut self) {
        let snapshot = self.snapshot();
        for node in &mut self.nodes {
            if let Some(running) = &mut node.running {
                running.advance(snapshot.clone()).await.unwrap();
            }
        }
        loop {
            let mut worked = false;
            for number in 0..self.nodes.len() {
                worked |= self.work(number).await;
            }
            if !worked {
                break;
            }
        }
    }

    /// One effect of a node. A process that is to die before it dies, and starts again.
    async fn work(&mut self, number: usize) -> bool {
        // Votes are sent by tasks.
        paralith_rt::yield_now().await;
        let node = &mut self.nodes[number];
        let Some(running) = &mut node.running else { return false };
        running.take_votes().unwrap();
        if node.dies_before == Some(node.steps) && running.has_work() {
            node.dies_before = None;
            self.stop(number);
            self.start(number);
            let snapshot = self.snapshot();
            let running = self.nodes[number].running.as_mut().unwrap();
            running.advance(snapshot).await.unwrap();
            return true;
        }
        let done = running.step().await.unwrap() == Step::Done;
        node.steps += usize::from(done);
        done
    }

    pub(crate) async fn rounds(&mut self, count: usize) {
        for _ in 0..count {
            self.round().await;
        }
    }

    /// The newest root of each disk.
    pub(crate) fn roots(&self) -> Vec<Hash> {
        let root = |node: &Node| {
            let store = ContractStore::new(node.disk.kv(), &PLACE.contract_id);
            store.tree().latest().unwrap().unwrap().1
        };
        self.nodes.iter().map(root).collect()
    }

    pub(crate) fn assert_all_at_last_root(&self) {
        let last = self.with(|model| model.record.last_root);
        assert_eq!(self.roots(), vec![last; 3]);
    }

    /// Nobody signed two verdicts of a batch, on the chain or over links.
    pub(crate) fn assert_one_vote_a_batch(&self) {
        let outer = self.outer.lock().unwrap();
        for (place, votes) in &outer.left {
            assert_eq!(votes.len(), 1, "{place:?}");
        }
        for (place, verdicts) in &outer.model.as_ref().unwrap().verdicts {
            assert_eq!(verdicts.len(), 1, "{place:?}");
        }
    }
}
