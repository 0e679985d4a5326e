//! Transactions of a ParaTime.

use paralith_consensus_api::address;
use paralith_crypto::ed25519::{self, SigningKey};
use paralith_crypto::hash::{Domain, hash};
use paralith_proto::{Canonical, DecodeError, Wire, pb, wire_struct};
use paralith_types::{Address, Amount, ChainContext, Epoch, Hash, PublicKey, RuntimeId, Signature};

use crate::TxError;

/// Domain of transaction signatures.
pub const SIGNATURE_DOMAIN: Domain = Domain::new("paralith/paratime/transaction/v1");

const HASH_DOMAIN: Domain = Domain::new("paralith/paratime/transaction-hash/v1");

/// The version that this crate speaks.
pub const VERSION: u32 = 1;

/// What a transaction or a query calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Name of the runtime's method.
    pub method: String,
    /// Its arguments as the runtime encodes them.
    pub args: Vec<u8>,
}
wire_struct!(Call, pb::paratime::v1::Call, { method, args }, {});

/// A call that only the runtime's enclaves can read; see [`crate::envelope`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The epoch whose key it is sealed to.
    pub epoch: Epoch,
    /// Encapsulated key, then ciphertext.
    pub sealed: Vec<u8>,
}
wire_struct!(Envelope, pb::paratime::v1::Envelope, { epoch, sealed }, {});

/// What a transaction carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Readable by all.
    Call(Call),
    /// Readable by the runtime's enclaves.
    Envelope(Envelope),
}

/// A transaction of a ParaTime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// [`VERSION`].
    pub version: u32,
    /// The chain that it is for.
    pub chain_context: ChainContext,
    /// The runtime that it is for.
    pub runtime_id: RuntimeId,
    /// The signer's next nonce in the runtime.
    pub nonce: u64,
    /// In the runtime's own units.
    pub fee: Amount,
    /// Most gas that it may use.
    pub gas_limit: u64,
    /// What it calls.
    pub body: Body,
}

impl Wire for Transaction {
    type Pb = pb::paratime::v1::Transaction;

    fn to_pb(&self) -> Self::Pb {
        use pb::paratime::v1::transaction::Body as PbBody;
        Self::Pb {
            version: self.version,
            chain_context: self.chain_context.to_pb(),
            runtime_id: self.runtime_id.to_pb(),
            nonce: self.nonce,
            fee: self.fee.to_pb(),
            gas_limit: self.gas_limit,
            body: Some(match &self.body {
                Body::Call(call) => PbBody::Call(call.to_pb()),
                Body::Envelope(envelope) => PbBody::Envelope(envelope.to_pb()),
            }),
        }
    }

    fn from_pb(pb: Self::Pb) -> Result<Self, DecodeError> {
        use pb::paratime::v1::transaction::Body as PbBody;
        Ok(Self {
            version: pb.version,
            chain_context: Wire::from_pb(pb.chain_context)?,
            runtime_id: Wire::from_pb(pb.runtime_id)?,
            nonce: pb.nonce,
            fee: Wire::from_pb(pb.fee)?,
            gas_limit: pb.gas_limit,
            body: match pb.body {
                Some(PbBody::Call(call)) => Body::Call(Wire::from_pb(call)?),
                Some(PbBody::Envelope(envelope)) => Body::Envelope(Wire::from_pb(envelope)?),
                None => return Err(DecodeError::field("body", "is missing")),
            },
        })
    }
}

/// A transaction as it travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedTransaction {
    /// A [`Transaction`], encoded; the signature is over these bytes.
    pub transaction: Vec<u8>,
    /// The sender.
    pub public_key: PublicKey,
    /// Under [`SIGNATURE_DOMAIN`] and the chain's context.
    pub signature: Signature,
}
wire_struct!(
    SignedTransaction,
    pb::paratime::v1::SignedTransaction,
    { transaction, public_key, signature },
    {}
);

impl Transaction {
    /// Signs it.
    pub fn sign(&self, key: &SigningKey) -> SignedTransaction {
        let transaction = self.encode();
        let signature = key.sign(SIGNATURE_DOMAIN, &self.chain_context, &transaction);
        SignedTransaction { transaction, public_key: key.public(), signature }
    }
}

/// A transaction whose form, place and signature are verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Identifies it: the hash of its raw bytes.
    pub hash: Hash,
    /// Who signed it.
    pub sender: PublicKey,
    /// The signer's account.
    pub sender_address: Address,
    /// What was signed.
    pub transaction: Transaction,
}

/// A transaction of the right form, whose signature is not looked at yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unverified {
    hash: Hash,
    signed: SignedTransaction,
    transaction: Transaction,
}

impl Unverified {
    /// Identifies it: the hash of its raw bytes.
    pub fn hash(&self) -> &Hash {
        &self.hash
    }

    /// Who signed it, if the signature is right.
    pub fn signer(&self) -> &PublicKey {
        &self.signed.public_key
    }

    /// What was signed, if the signature is right.
    pub fn transaction(&self) -> &Transaction {
        &self.transaction
    }

    /// Whether it is for this chain and runtime.
    pub fn check_place(
        &self,
        chain_context: &ChainContext,
        runtime_id: &RuntimeId,
    ) -> Result<(), TxError> {
        if self.transaction.chain_context != *chain_context {
            let got = self.transaction.chain_context.to_string();
            return Err(TxError::WrongChain { expected: chain_context.to_string(), got });
        }
        if self.transaction.runtime_id != *runtime_id {
            let got = self.transaction.runtime_id.to_string();
            return Err(TxError::WrongRuntime { expected: runtime_id.to_string(), got });
        }
        Ok(())
    }

    /// Verifies the signature.
    pub fn verify(self) -> Result<Verified, TxError> {
        let SignedTransaction { transaction, public_key, signature } = &self.signed;
        let context = &self.transaction.chain_context;
        ed25519::verify(public_key, SIGNATURE_DOMAIN, context, transaction, signature)
            .map_err(|_| TxError::InvalidSignature)?;
        Ok(self.verified_before())
    }

    /// For who has verified the signature of a transaction of this hash before.
    pub fn verified_before(self) -> Verified {
        Verified {
            hash: self.hash,
            sender: self.signed.public_key,
            sender_address: address::of_key(&self.signed.public_key),
            transaction: self.transaction,
        }
    }
}

/// Reads a raw transaction for this chain and runtime.
pub fn read(
    raw: &[u8],
    chain_context: &ChainContext,
    runtime_id: &RuntimeId,
    limit_bytes: usize,
) -> Result<Unverified, TxError> {
    let read = decode(raw, limit_bytes)?;
    read.check_place(chain_context, runtime_id)?;
    Ok(read)
}

/// Reads a raw transaction, whichever chain and runtime it is for.
pub fn decode(raw: &[u8], limit_bytes: usize) -> Result<Unverified, TxError> {
    if raw.len() > limit_bytes {
        return Err(TxError::Oversized { limit: limit_bytes, got: raw.len() });
    }
    let signed = SignedTransaction::decode(raw, limit_bytes).map_err(TxError::Malformed)?;
    let transaction = Transaction::decode(&signed.transaction, limit_bytes)
        .map_err(|e| TxError::Malformed(e.within("transaction")))?;
    if transaction.version != VERSION {
        return Err(TxError::UnknownVersion { got: transaction.version });
    }
    Ok(Unverified { hash: hash_of(raw), signed, transaction })
}

/// Identifies a transaction: the hash of its signed bytes as they travel.
pub fn hash_of(raw: &[u8]) -> Hash {
    hash(HASH_DOMAIN, &[raw])
}
