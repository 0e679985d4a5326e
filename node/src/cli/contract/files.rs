//! Files of `paralith contract`: packages, certificates, calls, receipts, disclosures, agreements.

use std::path::{Path, PathBuf};

use paralith_crypto::merkle::MerkleProof;
use paralith_policy::{Certificate, Members, Policy};
use paralith_private_contract_core::Class;
use paralith_private_contract_core::sealing::MAX_PACKAGE_BYTES;
use paralith_private_contract_core::vote::TxResult;
use paralith_private_contract_messages::{
    Canonical, ContractId, Definition, MAX_CALL_BYTES, Package, VoteSignature,
};
use paralith_types::{Hash, PublicKey};
use serde::{Deserialize, Serialize};

use crate::client::{PortableProof, ProvenEntry};
use crate::error::NodeError;
use crate::keystore::write_private;
use crate::systems::private_contract::client::VerifiedResult;

fn what(file: &Path) -> String {
    file.display().to_string()
}

fn read(file: &Path) -> Result<Vec<u8>, NodeError> {
    std::fs::read(file).map_err(|e| NodeError::io(what(file), &e))
}

fn unusable(file: &Path, reason: impl ToString) -> NodeError {
    NodeError::usage(what(file), reason)
}

/// Reads a file of JSON.
pub(super) fn read_json<T: for<'a> Deserialize<'a>>(file: &Path) -> Result<T, NodeError> {
    serde_json::from_slice(&read(file)?).map_err(|e| unusable(file, e))
}

/// Writes a file of JSON that only its owner can read.
pub(super) fn write_json(file: &Path, value: &impl Serialize) -> Result<(), NodeError> {
    let text = serde_json::to_string_pretty(value).map_err(|e| NodeError::internal(&e))?;
    write_private(file, text.as_bytes())
}

pub(super) fn read_package(file: &Path) -> Result<Package, NodeError> {
    Package::decode(&read(file)?, MAX_PACKAGE_BYTES).map_err(|e| unusable(file, e))
}

pub(super) fn write_package(file: &Path, package: &Package) -> Result<(), NodeError> {
    write_private(file, &package.encode())
}

pub(super) fn read_definition(file: &Path) -> Result<Definition, NodeError> {
    Definition::decode(&read(file)?, MAX_CALL_BYTES).map_err(|e| unusable(file, e))
}

pub(super) fn write_definition(file: &Path, definition: &Definition) -> Result<(), NodeError> {
    write_private(file, &definition.encode())
}

/// A sealed package, as the owner has written it.
pub(super) fn read_sealed(file: &Path) -> Result<Vec<u8>, NodeError> {
    read(file)
}

pub(super) fn read_certificate(file: &Path) -> Result<Certificate, NodeError> {
    let text = String::from_utf8(read(file)?).map_err(|e| unusable(file, e))?;
    let bytes = hex::decode(text.trim()).map_err(|e| unusable(file, e))?;
    Certificate::decode(&bytes).map_err(|e| unusable(file, e))
}

pub(super) fn write_certificate(file: &Path, certificate: &Certificate) -> Result<(), NodeError> {
    write_private(file, hex::encode(certificate.encode()).as_bytes())
}

/// The members of `--member NAME=KEY` and their policy.
pub(super) fn members(
    named: &[String],
    policy: &str,
) -> Result<(Vec<PublicKey>, Policy), NodeError> {
    let (mut names, mut keys) = (Vec::new(), Vec::new());
    for text in named {
        let (name, key) = text
            .split_once('=')
            .ok_or_else(|| NodeError::usage(text, "write a member as NAME=KEY"))?;
        keys.push(key.parse().map_err(|e| NodeError::usage(text, e))?);
        names.push(name);
    }
    let policy = Policy::parse(policy, &names).map_err(|e| NodeError::usage(policy, e))?;
    Ok((keys, policy))
}

/// A call that was sent: what its sender needs for the result.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SentCall {
    pub(super) contract: String,
    pub(super) sender_seq: u64,
    /// None until the mediator has taken it.
    pub(super) seq: Option<u64>,
    pub(super) content_hash: String,
    /// The content key. Whoever has it reads call and result.
    pub(super) content_key: String,
}

/// 32 bytes in hexadecimal.
pub(super) fn bytes32(file: &Path, name: &str, text: &str) -> Result<[u8; 32], NodeError> {
    let bytes = hex::decode(text).map_err(|e| unusable(file, format!("{name}: {e}")))?;
    bytes.try_into().map_err(|_| unusable(file, format!("{name} takes 64 hexadecimal digits")))
}

/// What `contract verify` verifies.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum Disclosed {
    /// A result with its path to the results root.
    Receipt {
        contract: String,
        batch: u64,
        seq: u64,
        class: String,
        output: String,
        blinding: String,
        index: u64,
        total: u64,
        path: Vec<Hash>,
        /// Without it, a node is asked for what the chain says.
        #[serde(default)]
        chain: Option<ChainProof>,
    },
    /// An entry of the state with its salt and its proof.
    Entry {
        contract: String,
        batch: u64,
        key: String,
        held: String,
        proof: String,
        #[serde(default)]
        chain: Option<ChainProof>,
    },
    /// What became of a transaction. Says nothing of its content.
    Transaction { contract: String, seq: u64, chain: Option<ChainProof> },
}

/// A [`PortableProof`] of records of the mediator, in hexadecimal.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChainProof {
    mediator: String,
    blocks: Vec<String>,
    runtime: (String, String),
    header: (String, String),
    entries: Vec<EntryProof>,
}

/// A record of the mediator with its proof.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryProof {
    key: String,
    value: Option<String>,
    proof: String,
}

impl ChainProof {
    pub(super) fn of(proof: &PortableProof) -> Self {
        let pair = |(value, proof): &(Vec<u8>, Vec<u8>)| (hex::encode(value), hex::encode(proof));
        let entry = |entry: &ProvenEntry| EntryProof {
            key: hex::encode(&entry.key),
            value: entry.value.as_ref().map(hex::encode),
            proof: hex::encode(&entry.proof),
        };
        Self {
            mediator: proof.runtime_id.to_string(),
            blocks: proof.blocks.iter().map(hex::encode).collect(),
            runtime: pair(&proof.runtime),
            header: pair(&proof.header),
            entries: proof.entries.iter().map(entry).collect(),
        }
    }

    pub(super) fn read(&self, file: &Path) -> Result<PortableProof, NodeError> {
        let bytes = |text: &String| hex::decode(text).map_err(|e| unusable(file, e));
        let pair =
            |(value, proof): &(String, String)| Ok::<_, NodeError>((bytes(value)?, bytes(proof)?));
        let entry = |entry: &EntryProof| {
            Ok(ProvenEntry {
                key: bytes(&entry.key)?,
                value: entry.value.as_ref().map(bytes).transpose()?,
                proof: bytes(&entry.proof)?,
            })
        };
        Ok(PortableProof {
            runtime_id: self.mediator.parse().map_err(|e| unusable(file, e))?,
            blocks: self.blocks.iter().map(bytes).collect::<Result<_, _>>()?,
            runtime: pair(&self.runtime)?,
            header: pair(&self.header)?,
            entries: self.entries.iter().map(entry).collect::<Result<_, NodeError>>()?,
        })
    }
}

/// A class by its name.
pub(super) const fn class_name(class: Class) -> &'static str {
    match class {
        Class::Malformed => "malformed",
        Class::Missing => "missing",
        Class::Failed => "failed",
        Class::Executed => "executed",
    }
}

impl Disclosed {
    pub(super) const fn chain(&self) -> Option<&ChainProof> {
        match self {
            Self::Receipt { chain, .. }
            | Self::Entry { chain, .. }
            | Self::Transaction { chain, .. } => chain.as_ref(),
        }
    }

    pub(super) fn receipt(verified: &VerifiedResult, chain: Option<ChainProof>) -> Self {
        let VerifiedResult { contract_id, batch, result, path } = verified;
        Self::Receipt {
            contract: contract_id.to_hex(),
            batch: *batch,
            seq: result.seq,
            class: class_name(result.class).to_string(),
            output: hex::encode(&result.output),
            blinding: hex::encode(result.blinding.0),
            index: path.index,
            total: path.total,
            path: path.path.clone(),
            chain,
        }
    }
}

/// The result of a receipt.
pub(super) fn result_of(file: &Path, disclosed: &Disclosed) -> Result<VerifiedResult, NodeError> {
    let Disclosed::Receipt {
        contract,
        batch,
        seq,
        class,
        output,
        blinding,
        index,
        total,
        path,
        chain: _,
    } = disclosed
    else {
        return Err(unusable(file, "it is no receipt"));
    };
    let class = [Class::Malformed, Class::Missing, Class::Failed, Class::Executed]
        .into_iter()
        .find(|known| class_name(*known) == class)
        .ok_or_else(|| unusable(file, "it names no class of a transaction"))?;
    let blinding = Hash(bytes32(file, "blinding", blinding)?);
    let output = hex::decode(output).map_err(|e| unusable(file, e))?;
    Ok(VerifiedResult {
        contract_id: ContractId(bytes32(file, "contract", contract)?),
        batch: *batch,
        result: TxResult { seq: *seq, class, blinding, output },
        path: MerkleProof { index: *index, total: *total, path: path.clone() },
    })
}

/// A member's signature over a change or a closing.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AgreementFile {
    pub(super) index: u32,
    pub(super) signature: String,
}

/// The signers as a bitmap, and their aggregate.
pub(super) fn agreements(files: &[PathBuf]) -> Result<(Vec<u8>, VoteSignature), NodeError> {
    let (mut signers, mut signatures) = (Members::default(), Vec::new());
    for file in files {
        let one: AgreementFile = read_json(file)?;
        let signature = hex::decode(&one.signature).map_err(|e| unusable(file, e))?;
        let signature: [u8; 48] =
            signature.try_into().map_err(|_| unusable(file, "a signature has 48 bytes"))?;
        if signers.insert(one.index) {
            signatures.push(signature);
        }
    }
    let aggregate = paralith_bls::aggregate(&signatures)
        .ok_or_else(|| NodeError::usage("--agreement", "the signatures do not add up"))?;
    Ok((signers.to_bytes(), VoteSignature(aggregate)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verified(class: Class) -> VerifiedResult {
        VerifiedResult {
            contract_id: ContractId([1; 32]),
            batch: 7,
            result: TxResult { seq: 9, class, blinding: Hash([2; 32]), output: vec![3, 4] },
            path: MerkleProof { index: 1, total: 2, path: vec![Hash([5; 32])] },
        }
    }

    #[test]
    fn a_receipt_reads_back_and_a_changed_one_is_another_or_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("r");
        for class in [Class::Malformed, Class::Missing, Class::Failed, Class::Executed] {
            let verified = verified(class);
            write_json(&file, &Disclosed::receipt(&verified, None)).unwrap();
            let read: Disclosed = read_json(&file).unwrap();
            assert_eq!(result_of(&file, &read).unwrap(), verified);
        }
        let text = std::fs::read_to_string(&file).unwrap();
        for (from, to) in [("executed", "done"), ("0202", "02"), ("\"0304\"", "\"030\"")] {
            std::fs::write(&file, text.replacen(from, to, 1)).unwrap();
            let read: Disclosed = read_json(&file).unwrap();
            assert_eq!(result_of(&file, &read).unwrap_err().exit_code(), 2, "{from}");
        }
        std::fs::write(&file, text.replacen("\"seq\"", "\"sequence\"", 1)).unwrap();
        read_json::<Disclosed>(&file).unwrap_err();
    }

    #[test]
    fn members_are_named_for_the_policy() {
        let key = |byte: u8| hex::encode([byte; 32]);
        let named = [format!("a={}", key(1)), format!("b={}", key(2))];
        let (keys, policy) = members(&named, "all(a, b)").unwrap();
        assert_eq!(keys, [PublicKey([1; 32]), PublicKey([2; 32])]);
        assert!(policy.satisfied(&[0, 1].into_iter().collect()));
        assert!(!policy.satisfied(&[0].into_iter().collect()));
        assert_eq!(members(&named, "all(a, c)").unwrap_err().exit_code(), 2);
        assert_eq!(members(&[key(1)], "all(a)").unwrap_err().exit_code(), 2);
    }

    #[test]
    fn each_member_agrees_once() {
        let folder = tempfile::tempdir().unwrap();
        let secret = |byte: u8| paralith_bls::BlsSecret::from_ikm(&[byte; 32]);
        let write = |name: &str, index: u32, byte: u8| {
            let file = folder.path().join(name);
            let signature = hex::encode(secret(byte).sign(b"m"));
            write_json(&file, &AgreementFile { index, signature }).unwrap();
            file
        };
        let files = [write("a", 0, 1), write("c", 2, 3), write("a2", 0, 1)];
        let (signers, signature) = agreements(&files).unwrap();
        assert_eq!(signers, [0b101]);
        let keys = [secret(1).public(), secret(3).public()];
        assert!(paralith_bls::verify(&keys, b"m", &signature.0));
        assert!(agreements(&[]).is_err());
    }
}
