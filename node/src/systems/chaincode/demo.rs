//! `paralith demo chaincode`: sealed bids, endorsed by three organisations, on a development chain.
//!
//! Every figure is read through public services and verified. A lying host is not shown: this program has
//! no way to lie.

use std::path::Path;

use paralith_chaincode_core::hashes::response_hash;
use paralith_chaincode_core::receipt::verify;
use paralith_chaincode_grpc::pb;
use paralith_chaincode_messages::{Message as _, Response, SignedProposal, Terms};
use paralith_consensus_api::address;
use paralith_consensus_api::registry::{Approval, ApproveRuntime, RegisterRuntime, Runtime};
use paralith_crypto::SigningKey;
use paralith_policy::Policy;
use paralith_runtime_api::tx::Call;
use paralith_types::{Amount, Height, PublicKey};
use serde_json::{Value, json};
use tokio::process::Child;

use super::client::{ChaincodeClient, EndorserClient, Endorsers, Shown, value};
use crate::cli::chaincode::{NewEndorser, admit, application};
use crate::cli::{DevArgs, deploy};
use crate::client::{self, ChainClient, TxOptions};
use crate::demo::{Reporter, account, contains};
use crate::error::NodeError;
use crate::guests;
use crate::links::endpoint::Trust;
use crate::network::{self, KEY_MANAGER, LEDGER, ORGANISATIONS, runtime_id};
use crate::systems::demonstration::{SEED, chain_args, free, launch, on_a_chain, until};

/// For how many blocks the auction takes bids.
const BIDDING_BLOCKS: u64 = 24;

/// Runs the demonstration.
pub async fn run(json: bool) -> Result<(), NodeError> {
    on_a_chain(DevArgs { chaincode: true, ..chain_args(json) }, show).await
}

async fn show(reporter: &Reporter, node: &str, folder: &Path) -> Result<(), NodeError> {
    let mut chain = client::connect(node).await?;
    let facts = json!({ "ledger": runtime_id(LEDGER) });
    reporter.say("chain", "a chain runs, with the ledger `channel`", facts);
    let id = approve(reporter, &mut chain).await?;
    let (_processes, urls) = endorsers(reporter, &mut chain, &id, node, folder).await?;
    let mut stage = Stage::new(reporter, chain, &id, &urls).await?;
    let until = stage.open().await?;
    stage.bid("erin", 70).await?;
    stage.look_inside().await?;
    stage.probe().await?;
    stage.conflict().await?;
    stage.close(until).await
}

fn organisation(name: &str) -> Result<SigningKey, NodeError> {
    account(name)
}

/// The auction's descriptor: two of three organisations approve it, and endorse its calls.
fn descriptor(owner: PublicKey) -> Result<Runtime, NodeError> {
    let keys = ORGANISATIONS.iter().map(|name| Ok(organisation(name)?.public()));
    let mut organisations = keys.collect::<Result<Vec<_>, NodeError>>()?;
    organisations.sort_unstable();
    let of = (0..3).map(|member| (1, Policy::Member(member))).collect();
    let endorsement = Policy::AtLeast { weight: 2, of };
    let policy = endorsement.encode();
    let terms = Terms {
        ledger: runtime_id(LEDGER),
        endorsement,
        issuers: Vec::new(),
        anchor_blocks: 100,
        commit_blocks: 200,
        max_gas: 1_000_000_000,
        max_response_bytes: 65_536,
        early_results: false,
    };
    let code = network::code_of(guests::AUCTION);
    let id = deploy::runtime_id(&owner, "auction", code.id.as_bytes());
    let name = "auction".to_string();
    Ok(Runtime {
        code: Some(code),
        approval: Some(Approval { organisations, policy }),
        tee: Some(network::tee_policy()),
        terms: terms.encode(),
        ..application(id, owner, name, runtime_id(KEY_MANAGER))
    })
}

async fn approve(reporter: &Reporter, chain: &mut ChainClient) -> Result<String, NodeError> {
    let (bob, fee) = (organisation("bob")?, TxOptions::default());
    let runtime = descriptor(bob.public())?;
    let (runtime_id, descriptor) = (runtime.id, runtime.descriptor_hash());
    chain.submit(&bob, RegisterRuntime { runtime }, fee).await?;
    let mut active = Vec::new();
    for name in ["bob", "carol"] {
        let approval = ApproveRuntime { runtime_id, sequence: 1, descriptor };
        let included = chain.submit(&organisation(name)?, approval, fee).await?;
        chain.sync_to(included.height).await?;
        active.push(chain.runtime(&runtime_id.to_string()).await.is_ok());
    }
    deploy::upload(chain, guests::AUCTION, network::code_of(guests::AUCTION).id.as_bytes()).await?;
    let manager = network::runtime_id(KEY_MANAGER);
    deploy::allow(chain, &account("alice")?, fee, &manager, &runtime_id).await?;
    let facts = json!({
        "chaincode": runtime_id, "active after one approval": active.first(),
        "active after two": active.last(),
    });
    reporter.say("approve", "two of three organisations approve the auction", facts);
    Ok(runtime_id.to_string())
}

async fn endorsers(
    reporter: &Reporter,
    chain: &mut ChainClient,
    id: &str,
    node: &str,
    folder: &Path,
) -> Result<(Vec<Child>, Vec<String>), NodeError> {
    let (mut processes, mut urls) = (Vec::new(), Vec::new());
    let platform = network::platform_key(SEED);
    for name in ORGANISATIONS {
        let (folder, listen) = (folder.join(name), free("an endorser").await?);
        let seed = paralith_rt::random().map_err(|e| NodeError::internal(&e))?;
        let (organisation, node_key) = (organisation(name)?, SigningKey::from_seed(seed));
        let new = NewEndorser {
            folder: &folder,
            application: id.to_string(),
            listen,
            entity: organisation.public(),
            node_key: &node_key,
            platform: &platform,
            module: None,
            node,
            tls: None,
        };
        new.make(&chain.genesis().json)?;
        let funds = Amount(1_000_000);
        admit(chain, &organisation, node_key.public(), funds, TxOptions::default()).await?;
        processes.push(launch(&folder, "an endorser", &[])?);
        urls.push(format!("http://{listen}"));
    }
    let mut raks = Vec::new();
    for url in &urls {
        let serving = async || {
            let mut client = EndorserClient::connect(url, &Trust::System).await?;
            let status = client.status().await?;
            Ok((status.state() == pb::EndorserState::Serving).then_some(status))
        };
        raks.push(hex::encode(until("an endorser", serving).await?.rak));
    }
    let facts = json!({ "enclaves": raks });
    reporter.say("endorsers", "each organisation runs an endorser, a process of its own", facts);
    Ok((processes, urls))
}

fn call(method: &str, args: &Value) -> Call {
    Call { method: method.to_string(), args: args.to_string().into_bytes() }
}

fn bid(amount: u64) -> Call {
    call("bid", &json!({ "name": "lot", "amount": amount.to_string() }))
}

fn json_of(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or(Value::Null)
}

/// What everybody can see of an endorsed call.
fn visible(response: &Response) -> Value {
    let sizes: Vec<usize> =
        response.writes.iter().map(|one| one.value.as_ref().map_or(0, Vec::len)).collect();
    let places: Vec<_> = response.writes.iter().map(|one| one.index).collect();
    json!({
        "reads": response.reads.len(), "places": places, "sizes": sizes,
        "events": response.events.len(), "output bytes": response.sealed_output.len(),
    })
}

/// The demonstration, step by step.
struct Stage<'a> {
    reporter: &'a Reporter,
    client: ChaincodeClient,
}

impl<'a> Stage<'a> {
    async fn new(
        reporter: &'a Reporter,
        chain: ChainClient,
        id: &str,
        urls: &[String],
    ) -> Result<Self, NodeError> {
        let endorsers = Endorsers::connect(urls, &Trust::System).await?;
        Ok(Self { reporter, client: ChaincodeClient::new(chain, id, endorsers).await? })
    }

    async fn invoke(
        &mut self,
        who: &str,
        call: &Call,
    ) -> Result<super::client::Invoked, NodeError> {
        self.client.invoke(&account(who)?, call, |_, _| Ok(())).await
    }

    async fn open(&mut self) -> Result<Height, NodeError> {
        self.invoke("bob", &call("app.init", &json!({}))).await?;
        let until = Height(self.client.chain.sync().await?.0.saturating_add(BIDDING_BLOCKS));
        let open = call("open", &json!({ "name": "lot", "until": until.0 }));
        let opened = self.invoke("alice", &open).await?;
        let facts = json!({ "bids count below height": until, "round": opened.file.round });
        self.reporter.say("open", "alice opens an auction", facts);
        Ok(until)
    }

    /// A bid, endorsed by two enclaves and ordered.
    async fn bid(&mut self, who: &str, amount: u64) -> Result<(), NodeError> {
        let invoked = self.invoke(who, &bid(amount)).await?;
        let result = json_of(&value(invoked.output)?);
        let file = invoked.file;
        let facts = json!({
            "equal response hashes": file.response.as_deref().map(response_hash),
            "signatures": file.endorsements.len(), "committed in round": file.round,
            "accepted": result.get("accepted"),
        });
        let text = "erin bids: two enclaves sign one response, the ledger commits it";
        self.reporter.say("bid", text, facts);
        Ok(())
    }

    /// What an endorser's host has of a bid.
    async fn look_inside(&mut self) -> Result<(), NodeError> {
        let proposed = self.client.propose(&account("alice")?, bid(123_456_789)).await?;
        let commit = self.client.endorse(&proposed).await?;
        let sent: &SignedProposal = &proposed.signed;
        let seen = [sent.encode(), commit.response.clone()].concat();
        let response = Response::decode(&commit.response).map_err(|e| NodeError::internal(&e))?;
        let facts = json!({
            "bytes that a host sees": seen.len(), "the bid in them": contains(&seen, b"123456789"),
            "visible": visible(&response),
        });
        self.reporter.say("host", "what an endorser's host sees of a bid", facts);
        Ok(())
    }

    /// Calls that are endorsed and never committed tell nothing about the highest bid.
    async fn probe(&mut self) -> Result<(), NodeError> {
        let (mut seen, mut released) = (Vec::new(), Vec::new());
        for amount in [60, 80] {
            let proposed = self.client.propose(&account("alice")?, bid(amount)).await?;
            let commit = self.client.endorse(&proposed).await?;
            let response =
                Response::decode(&commit.response).map_err(|e| NodeError::internal(&e))?;
            seen.push(visible(&response));
            let mut service = self.client.endorsers.all().first().cloned();
            let request = pb::ReleaseRequest { response: commit.response, tx_id: Vec::new() };
            if let Some(service) = &mut service {
                released.push(service.release_once(request).await.is_ok());
            }
        }
        let result = self.client.evaluate(None, call("result", &json!({ "name": "lot" }))).await?;
        let facts = json!({
            "a losing and a winning probe look the same": seen.first() == seen.last(),
            "results released": released.iter().any(|one| *one),
            "result": json_of(&value(result.output)?),
        });
        self.reporter.say("probe", "bids that are not committed tell nothing", facts);
        Ok(())
    }

    /// Two bids on one state: one is refused, and proposed again on a newer state.
    async fn conflict(&mut self) -> Result<(), NodeError> {
        let late = self.client.propose(&account("dave")?, bid(85)).await?;
        let late = self.client.endorse(&late).await?;
        let first = self.invoke("carol", &bid(90)).await?;
        let refused = self.client.commit(&account("dave")?, &late).await;
        let refusal = refused.err().map(|error| error.to_string());
        let again = self.invoke("dave", &bid(85)).await?;
        let facts = json!({
            "carol committed in round": first.file.round, "dave is refused": refusal,
            "dave again in round": again.file.round,
            "dave's result": json_of(&value(again.output)?),
        });
        self.reporter.say(
            "conflict",
            "two bids on one state: the first wins, the other comes again",
            facts,
        );
        Ok(())
    }

    async fn close(&mut self, until: Height) -> Result<(), NodeError> {
        self.client.chain.sync_to(until.next()).await?;
        let close = call("close", &json!({ "name": "lot" }));
        let invoked = self.invoke("alice", &close).await?;
        let result = json_of(&value(invoked.output.clone())?);
        let winner = address::of_key(&account("carol")?.public());
        let facts = json!({
            "result": result, "carol wins": result.get("winner") == Some(&json!(winner)),
        });
        self.reporter.say("close", "the auction closes: everybody learns the winner", facts);
        let shown = Shown { caller: true, result: true };
        let receipt = self.client.receipt(&invoked.file, shown).await?;
        let document = self.client.chain.genesis().document.clone();
        let verified = verify(&document, &receipt).is_ok();
        let mut changed = receipt.clone();
        let middle = changed.len() / 2;
        if let Some(byte) = changed.get_mut(middle) {
            *byte ^= 1;
        }
        let facts = json!({
            "bytes": receipt.len(), "verified with the genesis document alone": verified,
            "with a byte changed it is refused": verify(&document, &changed).is_err(),
        });
        self.reporter.say("receipt", "one file proves it to everybody, offline", facts);
        Ok(())
    }
}
