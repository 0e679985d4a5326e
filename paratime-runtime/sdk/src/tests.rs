//! The rules that a runtime can rely on, seen through a runtime that does as it is told.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::testing::{Chain, HOST_MODULE, NOT_ASKED, Privacy, TRAP, address, public_key, sign};
use crate::{
    Amount, Call, Context, Error, IncomingMessage, Json, JsonValue, List, Map, MessageResult,
    Result, Runtime, SdkError, Signature, accept_nonce, args, fail, json, next_nonce, reply,
    unknown_method,
};

/// Counts what it goes through, under keys that say so.
struct Probe;

const MAP: Map<String, u64> = Map::new("map");
const LIST: List<u64> = List::new("list");

impl Runtime for Probe {
    const NAME: &'static str = "probe";

    fn init(ctx: &mut Context, argument: &[u8]) -> Result<()> {
        if argument == b"refuse" {
            return fail(9, "told so");
        }
        ctx.set(b"argument", &argument.to_vec());
        bump(ctx, b"init")
    }

    fn begin_block(
        ctx: &mut Context,
        incoming: &[IncomingMessage],
        results: &[MessageResult],
    ) -> Result<()> {
        bump(ctx, b"begin")?;
        for message in incoming {
            ctx.set(b"incoming", &message.data);
            ctx.set(b"tokens", &message.tokens);
        }
        let results: Vec<(u32, u32)> = results.iter().map(|one| (one.index, one.code)).collect();
        ctx.set(b"results", &Json(results));
        Ok(())
    }

    fn authenticate(ctx: &mut Context) -> Result<()> {
        accept_nonce(ctx)?;
        bump(ctx, b"authenticated")
    }

    fn execute(ctx: &mut Context, call: &Call) -> Result<Vec<u8>> {
        bump(ctx, b"executed")?;
        match call.method.as_str() {
            "effects" => {
                ctx.emit_event("topic", b"data");
                ctx.transfer_out(&address("bob"), Amount(5))?;
                ctx.request_reveal(b"handle");
            }
            "fail" => return fail(7, "told so"),
            "fail_late" => {
                ctx.emit_event("topic", b"data");
                ctx.transfer_out(&address("bob"), Amount(5))?;
                ctx.request_reveal(b"handle");
                return fail(7, "told so");
            }
            "fail_with_zero" => return fail(0, "told so"),
            "panic" => panic!("told so"),
            "reserved" => ctx.set(b"\xffreveal/x", &1u8),
            "remove_reserved" => ctx.remove(b"\xff"),
            "long_key" => ctx.set(&[1; 1025], &1u8),
            "long_value" => ctx.set(b"value", &vec![0; 256 * 1024 + 1]),
            "largest" => ctx.set(&[1; 1024], &vec![0; 256 * 1024]),
            "secret" => return reply(&ctx.derive_key(b"purpose").to_vec()),
            "random" => {
                let mut out = [0; 40];
                ctx.random(&mut out);
                return reply(&out.to_vec());
            }
            "insert" => {
                let (key, value): (String, u64) = args(call)?;
                MAP.insert(ctx, &key, &value)?;
            }
            "remove" => return reply(&MAP.remove(ctx, &args(call)?)?),
            "push" => return reply(&LIST.push(ctx, &args(call)?)?),
            "pop" => return reply(&LIST.pop(ctx)?),
            "replace" => {
                let (position, value) = args(call)?;
                LIST.set(ctx, position, &value)?;
            }
            "who" => {
                let tx = ctx.transaction()?;
                let fee = tx.fee;
                return reply(&json!([tx.sender_address, fee, tx.gas_limit, tx.encrypted]));
            }
            "corrupt" => ctx.get::<u64>(b"argument").map(|_| ())?,
            "log" => ctx.log("line"),
            _ => return unknown_method(call),
        }
        Ok(Vec::new())
    }

    fn end_block(ctx: &mut Context) -> Result<()> {
        bump(ctx, b"end")
    }

    fn query(ctx: &Context, call: &Call) -> Result<Vec<u8>> {
        match call.method.as_str() {
            "count" => reply(&ctx.get::<u64>(args::<String>(call)?.as_bytes())?.unwrap_or(0)),
            "map" => reply(&MAP.iter(ctx).collect::<Result<Vec<_>>>()?),
            "map_get" => reply(&MAP.get(ctx, &args(call)?)?),
            "list" => reply(&LIST.iter(ctx).collect::<Result<Vec<_>>>()?),
            "list_of" => reply(&List::<u64>::of("list", &args::<u64>(call)?).len(ctx)?),
            "results" => reply(&ctx.get::<Json<JsonValue>>(b"results")?.map(|json| json.0)),
            "caller" => reply(&ctx.caller()),
            "sender" => reply(&ctx.sender_address()?),
            "place" => reply(&json!([ctx.round(), ctx.epoch(), ctx.confidential()])),
            "verify" => {
                #[derive(Deserialize)]
                struct Verify {
                    by: String,
                    flip: Option<usize>,
                }
                let Verify { by, flip } = args(call)?;
                let mut signature = sign(&by, b"message").0;
                if let Some(bit) = flip {
                    signature[bit / 8] ^= 1 << (bit % 8);
                }
                let key = public_key("alice");
                reply(&ctx.ed25519_verify(&key, &Signature(signature), b"message"))
            }
            _ => unknown_method(call),
        }
    }

    fn reveal(ctx: &Context, handle: &[u8]) -> Result<Vec<u8>> {
        reply(&json!([ctx.round(), ctx.get::<u64>(b"executed")?, handle]))
    }

    fn migrate(ctx: &mut Context) -> Result<()> {
        bump(ctx, b"migrate")
    }
}

/// A runtime with nothing but defaults.
struct Bare;

impl Runtime for Bare {
    fn execute(_: &mut Context, call: &Call) -> Result<Vec<u8>> {
        unknown_method(call)
    }
}

fn bump(ctx: &mut Context, key: &[u8]) -> Result<()> {
    let count = ctx.get::<u64>(key)?.unwrap_or(0);
    ctx.set(key, &(count + 1));
    Ok(())
}

fn count(chain: &Chain, key: &str) -> u64 {
    let answer = chain.query("count", &key).unwrap();
    String::from_utf8(answer).unwrap().parse().unwrap()
}

fn json_of(result: Result<Vec<u8>>) -> JsonValue {
    String::from_utf8(result.unwrap()).unwrap().parse().unwrap()
}

fn code(error: &Error) -> (&str, u32) {
    (error.module.as_str(), error.code)
}

#[test]
fn a_round_runs_its_handlers_in_order() {
    let mut chain = Chain::start::<Probe>(Privacy::Public, b"argument").unwrap();
    assert_eq!(chain.stored(b"argument"), Some(b"argument".to_vec()));
    chain.next_round();
    chain.next_round();
    // The query sees the third round as if it ended here.
    for (key, expected) in [("init", 1), ("begin", 3), ("end", 3), ("migrate", 0)] {
        assert_eq!(count(&chain, key), expected, "{key}");
    }
    chain.upgrade::<Probe>();
    assert_eq!((count(&chain, "migrate"), count(&chain, "begin"), chain.round()), (1, 4, 4));
    assert_eq!(code(&Chain::start::<Probe>(Privacy::Public, b"refuse").unwrap_err()), ("probe", 9));
}

#[test]
fn a_failed_execute_keeps_what_authenticate_wrote_and_nothing_else() {
    let failures = [
        ("fail", ("probe", 7)),
        ("fail_late", ("probe", 7)),
        ("fail_with_zero", ("sdk", 13)),
        ("panic", (HOST_MODULE, TRAP)),
        ("reserved", (HOST_MODULE, TRAP)),
        ("remove_reserved", (HOST_MODULE, TRAP)),
        ("long_key", (HOST_MODULE, TRAP)),
        ("long_value", (HOST_MODULE, TRAP)),
        ("secret", (HOST_MODULE, TRAP)),
        ("corrupt", ("sdk", 9)),
        ("unknown", ("sdk", 3)),
    ];
    let mut chain = Chain::start::<Probe>(Privacy::Public, b"x").unwrap();
    for (number, (method, expected)) in (1u64..).zip(failures) {
        let error = chain.sender("alice").call(method, &json!({})).unwrap_err();
        assert_eq!(code(&error), expected, "{method}: {error}");
        assert_eq!((count(&chain, "authenticated"), count(&chain, "executed")), (number, 0));
        assert_eq!((chain.events(), chain.messages().len()), (Vec::new(), 0), "{method}");
    }
    chain.next_round();
    assert_eq!(code(&chain.reveal(b"handle").unwrap_err()), (HOST_MODULE, NOT_ASKED));
    chain.sender("alice").call("largest", &json!({})).unwrap();
}

#[test]
fn a_refused_authenticate_has_no_effect() {
    let mut chain = Chain::new::<Probe>();
    for (nonce, expected) in [(1, ("sdk", 2)), (u64::MAX, ("sdk", 2))] {
        let error = chain.sender("alice").nonce(nonce).call("log", &json!({})).unwrap_err();
        assert_eq!(code(&error), expected);
    }
    chain.sender("alice").call("log", &json!({})).unwrap();
    let replay = chain.sender("alice").nonce(0).call("log", &json!({})).unwrap_err();
    assert_eq!(code(&replay), ("sdk", 1));
    assert_eq!((count(&chain, "authenticated"), count(&chain, "executed")), (1, 1));
    let nonce = chain.query("sdk.nonce", &json!({"address": address("alice")}));
    assert_eq!(json_of(nonce), json!({"nonce": 1}));
}

#[test]
fn the_pool_takes_a_bounded_gap_of_nonces() {
    let mut chain = Chain::new::<Bare>();
    let _ = chain.sender("alice").call("anything", &json!({}));
    // Not final yet: the pool still waits for nonce 0.
    assert_eq!(chain.sender("alice").nonce(0).check(), Ok(None));
    chain.next_round();
    assert_eq!(chain.sender("alice").nonce(9).check(), Ok(Some(1)), "what it waits for");
    let cases = [(0, Some(1)), (1, None), (64, None), (65, Some(2)), (u64::MAX, Some(2))];
    for (nonce, expected) in cases {
        let result = chain.sender("alice").nonce(nonce).check();
        assert_eq!(result.err().map(|error| error.code), expected, "{nonce}");
    }
}

#[test]
fn the_largest_nonce_is_never_taken() {
    struct Last;
    impl Runtime for Last {
        fn init(ctx: &mut Context, _: &[u8]) -> Result<()> {
            let key = [b"\0\0nonce/", address("alice").as_bytes()].concat();
            ctx.set(&key, &u64::MAX);
            assert_eq!(next_nonce(ctx, &address("alice")), Ok(u64::MAX));
            Ok(())
        }
        fn execute(_: &mut Context, _: &Call) -> Result<Vec<u8>> {
            Ok(Vec::new())
        }
    }
    let mut chain = Chain::new::<Last>();
    let error = chain.sender("alice").nonce(u64::MAX).call("any", &json!({})).unwrap_err();
    assert_eq!(code(&error), ("sdk", 2));
}

#[test]
fn messages_to_consensus_have_results_in_the_next_round() {
    let mut chain = Chain::new::<Probe>();
    chain.send_in(address("carol"), Amount(12), b"hello");
    chain.next_round();
    assert_eq!(chain.stored(b"incoming"), Some(b"hello".to_vec()));
    assert_eq!(chain.stored(b"tokens"), Some(12u128.to_be_bytes().to_vec()));
    for _ in 0..4 {
        chain.sender("alice").call("effects", &json!({})).unwrap();
    }
    assert_eq!((chain.events().len(), chain.messages().len()), (4, 4));
    chain.fail_message(1);
    chain.next_round();
    // The fourth finds the account short of 5.
    assert_eq!(
        json_of(chain.query("results", &json!({}))),
        json!([[0, 0], [1, 1], [2, 0], [3, 1]])
    );
    assert_eq!((chain.account(), chain.events(), chain.messages().len()), (Amount(2), vec![], 0));
    chain.next_round();
    assert_eq!(json_of(chain.query("results", &json!({}))), json!([]));
}

#[test]
fn a_failed_begin_block_takes_nothing_and_the_next_one_takes_all() {
    let mut chain = Chain::new::<Probe>();
    chain.send_in(address("carol"), Amount(12), b"first");
    chain.next_round();
    chain.sender("alice").call("effects", &json!({})).unwrap();
    chain.send_in(address("carol"), Amount(1), b"second");
    chain.fail_begin_block();
    chain.next_round();
    assert_eq!(chain.stored(b"incoming"), Some(b"first".to_vec()));
    assert_eq!((chain.incoming().len(), chain.results().len(), chain.account()), (1, 1, Amount(8)));
    assert_eq!((chain.results()[0].round, chain.results()[0].code), (2, 0));
    chain.next_round();
    assert_eq!(chain.stored(b"incoming"), Some(b"second".to_vec()));
    assert_eq!(json_of(chain.query("results", &json!({}))), json!([[0, 0]]));
    assert_eq!((chain.incoming().len(), chain.results().len()), (0, 0));
}

#[test]
fn a_failed_round_gives_back_what_it_took_and_sends_nothing() {
    let mut chain = Chain::new::<Probe>();
    chain.next_round();
    chain.send_in(address("carol"), Amount(12), b"hello");
    chain.next_round();
    chain.sender("alice").call("effects", &json!({})).unwrap();
    let executed = chain.stored(b"executed");
    chain.fail_round();
    assert_eq!((chain.round(), chain.account(), chain.messages().len()), (4, Amount(12), 0));
    assert_eq!(chain.stored(b"incoming"), Some(b"hello".to_vec()), "it came again");
    chain.sender("alice").call("effects", &json!({})).unwrap();
    assert_eq!(chain.stored(b"executed"), executed, "the failed round's call never was");
}

#[test]
fn a_full_queue_of_messages_is_an_error_and_not_a_trap() {
    let mut chain = Chain::new::<Probe>();
    chain.set_messages_max(0);
    let error = chain.sender("alice").call("effects", &json!({})).unwrap_err();
    assert_eq!(error, SdkError::MessagesFull.into());
}

#[test]
fn a_reveal_reads_the_state_of_the_round_that_asked() {
    let mut chain = Chain::confidential::<Probe>();
    chain.sender("alice").call("effects", &json!({})).unwrap();
    let intent = chain.stored(b"\xffreveal/handle");
    assert_eq!(intent, Some(1u64.to_be_bytes().to_vec()));
    assert_eq!(code(&chain.reveal(b"handle").unwrap_err()), (HOST_MODULE, NOT_ASKED));
    chain.next_round();
    chain.sender("alice").call("log", &json!({})).unwrap();
    chain.next_round();
    assert_eq!(json_of(chain.reveal(b"handle")), json!([1, 1, b"handle"]));
    assert_eq!(code(&chain.reveal(b"other").unwrap_err()), (HOST_MODULE, NOT_ASKED));
}

#[test]
fn a_call_knows_who_asks_and_where_it_is() {
    let mut chain = Chain::confidential::<Probe>();
    let who = chain.sender("alice").fee(Amount(300)).gas_limit(9).call("who", &json!({}));
    assert_eq!(json_of(who), json!([address("alice"), "300", 9, true]));
    let plain = chain.sender("alice").plain().call("who", &json!({}));
    assert_eq!(json_of(plain)[3], json!(false));
    assert_eq!(json_of(chain.query("caller", &json!({}))), JsonValue::Null);
    let caller = chain.sender("bob").query("caller", &json!({}));
    assert_eq!(json_of(caller), json!(address("bob")));
    assert_eq!(chain.query("sender", &json!({})), Err(SdkError::NoTransaction.into()));
    chain.set_epoch(4);
    chain.next_round();
    assert_eq!(json_of(chain.query("place", &json!({}))), json!([2, 4, true]));
}

#[test]
fn secrets_exist_in_confidential_runtimes_and_logs_in_public_ones() {
    let mut confidential = Chain::confidential::<Probe>();
    let secret = confidential.sender("alice").call("secret", &json!({})).unwrap();
    assert_eq!(confidential.sender("bob").call("secret", &json!({})), Ok(secret));
    let mut public = Chain::new::<Probe>();
    for (chain, lines) in [(&mut confidential, 0), (&mut public, 1)] {
        chain.sender("alice").call("log", &json!({})).unwrap();
        assert_eq!(chain.logs().len(), lines);
    }
}

#[test]
fn randomness_differs_by_call_and_agrees_among_replicas() {
    let draw = || {
        let mut chain = Chain::new::<Probe>();
        [(); 2].map(|()| chain.sender("alice").call("random", &json!({})).unwrap())
    };
    let [first, second] = draw();
    assert_ne!(first, second);
    assert_eq!(draw(), [first, second]);
}

#[test]
fn a_signature_verifies_only_unchanged() {
    let chain = Chain::new::<Probe>();
    let verify = |by: &str, flip: Option<usize>| {
        json_of(chain.query("verify", &json!({"by": by, "flip": flip})))
    };
    assert_eq!(verify("alice", None), json!(true));
    assert_eq!(verify("bob", None), json!(false));
    for bit in (0..512).step_by(37) {
        assert_eq!(verify("alice", Some(bit)), json!(false), "bit {bit}");
    }
}

#[test]
fn a_map_enumerates_what_it_holds() {
    let mut chain = Chain::new::<Probe>();
    for (key, value) in [("a", 1), ("b", 2), ("c", 3), ("a", 4)] {
        chain.sender("alice").call("insert", &json!([key, value])).unwrap();
    }
    assert_eq!(json_of(chain.query("map", &())), json!([["a", 4], ["b", 2], ["c", 3]]));
    assert_eq!(json_of(chain.sender("alice").call("remove", &"a")), json!(4));
    assert_eq!(json_of(chain.sender("alice").call("remove", &"a")), JsonValue::Null);
    assert_eq!(json_of(chain.query("map", &())), json!([["c", 3], ["b", 2]]));
    assert_eq!(json_of(chain.query("map_get", &"b")), json!(2));
    assert_eq!(json_of(chain.query("map_get", &"a")), JsonValue::Null);
    for key in ["b", "c"] {
        chain.sender("alice").call("remove", &key).unwrap();
    }
    assert_eq!(json_of(chain.query("map", &())), json!([]));
}

#[test]
fn a_map_agrees_with_an_ordinary_one_and_leaves_nothing_behind() {
    let mut chain = Chain::new::<Probe>();
    let mut model = BTreeMap::new();
    // A linear congruence: reproducible, and every key is hit in every state of the map.
    let mut seed = 1u64;
    for step in 0..400u64 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let key = format!("key {}", (seed >> 33) % 7);
        if (seed >> 60).is_multiple_of(2) {
            chain.sender("alice").call("insert", &json!([key, step])).unwrap();
            model.insert(key, step);
        } else {
            let removed = json_of(chain.sender("alice").call("remove", &key));
            assert_eq!(removed, json!(model.remove(&key)), "step {step}");
        }
        let walked: Vec<(String, u64)> =
            serde_json::from_value(json_of(chain.query("map", &()))).unwrap();
        assert_eq!(walked.len(), model.len(), "step {step}");
        assert_eq!(walked.into_iter().collect::<BTreeMap<_, _>>(), model, "step {step}");
    }
    for key in model.keys() {
        chain.sender("alice").call("remove", key).unwrap();
    }
    let left = (0..8u64).filter(|at| {
        let element = [b"\0\x03map\0\0\x01", &at.to_be_bytes()[..]].concat();
        chain.stored(&element).is_some()
    });
    assert_eq!(left.count(), 0);
    assert_eq!(chain.stored(b"\0\x03map\0\0\0"), Some(vec![0; 8]));
}

#[test]
fn a_list_keeps_its_order() {
    let mut chain = Chain::new::<Probe>();
    for value in 10..13 {
        chain.sender("alice").call("push", &value).unwrap();
    }
    chain.sender("alice").call("replace", &(1, 99)).unwrap();
    let past = chain.sender("alice").call("replace", &(3, 99)).unwrap_err();
    assert_eq!(past, SdkError::OutOfRange { position: 3, len: 3 }.into());
    assert_eq!(json_of(chain.sender("alice").call("pop", &())), json!(12));
    assert_eq!(json_of(chain.query("list", &())), json!([10, 99]));
    assert_eq!(json_of(chain.query("list_of", &0)), json!(0), "an owner's list is another list");
}

#[test]
fn codes_of_the_sdk_are_frozen() {
    let text = String::new;
    let all = [
        SdkError::NonceTooLow { got: 0, expected: 0 },
        SdkError::NonceTooHigh { got: 0, expected: 0 },
        SdkError::UnknownMethod { method: text() },
        SdkError::BadArguments { method: text(), reason: text() },
        SdkError::AmountOverflow,
        SdkError::AmountNegative,
        SdkError::MessagesFull,
        SdkError::NoTransaction,
        SdkError::CorruptState { what: "" },
        SdkError::MalformedRequest { reason: text() },
        SdkError::NothingToReveal,
        SdkError::Unencodable { reason: text() },
        SdkError::ZeroCode { message: text() },
        SdkError::OutOfRange { position: 0, len: 0 },
    ];
    for (code, error) in (1..).zip(all) {
        assert_eq!(error.code(), code, "{error}");
    }
}

#[test]
fn consensus_state_and_deadlines_are_those_of_the_pinned_height() {
    struct Reader;
    impl Runtime for Reader {
        fn execute(ctx: &mut Context, call: &Call) -> Result<Vec<u8>> {
            ctx.set(b"key", &1u8);
            ctx.commit_before(args::<u64>(call)?);
            ctx.request_reveal(b"handle");
            reply(&ctx.consensus_get(b"state"))
        }

        fn query(ctx: &Context, _: &Call) -> Result<Vec<u8>> {
            reply(&ctx.consensus_get(b"state"))
        }

        fn reveal(ctx: &Context, _: &[u8]) -> Result<Vec<u8>> {
            reply(&ctx.consensus_get(b"state"))
        }
    }
    let mut chain = Chain::new::<Reader>();
    let late = chain.height();
    let error = chain.sender("alice").call("read", &late).unwrap_err();
    assert_eq!((error.module.as_str(), error.code), (HOST_MODULE, TRAP));
    assert_eq!(chain.stored(b"key"), None);
    assert_eq!(chain.sender("alice").call("read", &(late + 1)), Ok(b"null".to_vec()));
    chain.set_consensus(b"state", Some(&[7]));
    assert_eq!(chain.query("read", &json!({})), Ok(b"[7]".to_vec()));
    chain.next_round();
    assert!(chain.reveal(b"handle").is_err());
    chain.set_consensus(b"state", None);
    assert_eq!(chain.query("read", &json!({})), Ok(b"null".to_vec()));
}
