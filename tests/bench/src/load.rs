//! Users: one that waits for each of its transactions, and many that do not.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use paralith::client::{ChainClient, ParaTimeClient, connect};
use paralith::keystore::test_account;
use paralith_consensus_api::{address, keymanager};
use paralith_crypto::SigningKey;
use paralith_crypto::hash::{Domain, hash};
use paralith_proto::pb::keymanager::v1 as kpb;
use paralith_proto::pb::paratime::v1 as ppb;
use paralith_proto::{Canonical, Wire};
use paralith_runtime_api::envelope::{Info, seal_call};
use paralith_runtime_api::output::Output;
use paralith_runtime_api::tx::{Body, Call, Transaction, VERSION};
use paralith_types::{Address, Amount, Epoch, RuntimeId, X25519PublicKey};
use serde_json::{Value, json};

use crate::report::Samples;

/// Gas that transactions allow.
const GAS: u64 = 5_000_000;
/// A sender may be at most 64 transactions ahead of the final ones; then it waits for some to be final.
const PAUSE: Duration = Duration::from_millis(500);
const KEY: Domain = Domain::new("paralith/bench-sender/v1");

/// A test account of development chains.
pub(crate) fn account(name: &str) -> Result<SigningKey> {
    test_account(name).with_context(|| format!("there is no test account {name}"))
}

/// The key of a sender.
pub(crate) fn sender(number: usize) -> SigningKey {
    SigningKey::from_seed(hash(KEY, &[&number.to_be_bytes()]).0)
}

fn call(method: &str, args: &Value) -> Call {
    Call { method: method.to_string(), args: args.to_string().into_bytes() }
}

/// Alice mints one unit for herself, again and again, and waits until each is final and verified.
/// Notes the times from handing in to the soft and to the final confirmation.
pub(crate) async fn mint(
    chain: &mut ChainClient,
    tokens: &mut ParaTimeClient,
    count: usize,
    latency: &mut Samples,
    soft: &mut Samples,
) -> Result<()> {
    let alice = account("alice")?;
    let own = address::of_key(&alice.public());
    let first = tokens.nonce(chain, &own).await?;
    for nonce in (first..).take(count) {
        let mint = call("mint", &json!({ "to": own, "amount": "1" }));
        let gas = tokens.gas(GAS, None)?;
        let sent = tokens.prepare(chain, &alice, nonce, gas, mint).await?;
        let began = Instant::now();
        let confirmed = tokens.submit(chain, &sent, |receipt| {
            if receipt.confirmation() == ppb::Confirmation::Soft {
                soft.add(began.elapsed());
            }
        });
        let confirmed = confirmed.await?;
        latency.add(began.elapsed());
        ensure!(matches!(confirmed.output, Output::Ok(_)), "{:?}", confirmed.output);
    }
    Ok(())
}

/// Hands confidential transactions in without waiting for them to be final.
#[derive(Debug)]
pub(crate) struct Load {
    chain: ChainClient,
    runtime: RuntimeId,
    key: Mutex<(Epoch, X25519PublicKey)>,
}

impl Load {
    /// Over a connection of its own.
    pub(crate) async fn new(node: &str, runtime: RuntimeId) -> Result<Self> {
        let chain = connect(node).await?;
        let key = epoch_key(&chain, runtime).await?;
        Ok(Self { chain, runtime, key: Mutex::new(key) })
    }

    /// Takes the key of a new epoch.
    pub(crate) async fn refresh(&self) -> Result<()> {
        let key = epoch_key(&self.chain, self.runtime).await?;
        *self.key.lock().unwrap_or_else(PoisonError::into_inner) = key;
        Ok(())
    }

    fn transaction(&self, from: &SigningKey, nonce: u64, call: Call) -> Result<Vec<u8>> {
        let (epoch, key) = *self.key.lock().unwrap_or_else(PoisonError::into_inner);
        let chain_context = self.chain.chain_context();
        let info = Info::transaction(chain_context, self.runtime, epoch, &from.public(), nonce);
        let envelope = seal_call(&key, &info, call, random()?, random()?)?;
        let transaction = Transaction {
            version: VERSION,
            chain_context,
            runtime_id: self.runtime,
            nonce,
            fee: Amount::ZERO,
            gas_limit: GAS,
            body: Body::Envelope(envelope),
        };
        Ok(transaction.sign(from).encode())
    }

    /// Whether a committee member took the transaction into its pool.
    async fn hand_in(&self, transaction: Vec<u8>) -> bool {
        use ppb::para_time_service_client::ParaTimeServiceClient;
        let wait_for = ppb::Confirmation::Accepted as i32;
        let request = ppb::SubmitRequest { transaction, wait_for };
        match ParaTimeServiceClient::new(self.chain.channel()).submit(request).await {
            Ok(receipts) => matches!(receipts.into_inner().message().await, Ok(Some(_))),
            Err(_) => false,
        }
    }

    /// Sends calls one after the other until `until`, or until there are no more; gives how many
    /// were taken.
    pub(crate) async fn send(
        self: Arc<Self>,
        from: SigningKey,
        first_nonce: u64,
        calls: impl Iterator<Item = Call>,
        until: Instant,
    ) -> Result<u64> {
        let mut nonce = first_nonce;
        for call in calls {
            let raw = self.transaction(&from, nonce, call)?;
            while !self.hand_in(raw.clone()).await {
                if Instant::now() >= until {
                    return Ok(nonce.saturating_sub(first_nonce));
                }
                tokio::time::sleep(PAUSE).await;
            }
            nonce = nonce.saturating_add(1);
            if Instant::now() >= until {
                break;
            }
        }
        Ok(nonce.saturating_sub(first_nonce))
    }
}

/// Transfers of one unit, without end.
pub(crate) fn transfers(to: Address) -> impl Iterator<Item = Call> {
    std::iter::repeat_with(move || call("transfer", &json!({ "to": to, "amount": "1" })))
}

/// One mint for each of these accounts.
pub(crate) fn mints(to: Vec<Address>) -> impl Iterator<Item = Call> {
    to.into_iter().map(|to| call("mint", &json!({ "to": to, "amount": "1000000" })))
}

/// A confidential transaction, to its final and verified result.
pub(crate) async fn confirmed(
    chain: &mut ChainClient,
    tokens: &mut ParaTimeClient,
    key: &SigningKey,
    method: &str,
    args: &Value,
) -> Result<()> {
    let nonce = tokens.nonce(chain, &address::of_key(&key.public())).await?;
    let gas = tokens.gas(GAS, None)?;
    let sent = tokens.prepare(chain, key, nonce, gas, call(method, args)).await?;
    let confirmed = tokens.submit(chain, &sent, |_| {}).await?;
    ensure!(matches!(confirmed.output, Output::Ok(_)), "{:?}", confirmed.output);
    Ok(())
}

/// Confidential transfers a second by so many users, each of whom waits for the result of one before the next; to
/// accounts of their own.
pub(crate) async fn waiting_users(node: &str, users: usize, window: Duration) -> Result<f64> {
    let alice = account("alice")?;
    let mut chain = connect(node).await?;
    let mut tokens = ParaTimeClient::new(&mut chain, "tokens").await?;
    for number in 0..users {
        let args = json!({ "to": address::of_key(&sender(number).public()), "amount": "1000000" });
        confirmed(&mut chain, &mut tokens, &alice, "mint", &args).await?;
    }
    let mut clients = Vec::new();
    for _ in 0..users {
        let mut chain = connect(node).await?;
        let tokens = ParaTimeClient::new(&mut chain, "tokens").await?;
        clients.push((chain, tokens));
    }
    let until = Instant::now() + window;
    let mut sending = tokio::task::JoinSet::new();
    for (number, (mut chain, mut tokens)) in clients.into_iter().enumerate() {
        sending.spawn(async move {
            let mut done = 0_u32;
            while Instant::now() < until {
                let args = json!({ "to": address::of_key(&sender(1_000 + number).public()), "amount": "1" });
                confirmed(&mut chain, &mut tokens, &sender(number), "transfer", &args).await?;
                done += 1;
            }
            anyhow::Ok(done)
        });
    }
    rate(sending, window).await
}

/// What users have done together, a second.
pub(crate) async fn rate(
    mut users: tokio::task::JoinSet<Result<u32>>,
    window: Duration,
) -> Result<f64> {
    let mut all = 0;
    while let Some(done) = users.join_next().await {
        all += done??;
    }
    Ok(f64::from(all) / window.as_secs_f64())
}

/// What an account has, as it is told itself.
pub(crate) async fn balance(
    chain: &mut ChainClient,
    tokens: &mut ParaTimeClient,
    owner: &SigningKey,
) -> Result<u64> {
    let ask = call("balance", &json!({}));
    match tokens.query(chain, Some(owner), ask).await?.output {
        Output::Ok(answer) => {
            let answer: Value = serde_json::from_slice(&answer)?;
            let balance = answer.get("balance").and_then(Value::as_str);
            Ok(balance.context("an answer without balance")?.parse()?)
        }
        Output::Error(e) => anyhow::bail!("{}/{}: {}", e.module, e.code, e.message),
    }
}

/// The key that calls are sealed to. Not verified: what is measured is the network.
async fn epoch_key(chain: &ChainClient, runtime: RuntimeId) -> Result<(Epoch, X25519PublicKey)> {
    use kpb::key_manager_service_client::KeyManagerServiceClient;
    let request = kpb::GetRuntimePublicKeyRequest {
        runtime_id: runtime.as_bytes().to_vec(),
        epoch: 0,
        newest: true,
    };
    let answer =
        KeyManagerServiceClient::new(chain.channel()).get_runtime_public_key(request).await?;
    let signed = keymanager::SignedRuntimePublicKey::from_pb(answer.into_inner())?;
    let key = keymanager::RuntimePublicKey::decode(&signed.public_key, 1024)?;
    Ok((key.epoch, key.key))
}

fn random() -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).context("the operating system's randomness")?;
    Ok(bytes)
}
