//! `Endorse`: proves, checks, executes, signs.

use paralith_chaincode_core::EndorseError;
use paralith_chaincode_core::endorse::{
    Admitted, AnchorFacts, Facts, Me, Purpose, Received, Snapshot, receive,
};
use paralith_chaincode_core::hashes;
use paralith_chaincode_core::respond::{Accesses, SealedResult};
use paralith_chaincode_messages::state::{revoked_key, runtime_key};
use paralith_chaincode_messages::{Event, Message as _, OpenedOutput};
use paralith_consensus_api::registry::Runtime;
use paralith_consensus_api::roothash::RuntimeState;
use paralith_proto::Canonical;
use paralith_runtime_abi as abi;
use paralith_runtime_api::envelope::{Plaintext, seal_reply};
use paralith_runtime_api::output::{Error as OutputError, Output, SealedReply, commitment};
use paralith_runtime_enclave::{
    Application, ApplicationKeys, At, EnclaveError, RoundContext, StateTree,
};
use paralith_runtime_vm::Export;
use paralith_storage::EMPTY_ROOT;
use paralith_types::{Amount, Hash, Height, Round};
use prost::Message as _;

use crate::calls::Endorsed;
use crate::proven::{self, ledger_state, record};
use crate::refused;
use crate::run::{Ran, Run, run};
use crate::state::CallState;

/// Executes a proposal and signs the response.
pub(crate) fn endorse(application: &Application, bytes: &[u8]) -> Result<Endorsed, EnclaveError> {
    let me = proven::me(application)?;
    let received = receive(&me, bytes).map_err(refused)?;
    let facts = facts(application, &me, &received)?;
    let admitted = admit(application, received, facts)?;
    let inputs = inputs(application, &admitted)?;
    let epoch = admitted.proposal().envelope.epoch;
    let plaintext = admitted.open(inputs.keys.epoch_key(epoch)).map_err(refused)?;
    let Snapshot { round, root } = admitted.snapshot();
    let execution = Execution { application, admitted: &admitted, inputs: &inputs, plaintext };
    application.with_tree(round, root, |tree| execution.endorse(tree))
}

/// Proves what the checks ask for.
fn facts(application: &Application, me: &Me, received: &Received) -> Result<Facts, EnclaveError> {
    let proposal = received.proposal();
    let (fresh, newest) = application.prove(|view, callbacks| {
        let at = At::new(view, callbacks, view.proven_height());
        Ok((application.is_fresh(at.epoch()?.epoch), at.height()))
    })?;
    if !fresh {
        return Ok(Facts { fresh, newest, anchor: None });
    }
    // A host that has no such block, or shows another chain's, leaves the anchor unproven.
    let ensured = application.prove(|view, callbacks| Ok(view.ensure(callbacks, proposal.anchor)?));
    if ensured.is_err() {
        return Ok(Facts { fresh, newest: newest.max(proposal.anchor), anchor: None });
    }
    application.prove(|view, callbacks| {
        let newest = At::new(view, callbacks, view.proven_height());
        let at = At::new(view, callbacks, proposal.anchor);
        let state = ledger_state(&at, &proposal.ledger)?;
        // Of a ledger that does not exist; the checks refuse it before they use this.
        let none = Snapshot { round: Round(0), root: EMPTY_ROOT };
        // An enclave that was revoked since signs nothing more, whatever the anchor says.
        let counts_now = record(&newest, me)?.is_some();
        let anchor = AnchorFacts {
            epoch: at.epoch()?.epoch,
            descriptor: at.get_raw(&runtime_key(&me.application))?,
            ledger: at.get_raw(&runtime_key(&proposal.ledger))?,
            enclave: record(&at, me)?.filter(|_| counts_now),
            registered_rak: at.registered_rak(&application.node(), &me.application)?,
            snapshot: state.as_ref().map_or(none, snapshot),
            certificate_revoked: false,
        };
        Ok(Facts { fresh, newest: newest.height(), anchor: Some(anchor) })
    })
}

fn snapshot(state: &RuntimeState) -> Snapshot {
    Snapshot { round: state.last_normal_round, root: state.last_block.state_root }
}

/// Runs the checks up to the envelope. Whether the certificate is revoked is read only where it
/// matters, and of the right ledger: a host has no other one's state.
fn admit(
    application: &Application,
    received: Received,
    mut facts: Facts,
) -> Result<Admitted, EnclaveError> {
    let first = received.clone().admit(facts.clone());
    let passed = matches!(&first, Ok(_) | Err(EndorseError::Epoch { .. }));
    let (Some(certificate), Some(anchor)) = (&received.proposal().certificate, &mut facts.anchor)
    else {
        return first.map_err(refused);
    };
    if !passed {
        return first.map_err(refused);
    }
    let id = received.proposal().application;
    let key = revoked_key(&id, &certificate.issuer, certificate.serial);
    let Snapshot { round, root } = anchor.snapshot;
    anchor.certificate_revoked =
        application.with_tree(round, root, |tree| Ok(tree.get(&key)?.is_some()))?;
    received.admit(facts).map_err(refused)
}

/// What an execution depends on besides the proposal.
struct Inputs {
    runtime: Runtime,
    keys: ApplicationKeys,
    generation: u64,
    context: RoundContext,
}

fn inputs(application: &Application, admitted: &Admitted) -> Result<Inputs, EnclaveError> {
    let (anchor, ledger) = (admitted.proposal().anchor, admitted.proposal().ledger);
    let snapshot = admitted.snapshot();
    application.prove(|view, callbacks| {
        let at = At::new(view, callbacks, anchor);
        let runtime = at.runtime(&application.id())?;
        application.check_code(&runtime)?;
        let state = at.runtime_state(&ledger)?;
        let newest = At::new(view, callbacks, view.proven_height());
        let keys = application.keys(&newest, &runtime)?;
        let generation = at.generation(&runtime)?;
        if keys.generation() < generation {
            return Err(EnclaveError::NoKeys(format!("of generation {generation}")));
        }
        let context = RoundContext {
            round: snapshot.round,
            previous_hash: state.last_block.hash(),
            proposal_id: admitted.place(),
        };
        Ok(Inputs { runtime, keys, generation, context })
    })
}

struct Execution<'a> {
    application: &'a Application,
    admitted: &'a Admitted,
    inputs: &'a Inputs,
    plaintext: Plaintext,
}

impl Execution<'_> {
    fn endorse(&self, tree: &mut StateTree<'_>) -> Result<Endorsed, EnclaveError> {
        let Self { application, admitted, inputs, plaintext } = self;
        let sealer = inputs.keys.sealer();
        let tx_id = admitted.tx_id();
        let mut state = CallState::new(tree, sealer, application.id(), Some(tx_id));
        let marker = state.code_marker()?;
        let purpose = admitted.admit_call(&plaintext.call, marker.as_deref()).map_err(refused)?;
        let ran = run(self.run(purpose)?, &mut state)?;
        let output = self.output(&ran);
        let succeeded = matches!(output, Output::Ok(_));
        if succeeded && purpose != Purpose::Execute {
            state.mark(admitted.definition().code.as_bytes());
        }
        let mut accesses = state.accesses(inputs.generation, &inputs.context, succeeded)?;
        if succeeded {
            effects(&mut accesses, ran);
        }
        let responded = admitted.respond(accesses, output, |output| self.seal(output))?;
        let response = responded.response;
        let chain = application.chain();
        let endorsement = hashes::endorse(application.rak(), &chain, response.bytes());
        let early = match admitted.definition().terms.early_results {
            true => Some(self.open(&responded.output)?.encode()),
            false => None,
        };
        Ok(Endorsed {
            response: response.bytes().to_vec(),
            endorsement: endorsement.encode(),
            early,
        })
    }

    fn run(&self, purpose: Purpose) -> Result<Run<'_>, EnclaveError> {
        let Self { application, admitted, inputs, plaintext } = self;
        let sealer = inputs.keys.sealer();
        let seeds = sealer.seeds(inputs.generation, &inputs.context);
        let seeds = seeds.ok_or_else(|| self.missing())?;
        let (anchor, round) = (admitted.proposal().anchor, admitted.snapshot().round);
        let previous = Some(&inputs.context.previous_hash);
        let context =
            application.context(&inputs.runtime, round, admitted.epoch(), anchor, previous);
        let gas = admitted.definition().terms.max_gas;
        let (export, request) = match purpose {
            Purpose::Execute => (Export::Execute, self.transaction(context, gas).encode_to_vec()),
            Purpose::Init => {
                let argument = plaintext.call.args.clone();
                (Export::Init, abi::InitRequest { context, argument }.encode_to_vec())
            }
            Purpose::Migrate => (Export::Migrate, abi::BlockRequest { context }.encode_to_vec()),
        };
        Ok(Run {
            module: application.module()?,
            export,
            request,
            gas,
            seed: seeds.transactions,
            secret: sealer.guest_secret(),
            round: round.0,
            consensus: Some(application.consensus(anchor)),
        })
    }

    fn transaction(&self, context: abi::Context, gas_limit: u64) -> abi::TransactionRequest {
        let (sender, call) = (self.admitted.client(), self.plaintext.call.clone());
        let transaction = abi::Transaction {
            hash: self.admitted.tx_id().as_bytes().to_vec(),
            sender: sender.as_bytes().to_vec(),
            sender_address: paralith_consensus_api::address::of_key(&sender).as_bytes().to_vec(),
            nonce: 0,
            fee: Amount(0).to_be_bytes_minimal(),
            gas_limit,
            encrypted: true,
        };
        let call = Some(abi::Call { method: call.method, args: call.args });
        abi::TransactionRequest { context, transaction, call }
    }

    fn output(&self, ran: &Ran) -> Output {
        if ran.exceeded {
            let limit = self.admitted.definition().terms.max_response_bytes;
            let error = EndorseError::ResponseTooLarge { limit };
            let (module, code, message) = ("endorse".into(), error.code(), error.to_string());
            return Output::Error(OutputError { module, code, message });
        }
        match &ran.outcome {
            Ok(value) => Output::Ok(value.clone()),
            Err(error) => Output::Error(error.clone()),
        }
    }

    fn missing(&self) -> EnclaveError {
        EnclaveError::NoKeys(format!("of generation {}", self.inputs.generation))
    }

    /// The output as `Release` gives it: sealed for the caller.
    fn open(&self, output: &Output) -> Result<OpenedOutput, EnclaveError> {
        let Inputs { generation, context, keys, .. } = self.inputs;
        let tx_id = self.admitted.tx_id();
        let blinding = keys.sealer().blinding(*generation, context, &tx_id);
        let blinding = blinding.ok_or_else(|| self.missing())?;
        let (key, place) = (&self.plaintext.reply_key, &context.proposal_id);
        let sealed = seal_reply(key, &tx_id, context.round, place, &output.encode());
        Ok(OpenedOutput { tx_id, blinding, output: SealedReply { sealed }.encode() })
    }

    fn seal(&self, output: &Output) -> Result<SealedResult, EnclaveError> {
        let Inputs { generation, context, keys, .. } = self.inputs;
        let OpenedOutput { tx_id, blinding, output } = self.open(output)?;
        let blinded = [blinding.as_bytes(), output.as_slice()].concat();
        let sealed = keys.sealer().seal_output(*generation, context, &tx_id, &blinded);
        Ok(SealedResult {
            sealed_output: sealed.ok_or_else(|| self.missing())?,
            commitment: commitment(&blinding, &output),
        })
    }
}

/// Events and deadline of a call that succeeded. Topics are text in a response: bytes that are no
/// UTF-8 are replaced, everywhere alike.
fn effects(accesses: &mut Accesses, ran: Ran) {
    let event = |(topic, data): (Vec<u8>, Vec<u8>)| Event {
        topic: String::from_utf8_lossy(&topic).into_owned(),
        data,
    };
    accesses.events = ran.effects.events.into_iter().map(event).collect();
    // 0 says that there is no deadline; a deadline of 0 is over at 1, too.
    accesses.commit_before = ran.effects.commit_before.map(|height| Height(height.max(1)));
}

/// What stands for the round in the derivations of a response's execution.
pub(crate) fn context_of(round: Round, place: Hash) -> RoundContext {
    // Outputs and blindings do not depend on the block before.
    RoundContext { round, previous_hash: Hash::ZERO, proposal_id: place }
}
