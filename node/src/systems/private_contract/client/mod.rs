//! A client of private contracts: it trusts no node. Records of the mediator are proven, results are verified
//! against them.

mod member;
mod public;
mod tx;
mod watch;

use paralith_consensus_api::address;
use paralith_crypto::SigningKey;
use paralith_crypto::merkle::MerkleProof;
use paralith_crypto::wrap::ContentKey;
use paralith_policy::Certificate;
use paralith_private_contract_core::disclosure::{open_reply, result_holds};
use paralith_private_contract_core::ids::{Place, contract_id, package_hash};
use paralith_private_contract_core::sealing::{CallOf, KeySetRef, seal_call, seal_package};
use paralith_private_contract_core::terms::uri;
use paralith_private_contract_core::vote::TxResult;
use paralith_private_contract_core::{Class, messages::keys as places};
use paralith_private_contract_messages::{
    AccountKeys, Canonical, ContractId, ContractRecord, Create, Definition, DefinitionRecord,
    FinalBatch, KemKey, KeySet, Package, SenderRecord, Submit, TransactionRecord,
};
use paralith_private_contract_stakeholder::{ContractStore, Installed, Stakeholder};
use paralith_runtime_abi as abi;
use paralith_runtime_api::output::Output;
use paralith_runtime_api::tx::Call;
use paralith_runtime_vm::Engine;
use paralith_storage::Kv;
use paralith_types::{Amount, Error, Hash, PublicKey, Retry};
use prost::Message as _;

pub use member::MemberClient;
pub use public::PublicClient;
pub use tx::PrivateTx;
pub use watch::{Seen, Watched};

use super::follow::MAX_RECORD_BYTES;
use crate::client::{ChainClient, Confirmed, ParaTimeClient, PortableProof, TxOptions};
use crate::error::NodeError;

/// How often a call is signed anew when its nonce is taken.
const NONCES: u32 = 4;
/// The code of a pool that has another transaction with the nonce.
pub(super) const NONCE_TAKEN: u32 = 4;

/// The mediator as a user sees it.
#[derive(Debug)]
pub struct ContractClient {
    /// The chain.
    pub chain: ChainClient,
    /// The mediator.
    pub mediator: ParaTimeClient,
    /// What each call may use and pays.
    pub options: TxOptions,
}

/// A record that there is not.
fn not_found(what: &'static str, name: impl ToString) -> NodeError {
    NodeError::NotFound { what, name: name.to_string(), hint: String::new() }
}

fn unverifiable(reason: impl ToString) -> NodeError {
    NodeError::Unverifiable { reason: reason.to_string() }
}

impl ContractClient {
    /// Over a connection to the chain, with the mediator of this name or id.
    pub async fn new(mut chain: ChainClient, mediator: &str) -> Result<Self, NodeError> {
        let mediator = ParaTimeClient::new(&mut chain, mediator).await?;
        Ok(Self { chain, mediator, options: TxOptions::default() })
    }

    /// Where a contract is.
    #[must_use]
    pub fn place(&self, contract_id: ContractId) -> Place {
        let (chain_context, mediator) = (self.chain.chain_context(), self.mediator.runtime.id);
        Place { chain_context, mediator, contract_id }
    }

    /// Records of the mediator's newest state, proven; none where there is no such record.
    pub async fn records(&mut self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, NodeError> {
        self.chain.sync().await?;
        Ok(self.mediator.prove(&mut self.chain, None, keys).await?.values)
    }

    /// One record, proven.
    pub async fn record<T: Canonical>(&mut self, key: Vec<u8>) -> Result<Option<T>, NodeError> {
        let values = self.records(&[key]).await?;
        let Some(Some(bytes)) = values.into_iter().next() else { return Ok(None) };
        T::decode(&bytes, MAX_RECORD_BYTES).map(Some).map_err(unverifiable)
    }

    /// Records of the mediator's newest state, with what proves them without a node.
    pub async fn portable(&mut self, keys: &[Vec<u8>]) -> Result<PortableProof, NodeError> {
        self.chain.sync().await?;
        Ok(self.mediator.prove_portably(&mut self.chain, keys).await?)
    }

    /// A contract.
    pub async fn contract(&mut self, id: &ContractId) -> Result<ContractRecord, NodeError> {
        let record = self.record(places::contract(id)).await?;
        record.ok_or_else(|| not_found("contract", id.to_hex()))
    }

    /// A definition of a contract.
    pub async fn definition(
        &mut self,
        id: &ContractId,
        version: u64,
    ) -> Result<DefinitionRecord, NodeError> {
        let record = self.record(places::definition(id, version)).await?;
        record.ok_or_else(|| not_found("definition", format!("{version} of {}", id.to_hex())))
    }

    /// A transaction of a contract.
    pub async fn transaction(
        &mut self,
        id: &ContractId,
        seq: u64,
    ) -> Result<TransactionRecord, NodeError> {
        let record = self.record(places::transaction(id, seq)).await?;
        record.ok_or_else(|| not_found("transaction", format!("{seq} of {}", id.to_hex())))
    }

    /// A batch that ended YES.
    pub async fn final_batch(
        &mut self,
        id: &ContractId,
        batch: u64,
    ) -> Result<FinalBatch, NodeError> {
        let record = self.record(places::final_batch(id, batch)).await?;
        record.ok_or_else(|| not_found("final batch", format!("{batch} of {}", id.to_hex())))
    }

    /// The keys that an account has published.
    pub async fn account_keys(&mut self, account: &PublicKey) -> Result<AccountKeys, NodeError> {
        let keys: Option<AccountKeys> = self.record(places::account(account)).await?;
        keys.ok_or_else(|| NodeError::NotFound {
            what: "published key of the member",
            name: account.to_string(),
            hint: ". Start its node: it publishes its keys by itself".to_string(),
        })
    }

    /// The nonce of an account's next call.
    pub async fn nonce(&mut self, account: &PublicKey) -> Result<u64, NodeError> {
        let own = address::of_key(account);
        Ok(self.mediator.nonce(&mut self.chain, &own).await?)
    }

    /// Calls the mediator and waits until the call is final. A refusal of the mediator is an error.
    pub async fn call(
        &mut self,
        key: &SigningKey,
        method: &str,
        args: Vec<u8>,
    ) -> Result<(Confirmed, Vec<u8>), NodeError> {
        let mut nonce = self.nonce(&key.public()).await?;
        let mut tries = 0;
        loop {
            tries += 1;
            match self.call_with(key, nonce, method, args.clone()).await {
                Err(NodeError::Refused(Error {
                    retry: Retry::NonceIs { nonce: right }, ..
                })) if tries < NONCES => {
                    nonce = right;
                }
                // Another call of this account waits for its round: this one comes after it.
                Err(NodeError::Refused(error))
                    if error.is("worker", NONCE_TAKEN) && tries < NONCES =>
                {
                    nonce = nonce.saturating_add(1);
                }
                done => return done,
            }
        }
    }

    /// As [`ContractClient::call`], with this nonce.
    pub async fn call_with(
        &mut self,
        key: &SigningKey,
        nonce: u64,
        method: &str,
        args: Vec<u8>,
    ) -> Result<(Confirmed, Vec<u8>), NodeError> {
        let gas = self.mediator.price(self.options)?;
        let call = Call { method: method.to_string(), args };
        let sent = self.mediator.prepare(&mut self.chain, key, nonce, gas, call).await?;
        let confirmed = self.mediator.submit(&mut self.chain, &sent, |_| {}).await?;
        match &confirmed.output {
            Output::Ok(value) => {
                let value = value.clone();
                Ok((confirmed, value))
            }
            Output::Error(e) => Err(NodeError::Refused(Error::new(&e.module, e.code, &e.message))),
        }
    }

    /// Creates a contract. `definition` is complete but for the package's hash.
    pub async fn create(
        &mut self,
        owner: &SigningKey,
        package: &Package,
        definition: Definition,
    ) -> Result<(ContractId, Installed), NodeError> {
        let nonce = self.nonce(&owner.public()).await?;
        let (chain, mediator) = (self.chain.chain_context(), self.mediator.runtime.id);
        let id = contract_id(&chain, &mediator, &owner.public(), nonce);
        let installed = genesis(self.place(id), package, definition.terms.gas_limit).await?;
        let definition = Definition { package_hash: installed.package_hash, ..definition };
        let create = Create { definition, genesis_root: installed.root };
        let (_, answer) = self.call_with(owner, nonce, "create", create.encode()).await?;
        if answer != id.0 {
            return Err(unverifiable("the mediator gave the contract another id"));
        }
        Ok((id, installed))
    }

    /// Seals a package to each member of the newest accepted definition, in their order.
    pub async fn seal_for_members(
        &mut self,
        id: ContractId,
        package: &Package,
    ) -> Result<Vec<Vec<u8>>, NodeError> {
        let record = self.contract(&id).await?;
        let known = self.definition(&id, record.newest_version()).await?;
        self.seal_for(id, &record.owner, &known.definition, package).await
    }

    /// Seals a package to each member of a definition, in their order.
    pub async fn seal_for(
        &mut self,
        id: ContractId,
        owner: &PublicKey,
        definition: &Definition,
        package: &Package,
    ) -> Result<Vec<Vec<u8>>, NodeError> {
        if definition.package_hash != package_hash(package) {
            let reason = "the contract's definition names another package";
            return Err(NodeError::usage("the package", reason));
        }
        let place = self.place(id);
        let mut sealed = Vec::new();
        for (index, member) in (0_u32..).zip(&definition.members) {
            let keys = self.account_keys(member).await?;
            let key = KemKey { kem_id: keys.kem_id, key: keys.kem_key };
            let seal = seal_package(&place, owner, package, index, &key, &random()?);
            sealed.push(seal.ok_or_else(|| unverifiable("a member's key takes no package"))?);
        }
        Ok(sealed)
    }

    /// Seals a call as a sender. Nothing is sent yet. With an origin, members may fetch the content there.
    pub async fn seal(
        &mut self,
        id: ContractId,
        sender: &PublicKey,
        call: &abi::Call,
        origin: Option<&str>,
    ) -> Result<PrivateTx, NodeError> {
        let record = self.contract(&id).await?;
        let key_set: Option<KeySet> =
            self.record(places::key_set(&id, record.keys_version)).await?;
        let key_set = key_set.ok_or_else(|| NodeError::NotReady {
            reason: "the contract has no keys yet: all members must join first".to_string(),
        })?;
        let known: Option<SenderRecord> = self.record(places::sender(&id, sender)).await?;
        let sender_seq = known.map_or(0, |known| known.next);
        let of = CallOf { place: self.place(id), sender: *sender, sender_seq };
        let keys = KeySetRef { version: record.keys_version, set: &key_set };
        let sk = random()?;
        let seal = |uri: &str| {
            let sealed = seal_call(&of, keys, &ContentKey::new(sk), uri, &call.encode_to_vec());
            sealed.map_err(|e| unverifiable(format!("a member's key: {e}")))
        };
        let mut sealed = seal("")?;
        if let Some(origin) = origin {
            // The content does not depend on where it is; the wraps do. The first ones are never sent.
            sealed = seal(&uri(origin, &sealed.content_hash))?;
        }
        let keys_version = record.keys_version;
        Ok(PrivateTx {
            contract_id: id,
            sender_seq,
            keys_version,
            sk,
            sealed,
            receipts: Vec::new(),
        })
    }

    /// Submits a sealed call, and gives its number.
    pub async fn submit(
        &mut self,
        sender: &SigningKey,
        certificate: Certificate,
        tx: &PrivateTx,
        payment: Amount,
    ) -> Result<u64, NodeError> {
        let submit = Submit {
            contract_id: tx.contract_id,
            keys_version: tx.keys_version,
            certificate,
            content_hash: tx.sealed.content_hash,
            content_bytes: tx.length()?,
            key_commitment: tx.sealed.key_commitment,
            sender_seq: tx.sender_seq,
            wraps: tx.sealed.wraps.clone(),
            receipts: tx.receipts.clone(),
            payment,
        };
        let (_, answer) = self.call(sender, "submit", submit.encode()).await?;
        let seq = answer.as_slice().try_into().map(u64::from_be_bytes);
        seq.map_err(|_| unverifiable("the mediator's answer is no number"))
    }

    /// A transaction's result from a member, verified against the mediator's proven state.
    pub async fn result(
        &mut self,
        member: &mut MemberClient,
        sender: &SigningKey,
        id: ContractId,
        seq: u64,
        sk: [u8; 32],
    ) -> Result<VerifiedResult, NodeError> {
        let height = self.chain.sync().await?.0;
        let answer = member.get_result(sender, &id, height, seq).await?;
        let class = class_of(answer.class)?;
        let sk = ContentKey::new(sk);
        let result = match class {
            Class::Malformed | Class::Missing => TxResult::without_call(seq, class),
            Class::Failed | Class::Executed => {
                let output = open_reply(&sk, &id, seq, &answer.sealed_output)
                    .map_err(|_| unverifiable("the result does not open with the content key"))?;
                TxResult::of_call(seq, class, &sk, output.to_vec())
            }
        };
        let path: Result<Vec<Hash>, _> =
            answer.leaf_path.iter().map(|hash| Hash::try_from(hash.as_slice())).collect();
        let path = MerkleProof {
            index: answer.leaf_index,
            total: answer.leaf_count,
            path: path.map_err(unverifiable)?,
        };
        let verified = VerifiedResult { contract_id: id, batch: answer.batch, result, path };
        self.verify_result(&verified).await?;
        Ok(verified)
    }

    /// Whether the mediator's proven state has this result.
    pub async fn verify_result(&mut self, receipt: &VerifiedResult) -> Result<(), NodeError> {
        let done = self.final_batch(&receipt.contract_id, receipt.batch).await?;
        if result_holds(&done, &receipt.result, &receipt.path) {
            return Ok(());
        }
        Err(unverifiable("the result is not in the batch's results root"))
    }
}

/// The root of a contract's first tree.
async fn genesis(place: Place, package: &Package, gas_limit: u64) -> Result<Installed, NodeError> {
    let engine = Engine::new().map_err(|e| NodeError::internal(&e))?;
    let store = ContractStore::new(Kv::memory(), &place.contract_id);
    let installed = Stakeholder::install(&engine, place, &store, package.clone(), gas_limit).await;
    installed.map_err(|e| NodeError::usage("the package", e))
}

pub(crate) fn random() -> Result<[u8; 32], NodeError> {
    paralith_rt::random().map_err(|e| NodeError::internal(&e))
}

fn class_of(number: u32) -> Result<Class, NodeError> {
    [Class::Malformed, Class::Missing, Class::Failed, Class::Executed]
        .into_iter()
        .find(|class| *class as u32 == number)
        .ok_or_else(|| unverifiable(format!("{number} is no class of a transaction")))
}

/// A result with its path to the batch's results root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedResult {
    /// The contract.
    pub contract_id: ContractId,
    /// The batch.
    pub batch: u64,
    /// The result.
    pub result: TxResult,
    /// Its path.
    pub path: MerkleProof,
}
