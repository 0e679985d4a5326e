//! Whom links serve. A directory says of a key what it is to a service, by proven state: the registry
//! for the links of workers and key managers, a ParaTime's own state for the services of its members.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::{BoxStream, StreamExt as _};
use paralith_types::PublicKey;
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;

use crate::error::NodeError;

/// What a key is to a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The service has methods for anyone, and the key is anyone's.
    Stranger,
    /// The directory lists the key. The number is the directory's: bits of `registry::ROLE_*`, or a
    /// member's index.
    Listed(u32),
}

/// A set of keys that proven state names. It is asked after each handshake, before each call, and
/// again for each open connection when the state behind it changes.
pub trait Directory: Send + Sync + fmt::Debug {
    /// What a key is to a service, named as in gRPC; none if the service is not for it.
    fn allows(
        &self,
        key: PublicKey,
        service: &'static str,
    ) -> BoxFuture<'_, Result<Option<Role>, NodeError>>;

    /// Where the node with this key is reached, in the order in which to try; none if the directory
    /// does not list the key.
    fn addresses(&self, key: PublicKey) -> BoxFuture<'_, Result<Option<Vec<String>>, NodeError>>;

    /// An item after each change that can take a key's role away.
    fn changes(&self) -> BoxStream<'static, ()>;
}

/// What a ParaTime's proven state says of one of its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its index, or what else its services tell members apart by.
    pub number: u32,
    /// "host:port" of its links, if it has named any.
    pub address: Option<String>,
}

/// The directory of some services whose keys a ParaTime's proven state names. Its user sets the keys
/// anew when that state changes; before, it lists nobody.
#[derive(Debug)]
pub struct Members {
    services: BTreeSet<&'static str>,
    listed: watch::Sender<Arc<BTreeMap<PublicKey, Member>>>,
}

impl Members {
    /// For these services.
    pub fn new(services: impl IntoIterator<Item = &'static str>) -> Arc<Self> {
        let (listed, _) = watch::channel(Arc::default());
        Arc::new(Self { services: services.into_iter().collect(), listed })
    }

    /// Sets all keys. Connections of keys that are gone are closed.
    pub fn set(&self, members: BTreeMap<PublicKey, Member>) {
        self.listed.send_replace(Arc::new(members));
    }

    fn member(&self, key: &PublicKey) -> Option<Member> {
        self.listed.borrow().get(key).cloned()
    }
}

impl Directory for Members {
    fn allows(
        &self,
        key: PublicKey,
        service: &'static str,
    ) -> BoxFuture<'_, Result<Option<Role>, NodeError>> {
        let member = self.member(&key).filter(|_| self.services.contains(service));
        let role = member.map(|member| Role::Listed(member.number));
        futures::future::ready(Ok(role)).boxed()
    }

    fn addresses(&self, key: PublicKey) -> BoxFuture<'_, Result<Option<Vec<String>>, NodeError>> {
        let addresses = self.member(&key).map(|member| member.address.into_iter().collect());
        futures::future::ready(Ok(addresses)).boxed()
    }

    fn changes(&self) -> BoxStream<'static, ()> {
        WatchStream::from_changes(self.listed.subscribe()).map(|_| ()).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: &str = "test.v1.Members";

    fn key(byte: u8) -> PublicKey {
        PublicKey([byte; 32])
    }

    #[tokio::test]
    async fn members_are_listed_for_their_services_until_they_are_dropped() {
        let members = Members::new([SERVICE]);
        let mut changes = members.changes();
        let role = async |byte, service| members.allows(key(byte), service).await.unwrap();
        assert_eq!(role(1, SERVICE).await, None);
        let address = Some("127.0.0.1:1".to_string());
        let first = Member { number: 7, address: address.clone() };
        let second = Member { number: 0, address: None };
        members.set([(key(1), first.clone()), (key(2), second)].into());
        assert_eq!(changes.next().await, Some(()));
        assert_eq!(role(1, SERVICE).await, Some(Role::Listed(7)));
        assert_eq!(role(1, "test.v1.Other").await, None);
        assert_eq!(members.addresses(key(1)).await.unwrap(), Some(address.into_iter().collect()));
        assert_eq!(members.addresses(key(2)).await.unwrap(), Some(Vec::new()));
        assert_eq!(members.addresses(key(3)).await.unwrap(), None);
        members.set([(key(1), first)].into());
        assert_eq!(changes.next().await, Some(()));
        assert_eq!(role(2, SERVICE).await, None);
    }
}
