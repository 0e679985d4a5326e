//! What reads final roots: `check`, `query` and `reveal`.

use paralith_consensus_api::registry::Runtime;
use paralith_consensus_api::roothash::Header;
use paralith_crypto::hash::{Domain, hash};
use paralith_keymanager_core::RuntimeKeys;
use paralith_proto::{Canonical, Wire};
use paralith_runtime_abi as abi;
use paralith_runtime_api::EnvelopeError;
use paralith_runtime_api::envelope::{Info, seal_reply};
use paralith_runtime_api::output::{Output, SealedReply};
use paralith_runtime_api::query::Query;
use paralith_runtime_api::state::has_public_entries;
use paralith_runtime_api::tx::Body;
use paralith_tee_channel::{Callbacks, ChainView, Failure, pb};
use paralith_types::{Epoch, Hash, Height, Round};

use super::error::EnclaveError;
use super::guest::Guest;
use super::proven_state::{PinnedState, context};
use super::sealer::{Sealer, Seeds};
use super::session::{Session, newest};
use super::state::RoundState;
use super::timers;
use super::transaction::{self, Opener, abi_call, output, refused};
use paralith_runtime_vm::Export;
use paralith_runtime_vm::limits::MAX_HANDLE_BYTES;

/// Most gas of a query and of `reveal`.
pub const READ_GAS: u64 = 5_000_000_000;

const PUBLIC_SEED: Domain = Domain::new("paralith/host-public-read-seed/v1");

/// A final root and what is needed to read it.
struct Final {
    runtime: Runtime,
    /// The round that led to the root.
    round: Round,
    root: Hash,
    epoch: Epoch,
    height: Height,
    keys: Option<RuntimeKeys>,
    /// Whether calls may read consensus state, at `height`.
    with_consensus: bool,
}

/// The newest final root.
fn newest_root(session: &Session, callbacks: &Callbacks) -> Result<Final, EnclaveError> {
    session.with_view(callbacks, |view, callbacks| {
        let at = newest(view, callbacks);
        let runtime = at.runtime(&session.runtime_id)?;
        let state = at.runtime_state(&session.runtime_id)?;
        Ok(Final {
            keys: session.keys(&at, &runtime)?,
            runtime,
            round: state.last_normal_round,
            root: state.last_block.state_root,
            epoch: at.epoch()?.epoch,
            height: at.height,
            with_consensus: true,
        })
    })
}

/// The header of a round with results. If it is not known here, the chain may have gone on since:
/// it is followed to its newest block before the answer is no.
pub(crate) fn final_header(
    session: &Session,
    callbacks: &Callbacks,
    view: &mut ChainView,
    round: Round,
) -> Result<Header, EnclaveError> {
    let known = view.app_hash(view.proven_height()).is_some();
    if known {
        let header = newest(view, callbacks).normal_header(&session.runtime_id, round)?;
        if let Some(header) = header {
            return Ok(header);
        }
    }
    view.sync_to_newest(callbacks)?;
    let header = newest(view, callbacks).normal_header(&session.runtime_id, round)?;
    header.ok_or(EnclaveError::NotFinal { round: round.0 })
}

impl Final {
    fn opener<'a>(&'a self, session: &'a Session) -> Opener<'a> {
        Opener {
            chain: &session.chain,
            runtime: &self.runtime,
            epoch: self.epoch,
            keys: self.keys.as_ref(),
            known: &session.known,
        }
    }

    /// Runs calls on this root.
    fn on_root<T>(
        &self,
        session: &Session,
        callbacks: &Callbacks,
        sealer: Option<&Sealer>,
        run: impl FnOnce(&mut Guest<'_>) -> Result<T, EnclaveError>,
    ) -> Result<T, EnclaveError> {
        let module = session.module(&self.runtime)?;
        let mut kept = session.reads.take();
        let tree = kept.at(callbacks, self.round, self.root);
        let state = RoundState::new(tree, sealer, has_public_entries(&self.runtime));
        let (seed, secret) = match sealer {
            Some(sealer) => {
                let seed = sealer.read_seed(&self.root);
                let seed = seed.ok_or_else(|| super::state::missing(0))?;
                (seed, Some(sealer.guest_secret()))
            }
            None => (hash(PUBLIC_SEED, &[self.root.as_bytes()]).0, None),
        };
        let seeds = Seeds { block: seed, transactions: seed };
        let (chain, runtime) = (&session.chain, &self.runtime);
        let context = context(chain, runtime, self.round, self.epoch.0, self.height, None);
        let mut guest = Guest::new(module, state, context, seeds, secret, 0);
        let consensus = PinnedState { view: &session.view, callbacks, height: self.height };
        guest.consensus = self.with_consensus.then_some(consensus);
        let result = run(&mut guest);
        drop(guest);
        kept.read(&result);
        result
    }
}

/// When the runtime wants its next round, by the newest final root.
pub(crate) fn wake_height(
    session: &Session,
    callbacks: &Callbacks,
) -> Result<Option<u64>, EnclaveError> {
    let root = newest_root(session, callbacks)?;
    // Without code nothing runs, and nothing asked for anything.
    if session.module(&root.runtime).is_err() {
        return Ok(None);
    }
    let sealer = session.sealer(root.keys.as_ref());
    root.on_root(session, callbacks, sealer.as_ref(), |guest| timers::wake_height(&mut guest.state))
}

/// Which of these transactions would be authenticated on the newest final root.
pub(crate) fn check(
    session: &Session,
    callbacks: &Callbacks,
    transactions: &[Vec<u8>],
) -> Result<Vec<u8>, EnclaveError> {
    let root = newest_root(session, callbacks)?;
    let sealer = session.sealer(root.keys.as_ref());
    let opener = root.opener(session);
    let results = root.on_root(session, callbacks, sealer.as_ref(), |guest| {
        let check = |raw: &Vec<u8>| Ok(transaction::check(guest, &opener, raw)?.to_pb());
        transactions.iter().map(check).collect::<Result<Vec<_>, EnclaveError>>()
    })?;
    Ok(paralith_proto::Message::encode_to_vec(&pb::CheckResults { results }))
}

/// Answers a query on the newest final root.
pub(crate) fn query(
    session: &Session,
    callbacks: &Callbacks,
    call: pb::RunQuery,
) -> Result<pb::Answer, EnclaveError> {
    let query: Query = paralith_proto::required(call.query, "query")?;
    if (query.chain_context, query.runtime_id) != (session.chain, session.runtime_id) {
        return Err(refusal("paratime", 4, "the query is for another chain or runtime"));
    }
    let sender =
        query.verified_sender().map_err(|error| refusal("paratime", error.code(), error))?;
    // EN-17: the newest final root at the newest proven height.
    let root = newest_root(session, callbacks)?;
    let opener = root.opener(session);
    let answer = |output: Vec<u8>| pb::Answer {
        round: root.round.0,
        state_root: root.root.as_bytes().to_vec(),
        output,
        height: root.height.0,
    };
    if let Err(error) = opener.admit(&query.body) {
        return Ok(answer(refused("paratime", error.code(), &error).encode()));
    }
    let (call, reply_key) = match &query.body {
        Body::Call(call) => (call.clone(), None),
        Body::Envelope(sealed) => {
            let (chain, id) = (session.chain, session.runtime_id);
            let info = Info::query(chain, id, sealed.epoch, sender.as_ref());
            // There is no key to seal an answer with.
            let (call, reply_key) = opener
                .open_envelope(&info, sealed)?
                .map_err(|error| refusal(EnvelopeError::MODULE, error.code(), error))?;
            (call, Some(reply_key))
        }
    };
    let caller =
        sender.map(|key| paralith_consensus_api::address::of_key(&key).as_bytes().to_vec());
    let sealer = session.sealer(root.keys.as_ref());
    let output = root.on_root(session, callbacks, sealer.as_ref(), |guest| {
        let context = guest.context.clone();
        let caller = caller.unwrap_or_default();
        let request = abi::QueryRequest { context, call: abi_call(call), caller };
        Ok(output(guest.call(Export::Query, &request, READ_GAS)?.outcome).encode())
    })?;
    Ok(answer(match reply_key {
        None => output,
        Some(key) => {
            let sealed = seal_reply(&key, &query.hash(), root.round, &root.root, &output);
            SealedReply { sealed }.encode()
        }
    }))
}

/// Reveals what a final round asked to reveal. Everything that goes in is a function of that
/// round, so every enclave gives the same bytes. (The epoch is not: the guest sees 0.)
pub(crate) fn reveal(
    session: &Session,
    callbacks: &Callbacks,
    call: pb::Reveal,
) -> Result<pb::Answer, EnclaveError> {
    let round = Round(call.round);
    let not_found = EnclaveError::IntentNotFound { round: round.0 };
    if call.handle.len() > MAX_HANDLE_BYTES {
        return Err(not_found);
    }
    let (root, proven_at) = session.with_view(callbacks, |view, callbacks| {
        let header = final_header(session, callbacks, view, round)?;
        let at = newest(view, callbacks);
        let runtime = at.runtime(&session.runtime_id)?;
        let root = Final {
            keys: session.keys(&at, &runtime)?,
            runtime,
            round,
            root: header.state_root,
            epoch: Epoch(0),
            height: header.consensus_height,
            // That state may be gone, and every enclave must give the same bytes.
            with_consensus: false,
        };
        Ok((root, at.height))
    })?;
    let sealer = session.sealer(root.keys.as_ref());
    let output: Output = root.on_root(session, callbacks, sealer.as_ref(), |guest| {
        let intent = [abi::REVEAL_INTENT_PREFIX, &call.handle].concat();
        // EN-18: only what that very round asked for.
        if guest.state.read(&intent)? != Some(round.0.to_be_bytes().to_vec()) {
            return Err(not_found);
        }
        let request =
            abi::RevealRequest { context: guest.context.clone(), handle: call.handle.clone() };
        Ok(output(guest.call(Export::Reveal, &request, READ_GAS)?.outcome))
    })?;
    Ok(pb::Answer {
        round: round.0,
        state_root: root.root.as_bytes().to_vec(),
        output: output.encode(),
        height: proven_at.0,
    })
}

fn refusal(module: &str, code: u32, message: impl ToString) -> EnclaveError {
    EnclaveError::Refused(Failure::new(module, code, message))
}
