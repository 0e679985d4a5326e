//! A follower beside the committee: it executes nothing and reaches the same state.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures::FutureExt as _;
use paralith_proto::pb::host::v1::Change;
use paralith_proto::pb::worker::v1::{Proposal, RoundData, StatePage, VoteMessage};
use paralith_rt::JoinHandle;
use paralith_runtime_worker::{
    Admitted, Follower, FollowerHandle, LinkError, LinkFuture, Links, WorkerError,
};
use paralith_storage::{
    Backend, Changes, Column, Durability, EMPTY_ROOT, Kv, Pair, StorageError, Tree, WriteBatch,
};
use paralith_types::{CodeId, Hash, PublicKey, Round, RuntimeId};

use crate::net::{Cluster, NodeChain, RUNTIME, Setup, hash_of, id, until};

/// The number of the follower's node, which has no seat.
const ME: usize = 9;

fn start_on(
    cluster: &Cluster,
    kv: Kv,
    links: Arc<dyn Links>,
    kept: Option<u64>,
) -> (FollowerHandle, JoinHandle<()>) {
    Follower::start_keeping(RUNTIME, kv, NodeChain::of(&cluster.chain, ME), links, kept)
}

fn start(cluster: &Cluster, kv: Kv) -> (FollowerHandle, JoinHandle<()>) {
    Follower::start(RUNTIME, kv, NodeChain::of(&cluster.chain, ME), cluster.net.links_of(id(ME)))
}

/// Waits until the follower has the newest round's state, and checks that its tree is that state.
async fn has_newest(cluster: &Cluster, follower: &FollowerHandle) -> u64 {
    let applied = follower.applied();
    let newest = || {
        let (now, last) = (*applied.borrow(), cluster.chain.state().last_block);
        (now.round == last.round && now.root == last.state_root).then_some(now)
    };
    let now = until(|| cluster.chain.describe(), newest).await;
    let found = follower.tree().at_most(now.round.0).unwrap();
    assert_eq!(found.map_or(EMPTY_ROOT, |(_, root)| root), now.root);
    now.round.0
}

/// Lets the committee make so many more rounds with results.
async fn rounds(cluster: &Cluster, user: u8, count: u64) {
    for nonce in 0..count {
        let raw = cluster.transfer(user, nonce);
        cluster.submit(0, &raw).await;
        cluster.receipt(0, &raw).await;
    }
}

async fn end(follower: FollowerHandle, task: JoinHandle<()>) {
    drop(follower);
    task.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_reaches_the_members_state_and_goes_on_with_them_also_after_a_restart() {
    // Epochs of twelve blocks: rounds without results lie in between.
    let cluster = Cluster::start(&Setup { epoch_blocks: 12, ..Setup::three() });
    rounds(&cluster, 1, 3).await;
    let kv = Kv::memory();
    let (follower, task) = start(&cluster, kv.clone());
    has_newest(&cluster, &follower).await;
    rounds(&cluster, 2, 2).await;
    has_newest(&cluster, &follower).await;
    // It ends with its last handle.
    end(follower, task).await;
    rounds(&cluster, 3, 2).await;
    let (follower, _task) = start(&cluster, kv);
    let newest = has_newest(&cluster, &follower).await;
    let tx = hash_of(&cluster.transfer(3, 1));
    let (version, _) = follower.tree().at_most(newest).unwrap().unwrap();
    assert_eq!(follower.tree().get(version, tx.as_bytes()).unwrap(), Some(vec![1, 0]));
    let header = follower.header(Round(newest)).unwrap().unwrap();
    assert_eq!(Some(header), cluster.chain.header(newest));
}

/// A store that fails after some writes: what it holds is what a crash leaves.
#[derive(Debug)]
struct Crashing {
    kv: Kv,
    left: AtomicUsize,
    crashed: AtomicBool,
}

impl Backend for Crashing {
    fn write(&self, batch: WriteBatch, durability: Durability) -> Result<(), StorageError> {
        let left = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        if left.is_err() {
            self.crashed.store(true, Ordering::SeqCst);
            return Err(StorageError::Io { detail: "the power is off".into() });
        }
        self.kv.write(batch, durability)
    }

    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        self.kv.get(column, key)
    }

    fn range(
        &self,
        column: Column,
        from: &[u8],
        to: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Pair>, StorageError> {
        self.kv.range(column, from, to, limit)
    }

    fn last_at_most(&self, column: Column, bound: &[u8]) -> Result<Option<Pair>, StorageError> {
        self.kv.last(column, b"", bound)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_between_any_two_writes_loses_nothing() {
    let mut cluster = Cluster::start(&Setup { epoch_blocks: 12, ..Setup::three() });
    rounds(&cluster, 1, 6).await;
    cluster.pause();
    // With logs, and without: then the state comes in pages.
    for without_logs in [false, true] {
        let links = || -> Arc<dyn Links> {
            let inner = cluster.net.links_of(id(ME));
            Arc::new(Changed { no_logs: without_logs.into(), ..Changed::of(inner) })
        };
        for writes in 0.. {
            let kv = Kv::memory();
            let (left, crashed) = (AtomicUsize::new(writes), AtomicBool::new(false));
            let backend = Arc::new(Crashing { kv: kv.clone(), left, crashed });
            let (follower, task) = start_on(&cluster, Kv::new(backend.clone()), links(), Some(3));
            let applied = follower.applied();
            let done = || {
                let is_newest = applied.borrow().round.0 == cluster.chain.last_round();
                (is_newest || backend.crashed.load(Ordering::SeqCst)).then_some(is_newest)
            };
            let finished = until(|| format!("{writes} writes"), done).await;
            end(follower, task).await;
            let (follower, task) = start_on(&cluster, kv, links(), Some(3));
            has_newest(&cluster, &follower).await;
            end(follower, task).await;
            if finished && !backend.crashed.load(Ordering::SeqCst) {
                assert!(writes >= if without_logs { 1 } else { 6 }, "{writes}");
                break;
            }
        }
    }
}

type ChangeLog = fn(&mut RoundData);
type ChangePage = fn(&mut StatePage);

/// Links on which some peers lie, or have no logs.
struct Changed {
    inner: Arc<dyn Links>,
    liars: Vec<PublicKey>,
    log: ChangeLog,
    page: ChangePage,
    no_logs: AtomicBool,
    lies: AtomicUsize,
    pages: AtomicUsize,
}

impl Changed {
    fn of(inner: Arc<dyn Links>) -> Self {
        Self {
            inner,
            liars: Vec::new(),
            log: |_| {},
            page: |_| {},
            no_logs: AtomicBool::new(false),
            lies: AtomicUsize::new(0),
            pages: AtomicUsize::new(0),
        }
    }
}

impl Links for Changed {
    fn submit_transactions(
        &self,
        _: PublicKey,
        _: RuntimeId,
        _: Vec<Vec<u8>>,
    ) -> LinkFuture<'_, Vec<Admitted>> {
        async { Err(LinkError::NotFound) }.boxed()
    }

    fn propose(&self, _: PublicKey, _: Proposal) -> LinkFuture<'_, ()> {
        async { Err(LinkError::NotFound) }.boxed()
    }

    fn send_vote(&self, _: PublicKey, _: VoteMessage) -> LinkFuture<'_, ()> {
        async { Err(LinkError::NotFound) }.boxed()
    }

    fn fetch_proposal(&self, _: PublicKey, _: RuntimeId, _: Hash) -> LinkFuture<'_, Proposal> {
        async { Err(LinkError::NotFound) }.boxed()
    }

    fn fetch_round(
        &self,
        peer: PublicKey,
        runtime: RuntimeId,
        round: Round,
    ) -> LinkFuture<'_, RoundData> {
        async move {
            if self.no_logs.load(Ordering::SeqCst) {
                return Err(LinkError::NotFound);
            }
            let mut data = self.inner.fetch_round(peer, runtime, round).await?;
            if self.liars.contains(&peer) {
                self.lies.fetch_add(1, Ordering::SeqCst);
                (self.log)(&mut data);
            }
            Ok(data)
        }
        .boxed()
    }

    /// Pages of two entries.
    fn fetch_state(
        &self,
        peer: PublicKey,
        runtime: RuntimeId,
        round: Round,
        after: Option<Vec<u8>>,
    ) -> LinkFuture<'_, StatePage> {
        async move {
            let mut page = self.inner.fetch_state(peer, runtime, round, after).await?;
            self.pages.fetch_add(1, Ordering::SeqCst);
            if page.entries.len() > 2 {
                page.entries.truncate(2);
                page.last = false;
            }
            if self.liars.contains(&peer) {
                self.lies.fetch_add(1, Ordering::SeqCst);
                (self.page)(&mut page);
            }
            Ok(page)
        }
        .boxed()
    }

    fn fetch_code(&self, _: PublicKey, _: CodeId) -> LinkFuture<'_, Vec<u8>> {
        async { Err(LinkError::NotFound) }.boxed()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_false_log_is_refused_and_another_peer_is_asked() {
    let cluster = Cluster::start(&Setup::three());
    rounds(&cluster, 1, 3).await;
    let lies: [ChangeLog; 4] = [
        |data| data.changes[0].value = Some(vec![99]),
        |data| drop(data.changes.pop()),
        |data| data.changes.push(Change { key: b"more".to_vec(), value: Some(vec![1]) }),
        |data| drop(data.leaves.pop()),
    ];
    for log in lies {
        let inner = cluster.net.links_of(id(ME));
        // All but one, so that a liar is asked first.
        let liars = (0..5).map(id).collect();
        let links = Arc::new(Changed { liars, log, ..Changed::of(inner) });
        let (follower, _task) = start_on(&cluster, Kv::memory(), links.clone(), None);
        has_newest(&cluster, &follower).await;
        assert!(links.lies.load(Ordering::SeqCst) > 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_all_lie_nothing_is_applied() {
    let cluster = Cluster::start(&Setup::three());
    rounds(&cluster, 1, 3).await;
    let links = Arc::new(Changed {
        liars: (0..6).map(id).collect(),
        log: |data| drop(data.changes.pop()),
        page: |page| drop(page.entries.pop()),
        ..Changed::of(cluster.net.links_of(id(ME)))
    });
    let (follower, _task) = start_on(&cluster, Kv::memory(), links.clone(), None);
    // All were asked for logs and for pages.
    let asked = || (links.lies.load(Ordering::SeqCst) >= 12).then_some(());
    until(|| cluster.chain.describe(), asked).await;
    assert_eq!(follower.applied().borrow().round, Round(0));
    assert_eq!(follower.tree().latest().unwrap(), None);
}

/// A store with a version 1 that differs from every state of the ParaTime: an entry too many, and a
/// false one.
fn with_an_old_state() -> Kv {
    let kv = Kv::memory();
    let tree = Tree::new(kv.clone(), RUNTIME.as_bytes());
    let old = [b"rounds".as_slice(), b"zz", b"\0"].map(|key| (key.to_vec(), Some(vec![7])));
    let prepared = tree.prepare(None, 1, &Changes::from(old)).unwrap();
    tree.commit(prepared, WriteBatch::new(), Durability::Synced).unwrap();
    kv
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_logs_the_state_comes_in_pages_and_a_false_page_is_refused() {
    let cluster = Cluster::start(&Setup::three());
    rounds(&cluster, 1, 5).await;
    let lies: [ChangePage; 6] = [
        |page| page.entries[0].value.push(1),
        |page| page.entries[0].key.push(1),
        // An entry is left out: found when all are there.
        |page| drop(page.entries.remove(0)),
        |page| page.entries.reverse(),
        |page| page.last = true,
        |page| *page = StatePage::default(),
    ];
    for page in lies {
        let inner = cluster.net.links_of(id(ME));
        let liars = (0..5).map(id).collect();
        let links = Arc::new(Changed { liars, page, no_logs: true.into(), ..Changed::of(inner) });
        let kv = with_an_old_state();
        let (follower, _task) = start_on(&cluster, kv, links.clone(), None);
        has_newest(&cluster, &follower).await;
        assert!(links.lies.load(Ordering::SeqCst) > 0);
        assert!(links.pages.load(Ordering::SeqCst) > 3, "in pages");
        // The old version is there as it was.
        assert_eq!(follower.tree().get(1, b"zz").unwrap(), Some(vec![7]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_checkpoint_it_goes_on_with_logs_and_prunes_what_was_before() {
    let cluster = Cluster::start(&Setup::three());
    rounds(&cluster, 1, 4).await;
    let links =
        Arc::new(Changed { no_logs: true.into(), ..Changed::of(cluster.net.links_of(id(ME))) });
    let kv = with_an_old_state();
    let (follower, _task) = start_on(&cluster, kv, links.clone(), Some(4));
    has_newest(&cluster, &follower).await;
    links.no_logs.store(false, Ordering::SeqCst);
    let pages = links.pages.load(Ordering::SeqCst);
    rounds(&cluster, 2, 6).await;
    has_newest(&cluster, &follower).await;
    assert_eq!(links.pages.load(Ordering::SeqCst), pages);
    assert_eq!(follower.tree().root(1).unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pin_keeps_a_state_when_others_are_pruned_also_over_a_restart_until_it_is_taken_back() {
    let cluster = Cluster::start(&Setup::three());
    rounds(&cluster, 1, 4).await;
    let (kv, links) = (Kv::memory(), || cluster.net.links_of(id(ME)));
    let (follower, task) = start_on(&cluster, kv.clone(), links(), Some(4));
    let pinned = has_newest(&cluster, &follower).await;
    let root = follower.tree().root(pinned).unwrap().unwrap();
    follower.pin("a", Round(pinned)).unwrap();
    follower.pin("b", Round(pinned)).unwrap();
    assert_eq!(follower.pin("c", Round(pinned + 1_000)), Err(WorkerError::NotFound));
    rounds(&cluster, 2, 6).await;
    has_newest(&cluster, &follower).await;
    end(follower, task).await;
    let (follower, _task) = start_on(&cluster, kv, links(), Some(4));
    follower.unpin("b").unwrap();
    rounds(&cluster, 3, 6).await;
    let newest = has_newest(&cluster, &follower).await;
    let versions = follower.tree().versions(100).unwrap();
    assert_eq!(versions[0], pinned);
    assert!(versions[1] > pinned + 1 && (versions.len() as u64) < newest - pinned, "{versions:?}");
    assert_eq!(follower.tree().root(pinned).unwrap(), Some(root));
    let rounds_then = follower.tree().get(pinned, b"rounds").unwrap();
    assert_eq!(rounds_then, Some(pinned.to_be_bytes().to_vec()));

    follower.unpin("a").unwrap();
    rounds(&cluster, 4, 6).await;
    has_newest(&cluster, &follower).await;
    assert_eq!(follower.tree().root(pinned).unwrap(), None);
    assert_eq!(follower.pin("a", Round(pinned)), Err(WorkerError::NotFound));
}
