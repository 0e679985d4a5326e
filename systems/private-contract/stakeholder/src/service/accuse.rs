//! Tells the mediator of members that signed two verdicts of one batch.

use paralith_private_contract_core::member::{AGAIN_BLOCKS, TURN_BLOCKS};
use paralith_private_contract_core::messages::Canonical;

use super::Stakeholder;
use crate::proven::index_of;
use crate::server::Equivocation;
use crate::{Contract, ServiceError};

/// How often an accusation is submitted that the mediator does not take.
const TRIES: u32 = 5;

/// An accusation under way.
#[derive(Debug)]
pub(super) struct Accusation {
    equivocation: Equivocation,
    /// It is submitted at this height or later.
    from: u64,
    tries: u32,
}

impl Accusation {
    /// Members take turns as they do with votes, so that one of them pays for it.
    fn new(equivocation: Equivocation, contract: &Contract, me: u32) -> Self {
        let members = u64::from(equivocation.members.max(1));
        let turn = equivocation.accuse.batch.checked_rem(members).unwrap_or(0);
        let rank = u64::from(me).saturating_add(members).saturating_sub(turn);
        let rank = rank.checked_rem(members).unwrap_or(0);
        let from = contract.height().saturating_add(rank.saturating_mul(TURN_BLOCKS));
        Self { equivocation, from, tries: 0 }
    }
}

impl Stakeholder {
    /// PC-13: submits what proves that members signed two verdicts, until the mediator has punished them.
    pub(super) async fn accuse(&mut self, contract: &Contract) -> Result<(), ServiceError> {
        for equivocation in self.shared.take_evidence() {
            let (index, batch) = (equivocation.index, equivocation.accuse.batch);
            tracing::warn!(index, batch, "this member signed two verdicts of a batch");
            let definition = contract.definition(equivocation.accuse.version)?.definition;
            if let Some(me) = index_of(&definition.members, &self.keys.account()) {
                self.accusations.push(Accusation::new(equivocation, contract, me));
            }
        }
        let (mut kept, height) = (Vec::new(), contract.height());
        for mut one in std::mem::take(&mut self.accusations) {
            let Equivocation { member, accuse, .. } = &one.equivocation;
            if contract.is_slashed(accuse.version, accuse.batch, member)? {
                continue;
            }
            if height >= one.from {
                one.tries = one.tries.saturating_add(1);
                one.from = height.saturating_add(AGAIN_BLOCKS);
                let submitted = self.outside.mediator.submit("accuse", accuse.encode()).await;
                if let Err(error) = submitted {
                    tracing::info!(%error, batch = accuse.batch, "the accusation was not taken");
                }
            }
            if one.tries < TRIES {
                kept.push(one);
            }
        }
        self.accusations = kept;
        Ok(())
    }
}
