//! Transactions to the consensus layer: gas, fee, nonce, and when to try again.

use paralith_consensus_api::event::Event;
use paralith_consensus_api::tx::{Body, Fee, Transaction, hash_of};
use paralith_consensus_api::{address, consensus, staking};
use paralith_crypto::SigningKey;
use paralith_proto::{Canonical, Wire, pb};
use paralith_types::{Amount, Hash, Height, Retry};

use crate::chain::{ChainClient, service};
use crate::error::{ClientError, refused, unverifiable};

/// Most gas that a transaction is given without the user's word, whatever the node estimates: an
/// estimate is the node's claim, and a high one costs the sender a higher fee.
const MAX_GAS: u64 = 10_000_000;

/// How often a transaction is signed again with a later nonce.
const NONCE_TRIES: u32 = 16;

/// What the sender of a transaction pays. What is not given is estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TxOptions {
    /// Most gas that it may use.
    pub gas_limit: Option<u64>,
    /// The fee, in base units; by default the least that the chain takes for the gas limit.
    pub fee: Option<Amount>,
}

/// What a transaction gave, as the node says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Included {
    /// Identifies the transaction.
    pub hash: Hash,
    /// The block.
    pub height: Height,
    /// Gas charged.
    pub gas_used: u64,
    /// Gas that was allowed.
    pub gas_limit: u64,
    /// The fee that was paid.
    pub fee: Amount,
    /// Its events.
    pub events: Vec<Event>,
}

impl ChainClient {
    /// The gas that a transaction of this sender would use on the node's newest state. The node's
    /// claim; a transaction that would fail is refused with the reason.
    pub async fn estimate_gas(
        &mut self,
        key: &SigningKey,
        nonce: u64,
        body: &Body,
    ) -> Result<u64, ClientError> {
        let fee = Fee { amount: Amount::ZERO, gas_limit: MAX_GAS };
        let transaction = Transaction::new(self.chain_context(), nonce, fee, body);
        let request = pb::consensus::v1::EstimateGasRequest {
            public_key: key.public().as_bytes().to_vec(),
            transaction: transaction.encode(),
        };
        let answer = service(&self.channel()).estimate_gas(request).await;
        Ok(answer.map_err(|status| refused(&status))?.into_inner().gas)
    }

    /// Gas limit and fee of a transaction: those of the options, or estimated with a margin, because
    /// state may change until it runs.
    pub async fn price(
        &mut self,
        key: &SigningKey,
        nonce: u64,
        body: &Body,
        options: TxOptions,
    ) -> Result<Fee, ClientError> {
        let gas_limit = match options.gas_limit {
            Some(limit) => limit,
            None => {
                let gas = self.estimate_gas(key, nonce, body).await?;
                // LC-11: the node's word, with a margin and a bound.
                gas.saturating_add(gas / 4).saturating_add(1).min(MAX_GAS)
            }
        };
        let amount = match options.fee {
            Some(fee) => fee,
            None => {
                let params: consensus::Params = self.require(&consensus::keys::params()).await?;
                let gas = Amount(u128::from(gas_limit));
                let least = params.min_gas_price.mul_div(gas, Amount(1));
                least.map_err(|e| ClientError::internal(&e))?
            }
        };
        Ok(Fee { amount, gas_limit })
    }

    /// Signs a transaction with the signer's next nonce, sends it and waits for its block.
    pub async fn submit(
        &mut self,
        key: &SigningKey,
        body: impl Into<Body>,
        options: TxOptions,
    ) -> Result<Included, ClientError> {
        let body = body.into();
        let account = address::of_key(&key.public());
        let account: staking::Account =
            self.get(&staking::keys::account(&account)).await?.unwrap_or_default();
        let mut nonce = account.nonce;
        let fee = self.price(key, nonce, &body, options).await?;
        let mut tries = 0;
        let (hash, result) = loop {
            let tx = Transaction::new(self.chain_context(), nonce, fee.clone(), &body);
            let transaction = tx.sign(key).encode();
            let hash = hash_of(&transaction);
            let request = pb::consensus::v1::SubmitRequest { transaction };
            let error = match service(&self.channel()).submit_and_wait(request).await {
                Ok(result) => break (hash, result.into_inner()),
                Err(status) => refused(&status),
            };
            tries += 1;
            match later_nonce(&error, nonce) {
                Some(later) if tries < NONCE_TRIES => nonce = later,
                _ => return Err(error),
            }
        };
        if result.code != 0 {
            let error = paralith_types::Error::new(&result.module, result.code, result.message);
            return Err(ClientError::Refused(error));
        }
        let events: Result<Vec<Event>, _> = result.events.into_iter().map(Wire::from_pb).collect();
        Ok(Included {
            hash,
            height: Height(result.height),
            gas_used: result.gas_used,
            gas_limit: fee.gas_limit,
            fee: fee.amount,
            events: events.map_err(|e| unverifiable(&e))?,
        })
    }
}

/// The nonce to sign again with: the signer's last transaction is in a block whose state no header
/// proves yet, or waits in the pool, and this one comes after it. A node that names an earlier nonce
/// than the proven one is not followed.
fn later_nonce(error: &ClientError, signed: u64) -> Option<u64> {
    match error {
        ClientError::Refused(error) => match error.retry {
            // LC-12: an earlier nonce would have this client sign a transaction twice.
            Retry::NonceIs { nonce } if nonce > signed => Some(nonce),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use paralith_types::Error;

    #[test]
    fn only_a_later_nonce_of_the_refusal_itself_is_followed() {
        let refusal = |retry| {
            ClientError::Refused(Error::new("consensus", 1, "the next is 99").with_retry(retry))
        };
        assert_eq!(later_nonce(&refusal(Retry::NonceIs { nonce: 7 }), 3), Some(7));
        assert_eq!(later_nonce(&refusal(Retry::NonceIs { nonce: 3 }), 3), None);
        assert_eq!(later_nonce(&refusal(Retry::NonceIs { nonce: 2 }), 3), None);
        assert_eq!(later_nonce(&refusal(Retry::Later), 3), None, "the text says nothing");
        assert_eq!(later_nonce(&refusal(Retry::Never), 3), None);
    }
}
