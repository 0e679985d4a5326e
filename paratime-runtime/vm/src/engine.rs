//! The engine's settings and compilation.

use std::fmt;
use std::sync::Arc;

use paralith_runtime_abi::{EXPORT_ALLOC, EXPORT_MEMORY};
use paralith_types::CodeId;
use wasmparser::WasmFeatures;
use wasmtime::{
    Config, Enabled, InstanceAllocationStrategy, InstancePre, Linker, ModuleExport, OptLevel,
    PoolingAllocationConfig,
};

use super::error::{CallError, EngineError, UploadError};
use super::instance::{self, HostData};
use super::instrument::{DEPTH_EXPORT, instrument};
use super::limits::{
    MAX_CONCURRENT_CALLS, MAX_MEMORY_PAGES, MAX_TABLE_ELEMENTS, NATIVE_STACK_BYTES, PAGE_BYTES,
};
use super::validate::{features, validate};
use super::{CallEnv, CallResult, Export, code_id, gas};
use super::{frame, imports};

/// Resident bytes that a slot of the pool may keep between calls, which spares page faults. Small,
/// because a kernel that cannot tell which pages were touched has all of them cleared each time.
const KEEP_RESIDENT_BYTES: usize = 128 * 1024;

/// The same for a slot's table. Most guests have tables of a few hundred elements.
const TABLE_KEEP_RESIDENT_BYTES: usize = 16 * 1024;

/// Slots whose memory stays warm for the module that used them last.
const WARM_SLOTS: u32 = 4;

/// How hard the compiler tries. Results, gas and call depth are the same at every level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Optimization {
    /// Compiles fastest. What a guest's own compiler has optimised already hardly runs slower,
    /// and every enclave compiles its module whenever it starts.
    #[default]
    None,
    /// Runs fastest.
    Speed,
    /// Runs fast, in less code.
    SpeedAndSize,
}

/// Compiles guests. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    engine: wasmtime::Engine,
    linker: Arc<Linker<HostData>>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine that compiles as fast as it can.
    pub fn new() -> Result<Self, EngineError> {
        Self::with_optimization(Optimization::default())
    }

    /// An engine that compiles with this optimisation.
    pub fn with_optimization(optimization: Optimization) -> Result<Self, EngineError> {
        frame::check_machine()?;
        let setup = |error: wasmtime::Error| EngineError::Setup { reason: format!("{error:#}") };
        let engine = wasmtime::Engine::new(&config(optimization)).map_err(setup)?;
        let mut linker = Linker::new(&engine);
        imports::link(&mut linker).map_err(setup)?;
        Ok(Self { engine, linker: Arc::new(linker) })
    }

    /// Checks code, meters its call depth and compiles it.
    pub fn compile(&self, code: &[u8]) -> Result<Module, UploadError> {
        let shape = validate(code)?;
        let metered = instrument(code, &shape)?;
        let refused =
            |error: wasmtime::Error| UploadError::NotCompiled { reason: format!("{error:#}") };
        let module = wasmtime::Module::new(&self.engine, &metered).map_err(refused)?;
        frame::check(&module, &shape)?;
        let index = |name: &str| {
            let found = module.get_export_index(name);
            found.ok_or_else(|| UploadError::MissingExport { name: name.into() })
        };
        let mut entries = Vec::with_capacity(Export::ALL.len());
        for export in Export::ALL {
            entries.push(index(export.name())?);
        }
        let exports = Exports {
            memory: index(EXPORT_MEMORY)?,
            alloc: index(EXPORT_ALLOC)?,
            depth: index(DEPTH_EXPORT)?,
            entries,
        };
        let pre = self.linker.instantiate_pre(&module).map_err(refused)?;
        Ok(Module {
            code_id: code_id(code),
            abi_version: shape.abi_version(),
            base_gas: gas::CALL.saturating_add(gas::initial_memory(shape.pages)),
            inner: Arc::new((pre, exports)),
        })
    }
}

/// Where a module's exports are.
pub(crate) struct Exports {
    pub(crate) memory: ModuleExport,
    pub(crate) alloc: ModuleExport,
    pub(crate) depth: ModuleExport,
    /// In the order of [`Export::ALL`].
    pub(crate) entries: Vec<ModuleExport>,
}

/// A compiled guest. Cheap to clone.
#[derive(Clone)]
pub struct Module {
    code_id: CodeId,
    abi_version: u32,
    /// Gas of an instance.
    base_gas: u64,
    inner: Arc<(InstancePre<HostData>, Exports)>,
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Module").field("code_id", &self.code_id).finish_non_exhaustive()
    }
}

impl Module {
    /// Names the code.
    #[must_use]
    pub fn code_id(&self) -> CodeId {
        self.code_id
    }

    /// The oldest version of the ABI under which it runs.
    #[must_use]
    pub fn abi_version(&self) -> u32 {
        self.abi_version
    }

    /// Calls an entry point of a fresh instance with an encoded request.
    pub fn call(
        &self,
        export: Export,
        request: &[u8],
        env: CallEnv<'_>,
        gas_limit: u64,
    ) -> Result<CallResult, CallError> {
        let (pre, exports) = &*self.inner;
        instance::call(pre, exports, self.base_gas, export, request, env, gas_limit)
    }
}

/// Settings under which code runs the same everywhere.
pub(crate) fn config(optimization: Optimization) -> Config {
    let mut config = Config::new();
    config
        .wasm_features(WasmFeatures::all().difference(features()), false)
        .wasm_features(features(), true)
        .consume_fuel(true)
        .operator_cost(gas::operators())
        .cranelift_nan_canonicalization(true)
        .cranelift_opt_level(match optimization {
            Optimization::None => OptLevel::None,
            Optimization::Speed => OptLevel::Speed,
            Optimization::SpeedAndSize => OptLevel::SpeedAndSize,
        })
        .max_wasm_stack(NATIVE_STACK_BYTES)
        .memory_may_move(false)
        .memory_init_cow(true)
        .wasm_backtrace_max_frames(None)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool()));
    config
}

/// Address space for all calls at once, reserved but not used until a guest touches it.
fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(MAX_CONCURRENT_CALLS)
        .total_memories(MAX_CONCURRENT_CALLS)
        .total_tables(MAX_CONCURRENT_CALLS)
        .max_memories_per_module(1)
        .max_tables_per_module(1)
        .max_memory_size(MAX_MEMORY_PAGES as usize * PAGE_BYTES)
        .table_elements(MAX_TABLE_ELEMENTS as usize)
        .max_unused_warm_slots(WARM_SLOTS)
        .pagemap_scan(Enabled::Auto)
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
        .table_keep_resident(TABLE_KEEP_RESIDENT_BYTES);
    pool
}
