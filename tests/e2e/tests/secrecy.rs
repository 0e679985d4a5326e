//! What anybody who reads every disk and every wire of a network learns of a transfer: nothing of a
//! confidential one; and everything of the same transfer in a public deployment of the same module,
//! which shows that the search would have found it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use e2e::{Client, Localnet, address, claim, cli, in_step, until};
use paralith_consensus_api::address as addresses;
use paralith_crypto::SigningKey;
use paralith_types::Address;
use serde_json::json;

/// Where bytes lie, by what keeps them there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// RocksDB's files.
    Database,
    Log,
    /// Frames between a node and its enclave.
    Boundary,
    /// What links between nodes carry, above TLS.
    Links,
    /// Everything else below the network's folder.
    Rest,
}

fn place(path: &Path) -> Place {
    let text = path.display().to_string();
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    match () {
        () if text.contains("/store/") => Place::Database,
        () if name == "log" => Place::Log,
        () if name.starts_with("boundary-") => Place::Boundary,
        () if name.starts_with("link-") => Place::Links,
        () => Place::Rest,
    }
}

/// A secret in one of the forms that bytes take.
struct Needle {
    what: String,
    bytes: Vec<u8>,
}

/// Raw, hex in both cases, and base64 in both alphabets at each of the three positions.
fn forms(what: &str, secret: &[u8]) -> Vec<Needle> {
    let mut forms = vec![("raw", secret.to_vec())];
    forms.push(("hex", hex::encode(secret).into_bytes()));
    forms.push(("HEX", hex::encode_upper(secret).into_bytes()));
    for shift in 0..3 {
        let padded = [&vec![0; shift], secret].concat();
        // Characters that also depend on the bytes around the secret are cut off.
        let whole = padded.len() / 3 * 4;
        let from = [0, 2, 3][shift];
        for text in [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)] {
            forms.push(("base64", text.as_bytes()[from..whole].to_vec()));
        }
    }
    forms
        .into_iter()
        .map(|(form, bytes)| Needle { what: format!("{what}, {form}"), bytes })
        .collect()
}

/// A transfer that occurs nowhere else.
struct Secret {
    runtime: &'static str,
    amount: u64,
    memo: &'static str,
    to: Address,
}

impl Secret {
    fn needles(&self) -> Vec<Needle> {
        let mut needles = forms("memo", self.memo.as_bytes());
        needles.extend(forms("amount in decimal", self.amount.to_string().as_bytes()));
        needles.extend(forms("amount in bytes", &self.amount.to_be_bytes()));
        needles.extend(forms("amount in reversed bytes", &self.amount.to_le_bytes()));
        needles.extend(forms("recipient", self.to.as_bytes()));
        needles.extend(forms("recipient in bech32", self.to.to_string().as_bytes()));
        needles
    }
}

/// Every place of the folder in which a needle lies. Files may go away meanwhile.
fn search(folder: &Path, needles: &[Needle], found: &mut Vec<(Place, String, String)>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => search(&path, needles, found),
            Ok(kind) if kind.is_file() => {
                let bytes = std::fs::read(&path).unwrap_or_default();
                for needle in needles {
                    if memchr::memmem::find(&bytes, &needle.bytes).is_some() {
                        let file = path.display().to_string();
                        found.push((place(&path), needle.what.clone(), file));
                    }
                }
            }
            _ => {}
        }
    }
}

#[test]
fn no_disk_and_no_wire_shows_a_secret_transfer_while_a_public_one_is_everywhere() {
    let name = "no_disk_and_no_wire_shows_a_secret_transfer_while_a_public_one_is_everywhere";
    if e2e::skipped_without_cometbft(name) {
        return;
    }
    claim(async {
        let net = Localnet::start(&["--record"]);
        let mut client = Client::connect(&net.gateway()).await;
        let file = net.home().parent().unwrap().join("tokens.wasm").display().to_string();
        std::fs::write(&file, paralith::guests::TOKENS).unwrap();
        let init = json!({ "minter": address("alice") }).to_string();
        let deploy = ["runtime", "deploy", &file, "--name", "open", "--init", &init];
        let deployed = cli(&net.gateway(), &deploy);
        assert!(deployed.success, "{}", deployed.error);

        let to = |seed: u8| addresses::of_key(&SigningKey::from_seed([seed; 32]).public());
        let (secret, public) = (
            Secret {
                runtime: "tokens",
                amount: 7_351_926_408_812_345_701,
                memo: "Xq7vRk2LmZt9WcPb4NsYd8Hg",
                to: to(91),
            },
            Secret {
                runtime: "open",
                amount: 8_246_713_590_246_813_579,
                memo: "Tf5jQw3VnBx6KrDz1MhGy0Lp",
                to: to(92),
            },
        );
        for Secret { runtime, amount, memo, to } in [&secret, &public] {
            let mint = json!({ "to": address("alice"), "amount": "9000000000000000000" });
            client.call_patiently(runtime, "alice", "mint", &mint).await;
            let transfer = json!({ "to": to, "amount": amount.to_string(), "memo": memo });
            client.call_patiently(runtime, "alice", "transfer", &transfer).await;
            // The whole network has it.
            for node in net.nodes().iter().filter(|node| node.name.starts_with("compute")) {
                until(&format!("{} has the chain's state", node.name), async || {
                    in_step(&mut client, &node.endpoint, runtime).await
                })
                .await;
            }
        }
        let mut shown = Vec::new();
        search(&net.home(), &public.needles(), &mut shown);
        for place in [Place::Database, Place::Log, Place::Boundary, Place::Links] {
            for what in ["memo, raw", "amount in decimal, raw", "recipient in bech32, raw"] {
                let found = shown.iter().any(|(at, which, _)| *at == place && which == what);
                assert!(found, "the search does not find the public {what} in {place:?}");
            }
        }
        let mut leaked = Vec::new();
        search(&net.home(), &secret.needles(), &mut leaked);
        assert!(leaked.is_empty(), "{leaked:#?}");
    });
}

#[test]
fn a_needle_is_found_in_every_form_and_position() {
    let secret = b"Xq7vRk2LmZt9WcPb4NsYd8Hg";
    let needles = forms("memo", secret);
    let finds = |hay: &[u8]| needles.iter().any(|n| memchr::memmem::find(hay, &n.bytes).is_some());
    for around in 0..7 {
        let text = [&vec![b'x'; around], secret.as_slice(), b"after"].concat();
        assert!(finds(&text));
        assert!(finds(hex::encode(&text).as_bytes()));
        assert!(finds(hex::encode_upper(&text).as_bytes()));
        assert!(finds(STANDARD_NO_PAD.encode(&text).as_bytes()));
        assert!(finds(URL_SAFE_NO_PAD.encode(&text).as_bytes()));
    }
    assert!(!finds(b"nothing of it"));
}
