//! A member without a process: the test has its keys, and signs with them what it likes.

use paralith::systems::private_contract::client::ContractClient;
use paralith_bls::{BlsSecret, aggregate};
use paralith_crypto::kem::{KEM_X25519, KemSecret};
use paralith_crypto::{HpkeSecret, SigningKey};
use paralith_private_contract_core::ids::{definition_hash, possession_message};
use paralith_private_contract_core::vote::{actions_hash, inputs_hash, vote_hash};
use paralith_private_contract_core::{Class, Classes};
use paralith_private_contract_messages::{
    Actions, Canonical as _, ContractId, Definition, Evidence, Join, OpenBatch, SetKeys,
    TransactionRecord, Verdict, Vote, VoteKey, VoteSignature, keys as places,
};
use paralith_types::Hash;

use crate::session::Session;

/// Its keys.
pub(crate) struct Hand {
    pub(crate) account: SigningKey,
    pub(crate) vote: BlsSecret,
}

/// An open batch, and what its votes are over.
pub(crate) struct Opened {
    pub(crate) open: OpenBatch,
    pub(crate) inputs: Hash,
}

fn random() -> [u8; 32] {
    paralith_rt::random().unwrap()
}

pub(crate) fn no_actions() -> Actions {
    Actions { actions: vec![] }
}

impl Hand {
    pub(crate) fn new() -> Self {
        Self { account: SigningKey::from_seed(random()), vote: BlsSecret::from_ikm(&random()) }
    }

    /// `set_keys` with a fresh KEM key.
    pub(crate) fn keys(&self, client: &ContractClient) -> SetKeys {
        let place = client.place(ContractId([0; 32]));
        let (account, vote_key) = (self.account.public(), VoteKey(self.vote.public()));
        let message =
            possession_message(&place.chain_context, &place.mediator, &account, &vote_key);
        SetKeys {
            kem_id: KEM_X25519,
            kem_key: KemSecret::X25519(HpkeSecret::from_bytes(random())).public(),
            vote_key,
            possession: VoteSignature(self.vote.prove_possession(&message.0)),
            link_address: "127.0.0.1:1".to_string(),
            origin: String::new(),
        }
    }

    /// Publishes its keys.
    pub(crate) async fn publish(&self, it: &mut Session) {
        let keys = self.keys(&it.client).encode();
        it.client.call(&self.account, "set_keys", keys).await.unwrap();
    }

    /// Joins a definition.
    pub(crate) async fn join(
        &self,
        it: &mut Session,
        id: ContractId,
        definition: &Definition,
        batch: u64,
        root: Hash,
    ) {
        let bond = definition.terms.bond;
        let definition = definition_hash(definition);
        let join = Join { contract_id: id, definition, batch, root, bond };
        it.client.call(&self.account, "join", join.encode()).await.unwrap();
    }

    /// What it signs of a verdict.
    pub(crate) fn sign(
        &self,
        it: &Session,
        id: &ContractId,
        opened: &Opened,
        verdict: &Verdict,
    ) -> VoteSignature {
        let (batch, place) = (&opened.open.batch, it.client.place(*id));
        let hash = vote_hash(&place, batch.version, batch.number, &opened.inputs, verdict);
        VoteSignature(self.vote.sign(&hash.0))
    }

    /// Its vote alone, as the member with this index.
    pub(crate) fn vote(
        &self,
        it: &Session,
        id: &ContractId,
        opened: &Opened,
        verdict: &Verdict,
        index: u32,
    ) -> Vote {
        Vote {
            contract_id: *id,
            batch: opened.open.batch.number,
            verdict: verdict.clone(),
            actions: no_actions(),
            signers: vec![1 << index],
            signature: self.sign(it, id, opened, verdict),
        }
    }
}

/// A verdict with these signatures.
pub(crate) fn evidence(verdict: &Verdict, signed: &[(u32, VoteSignature)]) -> Evidence {
    let signatures: Vec<[u8; 48]> = signed.iter().map(|(_, signature)| signature.0).collect();
    let signers = signed.iter().fold(0, |all, (index, _)| all | 1_u8 << index);
    Evidence {
        verdict: verdict.clone(),
        signers: vec![signers],
        signature: VoteSignature(aggregate(&signatures).unwrap()),
    }
}

/// A verdict in which every transaction was executed and made this root.
pub(crate) fn verdict(opened: &Opened, root: u8) -> Verdict {
    let classes = vec![Class::Executed; usize::try_from(opened.open.batch.classes()).unwrap()];
    Verdict {
        new_root: Hash([root; 32]),
        results_root: Hash([root; 32]),
        classes: Classes(classes).to_bytes(),
        taken: true,
        actions_hash: actions_hash(&no_actions()),
    }
}

impl Session {
    /// Waits until a batch of transactions is open.
    pub(crate) async fn opened(&mut self, id: &ContractId) -> Opened {
        self.open(id).await;
        let key = places::open_batch(id);
        let open = self.client.record::<OpenBatch>(key).await.unwrap().unwrap();
        let mut hashes = Vec::new();
        for seq in open.batch.seqs() {
            let record: TransactionRecord = self.client.transaction(id, seq).await.unwrap();
            hashes.push(record.tx_hash);
        }
        Opened { inputs: inputs_hash(&open.batch, &hashes), open }
    }
}
