//! A change that was accepted once.

use std::path::PathBuf;

use clap::Args;
use paralith::cli::SignerArgs;
use paralith::error::NodeError;
use paralith_policy::Members;
use paralith_private_contract_messages::{
    Canonical as _, Change, Definition, MAX_CALL_BYTES, VoteSignature,
};
use serde::Deserialize;

use super::{ContractArgs, Outcome, read};

/// Options of `replay-change`.
#[derive(Debug, Args)]
pub struct ReplayChangeArgs {
    #[command(flatten)]
    at: ContractArgs,
    /// The definition that the members agreed to.
    #[arg(long, value_name = "FILE")]
    definition: PathBuf,
    /// A member's agreement. Once for each.
    #[arg(long = "agreement", value_name = "FILE", required = true)]
    agreements: Vec<PathBuf>,
    /// Whether it was a migration.
    #[arg(long)]
    migrate: bool,
    #[command(flatten)]
    signer: SignerArgs,
}

/// What `paralith contract change sign` writes.
#[derive(Deserialize)]
struct Agreement {
    index: u32,
    signature: String,
}

impl ReplayChangeArgs {
    pub(super) async fn run(&self) -> Result<Outcome, NodeError> {
        let mut client = self.at.client().await?;
        let key = self.signer.key(client.chain.genesis())?;
        let definition = Definition::decode(&read(&self.definition)?, MAX_CALL_BYTES)
            .map_err(|e| NodeError::usage("--definition", e))?;
        let (mut signers, mut signatures) = (Members::default(), Vec::new());
        for file in &self.agreements {
            let usage = |e: &dyn std::fmt::Display| NodeError::usage("--agreement", e.to_string());
            let one: Agreement = serde_json::from_slice(&read(file)?).map_err(|e| usage(&e))?;
            let signature = hex::decode(&one.signature).map_err(|e| usage(&e))?;
            signatures.push(<[u8; 48]>::try_from(signature).map_err(|_| usage(&"its length"))?);
            signers.insert(one.index);
        }
        let signature = paralith_bls::aggregate(&signatures)
            .ok_or_else(|| NodeError::usage("--agreement", "the signatures do not add up"))?;
        let change = Change {
            contract_id: self.at.contract,
            definition,
            migrate: self.migrate,
            signers: signers.to_bytes(),
            signature: VoteSignature(signature),
        };
        match client.call(&key, "change", change.encode()).await {
            Ok(_) => Ok(Outcome::Succeeded("the old definition is accepted again".to_string())),
            Err(error) => Outcome::refused(error, "mediator", &[20, 21, 27]),
        }
    }
}
