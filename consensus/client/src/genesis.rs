//! The genesis document with what follows from it, computed once.

use paralith_genesis::{Document, GenesisError};
use paralith_types::ChainContext;

use crate::ClientError;

/// A genesis document, its text, and the identities that its hash gives.
#[derive(Debug, Clone)]
pub struct GenesisInfo {
    /// The document.
    pub document: Document,
    /// Its one text.
    pub json: String,
    /// Its hash: separates the chain's signatures from all others.
    pub context: ChainContext,
    /// CometBFT's name of the chain.
    pub chain_id: String,
}

impl GenesisInfo {
    /// Of a document.
    pub fn new(document: Document) -> Result<Self, ClientError> {
        let unusable = |e: GenesisError| ClientError::Genesis { reason: e.to_string() };
        let json = document.to_json().map_err(unusable)?;
        let context = document.hash().map_err(unusable)?;
        let chain_id = document.chain_id().map_err(unusable)?;
        Ok(Self { document, json, context, chain_id })
    }

    /// Of a document's text.
    pub fn parse(json: &str) -> Result<Self, ClientError> {
        let unusable = |e: GenesisError| ClientError::Genesis { reason: e.to_string() };
        Self::new(Document::parse(json).map_err(unusable)?)
    }

    /// Whether the chain is for development: its elections are predictable, or it accepts software
    /// attestation, so nothing on it is worth protecting. Test accounts, whose keys everyone has, are
    /// accepted on such chains only.
    pub fn is_development(&self) -> bool {
        let params = &self.document.genesis.params;
        params.beacon.insecure_seed.is_some() && !params.registry.software_platforms.is_empty()
    }
}
