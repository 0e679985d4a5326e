//! A test's own connection to the network: its contracts, calls, and what members and mediator say.

use e2e::{account_key, address, until};
use paralith::client::{TxOptions, connect};
use paralith::error::NodeError;
use paralith::links::endpoint::Trust;
use paralith::network::MEDIATOR;
use paralith::systems::private_contract::client::{ContractClient, MemberClient, PrivateTx};
use paralith_consensus_api::roothash::SubmitMessage;
use paralith_consensus_api::{address as addresses, staking};
use paralith_crypto::{Domain, SigningKey};
use paralith_policy::{CERTIFICATE_DOMAIN, CERTIFICATE_VERSION, Certificate, Policy};
use paralith_private_contract_core::ids::{definition_hash, package_hash};
use paralith_private_contract_messages::{
    Canonical as _, ContractId, ContractStatus, Definition, Join, Package, Terms,
    TransactionRecord, TransactionStatus, keys as places,
};
use paralith_runtime_abi as abi;
use paralith_runtime_api::output::Output;
use paralith_runtime_api::tx::Call;
use paralith_types::{Address, Amount, Hash, Height, PublicKey, Signature};
use serde_json::{Value, json};

use crate::hand::Hand;
use crate::net::{Member, NAMES, Net};

const CERTIFICATE: Domain = Domain::new(CERTIFICATE_DOMAIN);

/// A contract that runs, and alice's certificate for it.
pub(crate) struct Contract {
    pub(crate) id: ContractId,
    pub(crate) certificate: Certificate,
    pub(crate) package: Package,
    pub(crate) definition: Definition,
}

/// Who decides in a contract: members with processes by their places, members in the test's own hands, and the
/// policy, in which those are a, b, c and these d, e, f.
#[derive(Clone, Copy)]
pub(crate) struct Parties<'a> {
    pub(crate) places: &'a [usize],
    pub(crate) hands: &'a [&'a Hand],
    pub(crate) policy: &'a str,
}

impl Parties<'_> {
    /// Their names in policies, in the order of the definition.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        let processes = self.places.iter().map(|place| NAMES[*place]);
        processes.chain(["d", "e", "f"].into_iter().take(self.hands.len())).collect()
    }
}

/// A test's own connection to the network.
pub(crate) struct Session {
    pub(crate) net: Net,
    pub(crate) client: ContractClient,
}

pub(crate) fn terms() -> Terms {
    Terms {
        fetch_blocks: 20,
        vote_blocks: 600,
        max_batch: 64,
        max_content_bytes: 64 * 1024,
        gas_limit: 1_000_000_000,
        bond: Amount::ZERO,
        deposit: Amount::ZERO,
        slash: Amount::ZERO,
        min_receipts: 0,
        origins: Vec::new(),
        retention_blocks: 100_000,
        dormant_blocks: 0,
        residual: address("alice"),
    }
}

pub(crate) fn mint(amount: &str) -> abi::Call {
    let args = json!({ "to": address("alice"), "amount": amount });
    call("mint", &args)
}

pub(crate) fn call(method: &str, args: &Value) -> abi::Call {
    abi::Call { method: method.to_string(), args: args.to_string().into_bytes() }
}

/// What makes a contract of `tokens` that alice mints.
pub(crate) fn tokens() -> (Vec<u8>, Value) {
    (paralith::guests::TOKENS.to_vec(), json!({ "minter": address("alice") }))
}

/// What makes a contract that counts.
pub(crate) fn counter() -> (Vec<u8>, Value) {
    (paralith::guests::COUNTER.to_vec(), json!({}))
}

/// A refusal of the mediator.
pub(crate) fn mediator(code: u32) -> (String, u32) {
    ("mediator".to_string(), code)
}

/// Module and code of a refusal.
pub(crate) fn code_of<T: std::fmt::Debug>(done: Result<T, NodeError>) -> (String, u32) {
    e2e::refusal(&done.unwrap_err())
}

/// Installs a package at a member's node, and joins.
async fn join_one(
    node: &str,
    member: &Member,
    id: ContractId,
    sealed: Vec<u8>,
    definition: &Definition,
) {
    let mut client = ContractClient::new(connect(node).await.unwrap(), MEDIATOR).await.unwrap();
    let (key, chain) = (member.keys.account_key(), client.chain.chain_context());
    let installed = until("the member sees the contract", async || {
        let mut member = MemberClient::connect(&member.url, &Trust::System, chain).await.ok()?;
        let height = client.chain.sync().await.unwrap().0;
        member.install(key, &id, height, sealed.clone(), None).await.ok()
    })
    .await;
    let join = Join {
        contract_id: id,
        definition: definition_hash(definition),
        batch: installed.batch,
        root: Hash::try_from(installed.root.as_slice()).unwrap(),
        bond: definition.terms.bond,
    };
    // The member's node votes by the same account: its vote may come first with the nonce of this call.
    until("the member's join is in a block", async || {
        match client.call(key, "join", join.encode()).await {
            Err(NodeError::Refused(refusal)) if refusal.is("sdk", 1) => None,
            joined => Some(joined.unwrap()),
        }
    })
    .await;
}

/// A package with fresh secrets.
pub(crate) fn package_of((module, init): (Vec<u8>, Value)) -> Package {
    let random = || Hash(paralith_rt::random().unwrap());
    let init_argument = init.to_string().into_bytes();
    Package { module, init_argument, derive_secret: random(), group_secret: random() }
}

impl Session {
    pub(crate) async fn new(net: Net) -> Self {
        let client = connect(&net.node).await.unwrap();
        let client = ContractClient::new(client, MEDIATOR).await.unwrap();
        Self { net, client }
    }

    pub(crate) fn all_run(&mut self) {
        self.net.members.iter_mut().for_each(Member::run);
    }

    pub(crate) fn key(&self, place: usize) -> PublicKey {
        self.net.members[place].keys.account()
    }

    pub(crate) async fn member(&self, place: usize) -> MemberClient {
        let url = &self.net.members[place].url;
        let chain = self.client.chain.chain_context();
        let connect = async || MemberClient::connect(url, &Trust::System, chain).await.ok();
        until("a member answers", connect).await
    }

    pub(crate) async fn height(&mut self) -> u64 {
        self.client.chain.sync().await.unwrap().0
    }

    /// Waits until the chain has so many more blocks.
    pub(crate) async fn blocks(&mut self, count: u64) {
        let until = Height(self.height().await + count);
        self.client.chain.sync_to(until).await.unwrap();
    }

    /// Creates a contract that all three members have joined.
    pub(crate) async fn contract(
        &mut self,
        policy: &str,
        code: (Vec<u8>, Value),
        change: impl FnOnce(&mut Terms),
    ) -> Contract {
        let parties = Parties { places: &[0, 1, 2], hands: &[], policy };
        self.contract_of(parties, package_of(code), change).await
    }

    /// The account keys of parties, in the order of the definition.
    pub(crate) fn accounts(&self, parties: Parties<'_>) -> Vec<PublicKey> {
        let processes = parties.places.iter().map(|place| self.key(*place));
        processes.chain(parties.hands.iter().map(|hand| hand.account.public())).collect()
    }

    /// Creates a contract that all parties have joined.
    pub(crate) async fn contract_of(
        &mut self,
        parties: Parties<'_>,
        package: Package,
        change: impl FnOnce(&mut Terms),
    ) -> Contract {
        let alice = account_key("alice");
        for hand in parties.hands {
            hand.publish(self).await;
        }
        for key in self.accounts(parties) {
            let client = &mut self.client;
            until("a member's keys", async || client.account_keys(&key).await.ok()).await;
        }
        let mut terms = terms();
        change(&mut terms);
        let definition = Definition {
            version: 1,
            package_hash: package_hash(&package),
            issuers: vec![alice.public()],
            members: self.accounts(parties),
            policy: Policy::parse(parties.policy, &parties.names()).unwrap(),
            terms,
        };
        let client = &mut self.client;
        let (id, installed) = until("no other call of alice is in the pool", async || {
            match client.create(&alice, &package, definition.clone()).await {
                // The node does not know yet that the call before is final.
                Err(NodeError::Refused(error)) if error.is("worker", 4) => None,
                created => Some(created.unwrap()),
            }
        })
        .await;
        let sealed = self.client.seal_for_members(id, &package).await.unwrap();
        let node = &self.net.node;
        let joins = parties.places.iter().zip(sealed).map(|(place, sealed)| {
            join_one(node, &self.net.members[*place], id, sealed, &definition)
        });
        futures::future::join_all(joins).await;
        for hand in parties.hands {
            hand.join(self, id, &definition, 0, installed.root).await;
        }
        assert_eq!(self.client.contract(&id).await.unwrap().status, ContractStatus::Active);
        let certificate = self.certificate(&id, alice.public(), |_| {}).await;
        Contract { id, certificate, package, definition }
    }

    /// A certificate by alice.
    pub(crate) async fn certificate(
        &mut self,
        id: &ContractId,
        subject: PublicKey,
        change: impl FnOnce(&mut Certificate),
    ) -> Certificate {
        let alice = account_key("alice");
        let mut certificate = Certificate {
            version: CERTIFICATE_VERSION,
            issuer: alice.public(),
            subject,
            scope: id.0,
            attributes: String::new(),
            serial: 1,
            not_before: Height(0),
            not_after: Height(self.height().await + 100_000),
            signature: Signature([0; 64]),
        };
        change(&mut certificate);
        let chain = self.client.chain.chain_context();
        certificate.signature = alice.sign(CERTIFICATE, &chain, &certificate.message());
        certificate
    }

    /// Seals a call of alice; these members keep it.
    pub(crate) async fn seal(
        &mut self,
        contract: &Contract,
        call: &abi::Call,
        at: &[usize],
    ) -> PrivateTx {
        let alice = account_key("alice");
        let mut tx = self.client.seal(contract.id, &alice.public(), call, None).await.unwrap();
        for place in at {
            let mut member = self.member(*place).await;
            let height = self.height().await;
            tx.store_at(&mut member, &alice, &contract.certificate, height).await.unwrap();
        }
        tx
    }

    pub(crate) async fn submit(
        &mut self,
        contract: &Contract,
        tx: &PrivateTx,
        payment: u128,
    ) -> Result<u64, NodeError> {
        let certificate = contract.certificate.clone();
        self.client.submit(&account_key("alice"), certificate, tx, Amount(payment)).await
    }

    /// Seals and submits a call of alice; these members keep it.
    pub(crate) async fn send(
        &mut self,
        contract: &Contract,
        call: &abi::Call,
        at: &[usize],
    ) -> u64 {
        let tx = self.seal(contract, call, at).await;
        self.submit(contract, &tx, 0).await.unwrap()
    }

    /// Waits until a transaction is final.
    pub(crate) async fn fini(&mut self, id: &ContractId, seq: u64) -> TransactionRecord {
        let client = &mut self.client;
        until("FINI", async || {
            let record = client.record::<TransactionRecord>(places::transaction(id, seq)).await;
            let is_open =
                |status| matches!(status, TransactionStatus::Pending | TransactionStatus::Open);
            record.unwrap().filter(|record| !is_open(record.status))
        })
        .await
    }

    /// Sends a call that member a keeps, and waits for its end.
    pub(crate) async fn run(&mut self, contract: &Contract, call: &abi::Call) -> TransactionStatus {
        let seq = self.send(contract, call, &[0]).await;
        self.fini(&contract.id, seq).await.status
    }

    /// Waits until a batch is open, and gives its number.
    pub(crate) async fn open(&mut self, id: &ContractId) -> u64 {
        let client = &mut self.client;
        until("a batch is open", async || {
            let open = client.contract(id).await.unwrap().open_batch;
            (open != 0).then_some(open)
        })
        .await
    }

    /// A member's root, and the newest batch in which it has voted.
    pub(crate) async fn status_at(&mut self, place: usize, id: &ContractId) -> Option<(Hash, u64)> {
        let url = &self.net.members[place].url;
        let chain = self.client.chain.chain_context();
        let mut member = MemberClient::connect(url, &Trust::System, chain).await.ok()?;
        let keys = self.net.members[place].keys.clone();
        let height = self.client.chain.sync().await.ok()?.0;
        let contracts = member.contracts(keys.account_key(), height).await.ok()?;
        let here = contracts.into_iter().find(|one| one.contract_id == id.0)?;
        Some((Hash::try_from(here.root.as_slice()).unwrap(), here.voted_batch))
    }

    /// Waits until a member has its vote of a batch on its disk.
    pub(crate) async fn voted(&mut self, place: usize, id: &ContractId, batch: u64) {
        until(&format!("member {place} has voted"), async || {
            let (_, voted) = self.status_at(place, id).await?;
            (voted == batch).then_some(())
        })
        .await;
    }

    /// Waits until all three members have the last final root, and gives it.
    pub(crate) async fn one_root(&mut self, id: &ContractId) -> Hash {
        self.one_root_at(&[0, 1, 2], id).await
    }

    /// Waits until these members have the last final root, and gives it.
    pub(crate) async fn one_root_at(&mut self, at: &[usize], id: &ContractId) -> Hash {
        let root = self.client.contract(id).await.unwrap().last_root;
        for place in at.iter().copied() {
            until(&format!("member {place} has the final root"), async || {
                let (here, _) = self.status_at(place, id).await?;
                (here == root).then_some(())
            })
            .await;
        }
        root
    }

    /// The contract's answer at a member.
    pub(crate) async fn query(
        &mut self,
        place: usize,
        id: &ContractId,
        method: &str,
        args: &Value,
    ) -> Value {
        let asked = call(method, args);
        let keys = self.net.members[place].keys.clone();
        let answer = until("a member's answer", async || {
            let mut member = self.member(place).await;
            let height = self.height().await;
            member.query(keys.account_key(), id, height, &asked).await.ok()
        })
        .await;
        match Output::decode(&answer.output, answer.output.len()).unwrap() {
            Output::Ok(value) => serde_json::from_slice(&value).unwrap(),
            Output::Error(error) => panic!("{method}: {}", error.message),
        }
    }

    /// What an account has at the mediator.
    pub(crate) async fn balance(&mut self, of: &Address) -> u128 {
        let args = json!({ "address": of }).to_string().into_bytes();
        let call = Call { method: "balance".to_string(), args };
        let client = &mut self.client;
        let answer = client.mediator.query(&mut client.chain, None, call).await.unwrap();
        let Output::Ok(value) = answer.output else { panic!() };
        let value: Value = serde_json::from_slice(&value).unwrap();
        value["balance"].as_str().unwrap().parse().unwrap()
    }

    /// Brings an account's money to the mediator; it comes from alice.
    pub(crate) async fn deposit(&mut self, key: &SigningKey, amount: u128) {
        let to = addresses::of_key(&key.public());
        let before = self.balance(&to).await;
        if to != address("alice") {
            let transfer = staking::Transfer { to, amount: Amount(amount + 1_000) };
            let options = TxOptions::default();
            self.client.chain.submit(&account_key("alice"), transfer, options).await.unwrap();
        }
        let mediator = &self.client.mediator.runtime;
        let deposit = SubmitMessage {
            runtime_id: mediator.id,
            tag: 0,
            fee: mediator.staking.min_in_message_fee,
            tokens: Amount(amount),
            data: Vec::new(),
        };
        self.client.chain.submit(key, deposit, TxOptions::default()).await.unwrap();
        until("the deposit is credited", async || {
            (self.balance(&to).await == before + amount).then_some(())
        })
        .await;
    }
}
