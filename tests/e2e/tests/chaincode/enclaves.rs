//! t04, t09: enclaves that do not count, or not any more.

use e2e::{account_key, until};
use paralith::client::TxOptions;
use paralith::error::NodeError;
use paralith::keystore::read_key;
use paralith::network::{code_of, platform_key};
use paralith::systems::chaincode::client::ChaincodeClient;
use paralith_attest::{Claims, Evidence, SoftwarePlatform};
use paralith_chaincode_messages::{Message as _, NewCommit, Response};
use paralith_consensus_api::registry::{
    self, CONSENSUS_KEY_DOMAIN, CapabilityTee, Node, NodeRuntime, ROLE_APPLICATION, RegisterNode,
};
use paralith_crypto::SigningKey;
use paralith_proto::Canonical;
use paralith_types::{Epoch, PublicKey, RuntimeId, X25519PublicKey};

use crate::net::{
    Net, SECRETS, call, done, invoke, ledger_code, next_epoch, put, refused, tweaked,
};
use crate::shared::on_chain;

/// The seed of development chains, whose platform vouches for enclaves.
const SEED: u64 = 1;

/// The generation under which a call wrote.
fn generation(response: &[u8]) -> u64 {
    let response = Response::decode(response).unwrap();
    let value = response.writes[0].value.as_ref().unwrap();
    u64::from_be_bytes(*value.first_chunk().unwrap())
}

#[test]
fn t04_two_enclaves_of_one_organisation_count_once_and_a_revoked_one_not_at_all() {
    on_chain(async |net| {
        net.serve(SECRETS, &["bob", "carol", "bob"], &serde_json::json!({})).await;
        let (mut client, alice) = (net.client().await, account_key("alice"));
        let proposed = client.propose(&alice, call("put", &put("a", "1"))).await.unwrap();
        let mut each = Vec::new();
        for number in 0..3 {
            each.push(net.endorsed_by(number, &proposed).await);
        }
        assert!(each.iter().all(|one| one.response == each[0].response), "the same bytes");
        let by = |numbers: &[usize]| NewCommit {
            response: each[0].response.clone(),
            endorsements: numbers.iter().map(|one| each[*one].endorsements[0].clone()).collect(),
        };
        assert_eq!(ledger_code(client.commit(&alice, &by(&[0, 2])).await), 14, "both are bob's");
        // Carol's enclave is revoked after it signed. Her own entity does it.
        let rak = each[1].endorsements[0].rak;
        let revoke = ["runtime", "revoke-enclave", &net.id, &rak.to_string(), "--from", "carol"];
        done(net.node(), &revoke);
        assert_eq!(ledger_code(client.commit(&alice, &by(&[0, 1])).await), 10, "revoked");
        let before = generation(&each[0].response);

        // t09: it cannot register again, and its key is of no use to another node either.
        registrations(net, &mut client, &rak).await;

        // Another one of carol's takes its place, and writes what the keys of the revoked one do not open:
        // the next epoch has another generation.
        net.endorsers[1].process.kill();
        net.set_identity(1, None);
        net.endorsers[1].launch();
        net.serving(1).await;
        let mut client = net.client().await;
        next_epoch(&mut client.chain).await;
        until("a call is sealed under the next generation", async || {
            let put = invoke(&mut client, &alice, "put", &put("a", "2")).await;
            (generation(put.file.response.as_ref()?) > before).then_some(())
        })
        .await;
    });
}

/// A node of bob's that nobody runs, and what its registrations offer.
struct Offer {
    node: SigningKey,
    application: RuntimeId,
    claims: Claims,
}

impl Offer {
    /// The claims are those of a running enclave, but for the node and the keys.
    async fn new(net: &Net, client: &mut ChaincodeClient) -> Self {
        let (folder, _) = net.admit("bob");
        let node = read_key(&folder.join("node.key")).unwrap();
        let enclaves = client.chain.enclaves(&client.runtime.id).await.unwrap();
        let running = enclaves.first().unwrap().enclave.node;
        let running: Node = client.chain.require(&registry::keys::node(&running)).await.unwrap();
        let evidence = &running.runtimes[0].tee.as_ref().unwrap().evidence;
        let Evidence::Software(quote) = Evidence::decode(evidence).unwrap();
        let claims = Claims {
            node: node.public(),
            rak: SigningKey::from_seed([91; 32]).public(),
            rek: X25519PublicKey([92; 32]),
            ..quote.claims
        };
        Self { node, application: client.runtime.id, claims }
    }

    /// Registers the node with evidence of these claims by this platform.
    async fn register(
        &self,
        client: &mut ChaincodeClient,
        claims: &Claims,
        platform: SigningKey,
    ) -> Result<(), NodeError> {
        let chain = client.chain.chain_context();
        let evidence = SoftwarePlatform::new(platform).quote(claims, &chain);
        let tee = Some(CapabilityTee { rak: claims.rak, rek: claims.rek, evidence });
        let consensus = SigningKey::from_seed([93; 32]);
        let runtime_id = self.application;
        let epoch = client.chain.epoch().await.unwrap();
        let node = Node {
            id: self.node.public(),
            entity_id: account_key("bob").public(),
            expiration: Epoch(epoch.0 + 2),
            roles: ROLE_APPLICATION,
            consensus_key: consensus.public(),
            addresses: Vec::new(),
            runtimes: vec![NodeRuntime { runtime_id, tee, extra_info: Vec::new() }],
            software_version: String::new(),
        };
        let consensus_signature = consensus.sign(CONSENSUS_KEY_DOMAIN, &chain, &node.encode());
        let body = RegisterNode { node, consensus_signature };
        client.chain.submit(&self.node, body, TxOptions::default()).await?;
        Ok(())
    }
}

/// t09, t01: forged evidence, a module that differs in one byte, and the key of a revoked enclave do not
/// register.
async fn registrations(net: &Net, client: &mut ChaincodeClient, revoked: &PublicKey) {
    let offer = Offer::new(net, client).await;
    let genuine = || platform_key(SEED);
    let forger = SigningKey::from_seed([94; 32]);
    let forged = offer.register(client, &offer.claims, forger).await;
    assert_eq!(refused(forged), ("registry".to_string(), 6));
    let (code, other) = (code_of(SECRETS).id, code_of(&tweaked(SECRETS)).id);
    let claims = Claims { code: Some(other), ..offer.claims.clone() };
    let Err(NodeError::Refused(error)) = offer.register(client, &claims, genuine()).await else {
        panic!("another module is registered")
    };
    for id in [code, other] {
        assert!(error.message.contains(&id.to_string()), "{error:?}");
    }
    let claims = Claims { rak: *revoked, ..offer.claims.clone() };
    let again = offer.register(client, &claims, genuine()).await;
    assert_eq!(refused(again), ("registry".to_string(), 28));
    // Nothing else was wrong with it.
    offer.register(client, &offer.claims, genuine()).await.unwrap();
}
