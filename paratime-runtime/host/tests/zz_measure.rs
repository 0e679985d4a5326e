#![allow(clippy::unwrap_used, missing_docs)]
mod guest;
use guest::*;
use paralith_host::wasm::*;
use std::time::Instant;
#[test]
fn measure() {
    let base = {
        let m = executes("(i64.const 2)", "");
        let t = Instant::now();
        for _ in 0..2000 {
            execute(&m).unwrap();
        }
        let e = t.elapsed().as_nanos() as f64 / 2000.;
        let g = execute(&m).unwrap().gas_used;
        println!("empty call {e:.0} ns, gas {g}, ns/gas {:.3}", e / g as f64);
        e
    };
    let lp = |b: &str, n: u32| {
        format!(
            "(local $i i32) (local $a i64) (local $b i64) (local $f f64) (local.set $a (i64.const 12345)) (local.set $f (f64.const 1.5)) (loop $l {b} (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const {n})))) (i64.store (i32.const 900) (local.get $a)) (f64.store (i32.const 920) (local.get $f)) (i64.const 2)"
        )
    };
    let a20 = |s: &str| s.repeat(20);
    for (n,b,c,f) in [
      ("loop","".to_string(),3_000_000,""),
      ("add/xor", a20("(local.set $a (i64.xor (i64.add (local.get $a) (i64.extend_i32_u (local.get $i))) (i64.const 77)))"),300_000,""),
      ("mul", a20("(local.set $a (i64.mul (local.get $a) (i64.const 6364136223846793005)))"),300_000,""),
      ("rem", a20("(local.set $a (i64.add (i64.rem_u (i64.const 0x7fffffffffffff) (local.get $a)) (i64.const 0x3ffffffffff)))"),100_000,""),
      ("i32 div", a20("(local.set $i (i32.add (local.get $i) (i32.and (i32.div_u (i32.const 7) (i32.or (local.get $i) (i32.const 1))) (i32.const 0))))"),100_000,""),
      ("f64 mul", a20("(local.set $f (f64.mul (local.get $f) (f64.const 1.0000001)))"),100_000,""),
      ("f64 sqrt div", a20("(local.set $f (f64.div (f64.sqrt (local.get $f)) (f64.const 1.0000001)))"),100_000,""),
      ("f64 nearest", a20("(local.set $f (f64.nearest (local.get $f)))"),100_000,""),
      ("f64 min", a20("(local.set $f (f64.min (local.get $f) (f64.const 3)))"),100_000,""),
      ("load dep", a20("(local.set $a (i64.load (i32.wrap_i64 (i64.and (local.get $a) (i64.const 0xff8)))))"),100_000,""),
      ("load/store seq", a20("(i64.store (i32.and (local.get $i) (i32.const 0xffff)) (i64.add (i64.load offset=64 (i32.and (local.get $i) (i32.const 0xffff))) (i64.const 1)))"),100_000,""),
      ("call leaf", a20("(call $leaf)"),100_000,"(func $leaf)"),
      ("call metered", a20("(call $m)"),50_000,"(func $leaf) (func $m (call $leaf))"),
      ("call_indirect", a20("(call_indirect (type $t) (i32.and (local.get $i) (i32.const 1)))"),50_000,"(type $t (func)) (table 2 funcref) (func $leaf) (elem (i32.const 0) $leaf $leaf)"),
      ("br_table", a20("(block (block (block (br_table 0 1 2 (i32.and (i32.mul (local.get $i) (i32.const 0x9E3779B1)) (i32.const 3))))))"),50_000,""),
      ("fill 64k", "(memory.fill (i32.const 8192) (i32.const 1) (i32.const 65536))".into(),2000,""),
      ("copy 64k", "(memory.copy (i32.const 65536) (i32.const 100) (i32.const 60000))".into(),2000,""),
      ("fill 0", a20("(memory.fill (i32.const 8192) (i32.const 1) (local.get $i))").replace("(local.get $i)","(i32.and (local.get $i) (i32.const 1))"),20000,""),
      ("copy small", a20("(memory.copy (i32.const 8192) (i32.const 100) (i32.and (local.get $i) (i32.const 7)))"),20000,""),
      ("grow 0", a20("(drop (memory.grow (i32.const 0)))"),20000,""),
      ("grow+touch", "(if (i32.lt_u (local.get $i) (i32.const 900)) (then (drop (memory.grow (i32.const 1))))) (i64.store (i32.mul (local.get $i) (i32.const 4096)) (i64.const 1))".into(),14000,""),
      ("random load", "(if (i32.eqz (local.get $i)) (then (drop (memory.grow (i32.const 1000))) (memory.fill (i32.const 131072) (i32.const 1) (i32.const 65000000)))) ".to_string()+&a20("(local.set $a (i64.mul (i64.add (local.get $a) (i64.load (i32.wrap_i64 (i64.and (i64.shr_u (local.get $a) (i64.const 20)) (i64.const 0x3fffff8))))) (i64.const 6364136223846793005)))"),200_000,""),
      ("state_get miss", a20("(drop (call $state_get (i32.const 0) (i32.const 8)))"),5000,""),
      ("state_set", a20("(call $state_set (i32.const 0) (i32.const 8) (i32.const 0) (i32.const 32))"),5000,""),
      ("sha256 4k", a20("(call $sha256 (i32.const 0) (i32.const 4096) (i32.const 0))"),100,""),
      ("sha256 0", a20("(call $sha256 (i32.const 0) (i32.const 0) (i32.const 0))"),1000,""),
      ("verify", "(drop (call $ed25519_verify (i32.const 2000) (i32.const 2000) (i32.const 2000) (i32.const 32)))".into(),500,""),
      ("random 32", a20("(call $random (i32.const 0) (i32.const 32))"),1000,""),
      ("log 0", a20("(call $log (i32.const 0) (i32.const 0))"),1000,""),
    ] {
        let m=executes(&lp(&b,c),f); let mut s=Memory::default();
        let mut best=f64::MAX; let mut g=0;
        for _ in 0..3 { let t=Instant::now(); let r=m.call(Export::Execute,b"",env(&mut s),u64::MAX); best=best.min(t.elapsed().as_nanos() as f64); match r {Ok(r)=>g=r.gas_used,Err(e)=>println!("{n}: {e}")} }
        println!("{n:16} {:8.2} ns/iter {:12} gas  {:.4} ns/gas", (best-base)/c as f64, g, (best-base)/(g as f64-40000.));
    }

    use paralith_abi as abi;
    use prost::Message as _;
    let ctx = |confidential| abi::Context {
        runtime_id: vec![1; 32],
        chain_context: vec![2; 32],
        round: 3,
        epoch: 1,
        consensus_height: 9,
        confidential,
        runtime_address: vec![0; 21],
    };
    for (name, initarg, method, args) in [
        ("counter", "", "add", r#"{"amount": 2}"#.to_string()),
        ("tokens", "INIT", "transfer", r#"{"to":"TO","amount":"5"}"#.to_string()),
    ] {
        let Ok(code) =
            std::fs::read(format!("/tmp/t-guest2/wasm32-unknown-unknown/release/{name}.wasm"))
        else {
            continue;
        };
        let t = Instant::now();
        let m = engine().compile(&code).unwrap();
        println!("{name}: {} bytes compiled in {:?}", code.len(), t.elapsed());
        let mut addr = vec![0u8; 21];
        addr[1..].fill(7);
        let a = paralith_types::Address::try_from(&addr[..]).unwrap().to_string();
        let initarg = initarg.replace(
            "INIT",
            &format!(r#"{{"balances":[{{"address":"{a}","amount":"1000000"}}]}}"#),
        );
        let mut to = vec![0u8; 21];
        to[1..].fill(8);
        let to = paralith_types::Address::try_from(&to[..]).unwrap().to_string();
        let args = args.replace("TO", &to);
        let mut s = Memory::default();
        let show = |n: &str, r: Result<CallResult, CallError>| match r {
            Ok(r) => println!(
                "  {n}: gas {} outcome {:?} logs {:?}",
                r.gas_used,
                r.outcome.map(|v| String::from_utf8_lossy(&v).into_owned()),
                r.effects.logs
            ),
            Err(e) => println!("  {n}: {e:?}"),
        };
        show(
            "init",
            m.call(
                Export::Init,
                &abi::InitRequest { context: ctx(false), argument: initarg.into_bytes() }
                    .encode_to_vec(),
                env(&mut s),
                u64::MAX,
            ),
        );
        show(
            "begin",
            m.call(
                Export::BeginBlock,
                &abi::BeginBlockRequest {
                    context: ctx(false),
                    incoming: vec![],
                    message_results: vec![],
                }
                .encode_to_vec(),
                env(&mut s),
                u64::MAX,
            ),
        );
        for n in 0..2 {
            let tx = abi::Transaction {
                hash: vec![3; 32],
                sender: vec![4; 32],
                sender_address: addr.clone(),
                nonce: n,
                fee: vec![],
                gas_limit: 1,
                encrypted: false,
            };
            let rq = |call| {
                abi::TransactionRequest { context: ctx(false), transaction: tx.clone(), call }
                    .encode_to_vec()
            };
            show("check", m.call(Export::Check, &rq(None), env(&mut s), u64::MAX));
            show("authenticate", m.call(Export::Authenticate, &rq(None), env(&mut s), u64::MAX));
            let rq = rq(Some(abi::Call { method: method.into(), args: args.clone().into_bytes() }));
            show("execute", m.call(Export::Execute, &rq, env(&mut s), u64::MAX));
            let t = Instant::now();
            for _ in 0..1000 {
                m.call(Export::Execute, &rq, env(&mut s.clone()), u64::MAX).unwrap();
            }
            println!("  execute {:?} each", t.elapsed() / 1000);
        }
        show(
            "end",
            m.call(
                Export::EndBlock,
                &abi::BlockRequest { context: ctx(false) }.encode_to_vec(),
                env(&mut s),
                u64::MAX,
            ),
        );
        show("bad", m.call(Export::Execute, b"\xff\xff", env(&mut s), u64::MAX));
    }
    if let Ok(c) = std::fs::read("/tmp/t-guest2/wasm32-unknown-unknown/release/ballot.wasm") {
        println!("ballot {:?}", engine().compile(&c).map(|_| ()));
    }
    let st = std::fs::read_to_string("/proc/self/status").unwrap();
    println!(
        "{}",
        st.lines()
            .filter(|l| l.starts_with("VmRSS") || l.starts_with("VmHWM") || l.starts_with("VmSize"))
            .collect::<Vec<_>>()
            .join(" ")
    );
}
