//! What a test asks of a node's enclave.

use std::sync::Arc;

use paralith_attest::Claims;
use paralith_chaincode_core::propose::Proposed;
use paralith_chaincode_endorser::calls::{
    Answered, Endorsed, EndorserCall, EvaluateRequest, RevealRequest, endorser_call::Kind,
};
use paralith_chaincode_messages::Message as _;
use paralith_harness::WrittenChain;
use paralith_runtime_api::tx::Call as TxCall;
use paralith_tee_channel::{BoundaryError, Client, Failure, pb};
use paralith_types::Hash;
use pb::runtime_call::Kind as Call;
use pb::runtime_reply::Kind as Reply;
use prost::Message as _;

use crate::host::{Host, Lie};

/// A node's enclave, seen from its host.
pub struct Endorser {
    pub client: Client,
    pub host: Arc<Host>,
    pub claims: Claims,
}

pub fn failure<T>(result: Result<T, BoundaryError>) -> Result<T, Failure> {
    result.map_err(|error| match error {
        BoundaryError::Failure(failure) => failure,
        other => panic!("{other}"),
    })
}

pub fn call(method: &str, args: &str) -> TxCall {
    TxCall { method: method.into(), args: args.as_bytes().to_vec() }
}

impl Endorser {
    pub fn call(&self, call: Call) -> Result<Reply, Failure> {
        failure(self.client.call(call))
    }

    pub fn bytes(&self, call: Call) -> Result<Vec<u8>, Failure> {
        match self.call(call)? {
            Reply::Bytes(bytes) => Ok(bytes),
            other => panic!("{other:?}"),
        }
    }

    pub fn sync(&self, height: u64) -> Result<pb::Synced, Failure> {
        match self.call(Call::Sync(pb::Sync { height }))? {
            Reply::Synced(synced) => Ok(synced),
            other => panic!("{other:?}"),
        }
    }

    pub fn ask(&self, kind: Kind) -> Result<Vec<u8>, Failure> {
        let call = EndorserCall { kind: Some(kind) }.encode_to_vec();
        self.bytes(Call::Application(call))
    }

    /// Ends it; its sealed identity.
    pub fn stop(&self) -> Vec<u8> {
        let sealed = self.bytes(Call::Stop(pb::Stop {})).unwrap();
        self.client.close();
        sealed
    }

    pub fn endorse(&self, proposed: &Proposed) -> Result<Endorsed, Failure> {
        let bytes = self.ask(Kind::Endorse(proposed.signed.encode()))?;
        Ok(Endorsed::decode(bytes.as_slice()).unwrap())
    }

    pub fn release(&self, response: &[u8]) -> Result<Vec<u8>, Failure> {
        self.ask(Kind::Release(response.to_vec()))
    }

    pub fn evaluate(&self, request: &EvaluateRequest) -> Result<Answered, Failure> {
        let bytes = self.ask(Kind::Evaluate(request.clone()))?;
        Ok(Answered::decode(bytes.as_slice()).unwrap())
    }

    pub fn reveal(&self, tx_id: &Hash, handle: &[u8]) -> Result<Answered, Failure> {
        let (tx_id, handle) = (tx_id.as_bytes().to_vec(), handle.to_vec());
        let bytes = self.ask(Kind::Reveal(RevealRequest { tx_id, handle }))?;
        Ok(Answered::decode(bytes.as_slice()).unwrap())
    }

    pub fn lie(&self, lie: Lie) {
        *self.host.lie.lock().unwrap() = lie;
    }

    /// The host shows another chain from now on.
    pub fn show(&self, chain: &Arc<WrittenChain>) {
        self.host.show(chain);
    }
}

/// Module and code of a refusal.
pub fn refusal<T>(result: Result<T, Failure>) -> (String, u32) {
    match result {
        Ok(_) => panic!("it is not refused"),
        Err(failure) => (failure.module, failure.code),
    }
}

/// A refusal of the module `endorse`.
pub fn endorse_code<T>(result: Result<T, Failure>) -> u32 {
    let (module, code) = refusal(result);
    assert_eq!(module, "endorse", "code {code}");
    code
}
