//! Every line of "A vote", "A vote arrives" and "The block ends", named.
//!
//! Unless a row says otherwise: workers a b c, backups d e f, S = 1, T = 5, round 0, so that a, b
//! and c schedule at ranks 0, 1 and 2.

use crate::script;

const SETUP: &str = "abc/def/1/5/0";

struct Row {
    line: &'static str,
    setup: &'static str,
    script: &'static str,
    trace: &'static str,
    state: &'static str,
}

const fn row(
    line: &'static str,
    script: &'static str,
    trace: &'static str,
    state: &'static str,
) -> Row {
    Row { line, setup: SETUP, script, trace, state }
}

fn check(rows: &[Row]) {
    for row in rows {
        let (pool, trace) = script::run(row.setup, row.script);
        assert_eq!(trace, row.trace, "trace of: {}", row.line);
        assert_eq!(script::state(&pool), row.state, "state after: {}", row.line);
    }
}

#[test]
fn what_no_vote_may_be_is_ignored_without_effect() {
    check(&[
        row(
            "signer not in the committee, even with a conflicting proposal",
            "10 a0Px z0Px z0Qx .",
            "z0Px:stranger z0Qx:stranger 10=wait",
            "lead=0 timeout=15 votes=ax void= eq=",
        ),
        row(
            "header not signed by its rank's scheduler: no such rank",
            "10 a3Px .",
            "a3Px:no_rank",
            "lead=- timeout=- votes= void= eq=",
        ),
        Row {
            line: "a skipped scheduler leaves a rank less",
            setup: "abc/def/1/5/0/a",
            script: "10 a2Px b0Px .",
            trace: "a2Px:no_rank 10=wait",
            state: "lead=0 timeout=15 votes=bx void= eq=",
        },
        row(
            "the scheduler's own fail, before and after its vote and with another proposal",
            "10 a0P- . 11 a0Px a0P- a0Q- .",
            "a0P-:own_fail a0P-:own_fail a0Q-:own_fail 11=wait",
            "lead=0 timeout=16 votes=ax void= eq=",
        ),
        row(
            "a closed round takes nothing",
            "10 a0Px b0Px c0Px . 11 d0Px a0Qx .",
            "10=finalise(0Px) d0Px:closed a0Qx:closed",
            "lead=0 timeout=15 votes=ax,bx,cx void= eq=",
        ),
    ]);
}

#[test]
fn v1_two_proposals_of_one_rank_void_it() {
    check(&[
        row(
            "DD-V1 rank void: ignore, and the round goes on at another rank",
            "10 a0Px b0Qx . 11 a0Px b1Rx .",
            "b0Qx:conflict(a) 10=wait a0Px:void 11=wait",
            "lead=1 timeout=16 votes=bx void=0 eq=a",
        ),
        row(
            "DD-V1 another proposal: the scheduler is the equivocator, not the signer; lead none, timeout never",
            "10 a0Px b0Px . 12 d0Q- .",
            "10=wait d0Q-:conflict(a) 12=wait",
            "lead=- timeout=- votes= void=0 eq=a",
        ),
        row(
            "DD-V1 drop its pool: also one whose scheduler has not voted",
            "10 b0Px c0Qx . 11 a0Px .",
            "c0Qx:conflict(a) 10=wait a0Px:void",
            "lead=- timeout=- votes= void=0 eq=a",
        ),
        row(
            "DD-V1 a better rank that never led is void: the lead and its clock stay",
            "10 b1Px b0Qx . 13 c0Rx .",
            "10=wait c0Rx:conflict(a) 13=wait",
            "lead=1 timeout=15 votes=bx void=0 eq=a",
        ),
        row(
            "DD-V1 worse ranks were dropped when the void rank took the lead, and may be sent again",
            "10 b1Px c1Px . 11 a0Qx . 12 c0Rx . 13 c1Px b1Px .",
            "10=wait 11=wait c0Rx:conflict(a) 12=wait 13=wait",
            "lead=1 timeout=18 votes=bx,cx void=0 eq=a",
        ),
        row(
            "DD-V1 in dispute: ignore the vote and go on with the dispute",
            "10 a0Px b0Py . 11 d0Qx c0Qx d0Px e0Px .",
            "10=discrepancy(0) 10=wait d0Qx:conflict(a) c0Qx:conflict(a) 11=finalise(0Px)",
            "lead=0 timeout=17 votes=ax,by,dx,ex void= eq=a",
        ),
    ]);
}

#[test]
fn v2_what_cannot_decide_is_not_kept() {
    check(&[
        row(
            "DD-V2 rank worse than lead: ignore",
            "10 a0Px b1Qx c1Qx .",
            "b1Qx:worse c1Qx:worse 10=wait",
            "lead=0 timeout=15 votes=ax void= eq=",
        ),
        row(
            "DD-V2 in dispute: ignore worse and better ranks, even of their schedulers",
            "10 b1Px c1Py . 15 . 16 d2Px a0Qx d0Qx .",
            "10=wait 15=discrepancy(1,late) 15=wait d2Px:worse a0Qx:other_rank d0Qx:other_rank",
            "lead=1 timeout=22 votes=bx,cy void= eq=",
        ),
        row(
            "DD-V2 in dispute: ignore signers that are not backups, without exposing them",
            "10 a0Px b0Py . 11 c0Px b0Px .",
            "10=discrepancy(0) 10=wait c0Px:not_backup b0Px:not_backup",
            "lead=0 timeout=17 votes=ax,by void= eq=",
        ),
        Row {
            line: "DD-V2 in dispute: a worker that is a backup too may vote",
            setup: "abc/cde/1/5/0",
            script: "10 a0Px b0Py . 11 c0Px .",
            trace: "10=discrepancy(0) 10=wait 11=wait",
            state: "lead=0 timeout=17 votes=ax,by,cx void= eq=",
        },
    ]);
}

#[test]
fn v3_a_signer_has_one_vote_a_rank() {
    check(&[
        row(
            "DD-V3 the same again: ignore",
            "10 a0Px a0Px b0P- b0P- . 11 a0Px .",
            "a0Px:duplicate b0P-:duplicate 10=wait a0Px:duplicate",
            "lead=0 timeout=15 votes=ax,b- void= eq=",
        ),
        row(
            "DD-V3 a different one: equivocator, the first vote stands",
            "10 a0Px b0Px b0Py .",
            "b0Py:equivocated 10=wait",
            "lead=0 timeout=15 votes=ax,bx void= eq=b",
        ),
        row(
            "DD-V3 a result after a fail, and a fail after a result, differ",
            "10 a0Px b0P- c0Px b0Px c0P- .",
            "b0Px:equivocated c0P-:equivocated 10=finalise(0Px)",
            "lead=0 timeout=15 votes=ax,b-,cx void= eq=bc",
        ),
        row(
            "DD-V3 the scheduler too",
            "10 a0Px a0Py .",
            "a0Py:equivocated 10=wait",
            "lead=0 timeout=15 votes=ax void= eq=a",
        ),
        row(
            "DD-V3 votes at different ranks are different votes",
            "10 b0Px b1Qy .",
            "10=wait",
            "lead=1 timeout=15 votes=by void= eq=",
        ),
        Row {
            line: "DD-V3 in dispute: a backup keeps the vote that it cast as a worker",
            setup: "abc/cde/1/5/0",
            script: "10 a0Px b0Py c0P- . 11 c0Px .",
            trace: "10=discrepancy(0) 10=wait c0Px:equivocated 11=wait",
            state: "lead=0 timeout=17 votes=ax,by,c- void= eq=c",
        },
    ]);
}

#[test]
fn v4_the_schedulers_vote_takes_the_lead() {
    check(&[
        row(
            "DD-V4 votes for a rank whose scheduler has not voted are kept and decide nothing",
            "10 b0Px c0Px d0Py . 13 . 40 .",
            "10=wait",
            "lead=- timeout=- votes= void= eq=",
        ),
        row(
            "DD-V4 they count once it votes",
            "10 b0Px c0Px . 14 a0Px .",
            "10=wait 14=finalise(0Px)",
            "lead=0 timeout=19 votes=ax,bx,cx void= eq=",
        ),
        row(
            "DD-V4 a better rank takes the lead, worse pools are dropped, the timeout starts anew",
            "10 c2Px a2Px . 12 b1Qx . 14 a0Rx c2Px .",
            "10=wait 12=wait c2Px:worse 14=wait",
            "lead=0 timeout=19 votes=ax void= eq=",
        ),
        row(
            "DD-V4 votes for better ranks stay when a worse one leads",
            "10 b0Px c0Px b1Qx . 11 a0Px .",
            "10=wait 11=finalise(0Px)",
            "lead=0 timeout=16 votes=ax,bx,cx void= eq=",
        ),
        Row {
            line: "DD-V4 in dispute a scheduler that is a backup has voted already",
            setup: "abc/ade/1/5/0",
            script: "10 a0Px b0Py . 11 a0Px e0Px .",
            trace: "10=discrepancy(0) 10=wait a0Px:duplicate 11=finalise(0Px)",
            state: "lead=0 timeout=17 votes=ax,by,ex void= eq=",
        },
    ]);
}

#[test]
fn a_block_is_evaluated_only_if_something_happened() {
    check(&[
        row(
            "nothing kept, nothing found",
            "10 . 11 a0Px . 12 . 13 a0Px z0Px b1Px .",
            "11=wait a0Px:duplicate z0Px:stranger b1Px:worse",
            "lead=0 timeout=16 votes=ax void= eq=",
        ),
        row(
            "an equivocator was found",
            "10 a0Px b0Px . 11 b0Py .",
            "10=wait b0Py:equivocated 11=wait",
            "lead=0 timeout=15 votes=ax,bx void= eq=b",
        ),
        row(
            "h >= timeout, also when the block of the timeout itself was not seen",
            "10 a0Px . 14 . 17 .",
            "10=wait 17=discrepancy(0,late) 17=wait",
            "lead=0 timeout=24 votes=ax void= eq=",
        ),
        row(
            "a grace that was waited for has ended",
            "10 a0Px b0Px . 11 . 12 .",
            "10=wait 12=finalise(0Px)",
            "lead=0 timeout=15 votes=ax,bx void= eq=",
        ),
        row(
            "two blocks after a lead that nobody waited for, nothing is evaluated",
            "10 a0Px . 12 . 13 .",
            "10=wait",
            "lead=0 timeout=15 votes=ax void= eq=",
        ),
        row(
            "the grace of a void rank ends with it",
            "10 a0Px b0Px . 11 c0Qx . 12 .",
            "10=wait c0Qx:conflict(a) 11=wait",
            "lead=- timeout=- votes= void=0 eq=a",
        ),
        row(
            "the grace of a rank that lost the lead ends with it",
            "10 b1Px c1Px . 11 a0Qx . 12 .",
            "10=wait 11=wait",
            "lead=0 timeout=16 votes=ax void= eq=",
        ),
    ]);
}

#[test]
fn without_a_lead_the_round_waits_or_is_void() {
    check(&[
        row(
            "no lead: all ranks void -> FAIL all_void",
            "10 b0Px b0Qx c1Px c1Qx . 11 a2Px a2Qx .",
            "b0Qx:conflict(a) c1Qx:conflict(b) 10=wait a2Qx:conflict(c) 11=all_void",
            "lead=- timeout=- votes= void=012 eq=abc",
        ),
        row(
            "no lead: else WAIT, for ever",
            "10 b0Px . 1000 c0Px .",
            "10=wait 1000=wait",
            "lead=- timeout=- votes= void= eq=",
        ),
    ]);
}

#[test]
fn workers_detect_a_discrepancy() {
    check(&[
        row(
            "d > 1 at rank 0: DISCREPANCY at once",
            "10 a0Px b0Py .",
            "10=discrepancy(0) 10=wait",
            "lead=0 timeout=17 votes=ax,by void= eq=",
        ),
        row(
            "d counts the workers only, not the backups",
            "10 a0Px d0Py e0Py f0Py .",
            "10=wait",
            "lead=0 timeout=15 votes=ax,dy,ey,fy void= eq=",
        ),
        row(
            "f > S at rank 0: DISCREPANCY at once",
            "10 a0Px b0P- . 11 c0P- .",
            "10=wait 11=discrepancy(0) 11=wait",
            "lead=0 timeout=18 votes=ax,b-,c- void= eq=",
        ),
        row(
            "f counts the workers only",
            "10 a0Px d0P- e0P- .",
            "10=wait",
            "lead=0 timeout=15 votes=ax,d-,e- void= eq=",
        ),
        row(
            "d > 1 at a backup scheduler's rank: others keep their time to propose",
            "10 b1Px c1Py . 12 a1Px . 15 .",
            "10=wait 12=wait 15=discrepancy(1,late) 15=wait",
            "lead=1 timeout=22 votes=ax,bx,cy void= eq=",
        ),
        row(
            "f > S at a backup scheduler's rank: the same, and a better rank may still take over",
            "10 b1Px c1P- a1P- . 14 a0Qx b0Qx c0Qx .",
            "10=wait 14=finalise(0Qx)",
            "lead=0 timeout=19 votes=ax,bx,cx void= eq=",
        ),
        row(
            "v < n - S: WAIT, and late DISCREPANCY",
            "10 a0Px c0P- . 14 . 15 .",
            "10=wait 15=discrepancy(0,late) 15=wait",
            "lead=0 timeout=22 votes=ax,c- void= eq=",
        ),
        row(
            "a vote in the block of the timeout still counts",
            "10 a0Px . 15 b0Px .",
            "10=wait 15=finalise(0Px)",
            "lead=0 timeout=15 votes=ax,bx void= eq=",
        ),
    ]);
}

#[test]
fn workers_finalise_after_the_grace() {
    check(&[
        row(
            "c = n: FINALISE at once",
            "10 a0Px b0Px c0Px .",
            "10=finalise(0Px)",
            "lead=0 timeout=15 votes=ax,bx,cx void= eq=",
        ),
        row(
            "c = n with a fail among S: FINALISE at once",
            "10 a0Px b0P- c0Px .",
            "10=finalise(0Px)",
            "lead=0 timeout=15 votes=ax,b-,cx void= eq=",
        ),
        row(
            "c < n: WAIT for the scheduler's height + G; the last vote ends the wait",
            "10 a0Px b0Px . 11 c0Px .",
            "10=wait 11=finalise(0Px)",
            "lead=0 timeout=15 votes=ax,bx,cx void= eq=",
        ),
        row(
            "c < n: an omitted vote that differs still counts",
            "10 a0Px b0Px . 12 c0Py .",
            "10=wait 12=discrepancy(0) 12=wait",
            "lead=0 timeout=19 votes=ax,bx,cy void= eq=",
        ),
        row(
            "c < n at h >= scheduler's height + G: FINALISE, without a further wait",
            "10 a0Px . 12 b0Px .",
            "10=wait 12=finalise(0Px)",
            "lead=0 timeout=15 votes=ax,bx void= eq=",
        ),
        row(
            "the grace counts from the scheduler's vote, not from the first",
            "5 b0Px . 10 a0Px . 12 .",
            "5=wait 10=wait 12=finalise(0Px)",
            "lead=0 timeout=15 votes=ax,bx void= eq=",
        ),
        row(
            "a backup's vote does not stand in for a worker's",
            "10 a0Px b0Px d0Px . 12 .",
            "10=wait 12=finalise(0Px)",
            "lead=0 timeout=15 votes=ax,bx,dx void= eq=",
        ),
        row(
            "a backup scheduler's round finalises before the timeout when its votes agree",
            "10 b1Px c1Px . 12 .",
            "10=wait 12=finalise(1Px)",
            "lead=1 timeout=15 votes=bx,cx void= eq=",
        ),
        Row {
            line: "S = 0: every worker must agree",
            setup: "abc/def/0/5/0",
            script: "10 a0Px b0Px . 12 . 15 .",
            trace: "10=wait 15=discrepancy(0,late) 15=wait",
            state: "lead=0 timeout=22 votes=ax,bx void= eq=",
        },
        Row {
            line: "S = 0: one fail is a discrepancy",
            setup: "abc/def/0/5/0",
            script: "10 a0Px b0P- .",
            trace: "10=discrepancy(0) 10=wait",
            state: "lead=0 timeout=17 votes=ax,b- void= eq=",
        },
    ]);
}

#[test]
fn backups_resolve_the_dispute() {
    check(&[
        row(
            "b >= m/2 + 1, equal to the scheduler's: FINALISE",
            "10 a0Px b0Py . 11 d0Px . 12 e0Px .",
            "10=discrepancy(0) 10=wait 11=wait 12=finalise(0Px)",
            "lead=0 timeout=17 votes=ax,by,dx,ex void= eq=",
        ),
        row(
            "b >= m/2 + 1, not the scheduler's: FAIL lying_scheduler",
            "10 a0Px b0Py . 11 d0Py e0Py .",
            "10=discrepancy(0) 10=wait 11=lying_scheduler",
            "lead=0 timeout=17 votes=ax,by,dy,ey void= eq=",
        ),
        row(
            "the majority may be a result that no worker voted for",
            "10 a0Px b0Py . 11 d0Pz e0Pz .",
            "10=discrepancy(0) 10=wait 11=lying_scheduler",
            "lead=0 timeout=17 votes=ax,by,dz,ez void= eq=",
        ),
        row(
            "the workers' own votes do not count",
            "10 a0Px c0Px b0Py . 11 d0Px .",
            "10=discrepancy(0) 10=wait 11=wait",
            "lead=0 timeout=17 votes=ax,by,cx,dx void= eq=",
        ),
        row(
            "b + left < m/2 + 1 by differences: FAIL no_majority",
            "10 a0Px b0Py . 11 d0Px e0Py . 12 f0Pz .",
            "10=discrepancy(0) 10=wait 11=wait 12=no_majority",
            "lead=0 timeout=17 votes=ax,by,dx,ey,fz void= eq=",
        ),
        row(
            "b + left < m/2 + 1 by fails, which are used up and not left: FAIL no_majority",
            "10 a0Px b0Py . 11 d0P- e0P- .",
            "10=discrepancy(0) 10=wait 11=no_majority",
            "lead=0 timeout=17 votes=ax,by,d-,e- void= eq=",
        ),
        row(
            "late: FAIL no_majority, T*3/2 rounded down after the dispute began",
            "10 a0Px b0Py . 11 d0Px . 16 . 17 .",
            "10=discrepancy(0) 10=wait 11=wait 17=no_majority",
            "lead=0 timeout=17 votes=ax,by,dx void= eq=",
        ),
        row(
            "late, but the majority came in that block: it counts",
            "10 a0Px b0Py . 17 d0Px e0Px .",
            "10=discrepancy(0) 10=wait 17=finalise(0Px)",
            "lead=0 timeout=17 votes=ax,by,dx,ex void= eq=",
        ),
        Row {
            line: "an even number of backups needs more than half",
            setup: "abc/defg/1/5/0",
            script: "10 a0Px b0Py . 11 d0Px e0Px . 12 f0Py g0Py .",
            trace: "10=discrepancy(0) 10=wait 11=wait 12=no_majority",
            state: "lead=0 timeout=17 votes=ax,by,dx,ex,fy,gy void= eq=",
        },
        Row {
            line: "without backups a dispute fails at once",
            setup: "abc//1/5/0",
            script: "10 a0Px b0Py .",
            trace: "10=discrepancy(0) 10=no_majority",
            state: "lead=0 timeout=17 votes=ax,by void= eq=",
        },
    ]);
}

#[test]
fn a_discrepancy_opens_the_backups_part_at_once() {
    check(&[
        row(
            "the backups' votes are there: the verdict follows at the same height",
            "10 a0Px d0Px e0Px . 11 b0Py .",
            "10=wait 11=discrepancy(0) 11=finalise(0Px)",
            "lead=0 timeout=18 votes=ax,by,dx,ex void= eq=",
        ),
        row(
            "a late discrepancy does not make the backups' part late",
            "10 a0Px . 15 . 21 . 22 .",
            "10=wait 15=discrepancy(0,late) 15=wait 22=no_majority",
            "lead=0 timeout=22 votes=ax void= eq=",
        ),
        row(
            "the difference itself is the reason, but the block was late",
            "10 a0Px . 15 b0Py .",
            "10=wait 15=discrepancy(0,late) 15=wait",
            "lead=0 timeout=22 votes=ax,by void= eq=",
        ),
        row(
            "pools of other ranks are dropped: a conflict with one is no longer seen",
            "10 c0Qx b1Px c1Py . 15 . 16 d0Rx .",
            "10=wait 15=discrepancy(1,late) 15=wait d0Rx:other_rank",
            "lead=1 timeout=22 votes=bx,cy void= eq=",
        ),
        Row {
            line: "T*3/2: even T",
            setup: "abc/def/1/4/0",
            script: "10 a0Px b0Py .",
            trace: "10=discrepancy(0) 10=wait",
            state: "lead=0 timeout=16 votes=ax,by void= eq=",
        },
    ]);
}

#[test]
fn the_wakeup_is_the_grace_then_the_timeout_then_never() {
    let rows = [
        ("nothing yet", "", None),
        ("no lead", "10 b0Px .", None),
        ("too few votes: the timeout", "10 a0Px .", Some(15)),
        ("enough votes, one missing: the grace", "10 a0Px b0Px .", Some(12)),
        ("in dispute", "10 a0Px b0Py .", Some(17)),
        ("the lead is void", "10 a0Px b0Px . 11 b0Qx .", None),
        ("closed", "10 a0Px b0Px c0Px .", None),
    ];
    for (line, script, wakeup) in rows {
        assert_eq!(script::run(SETUP, script).0.next_wakeup(), wakeup, "{line}");
    }
}

#[test]
fn heights_at_the_end_of_numbers_do_not_overflow() {
    let last = u64::MAX;
    let (pool, trace) = script::run(SETUP, &format!("{last} a0Px ."));
    // Saturated, the timeout is the last height itself, and so both parts are late at once.
    assert_eq!(trace, format!("{last}=discrepancy(0,late) {last}=no_majority"));
    assert_eq!(pool.timeout(), Some(last));
}
