//! Calls that are endorsed to learn from them, and never committed.

use clap::Args;
use paralith::cli::{NodeArgs, SignerArgs};
use paralith::error::NodeError;
use paralith::links::endpoint::Trust;
use paralith::systems::chaincode::client::{ChaincodeClient, Endorsers};
use paralith_chaincode_messages::{Message as _, Response};
use paralith_runtime_api::tx::Call;

use super::Outcome;

/// Options of `probe`.
#[derive(Debug, Args)]
pub struct ProbeArgs {
    /// The chaincode's name or id.
    chaincode: String,
    /// The method.
    #[arg(long)]
    method: String,
    /// Arguments of a call. At least two, which the chaincode must not let be told apart.
    #[arg(long = "args", value_name = "JSON", required = true)]
    args: Vec<String>,
    /// How often each is called.
    #[arg(long, default_value_t = 4)]
    repeat: u32,
    /// An endorser's node. Once for each.
    #[arg(long = "endorser", value_name = "URL", required = true)]
    endorsers: Vec<String>,
    #[command(flatten)]
    signer: SignerArgs,
    #[command(flatten)]
    node: NodeArgs,
}

impl ProbeArgs {
    /// Whatever a response shows before it is committed: places, sizes, events, times.
    pub(super) async fn run(&self) -> Result<Outcome, NodeError> {
        let endorsers = Endorsers::connect(&self.endorsers, &Trust::System).await?;
        let chain = self.node.connect().await?;
        let mut client = ChaincodeClient::new(chain, &self.chaincode, endorsers).await?;
        let key = self.signer.key(client.chain.genesis())?;
        let mut first: Option<(String, String)> = None;
        let mut probes = 0_u32;
        for _ in 0..self.repeat {
            for args in &self.args {
                let call = Call { method: self.method.clone(), args: args.clone().into_bytes() };
                let proposed = client.propose(&key, call).await?;
                let commit = client.endorse(&proposed).await?;
                probes = probes.saturating_add(1);
                let response = Response::decode(&commit.response)
                    .map_err(|e| NodeError::Unverifiable { reason: e.to_string() })?;
                let seen = shape(&response);
                match &first {
                    None => first = Some((args.clone(), seen)),
                    Some((_, known)) if *known == seen => {}
                    Some((other, known)) => {
                        return Ok(Outcome::Succeeded(format!(
                            "{args} and {other} differ: {seen} and {known}"
                        )));
                    }
                }
            }
        }
        Ok(Outcome::Failed(format!("{probes} probes look the same")))
    }
}

fn shape(response: &Response) -> String {
    let writes: Vec<_> = response
        .writes
        .iter()
        .map(|write| (hex::encode(write.index), write.value.as_ref().map(Vec::len)))
        .collect();
    format!(
        "reads {:?}, writes {writes:?}, events {:?}, result of {} bytes, before {:?}",
        response.reads,
        response.events,
        response.sealed_output.len(),
        response.commit_before
    )
}
