//! Opens the outputs of a final round.
//!
//! The fork-and-clone attack ends here: of all executions on one state only the one whose results are
//! final opens. There is one output for each leaf, the block's own leaf included.

use std::collections::BTreeMap;

use paralith_proto::Wire;
use paralith_runtime_api::output::{IoLeaf, OpenedOutput, SealedOutput, io_root};
use paralith_tee_channel::{Callbacks, pb};
use paralith_types::{Hash, Round};

use super::error::EnclaveError;
use super::read::final_header;
use super::sealer::{RoundContext, Sealer};
use super::session::{Session, newest};

/// Opens the outputs of a final round.
pub(crate) fn release(
    session: &Session,
    callbacks: &Callbacks,
    call: pb::Release,
) -> Result<pb::Released, EnclaveError> {
    let leaves: Vec<IoLeaf> = Wire::from_pb(call.leaves)?;
    let outputs: Vec<SealedOutput> = Wire::from_pb(call.outputs)?;
    let (header, sealer) = {
        let mut view = session.view();
        let header = final_header(session, callbacks, &mut view, Round(call.round))?;
        let at = newest(&view, callbacks);
        let runtime = at.runtime(&session.runtime_id)?;
        let keys = session.keys(&at, &runtime)?;
        (header, session.sealer(keys.as_ref()))
    };
    if io_root(&leaves) != header.io_root {
        return Err(EnclaveError::BadOutputs(
            "the leaves are not under the round's I/O root".into(),
        ));
    }
    let context = RoundContext::of_final(&header);
    let by_tx: BTreeMap<Hash, &IoLeaf> = leaves.iter().map(|leaf| (leaf.tx_hash, leaf)).collect();
    let opened = outputs
        .into_iter()
        .map(|output| open(sealer.as_ref(), &context, &by_tx, output).map(|output| output.to_pb()))
        .collect::<Result<_, _>>()?;
    Ok(pb::Released { outputs: opened })
}

fn open(
    sealer: Option<&Sealer>,
    context: &RoundContext,
    leaves: &BTreeMap<Hash, &IoLeaf>,
    output: SealedOutput,
) -> Result<OpenedOutput, EnclaveError> {
    let SealedOutput { tx_hash, sealed } = output;
    let bad = |what: &str| EnclaveError::BadOutputs(format!("transaction {tx_hash}: {what}"));
    let leaf = leaves.get(&tx_hash).ok_or_else(|| bad("it is not in the round"))?;
    let (blinding, output) = match sealer {
        None => (Hash::ZERO, sealed),
        Some(sealer) => {
            let plaintext = sealer
                .open_output(context, &tx_hash, &sealed)
                .map_err(|_| bad("it does not open as an output of this round"))?;
            let (blinding, output) =
                plaintext.split_first_chunk().ok_or_else(|| bad("it is too short"))?;
            (Hash(*blinding), output.to_vec())
        }
    };
    let opened = OpenedOutput { tx_hash, blinding, output };
    if opened.matches(leaf) {
        Ok(opened)
    } else {
        Err(bad("the round's leaf is of another output"))
    }
}
