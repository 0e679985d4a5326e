//! Trees of the runtime's state that are kept between calls.
//!
//! A call takes a tree, and no lock is held while it works: the host may answer one call late, and
//! the others go on.

use std::ops::{Deref, DerefMut};
use std::sync::{Condvar, Mutex, PoisonError};

use paralith_storage::{NodeSource, StorageError, VerifiedPages, VerifiedTree, VerifiedValues};
use paralith_tee_channel::Callbacks;
use paralith_types::{Hash, Round};

use super::error::EnclaveError;
use super::session::lock;

/// Executions that may run at once. A host runs one, or that of a round and its dispute.
const EXECUTIONS_AT_ONCE: usize = 2;

/// Checks, queries and reveals that may run at once; more wait for their turn. The engine has an
/// instance for each of them, in every enclave of a process.
const READS_AT_ONCE: usize = 4;

/// Gives trees to calls, to so many at once.
#[derive(Debug)]
pub(crate) struct KeptTrees {
    turns: Mutex<Turns>,
    ended: Condvar,
    at_once: usize,
    values: VerifiedValues,
}

#[derive(Debug, Default)]
struct Turns {
    running: usize,
    /// The newest tree that no call has. Only one is kept: an old one names children by places at
    /// which the host has nothing any more.
    free: Option<KeptTree>,
    /// What the trees share that only read what is stored. Pages that an execution computed may
    /// never be stored, so trees of executions share none.
    pages: Option<VerifiedPages>,
}

impl KeptTrees {
    /// Trees that executions may write to. They share verified values with others: a value's hash
    /// is all that binds it.
    pub(crate) fn of_executions(values: VerifiedValues) -> Self {
        Self::new(EXECUTIONS_AT_ONCE, values, None)
    }

    /// Trees that are only read. They share verified pages, too: each page of a round is fetched
    /// once, however many calls run at once.
    pub(crate) fn of_reads(values: VerifiedValues) -> Self {
        Self::new(READS_AT_ONCE, values, Some(VerifiedPages::default()))
    }

    fn new(at_once: usize, values: VerifiedValues, pages: Option<VerifiedPages>) -> Self {
        let turns = Turns { running: 0, free: None, pages };
        Self { turns: Mutex::new(turns), ended: Condvar::new(), at_once, values }
    }

    /// The tree of the last call that has ended, or a new one. Waits while as many calls as may run
    /// at once have one.
    pub(crate) fn take(&self) -> TakenTree<'_> {
        let mut turns = lock(&self.turns);
        while turns.running >= self.at_once {
            turns = self.ended.wait(turns).unwrap_or_else(PoisonError::into_inner);
        }
        turns.running = turns.running.saturating_add(1);
        let tree = turns.free.take();
        let pages = turns.pages.clone();
        let new = || KeptTree { values: self.values.clone(), pages, ..KeptTree::default() };
        TakenTree { tree: tree.unwrap_or_else(new), trees: self }
    }
}

/// A tree that one call has.
#[derive(Debug)]
pub(crate) struct TakenTree<'a> {
    tree: KeptTree,
    trees: &'a KeptTrees,
}

impl Deref for TakenTree<'_> {
    type Target = KeptTree;

    fn deref(&self) -> &KeptTree {
        &self.tree
    }
}

impl DerefMut for TakenTree<'_> {
    fn deref_mut(&mut self) -> &mut KeptTree {
        &mut self.tree
    }
}

/// Also when the call panics: the tree knows that its last use has not ended well.
impl Drop for TakenTree<'_> {
    fn drop(&mut self) {
        let tree = std::mem::take(&mut self.tree);
        let mut turns = lock(&self.trees.turns);
        turns.running = turns.running.saturating_sub(1);
        turns.give_back(tree);
        drop(turns);
        self.trees.ended.notify_one();
    }
}

impl Turns {
    fn give_back(&mut self, tree: KeptTree) {
        if tree.tree.is_none() {
            return;
        }
        if let (Some(shared), Some(own)) = (&self.pages, &tree.pages) {
            // Others may have begun with new pages since.
            let current = own.are_shared_with(shared);
            if current && !tree.complete {
                // A page says where its children are, which its hash does not bind: after a use
                // that failed, nothing that the host has said is kept.
                (self.pages, self.free) = (Some(VerifiedPages::default()), None);
            }
            if !current || !tree.complete {
                return;
            }
        }
        if self.free.as_ref().is_none_or(|free| free.version() <= tree.version()) {
            self.free = Some(tree);
        }
    }
}

/// The host's copy of the tree. What it says is checked by the tree that reads through it.
pub(crate) struct HostSource {
    callbacks: Callbacks,
    round: Round,
}

impl NodeSource for HostSource {
    fn node(&mut self, id: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        self.callbacks.state_node(self.round.0, id).map_err(host_failed)
    }

    fn value(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        self.callbacks.state_value(self.round.0, key).map_err(host_failed)
    }
}

fn host_failed(error: paralith_tee_channel::BoundaryError) -> StorageError {
    StorageError::Io { detail: error.to_string() }
}

pub(crate) type HostTree = VerifiedTree<HostSource>;

/// A verified tree that is kept from use to use. A version of it is a normal round.
#[derive(Debug, Default)]
pub(crate) struct KeptTree {
    tree: Option<HostTree>,
    /// What the last execution on it led to.
    computed: Option<(Round, Hash)>,
    /// Whether the last use found all that it needed.
    complete: bool,
    values: VerifiedValues,
    /// Shared with other trees, if these only read.
    pages: Option<VerifiedPages>,
}

impl KeptTree {
    fn version(&self) -> Option<u64> {
        self.tree.as_ref().map(VerifiedTree::version)
    }

    /// The tree at a final root, the one that `round` led to.
    pub(crate) fn at(&mut self, callbacks: &Callbacks, round: Round, root: Hash) -> &mut HostTree {
        // Pages that an execution computed name their children by the round's number. If the round
        // did not become final, the host never has those children: start over.
        let other = self.computed.take().is_some_and(|computed| computed != (round, root));
        // And a page says where its children are, which its hash does not bind: after a use that
        // failed, nothing that the host has said is kept.
        if other || !self.complete {
            self.tree = None;
        }
        self.complete = false;
        let source = || HostSource { callbacks: callbacks.clone(), round };
        let (values, pages) = (self.values.clone(), self.pages.clone().unwrap_or_default());
        let new =
            || VerifiedTree::new(source(), round.0, root).with_values(values).with_pages(pages);
        let tree = self.tree.get_or_insert_with(new);
        *tree.source_mut() = source();
        if (tree.version(), tree.root()) != (round.0, root) {
            tree.advance(round.0, root);
        }
        tree
    }

    /// Notes what an execution led to.
    pub(crate) fn computed(&mut self, round: Round, root: Hash) {
        self.computed = Some((round, root));
        self.complete = true;
    }

    /// Notes how a use ended that computed no root.
    pub(crate) fn read<T>(&mut self, result: &Result<T, EnclaveError>) {
        self.complete =
            !matches!(result, Err(EnclaveError::StateUnavailable(_) | EnclaveError::Node(_)));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    fn trees(at_once: usize) -> KeptTrees {
        KeptTrees::new(at_once, VerifiedValues::default(), Some(VerifiedPages::default()))
    }

    fn nothing() -> Callbacks {
        struct NoHost;
        impl paralith_tee_channel::HostRequests for NoHost {
            fn ask(
                &self,
                _: &paralith_tee_channel::pb::callback::Kind,
            ) -> Result<paralith_tee_channel::pb::CallbackReply, paralith_tee_channel::BoundaryError>
            {
                Err(paralith_tee_channel::BoundaryError::WrongReply)
            }

            fn log(&self, _: &str) {}
        }
        Callbacks::new(std::sync::Arc::new(NoHost))
    }

    fn used_at(tree: &mut KeptTree, round: u64) {
        tree.at(&nothing(), Round(round), Hash([1; 32]));
        tree.read::<()>(&Ok(()));
    }

    #[test]
    fn calls_at_once_have_a_tree_each_and_the_newest_is_kept() {
        let trees = trees(3);
        let (mut first, mut second) = (trees.take(), trees.take());
        used_at(&mut first, 7);
        used_at(&mut second, 6);
        drop(first);
        drop(second);
        assert_eq!(trees.take().version(), Some(7));
        let mut third = trees.take();
        used_at(&mut third, 8);
        drop(third);
        assert_eq!(trees.take().version(), Some(8));
    }

    #[test]
    fn reads_at_once_share_pages_until_one_of_them_fails() {
        let trees = trees(3);
        let shared = |one: &KeptTree, other: &KeptTree| {
            one.pages.as_ref().unwrap().are_shared_with(other.pages.as_ref().unwrap())
        };
        let (mut first, mut second) = (trees.take(), trees.take());
        used_at(&mut first, 7);
        used_at(&mut second, 7);
        assert!(shared(&first, &second));
        drop(first);
        first = trees.take();
        assert!(shared(&first, &second), "also with the tree that was kept");

        first.at(&nothing(), Round(8), Hash([1; 32]));
        first.read::<()>(&Err(EnclaveError::StateUnavailable("a page".into())));
        drop(first);
        let mut third = trees.take();
        assert!(!shared(&third, &second), "what the host said before the failure is forgotten");
        used_at(&mut third, 8);
        drop(third);
        // A read that began before the failure ends well, and its pages do not come back.
        used_at(&mut second, 9);
        let old = second.pages.clone().unwrap();
        drop(second);
        let last = trees.take();
        assert_eq!(last.version(), Some(8));
        assert!(!last.pages.as_ref().unwrap().are_shared_with(&old));
    }

    #[test]
    fn executions_share_no_pages() {
        let trees = KeptTrees::of_executions(VerifiedValues::default());
        assert!(trees.take().pages.is_none());
    }

    #[test]
    fn a_call_beyond_the_bound_waits_until_another_has_ended_or_panicked() {
        let trees = trees(1);
        let taken = trees.take();
        std::thread::scope(|scope| {
            let (sender, got) = mpsc::channel();
            let trees = &trees;
            scope.spawn(move || {
                let tree = trees.take();
                sender.send(tree.version()).unwrap();
            });
            // It cannot have got one, however long it has run.
            assert!(got.try_recv().is_err());
            let panicked = scope.spawn(move || {
                let _taken = taken;
                panic!("the call ends early");
            });
            assert!(panicked.join().is_err());
            assert_eq!(got.recv_timeout(Duration::from_secs(60)), Ok(None));
        });
    }
}
