//! What the ledger's descriptor sets.

use paralith_chaincode_messages::order::Refusal;
use paralith_chaincode_messages::state::CONFIG_KEY;
use paralith_sdk::{Address, Amount, Call, Context, Json, Result, args};
use serde::{Deserialize, Serialize};

use crate::refused;

/// The argument of `init`, as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// How long the record of a commit is kept after its `valid_until`: as long, results can be
    /// released.
    pub(crate) retention_blocks: u64,
    /// Who may take the fees.
    #[serde(default)]
    pub(crate) collector: Option<Address>,
    /// What a call pays.
    #[serde(default)]
    pub(crate) fees: Fees,
}

/// Least fee of a call: the sum of these.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Fees {
    /// For each call.
    pub(crate) base: Amount,
    /// For each byte of the arguments.
    pub(crate) byte: Amount,
    /// For each endorsement, whose signature is verified.
    pub(crate) endorsement: Amount,
    /// For each write.
    pub(crate) write: Amount,
}

pub(crate) fn init(ctx: &mut Context, argument: &[u8]) -> Result<()> {
    let call = Call { method: "init".into(), args: argument.to_vec() };
    let config: Config = args(&call)?;
    ctx.set(CONFIG_KEY, &Json(config));
    Ok(())
}

pub(crate) fn config(ctx: &Context) -> Result<Config> {
    let config: Option<Json<Config>> = ctx.get(CONFIG_KEY)?;
    let missing = || paralith_sdk::SdkError::CorruptState { what: "the ledger's configuration" };
    config.map(|Json(config)| config).ok_or_else(|| missing().into())
}

impl Fees {
    /// Refuses if the transaction's fee, which was taken, is lower than what it should be.
    pub(crate) fn check(
        &self,
        ctx: &Context,
        bytes: usize,
        endorsements: usize,
        writes: usize,
    ) -> Result<()> {
        let times = |price: Amount, count: usize| price.0.saturating_mul(count as u128);
        let due = times(self.base, 1)
            .saturating_add(times(self.byte, bytes))
            .saturating_add(times(self.endorsement, endorsements))
            .saturating_add(times(self.write, writes));
        let offered = ctx.fee()?;
        if offered.0 < due {
            let text = format!("the fee is {offered}, this call takes at least {due}");
            return Err(refused(&Refusal::Money(text)));
        }
        Ok(())
    }
}
