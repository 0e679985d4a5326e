//! Definitions that are replaced while senders, members and a member that changes its keys in every block go on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use e2e::{account_key, until};
use paralith::client::connect;
use paralith::error::NodeError;
use paralith::network::MEDIATOR;
use paralith::systems::private_contract::client::ContractClient;
use paralith_bls::aggregate;
use paralith_policy::Policy;
use paralith_private_contract_core::ids::{definition_hash, package_hash};
use paralith_private_contract_core::prf::unsalted;
use paralith_private_contract_messages::{
    Canonical as _, Change, ContractStatus, Definition, Join, Package, TransactionStatus,
    VoteSignature,
};
use paralith_private_contract_stakeholder::Agreement;
use paralith_types::Hash;
use serde_json::json;

use crate::hand::Hand;
use crate::net::on_network;
use crate::sender::{Sender, Sent};
use crate::session::{Contract, Parties, Session, call, counter, mediator, package_of, tokens};

impl Session {
    /// The next definition: these parties, with this package.
    pub(crate) async fn next_definition(
        &mut self,
        contract: &Contract,
        parties: Parties<'_>,
        package: &Package,
    ) -> Definition {
        let record = self.client.contract(&contract.id).await.unwrap();
        Definition {
            version: record.last_version + 1,
            package_hash: package_hash(package),
            members: self.accounts(parties),
            policy: Policy::parse(parties.policy, &parties.names()).unwrap(),
            ..contract.definition.clone()
        }
    }

    /// The package of a definition, sealed to its members.
    async fn sealed(
        &mut self,
        contract: &Contract,
        definition: &Definition,
        package: &Package,
    ) -> Vec<Vec<u8>> {
        let owner = account_key("alice").public();
        self.client.seal_for(contract.id, &owner, definition, package).await.unwrap()
    }

    /// Installs the next package at a member; gives where its tree is.
    async fn install(
        &mut self,
        place: usize,
        contract: &Contract,
        definition: &Definition,
        sealed: Vec<u8>,
    ) -> (u64, Hash) {
        let key = self.net.members[place].keys.account_key().clone();
        let (height, mut member) = (self.height().await, self.member(place).await);
        let installed = member.install(&key, &contract.id, height, sealed, Some(definition)).await;
        let installed = installed.unwrap();
        (installed.batch, Hash::try_from(installed.root.as_slice()).unwrap())
    }

    /// Installs the next package at members that stay.
    pub(crate) async fn install_at(
        &mut self,
        places: &[usize],
        contract: &Contract,
        definition: &Definition,
        package: &Package,
    ) {
        let sealed = self.sealed(contract, definition, package).await;
        for place in places {
            let key = self.key(*place);
            let index = definition.members.iter().position(|member| *member == key).unwrap();
            self.install(*place, contract, definition, sealed[index].clone()).await;
        }
    }

    /// A new member fetches the tree from those that have installed the package, and joins.
    async fn join_new(
        &mut self,
        place: usize,
        contract: &Contract,
        definition: &Definition,
        package: &Package,
    ) {
        let sealed = self.sealed(contract, definition, package).await;
        let key = self.key(place);
        let index = definition.members.iter().position(|member| *member == key).unwrap();
        let (batch, root) = until("the new member has the tree", async || {
            let (batch, root) =
                self.install(place, contract, definition, sealed[index].clone()).await;
            let known = self.client.final_batch(&contract.id, batch).await.ok()?.root;
            (batch != 0 && known == root).then_some((batch, root))
        })
        .await;
        let join = Join {
            contract_id: contract.id,
            definition: definition_hash(definition),
            batch,
            root,
            bond: definition.terms.bond,
        };
        let key = self.net.members[place].keys.account_key().clone();
        self.client.call(&key, "join", join.encode()).await.unwrap();
    }

    /// A change to which members agree: their index in the definition in force, and their place.
    pub(crate) fn agreed(
        &self,
        contract: &Contract,
        definition: &Definition,
        migrate: bool,
        by: &[(u32, usize)],
    ) -> Change {
        let hash = Agreement::change(&self.client.place(contract.id), definition, migrate);
        let sign = |place: usize| self.net.members[place].keys.sign_agreement(&hash).0;
        let signatures: Vec<[u8; 48]> = by.iter().map(|(_, place)| sign(*place)).collect();
        Change {
            contract_id: contract.id,
            definition: definition.clone(),
            migrate,
            signers: vec![by.iter().fold(0, |all, (index, _)| all | 1 << index)],
            signature: VoteSignature(aggregate(&signatures).unwrap()),
        }
    }

    pub(crate) async fn change(&mut self, change: &Change) -> Result<(), (String, u32)> {
        let done = self.client.call(&account_key("erin"), "change", change.encode()).await;
        done.map(|_| ()).map_err(|error| e2e::refusal(&error))
    }

    /// Waits until no change is under way, and gives the definition in force and its key set.
    pub(crate) async fn settled(&mut self, contract: &Contract) -> (u64, u64) {
        let client = &mut self.client;
        until("no change is under way", async || {
            let record = client.contract(&contract.id).await.unwrap();
            let is_settled = record.status == ContractStatus::Active;
            is_settled.then_some((record.version, record.keys_version))
        })
        .await
    }
}

/// Sends `add` again and again, to whatever keys are the newest.
async fn load(mut sender: Sender, stop: Arc<AtomicBool>) -> Vec<Sent> {
    let mut sent = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        match sender.send(&call("add", &json!({ "amount": 1 }))).await {
            Ok(one) => sent.push(one),
            // The keys are no longer the newest, or its queue is full.
            Err(NodeError::Refused(error)) => {
                let is_expected = error.is("mediator", 3) || error.is("mediator", 14);
                assert!(is_expected, "{error}");
            }
            // They were replaced while they were read.
            Err(error) => assert!(matches!(error, NodeError::NotReady { .. }), "{error}"),
        }
    }
    sent
}

/// A member that changes its KEM key in every block.
async fn change_keys(hand: Arc<Hand>, node: String, stop: Arc<AtomicBool>) -> usize {
    let mut client = ContractClient::new(connect(&node).await.unwrap(), MEDIATOR).await.unwrap();
    let mut changed = 0;
    while !stop.load(Ordering::SeqCst) {
        let keys = hand.keys(&client).encode();
        client.call(&hand.account, "set_keys", keys).await.unwrap();
        changed += 1;
    }
    changed
}

/// A module whose `migrate` traps.
fn trap() -> Vec<u8> {
    let entry = |name: &str| {
        let body = if name == "migrate" { "unreachable" } else { "(i64.const 2)" };
        format!("(func (export \"{name}\") (param i32 i32) (result i64) {body})\n")
    };
    let names = [
        "init",
        "begin_block",
        "authenticate",
        "execute",
        "end_block",
        "check",
        "query",
        "reveal",
        "migrate",
    ];
    let entries: String = names.into_iter().map(entry).collect();
    let text = format!(
        r#"(module
        (import "paralith_v1" "state_get" (func (param i32 i32) (result i64)))
        (memory (export "memory") 2)
        (func (export "paralith_alloc") (param i32) (result i32) (i32.const 8192))
        (data (i32.const 0) "\0a\00")
        {entries})"#
    );
    wat::parse_str(text).unwrap()
}

#[test]
fn test_16_each_transaction_runs_under_the_definition_to_which_it_was_sealed() {
    on_network(async |it| {
        let hand = Arc::new(Hand::new());
        let hands: &[&Hand] = &[&hand];
        let first = Parties { places: &[0, 1], hands, policy: "all(a, b)" };
        let receipts = |terms: &mut paralith_private_contract_messages::Terms| {
            terms.min_receipts = 1;
        };
        let contract = it.contract_of(first, package_of(counter()), receipts).await;
        // Which definition a key set is of.
        let mut version_of = BTreeMap::from([(1, 1)]);
        let stop = Arc::new(AtomicBool::new(false));
        let mut loads = Vec::new();
        for name in ["alice", "bob", "carol"] {
            let sender = it.sender(name, &contract, Some(0)).await;
            loads.push(tokio::spawn(load(sender, Arc::clone(&stop))));
        }
        let node = it.net.node.clone();
        let keys = tokio::spawn(change_keys(Arc::clone(&hand), node, Arc::clone(&stop)));

        let added = a_member_is_added(it, &contract, hands).await;
        version_of.insert(2, 2);
        assert_eq!(it.settled(&contract).await, (2, 2));
        let (package, dropped) = a_member_is_removed(it, &contract, hands, &added).await;
        version_of.insert(3, 3);
        assert_eq!(it.settled(&contract).await, (3, 3));
        for replayed in [&added, &dropped] {
            assert_eq!(it.change(replayed).await.unwrap_err(), mediator(27), "after a later one");
        }
        let members = Parties { places: &[0, 2], hands, policy: "all(a, c)" };
        // New code whose migration traps: the old code stays, and what was sealed to it ends without it.
        let trapping = Package { module: trap(), ..package.clone() };
        let next = it.next_definition(&contract, members, &trapping).await;
        it.install_at(&[0, 2], &contract, &next, &trapping).await;
        let failing = it.agreed(&contract, &next, true, &[(0, 0), (1, 2)]);
        it.change(&failing).await.unwrap();
        version_of.extend([(4, 4), (5, 3)]);
        assert_eq!(it.settled(&contract).await, (3, 5));
        assert_eq!(it.change(&failing).await.unwrap_err(), mediator(27), "dropped for good");
        // New code.
        let migrated = Package { module: tokens().0, ..package };
        let next = it.next_definition(&contract, members, &migrated).await;
        it.install_at(&[0, 2], &contract, &next, &migrated).await;
        let migration = it.agreed(&contract, &next, true, &[(0, 0), (1, 2)]);
        let plain = Change { migrate: false, ..migration.clone() };
        assert_eq!(it.change(&plain).await.unwrap_err(), mediator(21), "agreed to a migration");
        it.change(&migration).await.unwrap();
        version_of.insert(6, 5);
        assert_eq!(it.settled(&contract).await, (5, 6));
        // The member that was removed comes back, with a tree of long ago.
        let everybody = Parties { places: &[0, 1, 2], hands, policy: "2 of (a, b, c)" };
        let next = it.next_definition(&contract, everybody, &migrated).await;
        it.install_at(&[0, 2], &contract, &next, &migrated).await;
        it.join_new(1, &contract, &next, &migrated).await;
        let back = it.agreed(&contract, &next, false, &[(0, 0), (1, 2)]);
        it.change(&back).await.unwrap();
        version_of.insert(7, 6);
        assert_eq!(it.settled(&contract).await, (6, 7));

        stop.store(true, Ordering::SeqCst);
        let mut sent = Vec::new();
        for load in loads {
            sent.extend(load.await.unwrap());
        }
        assert!(keys.await.unwrap() > 20, "its keys changed all the time");
        all_ran_under_their_own(it, &contract, &version_of, &sent).await;
        it.one_root(&contract.id).await;
    });
}

/// c comes: every fault of the change first.
async fn a_member_is_added(it: &mut Session, contract: &Contract, hands: &[&Hand]) -> Change {
    let parties = Parties { places: &[0, 1, 2], hands, policy: "2 of (a, b, c)" };
    let package = contract.package.clone();
    let next = it.next_definition(contract, parties, &package).await;
    let good = it.agreed(contract, &next, false, &[(0, 0), (1, 1)]);
    assert_eq!(it.change(&good).await.unwrap_err(), mediator(32), "c has not joined");
    it.install_at(&[0, 1], contract, &next, &package).await;
    it.join_new(2, contract, &next, &package).await;
    let half = it.agreed(contract, &next, false, &[(0, 0)]);
    assert_eq!(it.change(&half).await.unwrap_err(), mediator(26), "half of the members");
    // Agreed to the members alone, with other terms.
    let mut other = next.clone();
    other.terms.vote_blocks += 1;
    let other = it.agreed(contract, &other, false, &[(0, 0), (1, 1)]);
    let parts = Change { definition: next, ..other.clone() };
    assert_eq!(it.change(&parts).await.unwrap_err(), mediator(21), "half of the definition");
    assert_eq!(it.change(&other).await.unwrap_err(), mediator(32), "c has joined another one");
    it.change(&good).await.unwrap();
    assert_eq!(it.change(&good).await.unwrap_err(), mediator(27), "at once");
    good
}

/// b goes.
async fn a_member_is_removed(
    it: &mut Session,
    contract: &Contract,
    hands: &[&Hand],
    added: &Change,
) -> (Package, Change) {
    let parties = Parties { places: &[0, 2], hands, policy: "all(a, c)" };
    let same = it.next_definition(contract, parties, &contract.package).await;
    let same = it.agreed(contract, &same, false, &[(0, 0), (2, 2)]);
    assert_eq!(it.change(&same).await.unwrap_err(), mediator(31), "b would know later salts");
    let group_secret = Hash(paralith_rt::random().unwrap());
    let package = Package { group_secret, ..contract.package.clone() };
    let next = it.next_definition(contract, parties, &package).await;
    it.install_at(&[0, 2], contract, &next, &package).await;
    assert_eq!(it.change(added).await.unwrap_err(), mediator(27), "the one before");
    let good = it.agreed(contract, &next, false, &[(0, 0), (2, 2)]);
    it.change(&good).await.unwrap();
    (package, good)
}

/// Every transaction ended as the code of its definition makes it end, in a batch of that definition.
async fn all_ran_under_their_own(
    it: &mut Session,
    contract: &Contract,
    version_of: &BTreeMap<u64, u64>,
    sent: &[Sent],
) {
    let mut executed = 0;
    let mut versions = BTreeMap::<u64, u32>::new();
    for one in sent {
        let record = it.fini(&contract.id, one.seq).await;
        let sealed_to = version_of[&one.keys_version];
        *versions.entry(sealed_to).or_default() += 1;
        assert_eq!(record.version, sealed_to, "{one:?}");
        let expected = match sealed_to {
            1..=3 => TransactionStatus::Yes,
            // Its code never came into force.
            4 => TransactionStatus::Expired,
            // The new code knows no `add`.
            _ => TransactionStatus::Failed,
        };
        assert_eq!(record.status, expected, "{one:?} of definition {sealed_to}");
        if sealed_to != 4 {
            let done = it.client.final_batch(&contract.id, record.batch).await.unwrap();
            assert_eq!(done.version, sealed_to, "{one:?}");
        }
        executed += u64::from(record.status == TransactionStatus::Yes);
    }
    println!("transactions by definition: {versions:?}");
    for version in [1, 2, 3, 5] {
        assert!(versions.contains_key(&version), "none was sealed to definition {version}");
    }
    // Each took effect once; what the old code has left is still there.
    let key = it.net.members[0].keys.account_key().clone();
    let (height, mut member) = (it.height().await, it.member(0).await);
    let held = member.prove(&key, &contract.id, height, b"count".to_vec()).await.unwrap().held;
    let held = held.unwrap();
    let (_, value) = unsalted(&held).unwrap();
    assert_eq!(value, executed.to_be_bytes());
}
