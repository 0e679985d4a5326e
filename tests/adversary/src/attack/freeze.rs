//! An endorser's host that shows its enclave no more blocks.

use clap::Args;
use paralith::cli::{NodeArgs, SignerArgs};
use paralith::error::NodeError;
use paralith::links::endpoint::Trust;
use paralith::systems::chaincode::client::{ChaincodeClient, Endorsers};
use paralith_chaincode_messages::{Endorsement, Message as _, NewCommit, Response};
use paralith_policy::Policy;
use paralith_types::Height;

use super::{CallArgs, HostArgs, Outcome, anchor};
use crate::endorser::Show;

/// Options of `freeze`.
#[derive(Debug, Args)]
pub struct FreezeArgs {
    #[command(flatten)]
    host: HostArgs,
    #[command(flatten)]
    call: CallArgs,
    /// The blocks after which the call has no effect any more.
    #[arg(long, default_value_t = 10)]
    blocks: u64,
    /// Another organisation's endorser, which signs in time.
    #[arg(long = "endorser", value_name = "URL")]
    endorser: String,
    #[command(flatten)]
    signer: SignerArgs,
    #[command(flatten)]
    node: NodeArgs,
}

impl FreezeArgs {
    /// Its enclave signs on the old state when the call is too late. With that signature the call has as many as the
    /// policy asks for, and had too few in time.
    pub(super) async fn run(&self) -> Result<Outcome, NodeError> {
        let host = self.host.start().await?;
        let endorsers =
            Endorsers::connect(std::slice::from_ref(&self.endorser), &Trust::System).await?;
        let name = host.application().to_string();
        let mut client = ChaincodeClient::new(self.node.connect().await?, &name, endorsers).await?;
        let key = self.signer.key(client.chain.genesis())?;
        client.valid_blocks = Some(self.blocks);
        let asked = client.propose(&key, self.call.call()).await?;
        // Of the other endorser the attacker takes what it gives: the ledger alone asks for the policy.
        let organisations = client.definition.organisations.len();
        let organisations = u32::try_from(organisations).unwrap_or(u32::MAX);
        client.definition.terms.endorsement = Policy::threshold(1, organisations);
        let in_time = client.endorse(&asked).await?;
        let response = Response::decode(&in_time.response)
            .map_err(|e| NodeError::Unverifiable { reason: e.to_string() })?;

        host.renew().await?;
        host.reach(anchor(&asked)?).await?;
        // The header after the newest state proves it.
        host.show(Show::NothingAbove(host.height()?.saturating_add(1)));
        let late = Height(response.valid_until.0.saturating_add(2));
        client.chain.sync_to(late).await?;
        let signed = host.endorse(&asked).await?;
        let signed = Endorsement::decode(&signed.endorsement)
            .map_err(|e| NodeError::Unverifiable { reason: e.to_string() })?;
        let endorsements = [in_time.endorsements.clone(), vec![signed]].concat();
        match client.commit(&key, &NewCommit { endorsements, ..in_time }).await {
            Ok(done) => Ok(Outcome::Succeeded(format!(
                "what was over at {} is committed in round {}",
                response.valid_until, done.round
            ))),
            Err(error) => Outcome::refused(error, "ledger", &[6, 8]),
        }
    }
}
