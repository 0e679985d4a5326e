//! Vote keys that cancel others'.

use blst::min_sig::{AggregatePublicKey, PublicKey as BlsPublicKey};
use clap::Args;
use paralith::cli::NodeArgs;
use paralith::error::NodeError;
use paralith::network::MEDIATOR;
use paralith::systems::private_contract::client::ContractClient;
use paralith_bls::{BlsSecret, aggregate, verify};
use paralith_private_contract_core::ids::possession_message;
use paralith_private_contract_messages::{Canonical as _, SetKeys, VoteKey, VoteSignature};
use paralith_types::PublicKey;

use super::{KeyArgs, Outcome, random};

/// Options of `bls-rogue`.
#[derive(Debug, Args)]
pub struct RogueArgs {
    /// The account whose votes the attacker wants to cast, too.
    #[arg(long, value_name = "PUBLIC-KEY")]
    victim: PublicKey,
    #[command(flatten)]
    keys: KeyArgs,
    #[command(flatten)]
    node: NodeArgs,
}

impl RogueArgs {
    /// Publishes `x - victim`: what `x` alone signs then verifies as signed by the victim and the attacker.
    pub(super) async fn run(&self) -> Result<Outcome, NodeError> {
        let mut client = ContractClient::new(self.node.connect().await?, MEDIATOR).await?;
        let keys = self.keys.open()?;
        let victim = client.account_keys(&self.victim).await?;
        let own = client.account_keys(&keys.account()).await?;
        let secret = BlsSecret::from_ikm(&random()?);
        let vote_key = cancelling(&secret, &victim.vote_key)
            .ok_or_else(|| NodeError::usage("--victim", "its vote key cannot be cancelled"))?;
        // Why it matters: one secret, two signers.
        let both = [vote_key.0, victim.vote_key.0];
        let forged = aggregate(&[secret.sign(b"a verdict")]);
        if !forged.is_some_and(|forged| verify(&both, b"a verdict", &forged)) {
            return Err(NodeError::usage("--victim", "the keys do not cancel"));
        }
        // Without the key's own secret the attacker shows that of the sum.
        let (chain, mediator) = (client.chain.chain_context(), client.mediator.runtime.id);
        let message = possession_message(&chain, &mediator, &keys.account(), &vote_key);
        let set = SetKeys {
            kem_id: own.kem_id,
            kem_key: own.kem_key,
            vote_key,
            possession: VoteSignature(secret.prove_possession(&message.0)),
            link_address: own.link_address,
            origin: own.origin,
        };
        match client.call(keys.account_key(), "set_keys", set.encode()).await {
            Ok(_) => Ok(Outcome::Succeeded(
                "the mediator has the key: the attacker alone signs for both".to_string(),
            )),
            Err(error) => Outcome::refused(error, "mediator", &[22]),
        }
    }
}

/// The key of this secret less another key. A compressed point has the sign of its y in one bit.
fn cancelling(secret: &BlsSecret, other: &VoteKey) -> Option<VoteKey> {
    const SIGN: u8 = 0x20;
    let mut negative = other.0;
    negative[0] ^= SIGN;
    let [own, negative] =
        [secret.public(), negative].map(|key| BlsPublicKey::uncompress(&key).ok());
    let sum = AggregatePublicKey::aggregate(&[&own?, &negative?], true).ok()?;
    Some(VoteKey(sum.to_public_key().compress()))
}
