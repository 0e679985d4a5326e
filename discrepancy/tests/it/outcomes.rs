//! The table "What follows", row by row, and the numbers that never change.

use discrepancy::{ConfigError, FailReason, Ignored, PartsError, Signer};

use crate::script;

struct Row {
    line: &'static str,
    setup: &'static str,
    script: &'static str,
    /// good / bad / equivocators / finalised / missed.
    follows: &'static str,
}

fn follows(setup: &str, script: &str) -> Option<String> {
    let (pool, _) = script::run(setup, script);
    pool.outcome().map(|outcome| {
        [outcome.good, outcome.bad, outcome.equivocators, outcome.finalised, outcome.missed]
            .map(|list| script::names(&list))
            .join("/")
    })
}

#[test]
fn what_follows() {
    let rows = [
        Row {
            line: "FINALISE: good are all signers, workers and backups, with the final result",
            setup: "abc/def/1/5/0",
            script: "10 a0Px b0Px d0Px . 12 .",
            follows: "abd///a/",
        },
        Row {
            line: "FINALISE undisputed: nobody is bad, not even a backup that differs",
            setup: "abc/def/1/5/0",
            script: "10 a0Px b0Px c0Px d0Py e0P- .",
            follows: "abc///a/",
        },
        Row {
            line: "FINALISE disputed: all whose result differs are bad, a fail is neither",
            setup: "abc/defgh/1/5/0",
            script: "10 a0Px b0Py c0P- d0Px . 11 e0Pz f0P- g0Px h0Px .",
            follows: "adgh/be//a/",
        },
        Row {
            line: "FINALISE at a rank > 0: the rank-0 scheduler missed",
            setup: "abc/def/1/5/0",
            script: "10 c2Px a2Px b2Px .",
            follows: "abc///c/a",
        },
        Row {
            line: "FINALISE at a rank > 0, rank 0 void",
            setup: "abc/def/1/5/0",
            script: "10 a0Px a0Qx b1Px a1Px c1Px .",
            follows: "abc//a/b/a",
        },
        Row {
            line: "FAIL lying_scheduler: judged by the backups' majority, the lead missed",
            setup: "abc/def/1/5/0",
            script: "10 a0Px b0Py c0P- d0Px . 11 e0Py f0Py .",
            follows: "bef/ad///a",
        },
        Row {
            line: "FAIL lying_scheduler at a rank > 0: the lead missed, not the primary",
            setup: "abc/def/1/5/0",
            script: "10 b1Px c1Py . 15 d1Py e1Py .",
            follows: "cde/b///b",
        },
        Row {
            line: "FAIL no_majority: nobody is good or bad, the lead missed",
            setup: "abc/def/1/5/0",
            script: "10 b1Px c1Py . 15 d1Px e1Py f1P- .",
            follows: "////b",
        },
        Row {
            line: "FAIL all_void: every scheduler missed and equivocated",
            setup: "cab/def/1/5/1/b",
            script: "10 a1Px a1Qx c0Px c0Qx .",
            follows: "//ac//ac",
        },
        Row {
            line: "equivocators are slashed whatever the verdict, and their first vote counts",
            setup: "abc/def/1/5/0",
            script: "10 a0Px b0Py b0Px a0Py . 11 d0Py e0Py d0Px a0Qx .",
            follows: "bde/a/abd//a",
        },
        Row {
            line: "FINALISE with a scheduler that equivocated in dispute",
            setup: "abc/def/1/5/0",
            script: "10 a0Px b0Py . 11 d0Qx d0Px e0Px .",
            follows: "ade/b/a/a/",
        },
    ];
    for row in rows {
        assert_eq!(follows(row.setup, row.script).as_deref(), Some(row.follows), "{}", row.line);
    }
}

/// The failed / the silent.
fn absent(setup: &str, script: &str) -> String {
    let (pool, _) = script::run(setup, script);
    let outcome = pool.outcome().unwrap();
    [outcome.failed, outcome.silent].map(|list| script::names(&list)).join("/")
}

#[test]
fn who_took_no_part() {
    let rows = [
        ("a worker that missed the grace is silent", "10 a0Px b0Px . 12 .", "/c"),
        ("a worker that failed while others did not", "10 a0Px b0Px c0P- .", "c/"),
        ("a dispute shuts workers out: no silence", "10 a0Px b0Py . 11 d0Px e0Px .", "/"),
        ("silence that led to the dispute", "10 a0Px . 15 . 16 d0Px e0Px .", "/bc"),
        ("fails that led to the dispute", "10 a0Px b0P- c0P- . 11 d0Px e0Px .", "bc/"),
        ("a backup that failed while others did not", "10 a0Px b0Py d0P- . 11 e0Px f0Px .", "d/"),
        (
            "a withheld batch: whoever failed could not help it",
            "10 a0Px b0P- c0P- d0P- e0P- .",
            "/",
        ),
        ("backups that let the dispute time out", "10 a0Px b0Py . 11 d0Px . 17 .", "/ef"),
        ("backups' fails ended it, not silence", "10 a0Px b0Py . 11 d0P- e0P- .", "/"),
        ("a fail against a lying scheduler", "10 a0Px b0P- c0P- . 11 d0Py e0Py .", "/"),
        ("silence beside a lying scheduler", "10 a0Px . 15 . 16 d0Py e0Py .", "/bc"),
        ("no proposal, no silence", "10 a0Px a0Qx b1Px b1Qx c2Px c2Qx .", "/"),
    ];
    for (line, script, follows) in rows {
        assert_eq!(absent("abc/def/1/5/0", script), follows, "{line}");
    }
}

#[test]
fn nothing_follows_before_the_verdict() {
    for script in ["", "10 a0Px .", "10 a0Px b0Py .", "10 a0Px b0Qx ."] {
        assert_eq!(follows("abc/def/1/5/0", script), None, "{script}");
    }
}

#[test]
fn codes_never_change() {
    let signer = Signer::default();
    let ignored = [
        (Ignored::NotInCommittee, 1),
        (Ignored::RankUnknown, 2),
        (Ignored::SchedulersOwnFail, 3),
        (Ignored::RankVoid, 4),
        (Ignored::ConflictingProposal { scheduler: signer }, 5),
        (Ignored::WorseRank, 6),
        (Ignored::OtherRankInDispute, 7),
        (Ignored::NotBackupInDispute, 8),
        (Ignored::Duplicate, 9),
        (Ignored::Equivocated, 10),
        (Ignored::RoundClosed, 11),
    ];
    for (reason, code) in ignored {
        assert_eq!(reason.code(), code, "{reason}");
    }
    let reasons = [
        (FailReason::LyingScheduler, 1, "lying_scheduler"),
        (FailReason::NoMajority, 2, "no_majority"),
        (FailReason::AllVoid, 3, "all_void"),
    ];
    for (reason, code, name) in reasons {
        assert_eq!((reason.code(), reason.as_str()), (code, name));
    }
    let config = [
        (ConfigError::NoWorkers, 1),
        (ConfigError::TooManyStragglers { allowed: 1, workers: 1 }, 2),
        (ConfigError::TimeoutTooShort { timeout: 2 }, 3),
        (ConfigError::SeatedTwice { signer }, 4),
    ];
    for (error, code) in config {
        assert_eq!(error.code(), code, "{error}");
    }
    let parts = [
        (PartsError::Config(ConfigError::NoWorkers), 1),
        (PartsError::Pool { rank: 0 }, 2),
        (PartsError::Lead, 3),
        (PartsError::Stranger { signer }, 4),
        (PartsError::Verdict, 5),
    ];
    for (error, code) in parts {
        assert_eq!(error.code(), code, "{error}");
    }
}
