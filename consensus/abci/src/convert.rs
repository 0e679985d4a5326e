//! CometBFT's types to ours and back. Nothing else in the workspace does that.

use bytes::Bytes;
use paralith_consensus_api::event::Event;
use paralith_consensus_app::{
    BlockInput, BlockOutput, Misbehaviour, Proven, TxOutcome, ValidatorUpdate,
};
use paralith_types::{Hash, Height};
use tendermint::abci::types::{ExecTxResult, Misbehavior};
use tendermint::abci::{Code, EventAttribute, request, response};
use tendermint::merkle::proof::{ProofOp, ProofOps};
use tendermint::{AppHash, Time, account, block, validator, vote};

/// A height as CometBFT writes it; none for heights that it cannot have.
pub fn height_to(height: Height) -> Option<block::Height> {
    height.0.try_into().ok()
}

/// A height as we write it.
pub fn height_from(height: block::Height) -> Height {
    Height(height.value())
}

/// Seconds since 1970; times before that are 0.
pub fn seconds(time: Time) -> u64 {
    u64::try_from(time.unix_timestamp()).unwrap_or(0)
}

/// A root as CometBFT carries it.
pub fn app_hash_to(hash: &Hash) -> AppHash {
    // Any bytes are an app hash.
    AppHash::try_from(hash.as_bytes().to_vec()).unwrap_or_default()
}

/// A decided block.
pub fn finalize_from(request: request::FinalizeBlock) -> BlockInput {
    block_input(
        request.height,
        request.time,
        request.proposer_address,
        request.txs,
        &request.misbehavior,
    )
}

/// A proposed block.
pub fn proposal_from(request: request::ProcessProposal) -> BlockInput {
    block_input(
        request.height,
        request.time,
        request.proposer_address,
        request.txs,
        &request.misbehavior,
    )
}

fn block_input(
    height: block::Height,
    time: Time,
    proposer: account::Id,
    txs: Vec<Bytes>,
    misbehaviour: &[Misbehavior],
) -> BlockInput {
    let mut address = [0; 20];
    address.copy_from_slice(proposer.as_bytes());
    BlockInput {
        height: height_from(height),
        time_seconds: seconds(time),
        proposer: address,
        txs: txs.into_iter().map(Vec::from).collect(),
        misbehaviour: misbehaviour
            .iter()
            .map(|m| Misbehaviour { validator: m.validator.address, height: height_from(m.height) })
            .collect(),
    }
}

/// What a block did. Fails if a validator's power is more than CometBFT can count.
pub fn finalize_to(output: &BlockOutput) -> Result<response::FinalizeBlock, String> {
    Ok(response::FinalizeBlock {
        events: output.events.iter().map(event_to).collect(),
        tx_results: output.txs.iter().map(result_to).collect(),
        validator_updates: updates_to(&output.validator_updates)?,
        consensus_param_updates: None,
        app_hash: app_hash_to(&output.app_hash),
    })
}

/// Changes of the validator set.
pub fn updates_to(updates: &[ValidatorUpdate]) -> Result<Vec<validator::Update>, String> {
    updates.iter().map(update_to).collect()
}

fn update_to(update: &ValidatorUpdate) -> Result<validator::Update, String> {
    let key = update.consensus_key;
    let pub_key = tendermint::PublicKey::from_raw_ed25519(key.as_bytes())
        .ok_or_else(|| format!("{key} is no Ed25519 key"))?;
    let power = vote::Power::try_from(update.power)
        .map_err(|_| format!("the power {} of {key} is too large", update.power))?;
    Ok(validator::Update { pub_key, power })
}

/// What became of a transaction in a block.
pub fn result_to(outcome: &TxOutcome) -> ExecTxResult {
    ExecTxResult {
        code: Code::from(outcome.code),
        log: outcome.message.clone(),
        gas_wanted: gas_to(outcome.gas_limit),
        gas_used: gas_to(outcome.gas_used),
        events: outcome.events.iter().map(event_to).collect(),
        codespace: outcome.module.clone(),
        ..ExecTxResult::default()
    }
}

/// What the pool says of a transaction.
pub fn check_to(outcome: &TxOutcome) -> response::CheckTx {
    response::CheckTx {
        code: Code::from(outcome.code),
        log: outcome.message.clone(),
        gas_wanted: gas_to(outcome.gas_limit),
        gas_used: gas_to(outcome.gas_used),
        codespace: outcome.module.clone(),
        ..response::CheckTx::default()
    }
}

/// A value with its proof.
pub fn query_to(proven: Proven, key: &[u8], prove: bool) -> response::Query {
    let op = ProofOp { field_type: PROOF_TYPE.to_string(), key: key.to_vec(), data: proven.proof };
    response::Query {
        key: key.to_vec().into(),
        value: proven.value.unwrap_or_default().into(),
        proof: prove.then(|| ProofOps { ops: vec![op] }),
        height: height_to(proven.height).unwrap_or_default(),
        ..response::Query::default()
    }
}

fn event_to(event: &Event) -> tendermint::abci::Event {
    let body: EventAttribute = ("body", hex::encode(&event.body), true).into();
    tendermint::abci::Event::new(event.kind.clone(), [body])
}

/// CometBFT counts gas signed. Not part of consensus between its kinds of node: saturates.
fn gas_to(gas: u64) -> i64 {
    i64::try_from(gas).unwrap_or(i64::MAX)
}

/// The type of our proofs in CometBFT's list of proof operations.
pub const PROOF_TYPE: &str = "paralith:state";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_gas_and_events_arrive() {
        let event =
            Event { kind: "staking.Transferred".into(), body: vec![1, 255], tx_index: Some(0) };
        let outcome = TxOutcome {
            module: "staking".into(),
            code: 7,
            message: "why".into(),
            retry: Default::default(),
            gas_used: 3,
            gas_limit: u64::MAX,
            events: vec![event],
        };
        let result = result_to(&outcome);
        assert_eq!((u32::from(result.code), result.codespace.as_str()), (7, "staking"));
        assert_eq!((result.gas_used, result.gas_wanted), (3, i64::MAX));
        assert_eq!(result.log, "why");
        let event = &result.events[0];
        assert_eq!(event.kind, "staking.Transferred");
        let attribute = &event.attributes[0];
        assert_eq!((attribute.key_bytes(), attribute.value_bytes()), (&b"body"[..], &b"01ff"[..]));
        assert!(attribute.index());
        let check = check_to(&outcome);
        assert_eq!((u32::from(check.code), check.codespace.as_str()), (7, "staking"));
    }

    #[test]
    fn a_power_that_comet_cannot_count_is_an_error() {
        let key = paralith_types::PublicKey([0x58; 32]);
        let update = |power| updates_to(&[ValidatorUpdate { consensus_key: key, power }]);
        assert!(update(u64::MAX).is_err());
        assert_eq!(update(0).map(|u| u.len()), Ok(1));
    }
}
