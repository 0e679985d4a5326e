//! What a caller does with chaincode: proves the definition, proposes, collects endorsements, has the
//! ledger commit them, and reads the result. It trusts no node and no endorser's host.

mod call;
mod endorsers;
mod file;
mod read;
mod receipt;

use std::time::Duration;

use futures::StreamExt as _;
use paralith_chaincode_core::collect::{Answer, Expected, collect};
use paralith_chaincode_core::propose::{Proposed, Randomness, Target, propose};
use paralith_chaincode_core::retry::{Next, after};
use paralith_chaincode_messages::state::{enclave_key, runtime_key};
use paralith_chaincode_messages::{Definition, Message as _, NewCommit, Proposal};
use paralith_consensus_api::registry::{Runtime, RuntimeKind};
use paralith_crypto::{SigningKey, Zeroizing};
use paralith_policy::Certificate;
use paralith_runtime_api::output::Output;
use paralith_runtime_api::tx::Call;
use paralith_types::{Error, Hash, Height};

use crate::client::{ChainClient, TxOptions};
use crate::error::NodeError;
pub use call::{Committed, Invoked};
pub use endorsers::{EndorserClient, Endorsers};
pub use file::{CallFile, Stage};
pub use read::Answer as Evaluated;
pub use receipt::Shown;

/// A client of one chaincode.
#[derive(Debug)]
pub struct ChaincodeClient {
    /// The chain, by way of any node.
    pub chain: ChainClient,
    /// The application's descriptor, proven.
    pub runtime: Runtime,
    /// What it defines.
    pub definition: Definition,
    /// Whom it asks.
    pub endorsers: Endorsers,
    /// That an issuer vouches for the caller, where the application asks for it.
    pub certificate: Option<Certificate>,
    /// After how many blocks a call has no effect any more; none: what the terms allow.
    pub valid_blocks: Option<u64>,
    /// What a transaction to the ledger uses and pays.
    pub options: TxOptions,
}

/// 32 random bytes.
fn random() -> Result<[u8; 32], NodeError> {
    paralith_rt::random().map_err(|e| NodeError::internal(&e))
}

fn unverifiable(reason: impl ToString) -> NodeError {
    NodeError::Unverifiable { reason: reason.to_string() }
}

/// A refusal of the client's own.
fn refusal(error: paralith_chaincode_core::ClientError) -> NodeError {
    NodeError::Refused(error.into())
}

impl ChaincodeClient {
    /// A chaincode by its name or id.
    pub async fn new(
        mut chain: ChainClient,
        name: &str,
        endorsers: Endorsers,
    ) -> Result<Self, NodeError> {
        let runtime = chain.runtime(name).await?;
        if runtime.kind != RuntimeKind::Application {
            let reason = "it is no chaincode: call it with `paralith runtime call`";
            return Err(NodeError::usage(name, reason));
        }
        let definition = definition(&mut chain, &runtime).await?;
        let (certificate, valid_blocks, options) = (None, None, TxOptions::default());
        Ok(Self { chain, runtime, definition, endorsers, certificate, valid_blocks, options })
    }

    /// Proposes a call on the newest proven state.
    pub async fn propose(&mut self, key: &SigningKey, call: Call) -> Result<Proposed, NodeError> {
        // CC-4: first the key, then the anchor: the envelope may be of the epoch before the anchor's.
        let epoch = self.chain.epoch_key(&self.runtime).await?;
        let anchor = self.chain.sync().await?;
        self.definition = definition_at(&mut self.chain, &self.runtime, Some(anchor)).await?;
        let terms = &self.definition.terms;
        let blocks = self.valid_blocks.unwrap_or(terms.commit_blocks.into());
        let target = Target {
            chain: self.chain.chain_context(),
            application: self.runtime.id,
            definition: self.definition.clone(),
            anchor,
            valid_until: Height(anchor.0.saturating_add(blocks)),
            epoch: epoch.epoch,
            epoch_key: epoch.key,
            certificate: self.certificate.clone(),
        };
        let random = Randomness {
            nonce: random()?,
            reply_key: Zeroizing::new(random()?),
            envelope: Zeroizing::new(random()?),
        };
        propose(key, target, call, random).map_err(refusal)
    }

    /// Has endorsers execute a proposal, until equal responses satisfy the policy.
    pub async fn endorse(&mut self, proposed: &Proposed) -> Result<NewCommit, NodeError> {
        let proposal = Proposal::decode(&proposed.signed.proposal).map_err(unverifiable)?;
        let mut asked = self.endorsers.endorse(&proposed.signed);
        let (mut answers, mut refused) = (Vec::<Answer>::new(), Vec::new());
        let mut last = None;
        while let Some((address, answer)) = asked.next().await {
            match answer {
                Ok((response, endorsement)) => {
                    // CC-5: by the record that this client has proven.
                    let key = enclave_key(&self.runtime.id, &endorsement.rak);
                    let proven = self.chain.proven(None, &key).await?;
                    answers.push(Answer { response, endorsement, record: proven.value });
                    let expected = Expected {
                        chain: &self.chain.chain_context(),
                        proposal: &proposal,
                        tx_id: proposed.tx_id,
                        definition: &self.definition,
                        now: proven.height,
                    };
                    match collect(&expected, &answers) {
                        Ok(commit) => return Ok(commit),
                        Err(error) => last = Some(refusal(error)),
                    }
                }
                Err(error) => refused.push((address, error)),
            }
        }
        Err(not_endorsed(last, &refused))
    }

    /// Invokes: proposes, collects, commits, and again on a newer state after each conflict.
    /// `progress` hears of each stage, and may keep what it takes to go on after a crash.
    pub async fn invoke(
        &mut self,
        key: &SigningKey,
        call: &Call,
        mut progress: impl FnMut(&CallFile, &Stage) -> Result<(), NodeError>,
    ) -> Result<Invoked, NodeError> {
        let mut conflicts = 0;
        loop {
            let proposed = self.propose(key, call.clone()).await?;
            let mut file = CallFile::new(&self.chain.chain_context(), &self.runtime.id, &proposed);
            // CC-6: before anybody has it.
            progress(&file, &Stage::Proposed)?;
            let commit = self.endorse(&proposed).await?;
            file.endorsed(&commit);
            progress(&file, &Stage::Endorsed { endorsements: commit.endorsements.len() })?;
            match self.commit(key, &commit).await {
                Ok(committed) => {
                    file.round = Some(committed.round);
                    progress(&file, &Stage::Committed { round: committed.round })?;
                    let output = self.result(&mut file).await?;
                    progress(&file, &Stage::Read)?;
                    return Ok(Invoked { file, output, conflicts });
                }
                Err(NodeError::Refused(error)) => match after(&error, conflicts) {
                    Next::ProposeAgain { pause_ms } => {
                        conflicts = conflicts.saturating_add(1);
                        progress(&file, &Stage::Conflict { tries: conflicts })?;
                        pause(pause_ms).await?;
                    }
                    Next::Release => {
                        let output = self.result(&mut file).await?;
                        return Ok(Invoked { file, output, conflicts });
                    }
                    Next::GiveUp => return Err(NodeError::Refused(gave_up(error, conflicts))),
                },
                Err(error) => return Err(error),
            }
        }
    }
}

/// With up to half as much at random, so that clients part.
async fn pause(pause_ms: u64) -> Result<(), NodeError> {
    let bytes: [u8; 32] = random()?;
    let [a, b, ..] = bytes;
    let extra = u64::from(u16::from_be_bytes([a, b])) % (pause_ms / 2).max(1);
    paralith_rt::sleep(Duration::from_millis(pause_ms.saturating_add(extra))).await;
    Ok(())
}

fn gave_up(error: Error, conflicts: usize) -> Error {
    if conflicts == 0 {
        return error;
    }
    let message = format!("{}, after {conflicts} conflicts with other calls", error.message);
    Error { message, ..error }
}

/// Why a proposal has too few endorsements. What all endorsers refuse for one reason is that reason.
fn not_endorsed(last: Option<NodeError>, refused: &[(String, NodeError)]) -> NodeError {
    let first = refused.first().map(|(_, error)| error);
    let same = |one: &NodeError| match (first, one) {
        (Some(NodeError::Refused(a)), NodeError::Refused(b)) => a.is(&b.module, b.code),
        _ => false,
    };
    if let (None, Some(first)) = (&last, first)
        && refused.iter().all(|(_, error)| same(error))
    {
        return first.clone();
    }
    let reasons: Vec<String> =
        refused.iter().map(|(address, error)| format!("{address}: {error}")).collect();
    let reasons = if reasons.is_empty() { "none".to_string() } else { reasons.join("; ") };
    match last {
        Some(NodeError::Refused(error)) => {
            let message = format!("{}. Endorsers that gave none: {reasons}", error.message);
            NodeError::Refused(Error { message, ..error })
        }
        Some(other) => other,
        None => {
            let lacks = "all".to_string();
            refusal(paralith_chaincode_core::ClientError::Lacks { lacks, refused: reasons })
        }
    }
}

async fn definition(chain: &mut ChainClient, runtime: &Runtime) -> Result<Definition, NodeError> {
    definition_at(chain, runtime, None).await
}

async fn definition_at(
    chain: &mut ChainClient,
    runtime: &Runtime,
    height: Option<Height>,
) -> Result<Definition, NodeError> {
    let proven = chain.proven(height, &runtime_key(&runtime.id)).await?;
    let descriptor = proven.value.ok_or_else(|| NodeError::NotFound {
        what: "chaincode",
        name: runtime.name.clone(),
        hint: ". See `paralith runtime proposals`".to_string(),
    })?;
    Definition::read(&runtime.id, &descriptor).map_err(|e| NodeError::usage(&runtime.name, e))
}

/// The value of a call, or its error as one of the chaincode's.
pub fn value(output: Output) -> Result<Vec<u8>, NodeError> {
    match output {
        Output::Ok(value) => Ok(value),
        Output::Error(e) => Err(NodeError::Refused(Error::new(&e.module, e.code, e.message))),
    }
}

/// A transaction's id from its text.
pub fn tx_id(text: &str) -> Result<Hash, String> {
    text.parse().map_err(|e| format!("{e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: u32) -> NodeError {
        NodeError::Refused(Error::new("endorse", code, "no"))
    }

    #[test]
    fn what_all_endorsers_refuse_for_one_reason_is_that_reason() {
        let all = [("a".to_string(), refused(13)), ("b".to_string(), refused(13))];
        assert_eq!(not_endorsed(None, &all), refused(13));
        let mixed = [("a".to_string(), refused(13)), ("b".to_string(), refused(5))];
        let NodeError::Refused(error) = not_endorsed(None, &mixed) else { panic!() };
        assert!(error.is("chaincode", 4), "{error:?}");
        assert!(error.message.contains("a: ") && error.message.contains("b: "), "{error:?}");
    }

    #[test]
    fn a_client_that_gives_up_says_how_often_it_tried() {
        let error = Error::new("ledger", 15, "conflict");
        assert_eq!(gave_up(error.clone(), 0), error);
        assert!(gave_up(error, 5).message.contains("after 5 conflicts"));
    }
}
