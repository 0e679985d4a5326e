//! An endorser's host that shows its enclave a chain of its own.

use std::sync::Arc;

use clap::Args;
use paralith::cli::{NodeArgs, SignerArgs};
use paralith::error::NodeError;
use paralith::systems::chaincode::client::{ChaincodeClient, Endorsers};
use paralith_chaincode_core::propose::Proposed;
use paralith_chaincode_core::release;
use paralith_chaincode_messages::{Message as _, OpenedOutput, Response};
use paralith_runtime_api::output::Output;

use super::{CallArgs, HostArgs, Outcome, anchor};
use crate::endorser::{Claim, Host, Show};

/// Module and code of an enclave to which no final state shows the call.
const NOT_COMMITTED: (&str, u32) = ("endorse", 22);
/// Of an enclave to which a header does not verify.
const NOT_VERIFIED: (&str, u32) = ("view", 2);

/// Options of `fork`.
#[derive(Debug, Args)]
pub struct ForkArgs {
    #[command(flatten)]
    host: HostArgs,
    #[command(flatten)]
    call: CallArgs,
    /// Validators that the attacker made sign the fork. Without this it names the chain's own, with their signatures of
    /// the real block.
    #[arg(long)]
    own_validators: bool,
    /// Who calls.
    #[command(flatten)]
    signer: SignerArgs,
    #[command(flatten)]
    node: NodeArgs,
}

impl ForkArgs {
    /// The attacker calls, and never commits. On its fork the call is committed: there it asks for the result.
    pub(super) async fn run(&self) -> Result<Outcome, NodeError> {
        let host = self.host.start().await?;
        let (name, chain) = (host.application().to_string(), self.node.connect().await?);
        let mut client = ChaincodeClient::new(chain, &name, Endorsers::default()).await?;
        let key = self.signer.key(client.chain.genesis())?;
        let asked = client.propose(&key, self.call.call()).await?;
        host.renew().await?;
        host.reach(anchor(&asked)?).await?;
        let response = host.endorse(&asked).await?.response;
        let endorsed = Endorsed { asked, response };
        // As it should be. A fork's state has the entries for which the enclave has asked by then.
        let Outcome::Failed(_) = endorsed.release(&host, NOT_COMMITTED).await? else {
            let reason = "an enclave releases calls that are not committed, without any fork";
            return Ok(Outcome::Succeeded(reason.to_string()));
        };
        let claim = if self.own_validators { Claim::Own } else { Claim::Validators };
        host.ahead().await?;
        let fork = host.fork(&endorsed.response, claim).await?;
        host.show(Show::Fork(Arc::new(fork)));
        endorsed.release(&host, NOT_VERIFIED).await
    }
}

/// A call that is endorsed.
struct Endorsed {
    asked: Proposed,
    response: Vec<u8>,
}

impl Endorsed {
    /// Has the enclave open the result. The attack has failed if it refuses with this module and code.
    async fn release(
        &self,
        host: &Host,
        (module, code): (&str, u32),
    ) -> Result<Outcome, NodeError> {
        let opened = match host.release(self.response.clone()).await {
            Ok(opened) => opened,
            Err(error) => return Outcome::refused(error, module, &[code]),
        };
        let unverifiable = |reason: String| NodeError::Unverifiable { reason };
        let response = Response::decode(&self.response).map_err(|e| unverifiable(e.to_string()))?;
        let opened = OpenedOutput::decode(&opened).map_err(|e| unverifiable(e.to_string()))?;
        let output = release::open(&response, &opened, &self.asked.reply_key)
            .map_err(|e| unverifiable(e.to_string()))?;
        let result = match output {
            Output::Ok(value) => String::from_utf8_lossy(&value).into_owned(),
            Output::Error(error) => error.message,
        };
        let tx_id = self.asked.tx_id;
        Ok(Outcome::Succeeded(format!("{tx_id}, which is committed nowhere, gives {result}")))
    }
}
