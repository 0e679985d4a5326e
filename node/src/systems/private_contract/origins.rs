//! Fetches contents from the data stores that a contract's terms name.

use std::sync::Arc;

use futures::FutureExt as _;
use paralith_crypto::SigningKey;
use paralith_data::{Action, Client, ClientLimits, DataError, Origin, tcp};
use paralith_private_contract_core::signed::read_ticket;
use paralith_private_contract_messages::Ticket;
use paralith_private_contract_stakeholder::{Keys, LinkError, LinkFuture, Origins};
use paralith_types::{ChainContext, Hash, Height};

/// Data stores over HTTP.
pub(super) struct DataOrigins {
    key: SigningKey,
    chain: ChainContext,
}

impl DataOrigins {
    pub(super) fn new(keys: &Keys, chain: ChainContext) -> Arc<Self> {
        Arc::new(Self { key: keys.account_key().clone(), chain })
    }
}

fn unreachable(reason: impl ToString) -> LinkError {
    LinkError::Unreachable(reason.to_string())
}

/// The right to read a content, as data stores take it: by the ticket of the contract, for the same
/// content and the same time.
pub(super) fn authorization(ticket: &Ticket, key: &SigningKey, chain: &ChainContext) -> String {
    let ticket = paralith_data::Ticket {
        action: Action::Get,
        scope: ticket.contract_id.0,
        content: Hash(ticket.content_hash.0),
        length: 0,
        expires: Height(ticket.expires),
        signer: key.public(),
        credential: Vec::new(),
    };
    ticket.sign(key, chain).authorization()
}

impl Origins for DataOrigins {
    fn get(&self, uri: String, ticket: Vec<u8>, limit: u32) -> LinkFuture<'_, Vec<u8>> {
        async move {
            let (ticket, _) =
                read_ticket::<Ticket>(&ticket).ok_or_else(|| unreachable("no ticket"))?;
            let content = Hash(ticket.content_hash.0);
            let path = format!("/data/{}", ticket.content_hash.to_hex());
            let origin =
                uri.strip_suffix(&path).ok_or_else(|| unreachable("not a content's URI"))?;
            let origin = Origin::parse(origin).map_err(unreachable)?;
            if origin.is_secure() {
                return Err(unreachable("contents are fetched over http only in this version"));
            }
            let client = Client::new(vec![origin.clone()], tcp(), ClientLimits::default());
            let authorization = authorization(&ticket, &self.key, &self.chain);
            let mut bytes = Vec::new();
            let sink = |piece: &[u8]| -> Result<(), DataError> {
                bytes.extend_from_slice(piece);
                Ok(())
            };
            let fetched = client.get(&origin, &content, &authorization, u64::from(limit), sink);
            fetched.await.map_err(unreachable)?;
            Ok(bytes)
        }
        .boxed()
    }
}
