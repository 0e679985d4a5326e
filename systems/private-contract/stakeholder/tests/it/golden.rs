//! What is stored and sent has one frozen form.

use paralith_private_contract_stakeholder::{BatchLog, CallLog, Page, PageEntry, Write};
use prost::Message as _;

#[test]
fn logs_and_pages_are_frozen() {
    let log = BatchLog {
        batch: 3,
        writes: vec![
            Write { key: b"k".to_vec(), held: Some(b"v".to_vec()) },
            Write { key: b"l".to_vec(), held: None },
        ],
        calls: vec![CallLog {
            seq: 7,
            class: 4,
            call: b"c".to_vec(),
            output: b"o".to_vec(),
            blinding: b"b".to_vec(),
            content_key: b"k".to_vec(),
        }],
        lines: vec!["x".into()],
    };
    let page = Page {
        entries: vec![PageEntry { key: b"k".to_vec(), held: b"h".to_vec(), proof: b"p".to_vec() }],
        more: true,
    };
    let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(
        hex(log.encode_to_vec()),
        "080312060a016b12017612030a016c1a10080710041a016322016f2a016232016b220178"
    );
    assert_eq!(hex(page.encode_to_vec()), "0a090a016b1201681a01701001");
    // A key that is removed and one whose held bytes are empty differ.
    let empty = Write { key: b"l".to_vec(), held: Some(Vec::new()) };
    assert_ne!(empty.encode_to_vec(), log.writes[1].encode_to_vec());
}
