//! What everybody but the members learns: nothing.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use e2e::account_key;
use paralith::client::connect;
use paralith::links::endpoint::Trust;
use paralith::network::MEDIATOR;
use paralith::systems::private_contract::client::{ContractClient, MemberClient, PrivateTx};
use paralith_crypto::SigningKey;
use paralith_data::{Action, Client, ClientLimits, DataError, Origin, Ticket, tcp};
use paralith_private_contract_messages::TransactionStatus;
use paralith_types::{Hash, Height};
use serde_json::json;

use crate::net::on_network;
use crate::recorder::Recorder;
use crate::session::{Session, call, mint, tokens};

/// A secret: raw, hex in both cases, and base64 in both alphabets at each of the three positions.
fn forms(what: &str, secret: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut forms = vec![
        (format!("{what}, raw"), secret.to_vec()),
        (format!("{what}, hex"), hex::encode(secret).into_bytes()),
        (format!("{what}, HEX"), hex::encode_upper(secret).into_bytes()),
    ];
    for shift in 0..3 {
        let padded = [&vec![0; shift], secret].concat();
        // Characters that also depend on the bytes around the secret are cut off.
        let whole = padded.len() / 3 * 4;
        let from = [0, 2, 3][shift];
        for text in [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)] {
            forms.push((format!("{what}, base64"), text.as_bytes()[from..whole].to_vec()));
        }
    }
    forms
}

/// Which of these lie in the files below a folder, but not below those.
fn search(
    folder: &Path,
    but: &[&Path],
    needles: &[(String, Vec<u8>)],
    found: &mut Vec<(String, String)>,
) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && !but.contains(&path.as_path()) => {
                search(&path, but, needles, found);
            }
            Ok(kind) if kind.is_file() => {
                let bytes = std::fs::read(&path).unwrap_or_default();
                for (what, needle) in needles {
                    if memchr::memmem::find(&bytes, needle).is_some() {
                        found.push((what.clone(), path.display().to_string()));
                    }
                }
            }
            _ => {}
        }
    }
}

/// The status of `GET /data/<content>` with this authorization.
async fn get(url: &str, content: &str, authorization: &str) -> u16 {
    let origin = Origin::parse(url).unwrap();
    let content = Hash(hex::decode(content).unwrap().try_into().unwrap());
    let client = Client::new(vec![origin.clone()], tcp(), ClientLimits::default());
    match client.get(&origin, &content, authorization, 1 << 20, |_| Ok(())).await {
        Ok(_) => 200,
        Err(DataError::Answer { status, .. }) => status,
        Err(error) => error.status(),
    }
}

#[test]
fn test_02_nobody_but_the_members_sees_code_calls_state_or_secrets() {
    on_network(async |it| {
        // A marker in the code, which is valid WebAssembly: a section that says nothing.
        let marker = b"Kq4mZt8Wc2RnXv6Lb9Py";
        let (mut module, init) = tokens();
        module.extend([0, u8::try_from(marker.len() + 2).unwrap(), 1, b'x']);
        module.extend(marker);
        // What senders and members exchange with a data store, and the sender with the chain, is recorded.
        let at = |url: &str| Recorder::before(url.strip_prefix("http://").unwrap());
        let (store_wire, chain_wire) = (at(&it.net.members[0].url), at(&it.net.node));
        let origin = format!("http://{}", store_wire.address);
        let terms = |terms: &mut paralith_private_contract_messages::Terms| {
            terms.origins = vec![origin.clone()];
        };
        let contract = it.contract("2 of (a, b, c)", (module, init), terms).await;
        assert_eq!(it.run(&contract, &mint("9000000000000000000")).await, TransactionStatus::Yes);
        // The call, at a data store and nowhere else.
        let node = connect(&format!("http://{}", chain_wire.address)).await.unwrap();
        it.client = ContractClient::new(node, MEDIATOR).await.unwrap();
        let (amount, memo) = ("7351926408812345701", "Xq7vRk2LmZt9WcPb4NsYd8Hg");
        let to = paralith_consensus_api::address::of_key(&SigningKey::from_seed([91; 32]).public());
        let transfer = call("transfer", &json!({ "to": to, "amount": amount, "memo": memo }));
        let alice = account_key("alice");
        let sealed = it.client.seal(contract.id, &alice.public(), &transfer, Some(&origin)).await;
        let tx = sealed.unwrap();
        let (height, chain) = (it.height().await, it.client.chain.chain_context());
        tx.put_at((&origin, &Trust::System), &alice, &contract.certificate, height, &chain)
            .await
            .unwrap();
        let content = tx.sealed.content_hash.to_hex();
        refused_without_a_members_ticket(it, &contract.id.0, &content).await;
        let seq = it.submit(&contract, &tx, 0).await.unwrap();
        assert_eq!(it.fini(&contract.id, seq).await.status, TransactionStatus::Yes);
        it.one_root(&contract.id).await;
        let mut member = MemberClient::connect(&origin, &Trust::System, chain).await.unwrap();
        let result = it.client.result(&mut member, &alice, contract.id, seq, tx.sk).await.unwrap();
        assert!(!result.result.output.is_empty(), "the sender has the result");

        let mut needles = forms("memo", memo.as_bytes());
        needles.extend(forms("amount in decimal", amount.as_bytes()));
        let number: u64 = amount.parse().unwrap();
        needles.extend(forms("amount in bytes", &number.to_be_bytes()));
        needles.extend(forms("recipient", to.as_bytes()));
        needles.extend(forms("recipient in bech32", to.to_string().as_bytes()));
        needles.extend(forms("code", marker));
        needles.extend(forms("derivation secret", &contract.package.derive_secret.0));
        needles.extend(forms("group secret", &contract.package.group_secret.0));
        needles.extend(forms("content key", &tx.sk));
        // All of it is at a member: what was called, what came of it, and with what.
        let mut shown = Vec::new();
        search(&it.net.members[1].folder, &[], &needles, &mut shown);
        for what in ["memo", "amount in decimal", "amount in bytes", "recipient in bech32"] {
            let found = shown.iter().any(|(which, _)| *which == format!("{what}, raw"));
            assert!(found, "the search does not find the {what} at a member");
        }
        for what in ["code", "derivation secret", "group secret"] {
            let found = shown.iter().any(|(which, _)| *which == format!("{what}, raw"));
            assert!(found, "the search does not find the {what} at a member");
        }
        // Nothing of it is anywhere else: stores and logs of the chain's nodes.
        let members: Vec<_> = it.net.members.iter().map(|one| one.folder.clone()).collect();
        let members: Vec<&Path> = members.iter().map(|folder| folder.as_path()).collect();
        let mut leaked = Vec::new();
        search(&it.net.folder, &members, &needles, &mut leaked);
        search(it.net.home.path(), &[], &needles, &mut leaked);
        assert!(leaked.is_empty(), "{leaked:#?}");
        // The search reaches where the chain has what is public.
        let public = vec![("content hash".to_string(), tx.sealed.content_hash.0.to_vec())];
        search(it.net.home.path(), &[], &public, &mut leaked);
        assert!(!leaked.is_empty());
        nothing_crosses_in_the_clear(it, &needles, &store_wire, &chain_wire, &tx);
        // Not in what the data store keeps either, whose name is its hash.
        let data = it.net.members[0].folder.join("data/data");
        let sealed = tx.sealed.content.clone();
        let mut stored = Vec::new();
        search(&data, &[], &[("ciphertext".to_string(), sealed)], &mut stored);
        assert!(!stored.is_empty() && stored.iter().all(|(_, file)| file.contains(&content)));
        stored.clear();
        search(&data, &[], &needles, &mut stored);
        assert!(stored.is_empty(), "{stored:#?}");
    });
}

/// The wires: of senders, of data stores, and between members.
fn nothing_crosses_in_the_clear(
    it: &Session,
    needles: &[(String, Vec<u8>)],
    store: &Recorder,
    chain: &Recorder,
    tx: &PrivateTx,
) {
    let holds = |streams: &[Vec<u8>], needle: &[u8]| {
        streams.iter().any(|stream| memchr::memmem::find(stream, needle).is_some())
    };
    let (store, chain) = (store.streams(), chain.streams());
    for (what, needle) in needles {
        assert!(!holds(&store, needle), "{what} crossed to or from the data store");
        assert!(!holds(&chain, needle), "{what} crossed to or from the chain");
    }
    // Public bytes are found there.
    assert!(holds(&store, &tx.sealed.content) && holds(&chain, &tx.sealed.content_hash.0));
    let mut records = 0;
    for member in &it.net.members {
        for stream in member.links.streams() {
            for (what, needle) in needles {
                assert!(!holds(std::slice::from_ref(&stream), needle), "{what} crossed a link");
            }
            records += tls_records(&stream);
        }
    }
    assert!(records > 0, "members have sent nothing over their links");
}

/// How many records of encrypted data a stream of TLS has; there is nothing else in it.
fn tls_records(mut stream: &[u8]) -> usize {
    const APPLICATION_DATA: u8 = 23;
    let mut count = 0;
    while let [kind, 3, _, high, low, rest @ ..] = stream {
        assert!((20..=APPLICATION_DATA).contains(kind), "this is no record of TLS: {kind}");
        count += usize::from(*kind == APPLICATION_DATA);
        let length = usize::from(*high) << 8 | usize::from(*low);
        stream = rest.get(length..).unwrap_or_default();
    }
    assert!(stream.len() < 5, "this is no TLS: {:?}", &stream[..5]);
    count
}

async fn refused_without_a_members_ticket(it: &mut Session, contract: &[u8; 32], content: &str) {
    let (url, height) = (it.net.members[0].url.clone(), it.height().await);
    let chain = it.client.chain.chain_context();
    let ticket = |key: &SigningKey, expires: u64| {
        let ticket = Ticket {
            action: Action::Get,
            scope: *contract,
            content: Hash(hex::decode(content).unwrap().try_into().unwrap()),
            length: 0,
            expires: Height(expires),
            signer: key.public(),
            credential: Vec::new(),
        };
        ticket.sign(key, &chain).authorization()
    };
    let member = it.net.members[1].keys.account_key().clone();
    assert_eq!(get(&url, content, "").await, 403, "no ticket");
    assert_eq!(get(&url, content, &ticket(&member, height - 1)).await, 403, "expired");
    assert_eq!(get(&url, content, &ticket(&account_key("carol"), height + 50)).await, 403);
    assert_eq!(get(&url, content, &ticket(&account_key("alice"), height + 50)).await, 403);
    let other = hex::encode([7; 32]);
    assert_eq!(get(&url, &other, &ticket(&member, height + 50)).await, 403, "another content");
    assert_eq!(get(&url, content, &ticket(&member, height + 50)).await, 200, "a member");
}
