//! What nobody should send: each kind has its own error, and the chain lives on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use e2e::{Client, Dev, DevOptions, Refusal, account_key, address, claim, cli};
use paralith::client::TxOptions;
use paralith_consensus_api::staking::Transfer;
use paralith_consensus_api::tx as consensus_tx;
use paralith_crypto::SigningKey;
use paralith_proto::{Canonical, pb};
use paralith_runtime_api::tx::{Body, Call, SignedTransaction, Transaction, VERSION};
use paralith_types::{Amount, ChainContext, RuntimeId};
use pb::consensus::v1::consensus_service_client::ConsensusServiceClient;
use pb::paratime::v1 as ppb;
use pb::paratime::v1::para_time_service_client::ParaTimeServiceClient;
use serde_json::json;

fn is(module: &str, code: u32) -> Refusal {
    (module.to_string(), code)
}

fn refused(status: &tonic::Status) -> Refusal {
    let text = |name| status.metadata().get(name).and_then(|v| v.to_str().ok());
    let code = text("paralith-code").and_then(|code| code.parse().ok());
    (text("paralith-module").unwrap_or("grpc").to_string(), code.unwrap_or(status.code() as u32))
}

/// Hands bytes in as they are; the refusal, or none if they became final.
async fn hand_in(client: &Client, bytes: Vec<u8>) -> Result<(), Refusal> {
    let mut service = ParaTimeServiceClient::new(client.chain.channel());
    let request = ppb::SubmitRequest { transaction: bytes, wait_for: 0 };
    let mut receipts = service.submit(request).await.map_err(|e| refused(&e))?.into_inner();
    while receipts.message().await.map_err(|e| refused(&e))?.is_some() {}
    Ok(())
}

/// A field that no version knows, appended to an encoded message.
fn with_unknown_field(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.extend([0xfa, 0x07, 0x01, 0x00]);
    bytes
}

fn counts(chain: ChainContext, runtime: RuntimeId, nonce: u64, args: Vec<u8>) -> Transaction {
    let call = Call { method: "add".to_string(), args };
    Transaction {
        version: VERSION,
        chain_context: chain,
        runtime_id: runtime,
        nonce,
        fee: Amount::ZERO,
        gas_limit: 50_000_000,
        body: Body::Call(call),
    }
}

/// Bytes for `counter` and `tokens`, and how they are refused before anybody executes them.
async fn bad_transactions(
    client: &mut Client,
    nonce: u64,
) -> Vec<(&'static str, Vec<u8>, Refusal)> {
    let chain = client.chain.chain_context();
    let counter = client.paratime("counter").await.runtime.id;
    let tokens = client.paratime("tokens").await.runtime.id;
    let dave: SigningKey = account_key("dave");
    let one = br#"{"amount":1}"#.to_vec();
    let good = counts(chain, counter, nonce, one.clone());
    let signed = |tx: &Transaction| tx.sign(&dave).encode();
    let sealed = client.prepare("tokens", "dave", "balance", &json!({})).await.unwrap();
    let sealed = SignedTransaction::decode(&sealed.raw, 1 << 20).unwrap();
    let sealed = Transaction::decode(&sealed.transaction, 1 << 20).unwrap();

    let mut twisted = good.sign(&dave);
    twisted.signature.0[5] ^= 1;
    let mut inner_noise = good.sign(&dave);
    inner_noise.transaction = with_unknown_field(inner_noise.transaction);
    inner_noise.signature =
        dave.sign(paralith_runtime_api::tx::SIGNATURE_DOMAIN, &chain, &inner_noise.transaction);
    let mut borrowed = good.sign(&dave);
    borrowed.public_key = account_key("erin").public();
    vec![
        ("garbage", vec![0xff; 300], is("paratime", 2)),
        ("nothing", Vec::new(), is("paratime", 2)),
        ("a cut transaction", signed(&good)[..100].to_vec(), is("paratime", 2)),
        ("an unknown field outside", with_unknown_field(signed(&good)), is("paratime", 2)),
        ("an unknown field inside", inner_noise.encode(), is("paratime", 2)),
        (
            "too many bytes",
            signed(&counts(chain, counter, nonce, vec![b' '; (1 << 20) + 1])),
            is("paratime", 1),
        ),
        (
            "an unknown version",
            signed(&Transaction { version: 9, ..good.clone() }),
            is("paratime", 3),
        ),
        (
            "another chain",
            signed(&counts(ChainContext([7; 32]), counter, nonce, one.clone())),
            is("paratime", 4),
        ),
        (
            "no such ParaTime",
            signed(&counts(chain, RuntimeId([7; 32]), nonce, one.clone())),
            is("registry", 11),
        ),
        ("a twisted signature", twisted.encode(), is("paratime", 6)),
        ("another's key", borrowed.encode(), is("paratime", 6)),
        (
            "a plain call to a secret ParaTime",
            signed(&counts(chain, tokens, nonce, one.clone())),
            is("paratime", 7),
        ),
        (
            "an envelope for a public ParaTime",
            signed(&Transaction { runtime_id: counter, ..sealed }),
            is("paratime", 8),
        ),
        (
            "more gas than a batch has",
            signed(&Transaction { gas_limit: u64::MAX, ..good.clone() }),
            is("paratime", 9),
        ),
        (
            "a nonce far ahead",
            signed(&counts(chain, counter, nonce + 64, one.clone())),
            is("sdk", 2),
        ),
        ("a nonce that is used", signed(&counts(chain, counter, nonce - 1, one)), is("sdk", 1)),
    ]
}

#[test]
fn bad_input_gets_its_own_error_and_harms_nothing() {
    claim(async {
        let dev = Dev::start(DevOptions::default());
        let mut client = Client::connect(&dev.node).await;
        let one = json!({ "amount": 1 });
        let sent = client.prepare("counter", "dave", "add", &one).await.unwrap();
        let first = client.submit("counter", &sent).await.unwrap();

        for (what, bytes, expected) in bad_transactions(&mut client, 1).await {
            assert_eq!(hand_in(&client, bytes).await, Err(expected), "{what}");
        }
        // The same once more: it had its effect.
        assert_eq!(hand_in(&client, sent.raw.clone()).await, Err(is("worker", 3)));
        // Whoever lost the connection gets what there is: the receipt of then.
        let again = client.submit("counter", &sent).await.unwrap();
        assert_eq!((again.header, again.output), (first.header, first.output));

        // An envelope copied under another sender: recorded as unopened, without effect.
        let mint = json!({ "to": address("bob"), "amount": "5" });
        let minted = client.prepare("tokens", "alice", "mint", &mint).await.unwrap();
        let outer = SignedTransaction::decode(&minted.raw, 1 << 20).unwrap();
        let copied = Transaction::decode(&outer.transaction, 1 << 20).unwrap();
        let mut stolen = client.prepare("tokens", "bob", "mint", &mint).await.unwrap();
        stolen.raw = copied.sign(&account_key("bob")).encode();
        stolen.hash = paralith_runtime_api::tx::hash_of(&stolen.raw);
        let confirmed = client.submit("tokens", &stolen).await.unwrap();
        let paralith_runtime_api::output::Output::Error(error) = confirmed.output else {
            panic!("a stolen envelope was opened")
        };
        assert_eq!((error.module.as_str(), error.code), ("envelope", 2));

        // Refusals by a ParaTime itself are on record, too.
        for (method, args, expected) in [
            ("mint", mint.clone(), is("tokens", 6)),
            ("transfer", json!({ "to": address("dave"), "amount": "7" }), is("tokens", 1)),
            ("steal", json!({}), is("sdk", 3)),
            ("transfer", json!({ "amount": -1 }), is("sdk", 4)),
        ] {
            let refused = client.call("tokens", "bob", method, &args).await;
            assert_eq!(refused.map(|_| ()), Err(expected), "{method} {args}");
        }

        assert_eq!(client.query("counter", None, "get", &json!({})).await, Ok(json!(1)));
        let (_, sum) = client.call("counter", "dave", "add", &one).await.unwrap();
        assert_eq!(sum, json!(2));
        assert_eq!(client.tokens("bob").await, 0);
        client.submit("tokens", &minted).await.unwrap();
        assert_eq!(client.tokens("bob").await, 5);
    });
}

#[test]
fn the_consensus_layer_names_what_is_wrong_with_a_transaction() {
    claim(async {
        let dev = Dev::start(DevOptions::default());
        let mut client = Client::connect(&dev.node).await;
        let chain = client.chain.chain_context();
        let (dave, erin) = (account_key("dave"), address("erin"));
        let before = client.account(&erin).await;
        let fee = consensus_tx::Fee { amount: Amount(100_000_000), gas_limit: 1_000_000 };
        let body = consensus_tx::Body::from(Transfer { to: erin, amount: Amount(1) });
        let good = consensus_tx::Transaction::new(chain, 0, fee, &body);
        let signed = |tx: &consensus_tx::Transaction| tx.sign(&dave).encode();
        let mut twisted = good.sign(&dave);
        twisted.signature.0[5] ^= 1;
        let large = consensus_tx::Transaction { body: vec![0; 1 << 20], ..good.clone() };
        let unknown = consensus_tx::Transaction { method: "staking.Mint".into(), ..good.clone() };
        let elsewhere =
            consensus_tx::Transaction { chain_context: ChainContext([7; 32]), ..good.clone() };
        let poor = consensus_tx::Fee { amount: Amount(u128::MAX), gas_limit: 1_000_000 };
        let small = consensus_tx::Fee { amount: Amount(1_000_000), gas_limit: 1 };
        let cases = [
            ("garbage", vec![0xff; 300], 7),
            ("nothing", Vec::new(), 7),
            ("an unknown field", with_unknown_field(signed(&good)), 7),
            ("too many bytes", signed(&large), 6),
            ("another chain", signed(&elsewhere), 9),
            ("a twisted signature", twisted.encode(), 8),
            ("an unknown method", signed(&unknown), 5),
            ("a nonce ahead", signed(&consensus_tx::Transaction { nonce: 9, ..good.clone() }), 1),
            (
                "a fee that nobody has",
                signed(&consensus_tx::Transaction { fee: poor, ..good.clone() }),
                2,
            ),
            (
                "too little gas",
                signed(&consensus_tx::Transaction { fee: small, ..good.clone() }),
                4,
            ),
        ];
        let mut service = ConsensusServiceClient::new(client.chain.channel());
        for (what, bytes, code) in cases {
            let request = pb::consensus::v1::SubmitRequest { transaction: bytes };
            let refused = match service.submit_and_wait(request).await {
                Err(status) => refused(&status),
                Ok(result) => {
                    let result = result.into_inner();
                    (result.module, result.code)
                }
            };
            assert_eq!(refused, is("consensus", code), "{what}");
        }
        assert_eq!(client.account(&erin).await, before);
        let transfer = Transfer { to: erin, amount: Amount(1) };
        let included = client.chain.submit(&dave, transfer, TxOptions::default()).await.unwrap();
        client.chain.sync_to(included.height).await.unwrap();
        // A transaction that is in a block has no second effect.
        let used = signed(&good);
        let request = pb::consensus::v1::SubmitRequest { transaction: used };
        let again = service.submit_and_wait(request).await.unwrap_err();
        assert_eq!(refused(&again), is("consensus", 1));
        let after = client.account(&erin).await;
        assert_eq!(after.balance.0, before.balance.0 + 1);
    });
}

#[test]
fn modules_that_are_no_guests_are_refused_at_upload() {
    claim(async {
        let dev = Dev::start(DevOptions::default());
        let mut client = Client::connect(&dev.node).await;
        let wat = |text: &str| wat::parse_str(text).unwrap();
        let foreign = wat(r#"(module (import "env" "clock" (func)) (memory (export "memory") 1))"#);
        let cases = [
            ("no module", b"#!/bin/sh\n".to_vec(), 2),
            ("nothing", Vec::new(), 2),
            ("a cut module", paralith::guests::COUNTER[..1000].to_vec(), 2),
            ("no exports", wat("(module)"), 4),
            ("an import of nobody's", foreign, 6),
            ("a start function", wat("(module (func $f) (start $f))"), 9),
            ("vector instructions", wat("(module (func (result v128) (v128.const i64x2 0 0)))"), 3),
        ];
        let mut service = ParaTimeServiceClient::new(client.chain.channel());
        let folder = tempfile::tempdir().unwrap();
        for (what, module, code) in cases {
            // Nobody has registered it, so the node does not even look at it.
            let request = ppb::UploadCodeRequest { module: module.clone() };
            let status = service.upload_code(request).await.unwrap_err();
            assert_eq!(refused(&status), is("code", 1), "{what}: {status}");
            // `deploy` refuses it before anything is paid.
            let file = folder.path().join("module.wasm");
            std::fs::write(&file, &module).unwrap();
            let file = file.display().to_string();
            let deploy = ["runtime", "deploy", &file, "--name", "bad", "--from", "alice"];
            let deployed = cli(&dev.node, &deploy);
            assert!(!deployed.success, "{what}");
            assert!(
                deployed.error.contains(&format!("upload {code}:")),
                "{what}: {}",
                deployed.error
            );
        }
        let one = json!({ "amount": 1 });
        assert_eq!(client.call("counter", "dave", "add", &one).await.unwrap().1, json!(1));
        let missing = client
            .chain
            .runtime("hello")
            .await
            .map_err(paralith::error::NodeError::from)
            .unwrap_err();
        assert_eq!((missing.code(), missing.exit_code()), (6, 1));
        let refused = client.call("counter", "dave", "take", &one).await.map(|_| ());
        assert_eq!(refused, Err(is("sdk", 3)));
    });
}
