//! The chain of these tests: the real application with a key manager and a ParaTime in its genesis.

use std::ops::Deref;

use paralith_attest::SoftwarePlatform;
use paralith_consensus_api::keymanager::{self, Policy, RuntimePolicy, Status};
use paralith_consensus_api::registry::{Code, Executor, Runtime};
use paralith_genesis::{Builder, GenesisTime, NodeKeys, development_params};
use paralith_harness::{AppChain, GENESIS_SECONDS, consensus_key, key, runtimes};
use paralith_types::{Amount, CodeId, Hash, RuntimeId};

pub(crate) const KM: RuntimeId = RuntimeId([9; 32]);
pub(crate) const RT: RuntimeId = RuntimeId([5; 32]);
pub(crate) const CODE: CodeId = CodeId([3; 32]);
/// What the compute enclaves of these tests claim to be.
pub(crate) const COMPUTE: Hash = Hash([0xcc; 32]);
const VALIDATOR: u8 = 200;

pub(crate) fn platform() -> SoftwarePlatform {
    SoftwarePlatform::new(key(250))
}

pub(crate) struct Chain(AppChain);

impl Deref for Chain {
    type Target = AppChain;

    fn deref(&self) -> &AppChain {
        &self.0
    }
}

impl Chain {
    /// Nodes 1 to 6 may register; node `VALIDATOR` validates.
    pub(crate) fn new(rotation_epochs: u64) -> Self {
        let owner = key(100).public();
        let mut params = development_params(Hash([1; 32]));
        params.registry.software_platforms = vec![platform().public()];
        params.beacon.epoch_blocks = EPOCH_BLOCKS;
        let validator =
            NodeKeys { node: key(VALIDATOR).public(), consensus: consensus_key(VALIDATOR) };
        let measurement = paralith_keymanager_service::measurement().0;
        let policy = Policy {
            serial: 1,
            id: KM,
            measurements: vec![measurement],
            runtimes: vec![RuntimePolicy { runtime_id: RT, measurements: vec![COMPUTE] }],
            max_epoch_secret_age: 2,
            rotation_epochs,
            nodes: Vec::new(),
        };
        let base = runtimes::confidential(RT, owner, KM, COMPUTE);
        let runtime = Runtime {
            code: Some(Code { id: CODE, size_bytes: 1, abi_version: 1, gas_schedule_version: 1 }),
            executor: Executor { backups: 1, max_failed_rounds: 1, ..base.executor },
            ..base
        };
        let time = GenesisTime::from_seconds(GENESIS_SECONDS).unwrap();
        let mut builder = Builder::new("test", time, params)
            .entity(owner, Amount(1_000_000))
            .fund(&owner, Amount(1_000_000))
            .validator(owner, &validator, &[])
            .runtime(runtimes::key_manager(KM, owner, measurement))
            .runtime(runtime)
            .policy(policy);
        for n in 1..=6 {
            builder = builder
                .entity_node(owner, key(n).public())
                .fund(&key(n).public(), Amount(1_000_000));
        }
        Self(AppChain::new(builder.build().unwrap(), consensus_key(VALIDATOR)))
    }

    /// Another chain with the same past. Its validators have signed both.
    pub(crate) fn fork(&self) -> Self {
        Self(self.0.fork())
    }

    pub(crate) fn status(&self) -> Status {
        self.read(&keymanager::keys::status(&KM)).unwrap()
    }
}

const EPOCH_BLOCKS: u64 = 10;
