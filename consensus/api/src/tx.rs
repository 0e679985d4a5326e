//! Transactions: what a signer asks of the chain, and how it is signed.

use paralith_crypto::ed25519::{self, SigningKey};
use paralith_crypto::hash::{Domain, hash};
use paralith_proto::{Canonical, DecodeError, pb, wire_struct};
use paralith_types::{Amount, ChainContext, Hash, PublicKey, Signature};
use serde::{Deserialize, Serialize};

use crate::consensus::Error;
use crate::{keymanager, registry, roothash, staking};

/// Domain of transaction signatures.
pub const SIGNATURE_DOMAIN: Domain = Domain::new("paralith/consensus/transaction/v1");

/// Domain of transaction hashes.
pub const HASH_DOMAIN: Domain = Domain::new("paralith/consensus/transaction-hash/v1");

/// What the sender pays for execution, whatever its result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fee {
    /// Base units.
    pub amount: Amount,
    /// Most gas that the transaction may use.
    pub gas_limit: u64,
}
wire_struct!(Fee, pb::consensus::v1::Fee, { amount, gas_limit }, {});

/// What a signer asks of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transaction {
    /// The chain that it is for.
    pub chain_context: ChainContext,
    /// The signer's next nonce.
    pub nonce: u64,
    /// What it pays.
    pub fee: Fee,
    /// `<module>.<Method>`.
    pub method: String,
    /// The method's message, encoded.
    #[serde(with = "paralith_types::hex_bytes")]
    pub body: Vec<u8>,
}
wire_struct!(
    Transaction,
    pb::consensus::v1::Transaction,
    { chain_context, nonce, method, body },
    { fee }
);

/// A transaction as it travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedTransaction {
    /// A [`Transaction`], encoded; the signature is over these bytes.
    pub transaction: Vec<u8>,
    /// The signer.
    pub public_key: PublicKey,
    /// Under [`SIGNATURE_DOMAIN`] and the chain's context.
    pub signature: Signature,
}
wire_struct!(
    SignedTransaction,
    pb::consensus::v1::SignedTransaction,
    { transaction, public_key, signature },
    {}
);

impl Transaction {
    /// A transaction of this body.
    pub fn new(chain_context: ChainContext, nonce: u64, fee: Fee, body: &Body) -> Self {
        let (method, body) = (body.method().to_string(), body.encode());
        Self { chain_context, nonce, fee, method, body }
    }

    /// Signs it.
    pub fn sign(&self, key: &SigningKey) -> SignedTransaction {
        let transaction = self.encode();
        let signature = key.sign(SIGNATURE_DOMAIN, &self.chain_context, &transaction);
        SignedTransaction { transaction, public_key: key.public(), signature }
    }
}

impl SignedTransaction {
    /// The transaction inside, its signature verified for this chain.
    pub fn open(&self, chain_context: &ChainContext) -> Result<Transaction, Error> {
        let transaction = self.read(chain_context)?;
        ed25519::verify(
            &self.public_key,
            SIGNATURE_DOMAIN,
            chain_context,
            &self.transaction,
            &self.signature,
        )
        .map_err(|_| Error::InvalidSignature)?;
        Ok(transaction)
    }

    /// The transaction inside, for this chain, its signature **not verified**: for callers that
    /// verify many at once, or have verified this one before.
    pub fn read(&self, chain_context: &ChainContext) -> Result<Transaction, Error> {
        let transaction = Transaction::decode(&self.transaction, self.transaction.len())
            .map_err(Error::Malformed)?;
        if transaction.chain_context != *chain_context {
            return Err(Error::WrongChain {
                expected: chain_context.to_string(),
                got: transaction.chain_context.to_string(),
            });
        }
        Ok(transaction)
    }
}

/// Identifies a transaction: the hash of its signed bytes as they travel.
pub fn hash_of(raw: &[u8]) -> Hash {
    hash(HASH_DOMAIN, &[raw])
}

macro_rules! methods {
    ($($variant:ident($type:ty) = $method:literal),* $(,)?) => {
        /// Every method of the chain with its message.
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[allow(missing_docs)]
        #[allow(clippy::large_enum_variant, reason = "evidence is large and rare")]
        pub enum Body {
            $($variant($type),)*
        }

        impl Body {
            /// `<module>.<Method>`, stable.
            pub fn method(&self) -> &'static str {
                match self { $(Self::$variant(_) => $method,)* }
            }

            /// The message, encoded.
            pub fn encode(&self) -> Vec<u8> {
                match self { $(Self::$variant(body) => body.encode(),)* }
            }

            /// Reads the message of a method.
            pub fn decode(method: &str, body: &[u8]) -> Result<Self, Error> {
                match method {
                    $($method => <$type>::decode(body, body.len())
                        .map(Self::$variant)
                        .map_err(|e: DecodeError| Error::Malformed(e.within("body"))),)*
                    other => Err(Error::UnknownMethod { method: other.chars().take(64).collect() }),
                }
            }
        }

        $(impl From<$type> for Body {
            fn from(body: $type) -> Self {
                Self::$variant(body)
            }
        })*
    };
}

methods! {
    AddEscrow(staking::AddEscrow) = "staking.AddEscrow",
    ApproveRuntime(registry::ApproveRuntime) = "registry.ApproveRuntime",
    Evidence(roothash::Evidence) = "roothash.Evidence",
    ExecutorCommit(roothash::ExecutorCommit) = "roothash.ExecutorCommit",
    ProveFreshness(registry::ProveFreshness) = "registry.ProveFreshness",
    PublishEpochSecret(keymanager::PublishEpochSecret) = "keymanager.PublishEpochSecret",
    PublishMasterSecret(keymanager::PublishMasterSecret) = "keymanager.PublishMasterSecret",
    ReclaimEscrow(staking::ReclaimEscrow) = "staking.ReclaimEscrow",
    RegisterEntity(registry::RegisterEntity) = "registry.RegisterEntity",
    RegisterNode(registry::RegisterNode) = "registry.RegisterNode",
    RegisterRuntime(registry::RegisterRuntime) = "registry.RegisterRuntime",
    RevokeEnclave(registry::RevokeEnclave) = "registry.RevokeEnclave",
    SubmitMessage(roothash::SubmitMessage) = "roothash.SubmitMessage",
    Transfer(staking::Transfer) = "staking.Transfer",
    UpdatePolicy(keymanager::UpdatePolicy) = "keymanager.UpdatePolicy",
}
