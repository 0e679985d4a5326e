//! Runtimes that several decide about, and the enclaves that run a runtime.

use paralith_consensus_api::registry::{Decisions, Enclave, Runtime, RuntimeChange, keys};
use paralith_proto::{Canonical, Wire, pb};
use paralith_types::{Height, PublicKey, RuntimeId};
use pb::registry::v1::registry_service_client::RegistryServiceClient;

use crate::chain::{ChainClient, RESPONSE_MAX_BYTES, decode};
use crate::error::{ClientError, refused, unverifiable};

/// What is open about a runtime, all proven at one height: nothing is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposals {
    /// The height of the state.
    pub height: Height,
    /// The descriptor in force; none if the runtime is not registered yet.
    pub in_force: Option<Runtime>,
    /// The change that waits for its epoch.
    pub scheduled: Option<RuntimeChange>,
    /// Who proposed and approved what.
    pub decisions: Option<Decisions>,
    /// The proposed descriptors, sorted by hash.
    pub descriptors: Vec<Runtime>,
}

/// An enclave of a node that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredEnclave {
    /// What it signs with.
    pub rak: PublicKey,
    /// What the index has of it.
    pub enclave: Enclave,
}

impl ChainClient {
    /// What is proposed, approved and scheduled for a runtime.
    pub async fn proposals(&mut self, id: &RuntimeId) -> Result<Proposals, ClientError> {
        let height = self.sync().await?;
        let in_force = self.at(height, &keys::runtime(id)).await?;
        let scheduled = self.at(height, &keys::runtime_change(id)).await?;
        let decisions: Option<Decisions> = self.at(height, &keys::decisions(id)).await?;
        let proposed = decisions.iter().flat_map(|decisions| &decisions.proposals);
        let mut hashes: Vec<_> = proposed.map(|one| one.descriptor).collect();
        hashes.sort();
        hashes.dedup();
        let mut descriptors = Vec::new();
        for hash in hashes {
            let descriptor = self.at(height, &keys::proposal(id, &hash)).await?;
            let missing = || unverifiable(&"a proposed descriptor is missing in proven state");
            descriptors.push(descriptor.ok_or_else(missing)?);
        }
        Ok(Proposals { height, in_force, scheduled, decisions, descriptors })
    }

    /// The enclaves that the node lists for a runtime, each proven. The node can leave one out, not
    /// invent one.
    pub async fn enclaves(
        &mut self,
        id: &RuntimeId,
    ) -> Result<Vec<RegisteredEnclave>, ClientError> {
        let request = pb::registry::v1::ListEnclavesRequest { runtime_id: id.to_pb(), height: 0 };
        let answer = RegistryServiceClient::new(self.channel())
            .max_decoding_message_size(RESPONSE_MAX_BYTES)
            .list_enclaves(request)
            .await
            .map_err(|status| refused(&status))?
            .into_inner();
        let mut proven = Vec::new();
        for listed in answer.enclaves {
            let rak = PublicKey::from_pb(listed.rak).map_err(|e| unverifiable(&e))?;
            let enclave: Option<Enclave> = self.get(&keys::enclave(id, &rak)).await?;
            proven.extend(enclave.map(|enclave| RegisteredEnclave { rak, enclave }));
        }
        Ok(proven)
    }

    /// A value of the state at a height.
    async fn at<T: Canonical>(
        &mut self,
        height: Height,
        key: &[u8],
    ) -> Result<Option<T>, ClientError> {
        let proven = self.proven(Some(height), key).await?;
        proven.value.map(|bytes| decode(&bytes)).transpose()
    }
}
