//! Messages for a round that this node's view of the chain has not reached.

use super::*;

/// A proposal of round 4 by its scheduler: rank 0 is worker 2.
fn next(rank: u64, scheduler: usize, batch: u8) -> CheckedProposal {
    let mut next = proposal_of(4, rank, batch);
    next.header.previous_hash = last_block(3).hash();
    next.signed = next.header.sign(&key(scheduler), &CHAIN);
    next
}

fn begun() -> Input {
    Input::Chain(Box::new(with(|s| s.state.last_block = last_block(3))))
}

#[test]
fn what_comes_a_round_early_is_taken_when_its_round_begins() {
    let mut machine = machine(1);
    let next = next(0, 2, 1);
    assert_eq!(machine.step(0, proposed(&next)), []);
    assert_eq!(machine.step(1, begun()), [Output::Execute(Box::new(next))]);
}

#[test]
fn five_hundred_early_messages_push_out_no_proposal() {
    for (desc, flood) in [("strangers", 100..612), ("one member", 1..2)] {
        let mut machine = machine(1);
        for number in 0..512_u64 {
            let sender = flood.clone().nth(number as usize % flood.len()).unwrap();
            let forged = next(number % 3, sender, number as u8);
            assert_eq!(machine.step(0, proposed(&forged)), [], "{desc}");
            machine.step(0, Input::Vote(Box::new(vote(sender, &forged, 7))));
        }
        let real = next(0, 2, 1);
        machine.step(1, proposed(&real));
        let outputs = machine.step(1, begun());
        assert!(outputs.contains(&Output::Execute(Box::new(real))), "{desc}: {outputs:?}");
    }
}
