//! A host that answers one call late, or never, holds up no other call.
//!
//! A sync reads what queries and checks read, so those find it known.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use paralith_proto::Wire as _;
use paralith_runtime_api::query::Query;
use paralith_runtime_api::tx::Body;
use paralith_storage::Changes;
use paralith_tee_channel::{
    BoundaryError, Callbacks, Failure, Handler as _, HostCall, HostReply, HostRequests,
    HostServices as _, pb,
};
use pb::callback::Kind as Ask;
use pb::runtime_call::Kind as Call;
use pb::runtime_reply::Kind as Reply;

use crate::world::{Enclave, Host, RUNTIME, World};
use crate::{call, code, transaction};

/// Answers as the host does, but the first request of a kind only when the test lets it.
struct Late {
    host: Arc<Host>,
    is_late: fn(&Ask) -> bool,
    asked: Mutex<Option<Sender<()>>>,
    answers: Mutex<Receiver<()>>,
}

impl HostRequests for Late {
    fn ask(&self, request: &Ask) -> Result<pb::CallbackReply, BoundaryError> {
        if (self.is_late)(request) {
            let asked = self.asked.lock().unwrap().take();
            if let Some(asked) = asked {
                asked.send(()).unwrap();
                self.answers.lock().unwrap().recv().unwrap();
            }
        }
        let plain = |value| (value, Vec::new());
        let answer: Result<_, Failure> = match request {
            Ask::ConsensusGet(ask) => self.host.consensus_get(ask.height, &ask.key),
            Ask::LightBlockGet(ask) => {
                self.host.light_block(ask.height).map(|block| plain(Some(block)))
            }
            Ask::StateNodeGet(ask) => self.host.state_node(ask.round, &ask.id).map(plain),
            Ask::StateValueGet(ask) => self.host.state_value(ask.round, &ask.key).map(plain),
        };
        let (value, proof) = answer?;
        Ok(pb::CallbackReply { value, proof, failure: None })
    }

    fn log(&self, _text: &str) {}
}

/// What a host asks of its enclave all the time.
fn usual_calls(world: &World, enclave: &Enclave, height: u64) {
    assert_eq!(enclave.sync(height).height, height);
    let check = Call::Check(pb::Check { transactions: vec![plain(world, 1)] });
    assert!(matches!(enclave.call(check).unwrap(), Reply::Bytes(_)));
    assert!(matches!(enclave.call(query(world)).unwrap(), Reply::Answer(_)));
    assert!(matches!(enclave.call(execution(world)).unwrap(), Reply::Executed(_)));
}

fn plain(world: &World, nonce: u64) -> Vec<u8> {
    transaction(world, 10, nonce, Body::Call(call("a")))
}

fn query(world: &World) -> Call {
    let query = Query {
        chain_context: world.chain.context,
        runtime_id: RUNTIME,
        body: Body::Call(call("a")),
        signed: None,
    };
    Call::RunQuery(pb::RunQuery { query: Some(query.to_pb()) })
}

fn execution(world: &World) -> Call {
    let batch = [plain(world, 1)];
    world.execute_call(&world.proposal(&batch), &batch)
}

/// A public runtime with a round of state, and an enclave that has followed it and read nothing.
fn world() -> (World, Enclave) {
    let mut world = World::new(code(), false);
    let first = world.enclave_with(1, |_| {});
    world.round(&first, &[plain(&world, 0)]);
    let enclave = world.enclave_with(2, |_| {});
    (world, enclave)
}

/// The same, and one more round since, which the enclave has not followed.
fn behind() -> (World, Enclave) {
    let mut world = World::new(code(), false);
    let first = world.enclave_with(1, |_| {});
    world.round(&first, &[plain(&world, 0)]);
    let enclave = world.enclave_with(2, |_| {});
    world.round(&first, &[plain(&world, 1)]);
    (world, enclave)
}

/// Follows the chain, and reads there what a host wants to know.
fn sync(world: &World) -> Call {
    Call::Sync(pb::Sync { height: world.chain.height() })
}

/// Makes the call, which the host answers late, and `meanwhile`.
fn late(enclave: &Enclave, is_late: fn(&Ask) -> bool, late: Call, meanwhile: impl FnOnce()) {
    let (asked, was_asked) = channel();
    let (answer, answers) = channel();
    let host = Late {
        host: enclave.host.clone(),
        is_late,
        asked: Mutex::new(Some(asked)),
        answers: Mutex::new(answers),
    };
    let (handler, callbacks) = (enclave.handler.clone(), Callbacks::new(Arc::new(host)));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| handler.handle(HostCall::Runtime(late), &callbacks).unwrap());
        was_asked.recv().unwrap();
        // If one of these waited for the late answer, it would wait for ever.
        meanwhile();
        answer.send(()).unwrap();
        assert!(matches!(waiting.join().unwrap(), HostReply::Runtime(_)));
    });
}

#[test]
fn a_late_light_block_holds_up_no_other_call() {
    let (world, enclave) = world();
    let height = world.chain.height();
    world.chain.commit(&Changes::new());
    let sync = Call::Sync(pb::Sync { height: world.chain.height() });
    // Others go on at the height that is proven, and may even follow to the one that is late.
    late(
        &enclave,
        |ask| matches!(ask, Ask::LightBlockGet(_)),
        sync,
        || {
            assert_eq!(enclave.sync(height).height, height);
            usual_calls(&world, &enclave, world.chain.height());
        },
    );
}

/// An execution, and a sync, of which the host answers the first such request late.
fn holds_up_no_other_call(is_late: fn(&Ask) -> bool) {
    for (of, setting) in [(execution as fn(&World) -> Call, world as fn() -> _), (sync, behind)] {
        let (world, enclave) = setting();
        let height = world.chain.height();
        late(&enclave, is_late, of(&world), || usual_calls(&world, &enclave, height));
    }
}

#[test]
fn late_consensus_state_holds_up_no_other_call() {
    holds_up_no_other_call(|ask| matches!(ask, Ask::ConsensusGet(_)));
}

#[test]
fn a_late_node_of_the_state_holds_up_no_other_call() {
    holds_up_no_other_call(|ask| matches!(ask, Ask::StateNodeGet(_)));
}
