//! Votes that are false, and members that vote twice. The members are in the test's hands, so it votes as it likes.

use e2e::{account_key, until};
use paralith_consensus_api::address as addresses;
use paralith_private_contract_core::messages::keys as places;
use paralith_private_contract_core::vote::{inputs_hash, vote_hash};
use paralith_private_contract_messages::{
    Accuse, Batch, BondRecord, Canonical as _, ContractId, Evidence, OfContract, SetKeys, Terms,
    TransactionStatus, Verdict, Vote, VoteKey, VoteSignature,
};
use paralith_types::{Amount, Hash, RuntimeId};

use crate::hand::{Hand, Opened, evidence, verdict};
use crate::net::on_network;
use crate::session::{Contract, Parties, Session, code_of, counter, mediator, mint, package_of};

const BOND: u128 = 1_000;
const SLASH: u128 = 400;

/// d, e and f decide, two of them.
async fn of_hands(it: &mut Session, hands: &[&Hand], change: impl FnOnce(&mut Terms)) -> Contract {
    let parties = Parties { places: &[], hands, policy: "2 of (d, e, f)" };
    it.contract_of(parties, package_of(counter()), change).await
}

/// Opens a batch with one transaction.
async fn batch(it: &mut Session, contract: &Contract) -> (u64, Opened) {
    let seq = it.send(contract, &mint("1"), &[]).await;
    (seq, it.opened(&contract.id).await)
}

async fn cast(it: &mut Session, by: &Hand, vote: &Vote) -> Result<(), (String, u32)> {
    let done = it.client.call(&by.account, "vote", vote.encode()).await;
    done.map(|_| ()).map_err(|error| e2e::refusal(&error))
}

/// A vote of several.
fn together(id: &ContractId, opened: &Opened, evidence: &Evidence) -> Vote {
    Vote {
        contract_id: *id,
        batch: opened.open.batch.number,
        verdict: evidence.verdict.clone(),
        actions: crate::hand::no_actions(),
        signers: evidence.signers.clone(),
        signature: evidence.signature,
    }
}

async fn bond(it: &mut Session, contract: &Contract, of: &Hand) -> u128 {
    let key = places::bond(&contract.id, &of.account.public(), 1);
    it.client.record::<BondRecord>(key).await.unwrap().unwrap().amount.0
}

/// What members have at the mediator and as bonds, together.
async fn held(it: &mut Session, contract: &Contract, of: [&Hand; 3]) -> u128 {
    let mut sum = 0;
    for hand in of {
        sum += it.balance(&addresses::of_key(&hand.account.public())).await;
        sum += bond(it, contract, hand).await;
    }
    sum
}

fn accusation(opened: &Opened, first: Evidence, second: Evidence, id: ContractId) -> Vec<u8> {
    let batch = &opened.open.batch;
    let (version, batch, inputs_hash) = (batch.version, batch.number, opened.inputs);
    Accuse { contract_id: id, version, batch, inputs_hash, first, second }.encode()
}

#[test]
fn test_11_a_signer_of_two_verdicts_is_slashed_once_wherever_they_meet() {
    on_network(async |it| {
        let (d, e, f) = (Hand::new(), Hand::new(), Hand::new());
        for hand in [&d, &e, &f] {
            it.deposit(&hand.account, BOND).await;
        }
        let terms = |terms: &mut Terms| {
            (terms.bond, terms.slash) = (Amount(BOND), Amount(SLASH));
        };
        let contract = of_hands(it, &[&d, &e, &f], terms).await;
        let (id, carol) = (contract.id, account_key("carol"));
        assert_eq!(held(it, &contract, [&d, &e, &f]).await, 3 * BOND);

        // On the chain: void in both, and slashed once for three.
        let (seq, opened) = batch(it, &contract).await;
        let verdicts: [Verdict; 3] = [2, 3, 4].map(|root| verdict(&opened, root));
        for verdict in &verdicts[..2] {
            let vote = d.vote(it, &id, &opened, verdict, 0);
            cast(it, &d, &vote).await.unwrap();
        }
        for verdict in &verdicts {
            let vote = d.vote(it, &id, &opened, verdict, 0);
            assert_eq!(cast(it, &d, &vote).await.unwrap_err(), mediator(20), "void");
        }
        assert_eq!(bond(it, &contract, &d).await, BOND - SLASH);
        // Inside two aggregates: of each only e counts, until it has signed both.
        for verdict in &verdicts[..2] {
            let signed =
                [(0, d.sign(it, &id, &opened, verdict)), (1, e.sign(it, &id, &opened, verdict))];
            assert_eq!(it.client.contract(&id).await.unwrap().open_batch, 1);
            let vote = together(&id, &opened, &evidence(verdict, &signed));
            cast(it, &f, &vote).await.unwrap();
        }
        assert_eq!(bond(it, &contract, &e).await, BOND - SLASH);
        // Nobody but f is left: no two agree any more.
        assert_eq!(it.fini(&id, seq).await.status, TransactionStatus::No);

        // After FINI: the second verdict never was on the chain.
        let (seq, opened) = batch(it, &contract).await;
        let (yes, no) = (verdict(&opened, 5), verdict(&opened, 6));
        let two = [(0, d.sign(it, &id, &opened, &yes)), (2, f.sign(it, &id, &opened, &yes))];
        let first = evidence(&yes, &two);
        cast(it, &f, &together(&id, &opened, &first)).await.unwrap();
        assert_eq!(it.fini(&id, seq).await.status, TransactionStatus::Yes);
        let second = evidence(&no, &[(0, d.sign(it, &id, &opened, &no))]);
        let accuse = accusation(&opened, first.clone(), second, id);
        it.client.call(&carol, "accuse", accuse.clone()).await.unwrap();
        assert_eq!(bond(it, &contract, &d).await, BOND - 2 * SLASH);
        let again = it.client.call(&carol, "accuse", accuse).await;
        assert_eq!(code_of(again), mediator(25), "once for a batch");
        // f signed one of them only, and e none.
        let second = evidence(&no, &[(1, e.sign(it, &id, &opened, &no))]);
        let accuse = accusation(&opened, first, second, id);
        assert_eq!(code_of(it.client.call(&carol, "accuse", accuse).await), mediator(25));

        // After it has left, and at most what is left of its bond.
        let (seq, opened) = batch(it, &contract).await;
        let (yes, no) = (verdict(&opened, 7), verdict(&opened, 8));
        let both = [&yes, &no].map(|one| evidence(one, &[(0, d.sign(it, &id, &opened, one))]));
        let two = [(1, e.sign(it, &id, &opened, &yes)), (2, f.sign(it, &id, &opened, &yes))];
        cast(it, &f, &together(&id, &opened, &evidence(&yes, &two))).await.unwrap();
        assert_eq!(it.fini(&id, seq).await.status, TransactionStatus::Yes);
        let leave = OfContract { contract_id: id }.encode();
        it.client.call(&d.account, "leave", leave).await.unwrap();
        let [first, second] = both;
        let accuse = accusation(&opened, first, second, id);
        it.client.call(&carol, "accuse", accuse).await.unwrap();
        let bonds = [
            bond(it, &contract, &d).await,
            bond(it, &contract, &e).await,
            bond(it, &contract, &f).await,
        ];
        assert_eq!(bonds, [0, BOND - SLASH, BOND], "an honest member loses nothing");
        // What was taken is the others', to the last unit.
        assert_eq!(held(it, &contract, [&d, &e, &f]).await, 3 * BOND);
    });
}

#[test]
fn test_09_false_keys_and_votes_are_refused_by_their_codes_and_count_for_nothing() {
    on_network(async |it| {
        let (d, e, f) = (Hand::new(), Hand::new(), Hand::new());
        false_keys(it, &d).await;
        let contract = of_hands(it, &[&d, &e, &f], |_| {}).await;
        let id = contract.id;
        // Somebody else's key, with a proof of one's own.
        let shared = Hand { account: Hand::new().account, vote: d.vote.clone() };
        let keys = shared.keys(&it.client).encode();
        let refused = it.client.call(&shared.account, "set_keys", keys).await;
        assert_eq!(code_of(refused), mediator(23));
        // Before f leaves a batch ends, so the next one is the first without it.
        let (seq, opened) = batch(it, &contract).await;
        let right = verdict(&opened, 2);
        let vote = f.vote(it, &id, &opened, &right, 2);
        cast(it, &f, &vote).await.unwrap();
        assert_eq!(cast(it, &f, &vote).await.unwrap_err(), mediator(20), "counted already");
        let vote = e.vote(it, &id, &opened, &right, 1);
        cast(it, &e, &vote).await.unwrap();
        assert_eq!(it.fini(&id, seq).await.status, TransactionStatus::Yes);
        let leave = OfContract { contract_id: id }.encode();
        it.client.call(&f.account, "leave", leave).await.unwrap();

        let (seq, opened) = batch(it, &contract).await;
        let right = verdict(&opened, 3);
        let good = d.vote(it, &id, &opened, &right, 0);
        for (code, vote) in false_votes(it, &contract, &opened, &good, [&d, &f]) {
            assert_eq!(cast(it, &d, &vote).await.unwrap_err(), mediator(code), "{vote:?}");
        }
        let stranger = Hand::new();
        assert_eq!(cast(it, &stranger, &good).await.unwrap_err(), mediator(20), "no member");
        // None of them counts: it still takes both.
        cast(it, &d, &good).await.unwrap();
        assert_ne!(it.client.contract(&id).await.unwrap().open_batch, 0);
        let vote = e.vote(it, &id, &opened, &right, 1);
        cast(it, &e, &vote).await.unwrap();
        let record = it.fini(&id, seq).await;
        assert_eq!(record.status, TransactionStatus::Yes);
        let last = until("the root", async || it.client.contract(&id).await.ok()).await.last_root;
        assert_eq!(last, Hash([3; 32]));
        assert_eq!(cast(it, &d, &good).await.unwrap_err(), mediator(17), "decided");
    });
}

/// Vote keys that nobody may vote with.
async fn false_keys(it: &mut Session, hand: &Hand) {
    let good = hand.keys(&it.client);
    let mut infinite = ([0; 96], [0; 48]);
    (infinite.0[0], infinite.1[0]) = (0xc0, 0xc0);
    let identity = SetKeys {
        vote_key: VoteKey(infinite.0),
        possession: VoteSignature(infinite.1),
        ..good.clone()
    };
    let mut flipped = good.clone();
    flipped.possession.0[20] ^= 1;
    let other = SetKeys { possession: Hand::new().keys(&it.client).possession, ..good.clone() };
    let mut faults = vec![identity, flipped, other];
    // Small x-coordinates: some are of points of the curve, and none is of its subgroup.
    for x in 0..6 {
        let mut key = [0; 96];
        (key[0], key[95]) = (0x80, x);
        faults.push(SetKeys { vote_key: VoteKey(key), ..good.clone() });
    }
    for fault in faults {
        let refused = it.client.call(&hand.account, "set_keys", fault.encode()).await;
        assert_eq!(code_of(refused), mediator(22), "{fault:?}");
    }
}

/// Changes of a good vote of d, each with its code; f has left.
fn false_votes(
    it: &Session,
    contract: &Contract,
    opened: &Opened,
    good: &Vote,
    [d, f]: [&Hand; 2],
) -> Vec<(u32, Vote)> {
    let (batch, right) = (&opened.open.batch, &good.verdict);
    let (place, elsewhere) = (it.client.place(contract.id), it.client.place(ContractId([9; 32])));
    let other_mediator =
        paralith_private_contract_core::Place { mediator: RuntimeId([9; 32]), ..place };
    let deposits = Batch { first_deposit: 1, last_deposit: 1, ..batch.clone() };
    let deposits = inputs_hash(&deposits, &[]);
    let (version, number, inputs) = (batch.version, batch.number, &opened.inputs);
    let root = Verdict { new_root: Hash([9; 32]), ..right.clone() };
    let hashes = [
        vote_hash(&place, version, number - 1, inputs, right),
        vote_hash(&place, version, number + 1, inputs, right),
        vote_hash(&place, version + 1, number, inputs, right),
        vote_hash(&place, version, number, &deposits, right),
        vote_hash(&place, version, number, inputs, &root),
        vote_hash(&other_mediator, version, number, inputs, right),
        vote_hash(&elsewhere, version, number, inputs, right),
    ];
    let signed =
        |hash: &Hash| Vote { signature: VoteSignature(d.vote.sign(&hash.0)), ..good.clone() };
    let mut faults: Vec<(u32, Vote)> = hashes.iter().map(|hash| (21, signed(hash))).collect();
    let mut flipped = good.clone();
    flipped.signature.0[30] ^= 1;
    faults.push((21, flipped));
    faults.push((21, Vote { verdict: root, ..good.clone() }));
    faults.push((21, Vote { signers: vec![0b11], ..good.clone() }));
    faults.push((21, Vote { signers: vec![0b10], ..good.clone() }));
    faults.push((20, Vote { signers: vec![0b1001], ..good.clone() }));
    faults.push((20, Vote { signers: vec![], ..good.clone() }));
    let gone = [(0, good.signature), (2, f.sign(it, &contract.id, opened, right))];
    faults.push((20, together(&contract.id, opened, &evidence(right, &gone))));
    faults.push((16, Vote { batch: number + 1, ..good.clone() }));
    faults.push((17, Vote { batch: number - 1, ..good.clone() }));
    faults
}
