//! The real boundary behind the worker's narrow traits.

use paralith_proto::pb::host::v1::{runtime_call, runtime_reply};
use paralith_tee_channel::{BoundaryError, Client, Failure, HostServices};

use crate::enclave::Enclave;
use crate::error::EnclaveError;
use crate::host::HostStore;

impl Enclave for Client {
    fn call(&self, call: runtime_call::Kind) -> Result<runtime_reply::Kind, EnclaveError> {
        Self::call(self, call).map_err(|error| {
            let Failure { module, code, message } = match error {
                BoundaryError::Failure(failure) => failure,
                other => Failure::new("boundary", other.code(), &other),
            };
            EnclaveError { module, code, message }
        })
    }
}

impl HostServices for HostStore {
    fn consensus_get(
        &self,
        height: u64,
        key: &[u8],
    ) -> Result<(Option<Vec<u8>>, Vec<u8>), Failure> {
        Self::consensus_get(self, height, key).map_err(failure)
    }

    fn light_block(&self, height: u64) -> Result<Vec<u8>, Failure> {
        Self::light_block(self, height).map_err(failure)
    }

    fn state_node(&self, round: u64, id: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        Self::state_node(self, round, id).map_err(failure)
    }

    fn state_value(&self, round: u64, key: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        Self::state_value(self, round, key).map_err(failure)
    }

    fn log(&self, text: &str) {
        tracing::info!(target: "enclave", "{text}");
    }
}

fn failure(error: EnclaveError) -> Failure {
    let EnclaveError { module, code, message } = error;
    Failure { module, code, message }
}
