//! `paralith demo chaincode`.

use e2e::{claim, cli};
use serde_json::json;

#[test]
fn the_demonstration_shows_every_step() {
    claim(async {
        let shown = cli("http://127.0.0.1:1", &["demo", "chaincode"]);
        assert!(shown.success, "{}", shown.error);
        let steps: Vec<&str> =
            shown.json.iter().map(|line| line["step"].as_str().unwrap()).collect();
        let expected = [
            "chain",
            "approve",
            "endorsers",
            "open",
            "bid",
            "host",
            "probe",
            "conflict",
            "close",
            "receipt",
        ];
        assert_eq!(steps, expected);
        let facts = |step: &str| {
            shown.json.iter().find(|line| line["step"] == step).unwrap()["facts"].clone()
        };
        assert_eq!(facts("approve")["active after one approval"], json!(false));
        assert_eq!(facts("approve")["active after two"], json!(true));
        assert_eq!(facts("bid")["signatures"], json!(2));
        assert_eq!(facts("host")["the bid in them"], json!(false));
        assert_eq!(facts("probe")["a losing and a winning probe look the same"], json!(true));
        assert_eq!(facts("probe")["results released"], json!(false));
        let refused = facts("conflict")["dave is refused"].as_str().unwrap().to_string();
        assert!(refused.contains("ledger 15"), "{refused}");
        assert_eq!(facts("close")["carol wins"], json!(true));
        assert_eq!(facts("receipt")["with a byte changed it is refused"], json!(true));
    });
}
