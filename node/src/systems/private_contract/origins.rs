//! Fetches contents from the data stores that a contract's terms name.

use std::sync::Arc;

use futures::FutureExt as _;
use paralith_crypto::SigningKey;
use paralith_data::{Action, Client, ClientLimits, DataError, Origin};
use paralith_private_contract_core::signed::read_ticket;
use paralith_private_contract_messages::Ticket;
use paralith_private_contract_stakeholder::{Keys, LinkError, LinkFuture, Origins};
use paralith_types::{ChainContext, Hash, Height};

use crate::links::endpoint::{Trust, contents};

/// Data stores over HTTP.
pub(super) struct DataOrigins {
    key: SigningKey,
    chain: ChainContext,
    /// Which certificates stores of `https` addresses must show.
    trust: Trust,
}

impl DataOrigins {
    pub(super) fn new(keys: &Keys, chain: ChainContext, trust: Trust) -> Arc<Self> {
        Arc::new(Self { key: keys.account_key().clone(), chain, trust })
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
            let dial = contents(self.trust.clone());
            let client = Client::new(vec![origin.clone()], dial, ClientLimits::default());
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

#[cfg(test)]
mod tests {
    use paralith_private_contract_core::signed::{sign, ticket_bytes};
    use paralith_private_contract_messages::{ContentHash, ContractId};
    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;

    use super::*;

    /// The first byte that a store at this address gets.
    async fn first_byte(scheme: &str) -> u8 {
        let seed = |byte| SigningKey::from_seed([byte; 32]);
        let (keys, chain) = (Keys::from_seeds(seed(1), &seed(2), &seed(3)), ChainContext([4; 32]));
        let pin = Trust::Keys(vec![[5; 32]]);
        let origins = DataOrigins::new(&keys, chain, pin);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("{scheme}://{}", listener.local_addr().unwrap());
        let content_hash = ContentHash([6; 32]);
        let ticket =
            Ticket { contract_id: ContractId([7; 32]), content_hash, index: 0, expires: 9 };
        let signature = sign(keys.account_key(), &chain, &ticket);
        let uri = format!("{origin}/data/{}", content_hash.to_hex());
        let asked = origins.get(uri, ticket_bytes(&ticket, &signature), 10);
        let store = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_u8().await.unwrap()
        };
        let (asked, byte) = futures::join!(asked, store);
        assert!(asked.is_err(), "a store that says nothing");
        byte
    }

    #[tokio::test]
    async fn a_secure_store_is_spoken_to_over_tls_and_another_is_not() {
        // The type of a TLS record with a handshake; the first letter of HTTP/2.
        assert_eq!(first_byte("https").await, 0x16);
        assert_eq!(first_byte("http").await, b'P');
    }
}
