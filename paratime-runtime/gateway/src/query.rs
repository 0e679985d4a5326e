//! Questions of users.

use paralith_proto::pb::host::v1::Answer;
use paralith_proto::pb::paratime::v1::Receipt;
use paralith_runtime_api::query::Query;
use paralith_types::{Hash, Round, RuntimeId};

use crate::retry::RetryBudget;
use crate::{Gateway, GatewayError};

impl Gateway {
    /// Answers a query. While no member can answer, they are asked again for a while.
    pub async fn query(&self, query: &Query) -> Result<Answer, GatewayError> {
        let mut budget = RetryBudget::new(self.chain.as_ref());
        loop {
            match self.ask(query).await {
                Err(error) if budget.allows(error.retry()).await => {}
                answered => return answered,
            }
        }
    }

    /// Asks the members of the committee in turn, until one answers that has the newest state known
    /// here: a user that has seen a round final does not get an answer from before it.
    async fn ask(&self, query: &Query) -> Result<Answer, GatewayError> {
        let mut last = GatewayError::NoMember;
        let newest = self.newest_state(&query.runtime_id).await?;
        for member in self.members(&query.runtime_id).await? {
            match self.members.run_query(member, query.clone()).await {
                // RD-27: no older state than a user may have seen final here.
                Ok(answer) if answer.round < newest.0 => last = GatewayError::Behind,
                Ok(answer) => return Ok(answer),
                Err(error) => last = error.into(),
            }
        }
        Err(last)
    }

    /// What a final round asked to reveal.
    pub async fn reveal(
        &self,
        id: &RuntimeId,
        round: Round,
        handle: Vec<u8>,
    ) -> Result<Answer, GatewayError> {
        let mut last = GatewayError::NoMember;
        for member in self.members(id).await? {
            match self.members.reveal(member, *id, round, handle.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(error) => last = error.into(),
            }
        }
        Err(last)
    }

    /// The receipt of a transaction that is final.
    pub async fn receipt(&self, id: &RuntimeId, tx: &Hash) -> Result<Receipt, GatewayError> {
        if let Some(receipt) = self.members.own_receipt(id, tx)? {
            return Ok(receipt);
        }
        for member in self.members(id).await? {
            if let Ok(round) = self.members.find_round(member, *id, *tx).await
                && let Some(receipt) = self.receipt_in(id, round, tx).await
            {
                return Ok(receipt);
            }
        }
        Err(GatewayError::NoReceipt)
    }

    /// The receipt of a transaction in a round that somebody names; none if it is not there.
    pub(crate) async fn receipt_in(
        &self,
        id: &RuntimeId,
        round: Round,
        tx: &Hash,
    ) -> Option<Receipt> {
        // Nobody is believed about a round that is not known here yet.
        if round > self.newest_round(id).await.ok()? {
            return None;
        }
        self.round(id, round).await.ok()?.receipt(tx)
    }
}
