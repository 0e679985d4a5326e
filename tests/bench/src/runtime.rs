//! Calls of the reference runtimes: each in a fresh, metered instance, on state in memory. And what
//! an envelope adds to a call: it is opened, and the reply is sealed.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use paralith::guests;
use paralith_consensus_api::address;
use paralith_crypto::SigningKey;
use paralith_crypto::hpke::HpkeSecret;
use paralith_runtime_abi as abi;
use paralith_runtime_api::envelope::{Info, open_call, seal_call, seal_reply};
use paralith_runtime_api::tx::Call;
use paralith_runtime_vm::{CallEnv, Engine, Export, Module, State, StateError};
use paralith_types::{ChainContext, Epoch, Hash, Round, RuntimeId};
use prost::Message as _;
use serde_json::json;

use crate::report::{Samples, rounded, tell};

const CALLS: usize = 2_000;
pub(crate) const GAS: u64 = 50_000_000;

#[derive(Clone, Default)]
pub(crate) struct Memory(BTreeMap<Vec<u8>, Vec<u8>>);

impl State for Memory {
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.0.get(key).cloned())
    }

    fn set(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) -> Result<(), StateError> {
        match value {
            Some(value) => self.0.insert(key, value),
            None => self.0.remove(&key),
        };
        Ok(())
    }
}

struct Guest {
    module: Module,
    state: Memory,
    confidential: bool,
}

/// Median nanoseconds, gas of the last call.
pub(crate) struct Cost {
    pub(crate) nanos: f64,
    gas: u64,
}

impl Guest {
    fn new(engine: &Engine, code: &[u8], confidential: bool) -> Result<Self> {
        Ok(Self { module: engine.compile(code)?, state: Memory::default(), confidential })
    }

    fn context(&self) -> abi::Context {
        abi::Context {
            runtime_id: vec![1; 32],
            chain_context: vec![2; 32],
            round: 7,
            epoch: 1,
            consensus_height: 9,
            confidential: self.confidential,
            runtime_address: address::of_key(&sender().public()).as_bytes().to_vec(),
            ..abi::Context::default()
        }
    }

    fn call(&mut self, export: Export, request: &[u8]) -> Result<u64> {
        let env = CallEnv {
            state: &mut self.state,
            consensus: None,
            pinned_height: Some(9),
            timers: true,
            randomness: [3; 32],
            secret: self.confidential.then_some([4; 32]),
            round: 7,
            log_allowed: false,
            max_messages: 0,
            messages_before: 0,
            messages: None,
        };
        let result = self.module.call(export, request, env, GAS)?;
        ensure!(result.outcome.is_ok(), "{}: {:?}", export.name(), result.outcome);
        Ok(result.gas_used)
    }

    fn cost(&mut self, export: Export, request: &[u8]) -> Result<Cost> {
        let (mut samples, mut gas) = (Samples::default(), 0);
        for number in 0..CALLS + CALLS / 10 {
            let mut warm_up = Samples::default();
            let into = if number < CALLS / 10 { &mut warm_up } else { &mut samples };
            gas = into.time(|| self.call(export, request))?;
        }
        Ok(Cost { nanos: samples.median() * 1e9, gas })
    }

    fn execute(&mut self, method: &str, args: &serde_json::Value) -> Result<Cost> {
        let key = sender().public();
        let transaction = abi::Transaction {
            hash: vec![5; 32],
            sender: key.as_bytes().to_vec(),
            sender_address: address::of_key(&key).as_bytes().to_vec(),
            nonce: 0,
            fee: Vec::new(),
            gas_limit: GAS,
            encrypted: self.confidential,
        };
        let call = abi::Call { method: method.to_string(), args: args.to_string().into_bytes() };
        let context = self.context();
        let request = abi::TransactionRequest { context, transaction, call: Some(call) };
        self.cost(Export::Execute, &request.encode_to_vec())
    }
}

fn sender() -> SigningKey {
    SigningKey::from_seed([6; 32])
}

pub(crate) fn run() -> Result<()> {
    let engine = Engine::new()?;
    let mut compile = Samples::default();
    compile.time(|| engine.compile(guests::TOKENS))?;

    let mut counter = Guest::new(&engine, guests::COUNTER, false)?;
    let empty = abi::BlockRequest { context: counter.context() }.encode_to_vec();
    let instance = counter.cost(Export::EndBlock, &empty)?;
    let add = counter.execute("add", &json!({ "amount": 1 }))?;
    let plain = transfer(&engine, false)?;
    let confidential = transfer(&engine, true)?;
    let envelope = envelope()?;

    let with_envelope = (confidential.nanos + envelope) / plain.nanos;
    tell(
        "runtime",
        &format!(
            "a fresh instance that does nothing takes {:.0} ns, counter.add {:.0} ns, \
             tokens.transfer {:.0} ns, the same in a confidential runtime {:.0} ns and its envelope \
             {envelope:.0} ns: {with_envelope:.2} times a plain call",
            instance.nanos, add.nanos, plain.nanos, confidential.nanos
        ),
        json!({
            "calls": CALLS,
            "ns": {
                "instance": instance.nanos.round(), "counter.add": add.nanos.round(),
                "tokens.transfer": plain.nanos.round(),
                "tokens.transfer, confidential": confidential.nanos.round(),
                "open envelope and seal reply": envelope.round(),
            },
            "gas": { "counter.add": add.gas, "tokens.transfer": plain.gas },
            "counter.add / instance": rounded(add.nanos / instance.nanos),
            "confidential with envelope / plain": rounded(with_envelope),
            "compile tokens ms": rounded(compile.median() * 1e3),
        }),
    );
    Ok(())
}

pub(crate) fn transfer(engine: &Engine, confidential: bool) -> Result<Cost> {
    let mut tokens = Guest::new(engine, guests::TOKENS, confidential)?;
    let from = address::of_key(&sender().public());
    let to = address::of_key(&SigningKey::from_seed([8; 32]).public());
    let balances = json!([{ "address": from, "amount": "1000000000" }]);
    let argument = json!({ "minter": from, "balances": balances }).to_string().into_bytes();
    let init = abi::InitRequest { context: tokens.context(), argument };
    tokens.call(Export::Init, &init.encode_to_vec())?;
    tokens.execute("transfer", &json!({ "to": to, "amount": "1", "memo": "for the tea" }))
}

/// Nanoseconds of opening a call's envelope and of sealing its reply.
fn envelope() -> Result<f64> {
    let secret = HpkeSecret::from_bytes([9; 32]);
    let (chain, runtime) = (ChainContext([2; 32]), RuntimeId([1; 32]));
    let info = Info::transaction(chain, runtime, Epoch(1), &sender().public(), 0);
    let call = Call { method: "transfer".to_string(), args: vec![b'x'; 120] };
    let sealed = seal_call(&secret.public(), &info, call, [10; 32], [11; 32])?;
    let mut samples = Samples::default();
    for _ in 0..CALLS / 10 {
        samples.time(|| -> Result<()> {
            let opened = open_call(&secret, &info, &sealed)?;
            let key: [u8; 32] = opened.reply_key.as_slice().try_into().context("a reply key")?;
            seal_reply(&key, &Hash([12; 32]), Round(7), &Hash([13; 32]), b"{}");
            Ok(())
        })?;
    }
    Ok(samples.median() * 1e9)
}
