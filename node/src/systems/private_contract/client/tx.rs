//! A sealed call, and where its content is kept.

use paralith_crypto::SigningKey;
use paralith_data::{Action, Client as DataClient, ClientLimits, DataError, Origin, Ticket};
use paralith_policy::Certificate;
use paralith_private_contract_core::sealing::SealedCall;
use paralith_private_contract_messages::{ContractId, Receipt, Upload};
use paralith_types::{ChainContext, Hash, Height};
use tonic::codegen::Bytes;

use super::MemberClient;
use crate::error::NodeError;
use crate::links::endpoint::{Trust, contents};

/// Blocks for which an upload's ticket is valid.
const UPLOAD_BLOCKS: u64 = 500;

/// A sealed call: what the sender keeps until the result is read.
#[derive(Debug, Clone)]
pub struct PrivateTx {
    /// The contract.
    pub contract_id: ContractId,
    /// The sender's number for it.
    pub sender_seq: u64,
    /// The key set to which it is sealed.
    pub keys_version: u64,
    /// The content key. Secret.
    pub sk: [u8; 32],
    /// Content and wraps.
    pub sealed: SealedCall,
    /// Of members that keep the content.
    pub receipts: Vec<Receipt>,
}

impl PrivateTx {
    pub(super) fn length(&self) -> Result<u32, NodeError> {
        u32::try_from(self.sealed.content.len()).map_err(|e| NodeError::usage("the call", e))
    }

    /// Stores the content at a data store. `trust`: which certificate one of an `https` address must show.
    pub async fn put_at(
        &self,
        (origin, trust): (&str, &Trust),
        sender: &SigningKey,
        certificate: &Certificate,
        height: u64,
        chain: &ChainContext,
    ) -> Result<(), NodeError> {
        let failed = |error: DataError| NodeError::usage(origin, error);
        let at = Origin::parse(origin).map_err(failed)?;
        let (content, length) = (Hash(self.sealed.content_hash.0), u64::from(self.length()?));
        let ticket = Ticket {
            action: Action::Put,
            scope: self.contract_id.0,
            content,
            length,
            expires: Height(height.saturating_add(UPLOAD_BLOCKS)),
            signer: sender.public(),
            credential: certificate.encode(),
        };
        let authorization = ticket.sign(sender, chain).authorization();
        let store =
            DataClient::new(vec![at.clone()], contents(trust.clone()), ClientLimits::default());
        let body = futures::stream::iter([Bytes::from(self.sealed.content.clone())]);
        store.put(&at, &content, &authorization, length, body).await.map_err(failed)
    }

    /// Has a member keep the content, and takes its receipt.
    pub async fn store_at(
        &mut self,
        member: &mut MemberClient,
        sender: &SigningKey,
        certificate: &Certificate,
        height: u64,
    ) -> Result<(), NodeError> {
        let upload = Upload {
            contract_id: self.contract_id,
            content_hash: self.sealed.content_hash,
            length: self.length()?,
            expires: height.saturating_add(UPLOAD_BLOCKS),
            certificate: certificate.clone(),
        };
        let receipt = member.store(sender, self, &upload).await?;
        self.receipts.retain(|known| known.index != receipt.index);
        self.receipts.push(receipt);
        self.receipts.sort_by_key(|receipt| receipt.index);
        Ok(())
    }
}
