//! Senders that lie about content keys, or keep contents to themselves.

use std::path::PathBuf;

use clap::Args;
use paralith::cli::SignerArgs;
use paralith::error::NodeError;
use paralith::links::endpoint::Trust;
use paralith::systems::private_contract::client::{ContractClient, MemberClient, PrivateTx};
use paralith_crypto::SigningKey;
use paralith_crypto::kem::hpke_seal;
use paralith_crypto::wrap::{ContentKey, wrap_parts};
use paralith_policy::Certificate;
use paralith_private_contract_core::domains::SEALING;
use paralith_private_contract_core::sealing::CallOf;
use paralith_private_contract_messages::{
    KeySet, TransactionRecord, TransactionStatus, keys as places,
};
use paralith_runtime_abi as abi;
use paralith_types::Amount;

use super::{ContractArgs, Outcome, random, read};

/// A batch that ends later than so many blocks after its deadline has no deadline.
const SLACK_BLOCKS: u64 = 10;

/// A sender with a certificate, and its call.
#[derive(Debug, Args)]
struct SenderArgs {
    #[command(flatten)]
    at: ContractArgs,
    /// The sender's certificate for the contract, from `paralith contract certify`.
    #[arg(long, value_name = "FILE")]
    certificate: PathBuf,
    /// The method that is called.
    #[arg(long, default_value = "add")]
    method: String,
    /// Its arguments.
    #[arg(long, default_value = r#"{"amount":1}"#, value_name = "JSON")]
    args: String,
    #[command(flatten)]
    signer: SignerArgs,
}

/// What a sender has at hand.
struct Sender {
    client: ContractClient,
    key: SigningKey,
    certificate: Certificate,
    tx: PrivateTx,
}

impl SenderArgs {
    async fn seal(&self) -> Result<Sender, NodeError> {
        let mut client = self.at.client().await?;
        let key = self.signer.key(client.chain.genesis())?;
        let text = read(&self.certificate)?;
        let bytes =
            hex::decode(text.trim_ascii()).map_err(|e| NodeError::usage("--certificate", e))?;
        let certificate =
            Certificate::decode(&bytes).map_err(|e| NodeError::usage("--certificate", e))?;
        let call = abi::Call { method: self.method.clone(), args: self.args.clone().into_bytes() };
        let tx = client.seal(self.at.contract, &key.public(), &call, None).await?;
        Ok(Sender { client, key, certificate, tx })
    }
}

impl Sender {
    /// Submits the call, and gives its number.
    async fn submit(&mut self) -> Result<u64, NodeError> {
        let Self { client, key, certificate, tx } = self;
        client.submit(key, certificate.clone(), tx, Amount::ZERO).await
    }

    /// The call's record once it is final; none while it is not, long after its time.
    async fn end(&mut self, seq: u64) -> Result<Option<TransactionRecord>, NodeError> {
        let (id, client) = (self.tx.contract_id, &mut self.client);
        let first = client.transaction(&id, seq).await?;
        let definition = client.definition(&id, first.version).await?.definition;
        let blocks =
            u64::from(definition.terms.fetch_blocks) + u64::from(definition.terms.vote_blocks);
        loop {
            let record = client.transaction(&id, seq).await?;
            if !matches!(record.status, TransactionStatus::Pending | TransactionStatus::Open) {
                return Ok(Some(record));
            }
            let now = client.chain.sync().await?;
            // Of a queue every batch has its own time; this one is at its head.
            if client.contract(&id).await?.head == seq
                && now.0 > first.height + blocks + SLACK_BLOCKS
            {
                return Ok(None);
            }
            client.chain.sync_to(now.next()).await?;
        }
    }
}

/// Options of `split-key`.
#[derive(Debug, Args)]
pub struct SplitKeyArgs {
    #[command(flatten)]
    sender: SenderArgs,
    /// A member's node that keeps the content. Once for each.
    #[arg(long = "member", value_name = "URL", required = true)]
    members: Vec<String>,
    /// The place of the member that gets another content key.
    #[arg(long, default_value_t = 0)]
    victim: u32,
}

impl SplitKeyArgs {
    /// Each wrap opens, for its own recipient; only whoever makes all of them again sees that one has another
    /// content key in it.
    pub(super) async fn run(&self) -> Result<Outcome, NodeError> {
        let mut sender = self.sender.seal().await?;
        self.split(&mut sender).await?;
        let height = sender.client.chain.sync().await?.0;
        let chain = sender.client.chain.chain_context();
        for url in &self.members {
            let mut member = MemberClient::connect(url, &Trust::System, chain).await?;
            let Sender { key, certificate, tx, .. } = &mut sender;
            tx.store_at(&mut member, key, certificate, height).await?;
        }
        let seq = sender.submit().await?;
        Ok(match sender.end(seq).await? {
            Some(record) if record.status == TransactionStatus::Malformed => {
                Outcome::Failed("all members called it malformed".to_string())
            }
            Some(record) => Outcome::Succeeded(format!(
                "the members did not see it: the transaction ended as {:?}",
                record.status
            )),
            None => Outcome::Succeeded("the contract waits for ever".to_string()),
        })
    }

    async fn split(&self, sender: &mut Sender) -> Result<(), NodeError> {
        let Sender { client, key, tx, .. } = sender;
        let set: Option<KeySet> =
            client.record(places::key_set(&tx.contract_id, tx.keys_version)).await?;
        let place = usize::try_from(self.victim).unwrap_or(usize::MAX);
        let wrap = tx.sealed.wraps.get_mut(place);
        let (Some(wrap), Some(to)) = (wrap, set.as_ref().and_then(|set| set.keys.get(place)))
        else {
            return Err(NodeError::usage("--victim", "the contract has no such member"));
        };
        let of = CallOf {
            place: client.place(tx.contract_id),
            sender: key.public(),
            sender_seq: tx.sender_seq,
        };
        let (hash, commitment) = (&tx.sealed.content_hash, &tx.sealed.key_commitment);
        let info = of.wrap_info(tx.keys_version, self.victim, hash, commitment);
        let parts = wrap_parts(&SEALING, &ContentKey::new(random()?), "", &info);
        let made = hpke_seal(to.kem_id, &to.key, &info, &parts.plaintext, &parts.ikm);
        *wrap = made.ok_or_else(|| NodeError::usage("--victim", "its key takes no wrap"))?;
        Ok(())
    }
}

/// Options of `withhold`.
#[derive(Debug, Args)]
pub struct WithholdArgs {
    #[command(flatten)]
    sender: SenderArgs,
}

impl WithholdArgs {
    pub(super) async fn run(&self) -> Result<Outcome, NodeError> {
        let mut sender = self.sender.seal().await?;
        let seq = match sender.submit().await {
            // The contract takes no call without a member's receipt.
            Err(error) => return Outcome::refused(error, "mediator", &[29]),
            Ok(seq) => seq,
        };
        Ok(match sender.end(seq).await? {
            Some(record) if record.status == TransactionStatus::Expired => {
                Outcome::Failed("it expired on time, and the contract goes on".to_string())
            }
            Some(record) => Outcome::Succeeded(format!("it ended as {:?}", record.status)),
            None => {
                Outcome::Succeeded("long after its deadline the contract waits for it".to_string())
            }
        })
    }
}
