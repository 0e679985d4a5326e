//! One chain, which the tests share: each has an application of its own, or names of its own in one of the
//! applications whose endorsers nobody stops.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use e2e::{Dev, DevOptions, claim};
use paralith::guests;
use paralith::network::ORGANISATIONS;
use serde_json::json;

use crate::net::{Net, SECRETS};

/// An application that tests share, and whose hosts record everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum App {
    Secrets,
    Counter,
    Auction,
}

impl App {
    fn module(self) -> &'static [u8] {
        match self {
            Self::Secrets => SECRETS,
            Self::Counter => guests::COUNTER,
            Self::Auction => guests::AUCTION,
        }
    }
}

/// The chain, and what runs on it.
struct Chain {
    applications: BTreeMap<App, Net>,
    dev: Dev,
    home: tempfile::TempDir,
}

/// How many tests use the chain or are about to, and the chain while none uses it.
struct Shared {
    users: usize,
    chain: Option<Chain>,
}

static SHARED: Mutex<Shared> = Mutex::new(Shared { users: 0, chain: None });

fn shared() -> MutexGuard<'static, Shared> {
    SHARED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A test that uses the chain, from before its turn to its end: the last one ends the chain.
struct User;

impl User {
    fn new() -> Self {
        shared().users += 1;
        Self
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let mut shared = shared();
        shared.users -= 1;
        let chain = if shared.users == 0 { shared.chain.take() } else { None };
        drop(shared);
        drop(chain);
    }
}

impl Chain {
    fn start() -> Self {
        let home = e2e::scratch();
        let kept = home.path().join("chain");
        let dev = Dev::start(DevOptions { home: Some(&kept), more: &["--chaincode"] });
        Self { applications: BTreeMap::new(), dev, home }
    }

    fn application(&self) -> Net {
        Net::on(&self.dev.node, self.dev.folder(), self.home.path().to_path_buf())
    }
}

/// Runs a test on the chain. One that fails takes the chain with it.
fn run(test: impl AsyncFnOnce(&mut Chain)) {
    let _user = User::new();
    claim(async {
        let waiting = shared().chain.take();
        let mut chain = waiting.unwrap_or_else(Chain::start);
        test(&mut chain).await;
        shared().chain = Some(chain);
    });
}

/// Runs a test on an application that nobody has proposed yet.
pub(crate) fn on_chain(test: impl AsyncFnOnce(&mut Net)) {
    run(async |chain| test(&mut chain.application()).await);
}

/// Runs a test that may stop and replace endorsers.
pub(crate) fn on_own_application(module: &[u8], test: impl AsyncFnOnce(&mut Net)) {
    on_chain(async |net| {
        net.serve(module, &ORGANISATIONS, &json!({})).await;
        test(net).await;
    });
}

/// Runs a test on an application that others use as well.
pub(crate) fn on_application(app: App, test: impl AsyncFnOnce(&Net)) {
    run(async |chain| {
        let net = match chain.applications.remove(&app) {
            Some(net) => net,
            None => {
                let mut net = chain.application().recorded();
                net.serve(app.module(), &ORGANISATIONS, &json!({})).await;
                net
            }
        };
        test(&net).await;
        chain.applications.insert(app, net);
    });
}
