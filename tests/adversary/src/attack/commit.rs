//! A call that is committed a second time.

use std::path::PathBuf;

use clap::Args;
use paralith::cli::{NodeArgs, SignerArgs};
use paralith::error::NodeError;
use paralith::links::endpoint::Trust;
use paralith::systems::chaincode::client::{CallFile, ChaincodeClient, Endorsers};

use super::Outcome;

/// Options of `replay-endorse`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// The file of the call, from `paralith chaincode invoke --save`.
    call: PathBuf,
    /// An endorser's node, of which the client wants to know one. It is asked nothing.
    #[arg(long = "endorser", value_name = "URL", required = true)]
    endorsers: Vec<String>,
    /// Who submits it.
    #[command(flatten)]
    signer: SignerArgs,
    #[command(flatten)]
    node: NodeArgs,
}

impl ReplayArgs {
    pub(super) async fn run(&self) -> Result<Outcome, NodeError> {
        let file = CallFile::read(&self.call)?;
        let commit =
            file.commit().ok_or_else(|| NodeError::usage("the call", "it was not endorsed"))?;
        let chain = self.node.connect().await?;
        let endorsers = Endorsers::connect(&self.endorsers, &Trust::System).await?;
        let name = file.application.to_string();
        let mut client = ChaincodeClient::new(chain, &name, endorsers).await?;
        let key = self.signer.key(client.chain.genesis())?;
        match client.commit(&key, &commit).await {
            Ok(done) => Ok(Outcome::Succeeded(format!("it counts again, in round {}", done.round))),
            Err(error) => Outcome::refused(error, "ledger", &[6, 9]),
        }
    }
}
