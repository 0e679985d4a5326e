//! Open links: which keys they belong to, and how one is closed when no directory knows its key any
//! more.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::stream::{StreamExt as _, select_all};
use paralith_types::PublicKey;
use tokio_util::sync::CancellationToken;

use super::directory::{Directory, Role};
use crate::error::NodeError;

/// The services of this node's links, each with its directory.
#[derive(Debug, Clone)]
pub(super) struct Directories(Arc<[(&'static str, Arc<dyn Directory>)]>);

impl Directories {
    pub(super) fn new(all: Vec<(&'static str, Arc<dyn Directory>)>) -> Self {
        Self(all.into())
    }

    /// What a key is to each service that is for it. One directory without proven state does not
    /// hide what another says.
    pub(super) async fn roles(
        &self,
        key: PublicKey,
    ) -> Result<Vec<(&'static str, Role)>, NodeError> {
        let (mut roles, mut failed) = (Vec::new(), None);
        for (service, directory) in self.0.iter() {
            match directory.allows(key, service).await {
                Ok(role) => roles.extend(role.map(|role| (*service, role))),
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            Some(error) if roles.is_empty() => Err(error),
            _ => Ok(roles),
        }
    }
}

/// The open links.
#[derive(Debug, Default)]
pub(super) struct Open {
    links: Mutex<Links>,
}

#[derive(Debug, Default)]
struct Links {
    next: u64,
    open: BTreeMap<u64, (PublicKey, CancellationToken)>,
}

/// A link among the open ones, until it is dropped.
#[derive(Debug)]
pub(super) struct OpenLink {
    open: Arc<Open>,
    number: u64,
    closing: CancellationToken,
}

impl OpenLink {
    /// Ends when the link has to be closed.
    pub(super) fn closing(&self) -> CancellationToken {
        self.closing.clone()
    }
}

impl Drop for OpenLink {
    fn drop(&mut self) {
        self.open.lock().open.remove(&self.number);
    }
}

impl Open {
    fn lock(&self) -> MutexGuard<'_, Links> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a link. A link is added before its key is looked up, so that no change in between is
    /// missed.
    pub(super) fn add(self: &Arc<Self>, key: PublicKey) -> OpenLink {
        let closing = CancellationToken::new();
        let mut links = self.lock();
        let number = links.next;
        links.next += 1;
        links.open.insert(number, (key, closing.clone()));
        drop(links);
        OpenLink { open: Arc::clone(self), number, closing }
    }

    /// Closes the links of keys that no directory knows any more, with every change.
    pub(super) async fn watch(self: Arc<Self>, directories: Directories, stop: CancellationToken) {
        let changes = directories.0.iter().map(|(_, directory)| directory.changes());
        let mut changes = select_all(changes);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                change = changes.next() => match change {
                    None => return,
                    Some(()) => self.look_again(&directories).await,
                },
            }
        }
    }

    async fn look_again(&self, directories: &Directories) {
        let open: Vec<_> = self.lock().open.values().cloned().collect();
        for (key, closing) in open {
            // WI-15: without proven state nothing is known, and nothing is taken away.
            if directories.roles(key).await.is_ok_and(|roles| roles.is_empty()) {
                tracing::debug!(%key, "a link is closed: no directory knows its key any more");
                closing.cancel();
            }
        }
    }
}
