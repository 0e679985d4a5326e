//! Which messages of peers are taken, and which batches go to disk.

use paralith_runtime_round::{BatchSize, Intake, IntakeError};

use super::*;

const SMALL: Option<BatchSize> = Some(BatchSize { count: 1, bytes: 100 });

fn signed_by(node: usize, round: u64, rank: u64, batch: u8) -> CheckedProposal {
    let mut proposal = proposal_of(round, rank, batch);
    proposal.signed = proposal.header.sign(&key(node), &CHAIN);
    proposal
}

#[test]
fn of_five_hundred_proposals_of_a_member_two_batches_are_kept() {
    let (mut intake, snapshot) = (Intake::default(), snapshot());
    let mut kept = 0;
    for number in 0..500_u64 {
        // For every rank, also for those that are not its own, and for ranks that do not exist.
        let proposal = signed_by(1, 3, number % 5, (number / 5) as u8);
        match intake.proposal(&snapshot, &RUNTIME, &proposal, SMALL) {
            Ok(keep) => {
                assert_eq!(proposal.header.rank, 1, "its own rank");
                kept += usize::from(keep);
            }
            Err(error) => {
                assert_eq!(error, IntakeError::NotScheduler);
                assert_ne!(proposal.header.rank, 1);
            }
        }
    }
    assert_eq!(kept, 2);
    // Another rank, and the next round, have room of their own.
    let other = signed_by(2, 3, 2, 1);
    assert_eq!(intake.proposal(&snapshot, &RUNTIME, &other, SMALL), Ok(true));
    let later = with(|s| s.state.last_block = last_block(3));
    let next = signed_by(1, 4, 2, 1);
    assert_eq!(intake.proposal(&later, &RUNTIME, &next, SMALL), Ok(true));
}

#[test]
fn a_header_is_accepted_before_its_batch() {
    let large = Some(BatchSize { count: 1, bytes: 1001 });
    let many = Some(BatchSize { count: 6, bytes: 6 });
    let mut elsewhere = signed_by(0, 3, 0, 1);
    elsewhere.header.runtime_id.0[0] ^= 1;
    let mut other_block = signed_by(0, 3, 0, 1);
    other_block.header.previous_hash = Hash([9; 32]);
    let none = || with(|s| s.committee = None);
    for (desc, snapshot, proposal, batch, expected) in [
        ("this round", snapshot(), signed_by(0, 3, 0, 1), SMALL, Ok(true)),
        ("another batch came", snapshot(), signed_by(0, 3, 0, 1), None, Ok(false)),
        ("too many bytes", snapshot(), signed_by(0, 3, 0, 1), large, Err(IntakeError::TooLarge)),
        ("too many", snapshot(), signed_by(0, 3, 0, 1), many, Err(IntakeError::TooLarge)),
        ("over", snapshot(), signed_by(0, 2, 0, 1), SMALL, Err(IntakeError::AnotherRound)),
        ("another ParaTime", snapshot(), elsewhere, SMALL, Err(IntakeError::AnotherRound)),
        ("another block", snapshot(), other_block, SMALL, Err(IntakeError::AnotherRound)),
        (
            "another's rank",
            snapshot(),
            signed_by(1, 3, 0, 1),
            SMALL,
            Err(IntakeError::NotScheduler),
        ),
        ("the next round", snapshot(), signed_by(2, 4, 0, 1), SMALL, Ok(true)),
        (
            "perhaps of the next epoch",
            snapshot(),
            signed_by(9, 4, 0, 1),
            SMALL,
            Err(IntakeError::NotYet),
        ),
        ("far ahead", snapshot(), signed_by(2, 6, 0, 1), SMALL, Err(IntakeError::NotYet)),
        ("no committee", none(), signed_by(0, 3, 0, 1), SMALL, Err(IntakeError::NotYet)),
    ] {
        let mut intake = Intake::default();
        assert_eq!(intake.proposal(&snapshot, &RUNTIME, &proposal, batch), expected, "{desc}");
    }
}

#[test]
fn votes_are_taken_of_members_only() {
    for (desc, node, rank, scheduler, expected) in [
        ("a worker", 1, 0, 0, Ok(())),
        ("a backup", 4, 0, 0, Ok(())),
        ("a stranger", 9, 0, 0, Err(IntakeError::NotMember)),
        ("for a proposal of another", 1, 0, 2, Err(IntakeError::NotScheduler)),
        ("for no rank", 1, 7, 1, Err(IntakeError::NotScheduler)),
    ] {
        let vote = vote(node, &signed_by(scheduler, 3, rank, 1), 7);
        assert_eq!(Intake::vote(&snapshot(), &RUNTIME, &vote), expected, "{desc}");
    }
    let early = vote(9, &signed_by(2, 4, 0, 1), 7);
    assert_eq!(Intake::vote(&snapshot(), &RUNTIME, &early), Err(IntakeError::NotYet));
}
