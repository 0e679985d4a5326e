//! A sender with a connection of its own: several send at once.

use e2e::account_key;
use paralith::client::connect;
use paralith::error::NodeError;
use paralith::links::endpoint::Trust;
use paralith::network::MEDIATOR;
use paralith::systems::private_contract::client::{ContractClient, MemberClient};
use paralith_crypto::SigningKey;
use paralith_policy::Certificate;
use paralith_private_contract_messages::ContractId;
use paralith_runtime_abi as abi;
use paralith_types::Amount;

use crate::session::{Contract, Session};

pub(crate) struct Sender {
    pub(crate) client: ContractClient,
    key: SigningKey,
    certificate: Certificate,
    id: ContractId,
    /// The member that keeps its contents; none: they are withheld.
    member: Option<MemberClient>,
}

/// A call that was taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) seq: u64,
    /// The key set to which it was sealed.
    pub(crate) keys_version: u64,
}

impl Sender {
    /// Seals a call to the newest keys, has it kept, and submits it.
    pub(crate) async fn send(&mut self, call: &abi::Call) -> Result<Sent, NodeError> {
        let sender = self.key.public();
        let mut tx = self.client.seal(self.id, &sender, call, None).await?;
        if let Some(member) = &mut self.member {
            let height = self.client.chain.sync().await?.0;
            tx.store_at(member, &self.key, &self.certificate, height).await?;
        }
        let certificate = self.certificate.clone();
        let seq = self.client.submit(&self.key, certificate, &tx, Amount::ZERO).await?;
        Ok(Sent { seq, keys_version: tx.keys_version })
    }
}

impl Session {
    /// A test account that sends to a contract; the member at this place keeps its contents.
    pub(crate) async fn sender(
        &mut self,
        name: &str,
        contract: &Contract,
        at: Option<usize>,
    ) -> Sender {
        let key = account_key(name);
        let certificate = self.certificate(&contract.id, key.public(), |_| {}).await;
        let client = connect(&self.net.node).await.unwrap();
        let client = ContractClient::new(client, MEDIATOR).await.unwrap();
        let member = match at {
            Some(place) => {
                let (url, chain) = (&self.net.members[place].url, client.chain.chain_context());
                Some(MemberClient::connect(url, &Trust::System, chain).await.unwrap())
            }
            None => None,
        };
        Sender { client, key, certificate, id: contract.id, member }
    }
}
