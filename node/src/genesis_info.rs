//! The genesis document with what follows from it, computed once.

use paralith_genesis::Document;
use paralith_types::ChainContext;

use crate::error::NodeError;

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
    pub fn new(document: Document) -> Result<Self, NodeError> {
        let unusable = |e: paralith_genesis::GenesisError| NodeError::Config {
            file: "the genesis document".to_string(),
            reason: e.to_string(),
        };
        let json = document.to_json().map_err(unusable)?;
        let context = document.hash().map_err(unusable)?;
        let chain_id = document.chain_id().map_err(unusable)?;
        Ok(Self { document, json, context, chain_id })
    }

    /// Of a document's text.
    pub fn parse(json: &str) -> Result<Self, NodeError> {
        let document = Document::parse(json).map_err(|e| NodeError::Config {
            file: "the genesis document".to_string(),
            reason: e.to_string(),
        })?;
        Self::new(document)
    }
}
