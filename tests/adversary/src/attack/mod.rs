//! Attacks on systems from outside, as programs: `paralith-adversary attack NAME …` plays one against a
//! network that runs, and says what came of it.
//!
//! | attack | who it is | what stops it |
//! |---|---|---|
//! | `split-key` | a sender gives members different content keys | each member makes all wraps again (PC-2) |
//! | `withhold` | a sender gives the content to nobody | members' and the mediator's deadlines |
//! | `bls-rogue` | an account publishes a vote key that cancels another's | the proof of possession |
//! | `equivocate` | a member signs two verdicts of a batch | both are void, its bond pays (PC-8) |
//! | `replay-change` | anybody submits an accepted change again | changes name their version (PC-14) |
//! | `guess-root` | an observer who knows all but one amount | salts (PC-1) |
//! | `liar-executor` | a member whose state is not what it should be | the others' votes; healing |
//! | `replay-endorse` | anybody commits an endorsed call again | the ledger knows each call |
//! | `probe` | a caller has calls endorsed that it never commits | nothing of a result shows before the commit |
//! | `rollback-seal` | an endorser's host puts an old identity back | freshness (CC-1) |
//! | `freeze` | an endorser's host shows its enclave no more blocks, and has it sign on what was | deadlines at the ledger |
//! | `fork` | an endorser's host shows its enclave a chain on which a call is committed | the validators' signatures |
//!
//! A program ends with 0 if the attack failed, with [`SUCCEEDED`] if the network did not hold. Each defence can be
//! taken out by a patch of `controls/`: see `scripts/controls.sh`.

mod change;
mod commit;
mod disk;
mod equivocate;
mod fork;
mod freeze;
mod guess;
mod probe;
mod rogue;
mod sender;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use paralith::cli::NodeArgs;
use paralith::error::NodeError;
use paralith::network::MEDIATOR;
use paralith::systems::private_contract::client::ContractClient;
use paralith_chaincode_core::propose::Proposed;
use paralith_chaincode_messages::{Message as _, Proposal};
use paralith_private_contract_messages::ContractId;
use paralith_private_contract_stakeholder::Keys;
use paralith_runtime_api::tx::Call;
use paralith_storage::Files;
use paralith_types::{Error, Height};
use serde_json::json;

use crate::endorser::Host;

/// The exit code of an attack that succeeded.
pub const SUCCEEDED: u8 = 100;

/// An attack on a network.
#[derive(Debug, Subcommand)]
pub enum Attack {
    /// A call whose content key differs from member to member.
    SplitKey(sender::SplitKeyArgs),
    /// A call whose content nobody gets.
    Withhold(sender::WithholdArgs),
    /// A vote key that cancels another account's.
    BlsRogue(rogue::RogueArgs),
    /// Two verdicts of one batch by one member.
    Equivocate(equivocate::EquivocateArgs),
    /// An accepted change, submitted again.
    ReplayChange(change::ReplayChangeArgs),
    /// The one amount that is not known, from the public roots.
    GuessRoot(guess::GuessArgs),
    /// Changes the state of a stopped member, which votes for wrong roots from then on.
    LiarExecutor(disk::LiarArgs),
    /// An endorsed call, committed again.
    ReplayEndorse(commit::ReplayArgs),
    /// Calls that are endorsed and never committed.
    Probe(probe::ProbeArgs),
    /// Keeps the sealed identity of a stopped endorser, or puts a kept one back.
    RollbackSeal(disk::RollbackArgs),
    /// An enclave that sees no more blocks and signs on.
    Freeze(freeze::FreezeArgs),
    /// A chain that parts from the real one, on which a call is committed.
    Fork(fork::ForkArgs),
}

/// What came of an attack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The network held; this stopped it.
    Failed(String),
    /// The network did not hold.
    Succeeded(String),
    /// The attack is prepared; what comes of it is seen elsewhere.
    Prepared(String),
}

impl Outcome {
    /// A refusal that stops the attack. Any other error is one of the program.
    fn refused(error: NodeError, module: &str, codes: &[u32]) -> Result<Self, NodeError> {
        match error {
            NodeError::Refused(Error { module: by, code, message, .. })
                if by == module && codes.contains(&code) =>
            {
                Ok(Self::Failed(format!("{by} {code}: {message}")))
            }
            other => Err(other),
        }
    }

    /// Prints it, and gives the program's exit code.
    #[must_use]
    pub fn tell(&self, attack: &str) -> u8 {
        let (outcome, text, code) = match self {
            Self::Failed(text) => ("failed", text, 0),
            Self::Succeeded(text) => ("succeeded", text, SUCCEEDED),
            Self::Prepared(text) => ("prepared", text, 0),
        };
        println!("{}", json!({ "attack": attack, "outcome": outcome, "because": text }));
        code
    }
}

impl Attack {
    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::SplitKey(_) => "split-key",
            Self::Withhold(_) => "withhold",
            Self::BlsRogue(_) => "bls-rogue",
            Self::Equivocate(_) => "equivocate",
            Self::ReplayChange(_) => "replay-change",
            Self::GuessRoot(_) => "guess-root",
            Self::LiarExecutor(_) => "liar-executor",
            Self::ReplayEndorse(_) => "replay-endorse",
            Self::Probe(_) => "probe",
            Self::RollbackSeal(_) => "rollback-seal",
            Self::Freeze(_) => "freeze",
            Self::Fork(_) => "fork",
        }
    }

    /// Plays it.
    pub async fn run(&self) -> Result<Outcome, NodeError> {
        match self {
            Self::SplitKey(args) => args.run().await,
            Self::Withhold(args) => args.run().await,
            Self::BlsRogue(args) => args.run().await,
            Self::Equivocate(args) => args.run().await,
            Self::ReplayChange(args) => args.run().await,
            Self::GuessRoot(args) => args.run().await,
            Self::LiarExecutor(args) => args.run(),
            Self::ReplayEndorse(args) => args.run().await,
            Self::Probe(args) => args.run().await,
            Self::RollbackSeal(args) => args.run(),
            Self::Freeze(args) => args.run().await,
            Self::Fork(args) => args.run().await,
        }
    }
}

/// The contract that is attacked.
#[derive(Debug, Args)]
struct ContractArgs {
    /// The contract.
    #[arg(value_parser = contract)]
    contract: ContractId,
    /// A node of the chain.
    #[command(flatten)]
    node: NodeArgs,
}

impl ContractArgs {
    async fn client(&self) -> Result<ContractClient, NodeError> {
        ContractClient::new(self.node.connect().await?, MEDIATOR).await
    }
}

/// A member's own keys, in the attacker's hands.
#[derive(Debug, Args)]
struct KeyArgs {
    /// The folder of the member's keys.
    #[arg(long, value_name = "DIR")]
    keys: PathBuf,
    /// A file whose first line is their password.
    #[arg(long, value_name = "FILE")]
    password_file: PathBuf,
}

impl KeyArgs {
    fn files(&self) -> Result<Files, NodeError> {
        Files::folder(&self.keys).map_err(|e| NodeError::usage("--keys", e))
    }

    fn password(&self) -> Result<String, NodeError> {
        let text = String::from_utf8(read(&self.password_file)?);
        let text = text.map_err(|e| NodeError::usage("--password-file", e))?;
        Ok(text.lines().next().unwrap_or("").to_string())
    }

    fn open(&self) -> Result<Keys, NodeError> {
        let keys = Keys::open(&self.files()?, self.password()?.as_bytes());
        keys.map_err(|e| NodeError::usage("--keys", e))
    }
}

/// The host of an endorser's enclave, in the attacker's hands.
#[derive(Debug, Args)]
struct HostArgs {
    /// The configuration of an endorser's node, which does not run.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

impl HostArgs {
    /// Registered, and with the application's keys. This program serves the enclave.
    async fn start(&self) -> Result<Host, NodeError> {
        let program = std::env::current_exe().map_err(|e| NodeError::io("this program", &e))?;
        Host::start(&self.config, program).await
    }
}

/// A call of the chaincode.
#[derive(Debug, Args)]
struct CallArgs {
    /// The method.
    #[arg(long)]
    method: String,
    /// Its arguments.
    #[arg(long, value_name = "JSON", default_value = "{}")]
    args: String,
}

impl CallArgs {
    fn call(&self) -> Call {
        Call { method: self.method.clone(), args: self.args.clone().into_bytes() }
    }
}

/// The height on whose state a proposal asks for a signature.
fn anchor(proposed: &Proposed) -> Result<Height, NodeError> {
    let proposal = Proposal::decode(&proposed.signed.proposal);
    Ok(proposal.map_err(|e| NodeError::internal(&e))?.anchor)
}

fn contract(text: &str) -> Result<ContractId, String> {
    let bytes = hex::decode(text).map_err(|e| e.to_string())?;
    ContractId::try_from(bytes.as_slice()).map_err(|_| "an id has 64 hexadecimal digits".into())
}

fn read(file: &Path) -> Result<Vec<u8>, NodeError> {
    std::fs::read(file).map_err(|e| NodeError::io(file.display().to_string(), &e))
}

fn random() -> Result<[u8; 32], NodeError> {
    paralith_rt::random().map_err(|e| NodeError::internal(&e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_refusal_that_is_expected_stops_an_attack() {
        let refused = |code| NodeError::Refused(Error::new("mediator", code, "no"));
        assert!(matches!(Outcome::refused(refused(22), "mediator", &[22]), Ok(Outcome::Failed(_))));
        Outcome::refused(refused(15), "mediator", &[22]).unwrap_err();
        Outcome::refused(refused(22), "ledger", &[22]).unwrap_err();
    }

    #[test]
    fn an_attack_that_succeeded_has_an_exit_code_of_its_own() {
        assert_eq!(Outcome::Failed(String::new()).tell("a"), 0);
        assert_eq!(Outcome::Prepared(String::new()).tell("a"), 0);
        assert_eq!(Outcome::Succeeded(String::new()).tell("a"), SUCCEEDED);
    }
}
