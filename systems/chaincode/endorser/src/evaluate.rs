//! `Evaluate` and `Reveal`: answers from final states. Neither gives anything that could be committed.

use paralith_chaincode_core::EndorseError;
use paralith_chaincode_core::endorse::{Me, is_certified};
use paralith_chaincode_messages::state::revoked_key;
use paralith_chaincode_messages::{METHOD_INIT, METHOD_MIGRATE};
use paralith_policy::Certificate;
use paralith_proto::Canonical;
use paralith_runtime_abi as abi;
use paralith_runtime_api::envelope::{Info, open_call, seal_reply};
use paralith_runtime_api::output::{Output, SealedReply};
use paralith_runtime_api::query::Query;
use paralith_runtime_api::tx::{Body, Call};
use paralith_runtime_enclave::{Application, At, EnclaveError, READ_GAS, Sealer, StateTree};
use paralith_runtime_vm::Export;
use paralith_runtime_vm::limits::MAX_HANDLE_BYTES;
use paralith_types::{Epoch, Hash, Height, PublicKey, Round};
use prost::Message as _;

use crate::calls::{Answered, EvaluateRequest, MAX_QUERY_BYTES, RevealRequest};
use crate::proven::{self, Newest};
use crate::refused;
use crate::release::{committed, record_of};
use crate::run::{Run, run};
use crate::state::CallState;

/// Answers a sealed query on the newest final state.
pub(crate) fn evaluate(
    application: &Application,
    request: &EvaluateRequest,
) -> Result<Answered, EnclaveError> {
    let me = proven::me(application)?;
    let (query, sender) = query(&me, request)?;
    reach(application, Height(request.at_least))?;
    let newest = proven::newest(application, &me)?;
    certified(application, &me, &newest, request, sender.as_ref())?;
    let Body::Envelope(envelope) = &query.body else {
        return Err(refused(EndorseError::Form("a query to chaincode is sealed".into())));
    };
    let (current, got) = (newest.epoch, envelope.epoch);
    if got > current || current.0.saturating_sub(got.0) > 1 {
        return Err(refused(EndorseError::Epoch { current, got }));
    }
    let cannot = |reason: String| refused(EndorseError::CannotOpen { reason });
    let secret = newest.keys.epoch_key(got);
    let secret = secret.ok_or_else(|| cannot(format!("this enclave has no key of epoch {got}")))?;
    let info = Info::query(me.chain, me.application, got, sender.as_ref());
    let plaintext = open_call(secret, &info, envelope).map_err(|e| cannot(e.to_string()))?;
    let (round, root) = (newest.state.last_normal_round, newest.state.last_block.state_root);
    let reader = Reader { application, newest: &newest, round, root };
    let output = reader.query(&me, plaintext.call, sender)?;
    let subject = query.hash();
    let sealed = seal_reply(&plaintext.reply_key, &subject, round, &root, &output.encode());
    Ok(reader.answered(SealedReply { sealed }.encode()))
}

/// The query and its sender.
fn query(me: &Me, request: &EvaluateRequest) -> Result<(Query, Option<PublicKey>), EnclaveError> {
    let form = |e: &dyn std::fmt::Display| refused(EndorseError::Form(e.to_string()));
    let query = Query::decode(&request.query, MAX_QUERY_BYTES).map_err(|e| form(&e))?;
    if query.chain_context != me.chain {
        return Err(refused(EndorseError::Chain));
    }
    if query.runtime_id != me.application {
        let (mine, got) = (me.application, query.runtime_id);
        return Err(refused(EndorseError::Application { mine, got }));
    }
    let sender = query.verified_sender().map_err(|_| refused(EndorseError::Signature))?;
    Ok((query, sender))
}

/// Follows the chain to the height that the client has seen. A host that shows no more blocks gets no
/// answer for it.
fn reach(application: &Application, at_least: Height) -> Result<(), EnclaveError> {
    let proven = || application.prove(|view, _| Ok(view.proven_height()));
    if proven()? >= at_least {
        return Ok(());
    }
    // Whatever the host shows instead, the height decides.
    let _ = application.prove(|view, callbacks| Ok(view.sync_to_newest(callbacks)?));
    match proven()? >= at_least {
        true => Ok(()),
        false => Err(refused(EndorseError::AnchorUnproven { anchor: at_least })),
    }
}

fn certified(
    application: &Application,
    me: &Me,
    newest: &Newest,
    request: &EvaluateRequest,
    sender: Option<&PublicKey>,
) -> Result<(), EnclaveError> {
    let definition = &newest.definition;
    let decode = |bytes: &Vec<u8>| Certificate::decode(bytes);
    let certificate = request.certificate.as_ref().map(decode).transpose();
    let certificate =
        certificate.map_err(|e| refused(EndorseError::Issuer { reason: e.to_string() }))?;
    let check = |revoked| {
        is_certified(me, definition, certificate.as_ref(), sender, newest.height, revoked)
            .map_err(refused)
    };
    check(false)?;
    let Some(certificate) = &certificate else { return Ok(()) };
    let key = revoked_key(&me.application, &certificate.issuer, certificate.serial);
    let (round, root) = (newest.state.last_normal_round, newest.state.last_block.state_root);
    check(application.with_tree(round, root, |tree| Ok(tree.get(&key)?.is_some()))?)
}

/// Reveals what a committed call asked to reveal. Everything that goes in is a function of the round
/// that committed it, so every enclave gives the same bytes. (The epoch is not: the module sees 0.)
pub(crate) fn reveal(
    application: &Application,
    request: &RevealRequest,
) -> Result<Answered, EnclaveError> {
    let me = proven::me(application)?;
    let form = |reason: &str| refused(EndorseError::Form(reason.to_string()));
    let tx_id =
        Hash::try_from(request.tx_id.as_slice()).map_err(|_| form("a tx_id has 32 bytes"))?;
    if request.handle.len() > MAX_HANDLE_BYTES {
        return Err(form("the handle is too long"));
    }
    let newest = proven::newest(application, &me)?;
    let (mut newest, record) = committed(application, newest, &tx_id)?;
    let round = Round(record_of(application, record.as_deref())?.version.round);
    let ledger = newest.definition.terms.ledger;
    let header = application.prove(|view, callbacks| {
        let at = At::new(view, callbacks, view.proven_height());
        at.normal_header(&ledger, round)
    })?;
    let header = header.ok_or(EnclaveError::NotFinal { round: round.0 })?;
    let proven_at = newest.height;
    // The height at which the state was newest is not the round's.
    (newest.epoch, newest.height) = (Epoch(0), header.consensus_height);
    let root = header.state_root;
    let reader = Reader { application, newest: &newest, round, root };
    let output = reader.reveal(&tx_id, &request.handle)?;
    Ok(Answered { height: proven_at.0, ..reader.answered(output.encode()) })
}

/// Reads one final state of the ledger.
struct Reader<'a> {
    application: &'a Application,
    newest: &'a Newest,
    round: Round,
    root: Hash,
}

impl Reader<'_> {
    fn answered(&self, output: Vec<u8>) -> Answered {
        Answered {
            round: self.round.0,
            state_root: self.root.as_bytes().to_vec(),
            height: self.newest.height.0,
            output,
        }
    }

    fn query(
        &self,
        me: &Me,
        call: Call,
        sender: Option<PublicKey>,
    ) -> Result<Output, EnclaveError> {
        let address = |key| paralith_consensus_api::address::of_key(&key).as_bytes().to_vec();
        let (context, call) = (self.context(), abi::Call { method: call.method, args: call.args });
        let caller = sender.map(address).unwrap_or_default();
        let request = abi::QueryRequest { context, call, caller }.encode_to_vec();
        self.read(|tree, sealer| {
            let mut state = CallState::new(tree, sealer, me.application, None);
            match state.code_marker()? {
                None => return Err(refused(EndorseError::Due { method: METHOD_INIT })),
                Some(code) if code != me.code.as_bytes() => {
                    return Err(refused(EndorseError::Due { method: METHOD_MIGRATE }));
                }
                Some(_) => {}
            }
            self.call(Export::Query, request, sealer, &mut state, true)
        })
    }

    fn reveal(&self, tx_id: &Hash, handle: &[u8]) -> Result<Output, EnclaveError> {
        let intent = [abi::REVEAL_INTENT_PREFIX, handle].concat();
        let request = abi::RevealRequest { context: self.context(), handle: handle.to_vec() };
        self.read(|tree, sealer| {
            let mut state = CallState::new(tree, sealer, self.application.id(), None);
            // Only what that very call asked for.
            if state.read(&intent)?.as_deref() != Some(tx_id.as_bytes()) {
                return Err(EnclaveError::IntentNotFound { round: self.round.0 });
            }
            // Consensus state of that height may be gone, and every enclave must give the same bytes.
            self.call(Export::Reveal, request.encode_to_vec(), sealer, &mut state, false)
        })
    }

    fn context(&self) -> abi::Context {
        let Newest { runtime, epoch, height, .. } = self.newest;
        self.application.context(runtime, self.round, *epoch, *height, None)
    }

    fn read<T>(
        &self,
        read: impl FnOnce(&mut StateTree<'_>, &Sealer) -> Result<T, EnclaveError>,
    ) -> Result<T, EnclaveError> {
        let sealer = self.newest.keys.sealer();
        self.application.with_tree(self.round, self.root, |tree| read(tree, sealer))
    }

    fn call(
        &self,
        export: Export,
        request: Vec<u8>,
        sealer: &Sealer,
        state: &mut CallState<'_, '_>,
        with_consensus: bool,
    ) -> Result<Output, EnclaveError> {
        let seed = sealer.read_seed(&self.root);
        let seed = seed.ok_or_else(|| EnclaveError::NoKeys("of generation 0".into()))?;
        let consensus = self.application.consensus(self.newest.height);
        let ran = run(
            Run {
                module: self.application.module()?,
                export,
                request,
                gas: READ_GAS,
                seed,
                secret: sealer.guest_secret(),
                round: self.round.0,
                consensus: with_consensus.then_some(consensus),
            },
            state,
        )?;
        Ok(match ran.outcome {
            Ok(_) if ran.exceeded => {
                let error = EndorseError::ResponseTooLarge {
                    limit: self.newest.definition.terms.max_response_bytes,
                };
                let (module, code, message) = ("endorse".into(), error.code(), error.to_string());
                Output::Error(paralith_runtime_api::output::Error { module, code, message })
            }
            Ok(value) => Output::Ok(value),
            Err(error) => Output::Error(error),
        })
    }
}
