//! The replay example: its format to the letter, and what it does with what it cannot read.

#[path = "../../examples/replay/scenario.rs"]
mod scenario;

/// Exit code, output and complaint.
fn replay(input: &str) -> (u8, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = scenario::replay(input.as_bytes(), &mut out, &mut err);
    (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

fn line(round: u64, blocks: &str) -> String {
    format!(
        r#"{{"workers":["a","b","c"],"backups":["c","d","e"],"stragglers":1,"timeout":5,"round":{round},"skipped":[],"blocks":[{blocks}]}}"#
    )
}

const BLOCK_10: &str = r#"{"height":10,"votes":[{"node":"a","rank":0,"proposal":"P","result":"x"},{"node":"b","rank":0,"proposal":"P","result":null}]}"#;

#[test]
fn the_pages_scenario_by_the_pages_rules() {
    // In round 7 the scheduler of rank 0 is c (7 mod 3 = 1, order[2]): a's vote decides nothing,
    // and nothing happens in block 11.
    let input = line(7, &format!(r#"{BLOCK_10},{{"height":11,"votes":[]}}"#));
    let output = r#"{"verdicts":[[10,"wait"]],"end":null,"result":null,"lead":null,"timeout":null,"good":[],"bad":[],"equivocators":[],"missed":[],"finalised":[]}"#;
    assert_eq!(replay(&input), (0, format!("{output}\n"), String::new()));
}

#[test]
fn the_pages_output_to_the_letter() {
    // The line on the page is what comes of round 6, where a schedules, if a backup votes in
    // block 11.
    let vote = r#"{"node":"d","rank":0,"proposal":"P","result":"x"}"#;
    let input = line(6, &format!(r#"{BLOCK_10},{{"height":11,"votes":[{vote}]}}"#));
    let output = r#"{"verdicts":[[10,"wait"],[11,"wait"]],"end":null,"result":null,"lead":0,"timeout":15,"good":[],"bad":[],"equivocators":[],"missed":[],"finalised":[]}"#;
    assert_eq!(replay(&input), (0, format!("{output}\n"), String::new()));
}

#[test]
fn every_end_of_a_round() {
    let votes = |height: u64, votes: &str| {
        let votes: Vec<String> = votes
            .split_whitespace()
            .map(|vote| {
                let letters: Vec<char> = vote.chars().collect();
                let [node, rank, proposal, result] = letters[..] else { panic!("{vote}") };
                let result = if result == '-' { "null".into() } else { format!(r#""{result}""#) };
                format!(
                    r#"{{"node":"{node}","rank":{rank},"proposal":"{proposal}","result":{result}}}"#
                )
            })
            .collect();
        format!(r#"{{"height":{height},"votes":[{}]}}"#, votes.join(","))
    };
    let rows = [
        (
            vec![votes(10, "a0Px b0Px c0Px"), votes(11, "d0Py")],
            r#"{"verdicts":[[10,"finalise"]],"end":10,"result":"x","lead":0,"timeout":15,"good":["a","b","c"],"bad":[],"equivocators":[],"missed":[],"finalised":["a"]}"#,
        ),
        (
            vec![votes(10, "b1Px a1Px c1Px")],
            r#"{"verdicts":[[10,"finalise"]],"end":10,"result":"x","lead":1,"timeout":15,"good":["a","b","c"],"bad":[],"equivocators":[],"missed":["a"],"finalised":["b"]}"#,
        ),
        (
            vec![votes(10, "a0Px b0Py"), votes(11, "e0Px d0Px e0P-")],
            r#"{"verdicts":[[10,"discrepancy"],[10,"wait"],[11,"finalise"]],"end":11,"result":"x","lead":0,"timeout":17,"good":["a","d","e"],"bad":["b"],"equivocators":["e"],"missed":[],"finalised":["a"]}"#,
        ),
        (
            vec![votes(10, "a0Px b0Py"), votes(11, "e0Py d0Py")],
            r#"{"verdicts":[[10,"discrepancy"],[10,"wait"],[11,"fail:lying_scheduler"]],"end":11,"result":null,"lead":0,"timeout":17,"good":["b","d","e"],"bad":["a"],"equivocators":[],"missed":["a"],"finalised":[]}"#,
        ),
        (
            vec![votes(10, "a0Px b0Py e0P- d0P-")],
            r#"{"verdicts":[[10,"discrepancy"],[10,"fail:no_majority"]],"end":10,"result":null,"lead":0,"timeout":17,"good":[],"bad":[],"equivocators":[],"missed":["a"],"finalised":[]}"#,
        ),
        (
            vec![votes(10, "c0Px c0Qx c1Px c1Qx a2Px a2Qx")],
            r#"{"verdicts":[[10,"fail:all_void"]],"end":10,"result":null,"lead":null,"timeout":null,"good":[],"bad":[],"equivocators":["a","b","c"],"missed":["a","b","c"],"finalised":[]}"#,
        ),
    ];
    let input: Vec<String> = rows.iter().map(|(blocks, _)| line(6, &blocks.join(","))).collect();
    let output: String = rows.iter().map(|(_, output)| format!("{output}\n")).collect();
    assert_eq!(replay(&input.join("\n")), (0, output, String::new()));
}

#[test]
fn lists_are_sorted_by_name_whatever_the_order_in_the_committee() {
    let input = r#"{"workers":["zoe","Al","bob-10","bob-9"],"backups":[],"stragglers":0,"timeout":3,"round":0,"skipped":["Al"],"blocks":[{"height":1,"votes":[{"node":"zoe","rank":0,"proposal":"zoe","result":"Al"},{"node":"bob-9","rank":0,"proposal":"zoe","result":"Al"},{"node":"bob-10","rank":0,"proposal":"zoe","result":"Al"},{"node":"Al","rank":0,"proposal":"zoe","result":"Al"}]}]}"#;
    let (code, out, _) = replay(input);
    assert_eq!(code, 0);
    assert!(
        out.contains(r#""result":"Al","lead":0,"timeout":4,"good":["Al","bob-10","bob-9","zoe"]"#),
        "{out}"
    );
}

#[test]
fn what_cannot_be_replayed_is_named_by_its_line() {
    let good = line(6, BLOCK_10);
    let rows = [
        ("{", "line 2: EOF while parsing an object at line 1 column 1"),
        ("[]", "line 2: invalid length 0, expected struct Scenario with 7 elements"),
        (r#"{"workers":["a"]}"#, "line 2: missing field `backups`"),
        (r#"{"worker":["a"]}"#, "line 2: unknown field `worker`"),
        (&line(6, r#"{"height":-1,"votes":[]}"#), "line 2: invalid value: integer `-1`"),
        (
            &line(6, r#"{"height":1,"votes":[{"node":"a","rank":0,"proposal":"P"}]}"#),
            "line 2: missing field `result`",
        ),
        (
            &line(6, r#"{"height":11,"votes":[]},{"height":11,"votes":[]}"#),
            "line 2: block 11 is out of order",
        ),
        (&good.replace(r#""timeout":5"#, r#""timeout":2"#), "line 2: a timeout of 2 blocks"),
        (&good.replace(r#""stragglers":1"#, r#""stragglers":3"#), "line 2: 3 stragglers of 3"),
        (&good.replace(r#"["a","b","c"]"#, "[]"), "line 2: there are no workers"),
    ];
    for (bad, complaint) in rows {
        let (code, out, err) = replay(&format!("{good}\n{bad}\n{good}\n"));
        assert_eq!(code, 2, "{bad}");
        assert_eq!(out.lines().count(), 1, "the line before is answered: {bad}");
        assert!(err.starts_with(complaint), "{bad}: {err}");
    }
    let (code, _, err) = {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = scenario::replay(&b"\xff\n"[..], &mut out, &mut err);
        (code, out, String::from_utf8(err).unwrap())
    };
    assert_eq!((code, err.starts_with("line 1: ")), (2, true), "{err}");
}
