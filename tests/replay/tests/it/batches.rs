//! Recorded batches and keys in real enclaves: every reply is what it was, byte for byte.
//!
//! The calls to the second compute node's enclaves contain their restarts, after every seventh batch.

use std::collections::BTreeSet;

use replay::record::{BATCHES, RESTART_EVERY};
use replay::{Call, Enclave, Recording, SoloChain, replay_enclave};

fn chain(recording: &Recording, restart_every: usize) -> SoloChain {
    let mut chain = SoloChain::new(&recording.document);
    chain.replay(&recording.blocks[..recording.solo_blocks], restart_every);
    chain
}

/// Makes the chain, then all recorded calls that `wanted` picks. How many calls there were.
fn replay(recording: &Recording, wanted: impl Fn(&Enclave) -> bool) -> usize {
    let chain = chain(recording, 0);
    let enclaves = recording.enclaves.iter().filter(|one| wanted(one));
    enclaves.map(|enclave| replay_enclave(recording, &chain.ledger, enclave)).sum()
}

fn starts(enclave: &Enclave) -> usize {
    enclave.steps.iter().filter(|step| matches!(step.call, Call::Start(_))).count()
}

#[test]
fn one_thread_gives_every_recorded_root() {
    let recording = Recording::load();
    let calls = replay(&recording, |one| one.paratime.is_some() && starts(one) == 1);
    assert!(calls > 3 * 15 * 5, "{calls}");
}

#[test]
fn restarts_of_the_enclave_every_7_batches_change_no_root() {
    let recording = Recording::load();
    let restarted: Vec<&Enclave> =
        recording.enclaves.iter().filter(|one| one.paratime.is_some() && starts(one) > 1).collect();
    assert_eq!(restarted.len(), 3, "one for each ParaTime");
    for enclave in &restarted {
        assert_eq!(starts(enclave) as u64, 1 + (BATCHES - 1) / RESTART_EVERY);
    }
    let chain = chain(&recording, 7);
    for enclave in restarted {
        replay_enclave(&recording, &chain.ledger, enclave);
    }
}

#[test]
fn the_key_manager_makes_the_recorded_keys() {
    let recording = Recording::load();
    let calls = replay(&recording, |one| one.paratime.is_none());
    assert!(calls > 50, "{calls}");
}

#[test]
fn eight_threads_at_once_give_every_recorded_root() {
    let recording = Recording::load();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| replay(&recording, |one| one.paratime.is_some()));
        }
    });
}

/// So the comparisons above can fail: another seed, a missing key reply, another result and
/// another batch are noticed.
#[test]
fn what_differs_is_noticed() {
    let recording = Recording::load();
    let chain = chain(&recording, 0);
    let place = |wanted: fn(&Call) -> bool| {
        let steps = &recording.enclaves[1].steps;
        steps.iter().position(|step| wanted(&step.call)).unwrap()
    };
    let start = place(|call| matches!(call, Call::Start(_)));
    let keys = place(|call| matches!(call, Call::Keys(_)));
    let execute = place(|call| matches!(call, Call::Execute(0)));
    let changes: [&dyn Fn(&mut Recording); 4] = [
        &|recording| recording.enclaves[1].steps[start].call = Call::Start(77),
        &|recording| drop(recording.enclaves[1].steps.remove(keys)),
        &|recording| recording.enclaves[1].steps[execute].reply.0[0] ^= 1,
        &|recording| recording.paratimes[0].batches[9].transactions.truncate(1),
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut changed = recording.clone();
        change(&mut changed);
        let ledger = &chain.ledger;
        let replayed = std::thread::scope(|scope| {
            let enclave = &changed.enclaves[1];
            scope.spawn(|| replay_enclave(&changed, ledger, enclave)).join()
        });
        assert!(replayed.is_err(), "change {number}");
    }
}

#[test]
fn both_nodes_had_other_keys_and_the_same_roots() {
    let recording = Recording::load();
    for (place, paratime) in recording.paratimes.iter().enumerate() {
        assert_eq!(paratime.batches.len() as u64, BATCHES, "{}", paratime.name);
        let roots: BTreeSet<_> = paratime.batches.iter().map(|one| one.state_root).collect();
        assert!(roots.len() > 10, "{}: {} states", paratime.name, roots.len());
        let of_start = |enclave: &&Enclave| {
            (enclave.paratime == Some(place)).then(|| enclave.steps[0].reply.clone())
        };
        let claims: BTreeSet<_> =
            recording.enclaves.iter().filter_map(|one| of_start(&one)).collect();
        assert_eq!(claims.len(), 2, "{}", paratime.name);
    }
}
