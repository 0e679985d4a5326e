//! A member that signs two verdicts of one batch.

use clap::Args;
use paralith::error::NodeError;
use paralith::systems::private_contract::client::ContractClient;
use paralith_bls::BlsSecret;
use paralith_crypto::kdf::derive;
use paralith_crypto::{Domain, keystore};
use paralith_private_contract_core::class::{Class, Classes};
use paralith_private_contract_core::vote::{actions_hash, inputs_hash, vote_hash};
use paralith_private_contract_messages::{
    Actions, BatchKind, BondRecord, Canonical as _, OpenBatch, TransactionRecord, Verdict, Vote,
    VoteSignature, keys as places,
};
use paralith_private_contract_stakeholder::Keys;
use paralith_types::{Hash, PublicKey};

use super::{ContractArgs, KeyArgs, Outcome, random};

/// The derivation of the vote key from its file, as the stakeholder's crate does it.
const VOTE_KEY: Domain = Domain::new("paralith/private-contract/key-file/vote/v1");
/// So many batches are tried, if others end them before two votes are in.
const BATCHES: u32 = 8;
/// Blocks after which no batch is expected any more.
const PATIENCE_BLOCKS: u64 = 600;

/// Options of `equivocate`.
#[derive(Debug, Args)]
pub struct EquivocateArgs {
    #[command(flatten)]
    at: ContractArgs,
    #[command(flatten)]
    keys: KeyArgs,
}

impl EquivocateArgs {
    /// Votes for two roots in the next batch that is open.
    pub(super) async fn run(&self) -> Result<Outcome, NodeError> {
        let mut client = self.at.client().await?;
        let (keys, secret) = (self.keys.open()?, self.secret()?);
        let before = self.bond(&mut client, &keys.account()).await?;
        for _ in 0..BATCHES {
            let open = self.open(&mut client).await?;
            let sent = self.vote_twice(&mut client, &keys, &secret, &open).await;
            match sent {
                Ok(()) => {
                    let after = self.bond(&mut client, &keys.account()).await?;
                    return Ok(match before.amount.sub(after.amount) {
                        Ok(lost) if lost.0 > 0 => Outcome::Failed(format!(
                            "both verdicts are void, and {lost} of the bond is gone"
                        )),
                        _ => Outcome::Succeeded("two verdicts, and the bond is whole".to_string()),
                    });
                }
                // Decided meanwhile.
                Err(NodeError::Refused(error))
                    if error.is("mediator", 16) || error.is("mediator", 17) => {}
                Err(error) => return Err(error),
            }
        }
        Err(NodeError::NotReady { reason: "the others were always faster".to_string() })
    }

    fn secret(&self) -> Result<BlsSecret, NodeError> {
        let file = self.keys.keys.join("vote.json");
        let text = String::from_utf8(super::read(&file)?);
        let text = text.map_err(|e| NodeError::usage("--keys", e))?;
        let seed = keystore::decrypt(&text, self.keys.password()?.as_bytes())
            .map_err(|e| NodeError::usage("--keys", e))?;
        Ok(BlsSecret::from_ikm(&derive(seed.seed().as_slice(), b"", VOTE_KEY, &[])))
    }

    async fn bond(
        &self,
        client: &mut ContractClient,
        member: &PublicKey,
    ) -> Result<BondRecord, NodeError> {
        let id = &self.at.contract;
        let version = client.contract(id).await?.version;
        let record = client.definition(id, version).await?;
        let place = record.definition.members.iter().position(|one| one == member);
        let with = place.and_then(|place| record.bonds.get(place));
        let with = with.ok_or_else(|| NodeError::usage("--keys", "they are of no member"))?;
        let bond = client.record(places::bond(id, member, *with)).await?;
        bond.ok_or_else(|| NodeError::usage("--keys", "the member has no bond"))
    }

    /// The next batch of transactions that is open.
    async fn open(&self, client: &mut ContractClient) -> Result<OpenBatch, NodeError> {
        let began = client.chain.sync().await?;
        loop {
            let open: Option<OpenBatch> =
                client.record(places::open_batch(&self.at.contract)).await?;
            if let Some(open) = open.filter(|open| open.batch.kind == BatchKind::Transactions) {
                return Ok(open);
            }
            let now = client.chain.sync().await?;
            if now.0 > began.0 + PATIENCE_BLOCKS {
                return Err(NodeError::NotReady { reason: "no batch is opened".to_string() });
            }
            client.chain.sync_to(now.next()).await?;
        }
    }

    async fn vote_twice(
        &self,
        client: &mut ContractClient,
        keys: &Keys,
        secret: &BlsSecret,
        open: &OpenBatch,
    ) -> Result<(), NodeError> {
        let (id, batch) = (self.at.contract, &open.batch);
        let mut hashes = Vec::new();
        for seq in batch.seqs() {
            let record: TransactionRecord = client.transaction(&id, seq).await?;
            hashes.push(record.tx_hash);
        }
        let inputs = inputs_hash(batch, &hashes);
        let members = client.definition(&id, batch.version).await?.definition.members;
        let own = members.iter().position(|one| *one == keys.account()).unwrap_or_default();
        let mut signers = vec![0; own / 8 + 1];
        signers[own / 8] = 1 << (own % 8);
        let actions = Actions { actions: Vec::new() };
        for _ in 0..2 {
            let verdict = Verdict {
                new_root: Hash(random()?),
                results_root: Hash(random()?),
                classes: Classes(vec![Class::Executed; hashes.len()]).to_bytes(),
                taken: true,
                actions_hash: actions_hash(&actions),
            };
            let hash = vote_hash(&client.place(id), batch.version, batch.number, &inputs, &verdict);
            let vote = Vote {
                contract_id: id,
                batch: batch.number,
                verdict,
                actions: actions.clone(),
                signers: signers.clone(),
                signature: VoteSignature(secret.sign(&hash.0)),
            };
            client.call(keys.account_key(), "vote", vote.encode()).await?;
        }
        Ok(())
    }
}
