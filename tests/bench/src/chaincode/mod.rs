//! Chaincode: endorsed calls beside those of a confidential ParaTime on the same chain, what the ledger does for one,
//! and how an endorser comes back.
//!
//! Three endorsers, each a process, on a development chain; all is made by the commands that users have.

mod calls;
mod ledger;
mod network;

use anyhow::Result;

use self::network::Network;

pub(crate) async fn run() -> Result<()> {
    ledger::commit()?;
    let folder = tempfile::tempdir()?;
    let mut network = Network::make(folder.path()).await?;
    calls::one_user(&network).await?;
    calls::many_users(&network).await?;
    calls::hot_entries(&network).await?;
    calls::restarts(&mut network).await
}
