//! Whether code is a guest: a valid module with nothing but the features that
//! `wasm32-unknown-unknown` needs, and the imports and exports of the contract.

use paralith_runtime_abi::{
    EXPORT_ALLOC, EXPORT_MEMORY, EXPORTS, IMPORT_MODULE, IMPORT_MODULE_V2, OLDEST_ABI_VERSION,
};
use wasmparser::{
    ConstExpr, DataKind, ElementItems, ElementKind, Export, ExternalKind, FuncType, Operator,
    Parser, Payload, TypeRef, ValType, Validator, WasmFeatures,
};

use super::body::{self, Body};
use super::error::UploadError;
use super::limits::{
    MAX_CODE_BYTES, MAX_FUNCTIONS, MAX_GLOBALS, MAX_MEMORY_PAGES, MAX_SEGMENTS, MAX_TABLE_ELEMENTS,
    MAX_TABLES, MAX_TYPES, PAGE_BYTES,
};

/// Parameters and results of a function.
type Signature = (&'static [ValType], &'static [ValType]);

const I32: ValType = ValType::I32;
const I64: ValType = ValType::I64;

/// Every export but the allocator.
const ENTRY_POINT: Signature = (&[I32, I32], &[I64]);

/// The allocator.
const ALLOC: Signature = (&[I32], &[I32]);

/// What a guest may use: WebAssembly 1.0 and what stable compilers add to it. Several results, for
/// instance, are missing: no compiler for guests makes them, and one value for each operator is
/// what bounds a frame.
pub(crate) fn features() -> WasmFeatures {
    WasmFeatures::MUTABLE_GLOBAL
        | WasmFeatures::SATURATING_FLOAT_TO_INT
        | WasmFeatures::SIGN_EXTENSION
        | WasmFeatures::BULK_MEMORY
        | WasmFeatures::CALL_INDIRECT_OVERLONG
        | WasmFeatures::FLOATS
}

/// What the rest of the compilation needs to know of a module.
#[derive(Debug, Default)]
pub(crate) struct Shape {
    /// All function types.
    pub(crate) types: Vec<FuncType>,
    /// Type of each function, imported ones first.
    pub(crate) functions: Vec<u32>,
    /// How many of the functions are imported.
    pub(crate) imported: usize,
    /// What the module's own functions look like.
    pub(crate) bodies: Vec<Body>,
    /// How many globals there are.
    pub(crate) globals: u32,
    /// Initial pages of the memory.
    pub(crate) pages: u64,
    /// Initial elements of the tables.
    tables: Vec<u64>,
    /// How many memories there are.
    memories: u64,
    /// The newest version of the contract that an import belongs to.
    newest_import: u32,
}

/// The version of the contract that has an import, and the type that it gives to it.
fn import_signature(module: &str, name: &str) -> Option<(u32, Signature)> {
    match module {
        IMPORT_MODULE => Some((1, signature_v1(name)?)),
        IMPORT_MODULE_V2 => Some((2, signature_v2(name)?)),
        _ => None,
    }
}

fn signature_v2(name: &str) -> Option<Signature> {
    Some(match name {
        "consensus_get" => (&[I32, I32], &[I64]),
        "wake_at" | "commit_before" => (&[I64], &[]),
        "bls_possession" => (&[I32, I32, I32, I32], &[I32]),
        "bls_verify" => (&[I32, I32, I32, I32, I32], &[I32]),
        "keccak256" => (&[I32, I32, I32], &[]),
        "secp256k1_recover" => (&[I32, I32, I32, I32], &[I32]),
        "crypto" => (&[I32, I32, I32], &[I64]),
        "hpke_seal" => (&[I32, I32, I32, I32, I32, I32, I32, I32], &[I64]),
        _ => return None,
    })
}

fn signature_v1(name: &str) -> Option<Signature> {
    Some(match name {
        "state_get" => (&[I32, I32], &[I64]),
        "state_set" | "emit_event" => (&[I32, I32, I32, I32], &[]),
        "state_remove" | "random" | "request_reveal" | "log" => (&[I32, I32], &[]),
        "derive_key" | "sha256" => (&[I32, I32, I32], &[]),
        "emit_message" => (&[I32, I32], &[I32]),
        "ed25519_verify" => (&[I32, I32, I32, I32], &[I32]),
        _ => return None,
    })
}

/// Accepts a guest, or says why it is none.
pub(crate) fn validate(code: &[u8]) -> Result<Shape, UploadError> {
    if code.len() > MAX_CODE_BYTES {
        return Err(UploadError::TooLarge { bytes: code.len(), max: MAX_CODE_BYTES });
    }
    if !Parser::is_core_wasm(code) {
        let reason = "it does not start like a core module".into();
        return Err(UploadError::NotWasm { reason });
    }
    let bodies = body::measure(code).map_err(|error| {
        let reason = error.to_string();
        // What is valid with every feature on uses one that is off here.
        match Validator::new_with_features(WasmFeatures::all()).validate_all(code) {
            Ok(_) => UploadError::ForbiddenFeature { reason },
            Err(_) => UploadError::NotWasm { reason },
        }
    })?;
    let mut shape = Shape::default();
    let mut exports = Vec::new();
    for payload in Parser::new(0).parse_all(code) {
        shape.section(payload.map_err(invalid)?, &mut exports)?;
    }
    shape.check_exports(&exports)?;
    body::check(&bodies)?;
    shape.bodies = bodies;
    Ok(shape)
}

/// An error of the parser on code that the validator accepted.
fn invalid(error: wasmparser::Error) -> UploadError {
    UploadError::NotWasm { reason: error.to_string() }
}

/// Refuses more than `max`.
fn at_most(what: &'static str, count: u64, max: u64) -> Result<(), UploadError> {
    if count > max { Err(UploadError::TooMany { what, count, max }) } else { Ok(()) }
}

impl Shape {
    /// The oldest version of the contract under which the module runs.
    pub(crate) fn abi_version(&self) -> u32 {
        self.newest_import.max(OLDEST_ABI_VERSION)
    }

    /// The type of a function.
    pub(crate) fn function_type(&self, function: u32) -> Option<&FuncType> {
        self.types.get(*self.functions.get(function as usize)? as usize)
    }

    /// Takes one section.
    fn section<'a>(
        &mut self,
        payload: Payload<'a>,
        exports: &mut Vec<Export<'a>>,
    ) -> Result<(), UploadError> {
        match payload {
            Payload::TypeSection(reader) => {
                at_most("types", reader.count().into(), MAX_TYPES)?;
                for ty in reader.into_iter_err_on_gc_types() {
                    self.types.push(ty.map_err(invalid)?);
                }
            }
            Payload::ImportSection(reader) => {
                at_most("imports", reader.count().into(), MAX_FUNCTIONS)?;
                for import in reader.into_imports() {
                    self.import(&import.map_err(invalid)?)?;
                }
                self.imported = self.functions.len();
            }
            Payload::FunctionSection(reader) => {
                at_most("functions", reader.count().into(), MAX_FUNCTIONS)?;
                for ty in reader {
                    self.functions.push(ty.map_err(invalid)?);
                }
            }
            Payload::TableSection(reader) => {
                at_most("tables", reader.count().into(), MAX_TABLES)?;
                for table in reader {
                    let elements = table.map_err(invalid)?.ty.initial;
                    at_most("table elements", elements, MAX_TABLE_ELEMENTS)?;
                    self.tables.push(elements);
                }
            }
            Payload::MemorySection(reader) => {
                for memory in reader {
                    self.memories += 1;
                    self.pages = memory.map_err(invalid)?.initial;
                    if self.pages > MAX_MEMORY_PAGES {
                        let (pages, max) = (self.pages, MAX_MEMORY_PAGES);
                        return Err(UploadError::MemoryTooLarge { pages, max });
                    }
                }
            }
            Payload::GlobalSection(reader) => {
                at_most("globals", reader.count().into(), MAX_GLOBALS)?;
                self.globals = reader.count();
            }
            Payload::ExportSection(reader) => {
                for export in reader {
                    exports.push(export.map_err(invalid)?);
                }
            }
            Payload::StartSection { .. } => return Err(UploadError::StartFunction),
            Payload::ElementSection(reader) => self.elements(reader)?,
            Payload::DataSection(reader) => self.data(reader)?,
            _ => {}
        }
        Ok(())
    }

    /// Takes one import, which must be a function of the contract.
    fn import(&mut self, import: &wasmparser::Import<'_>) -> Result<(), UploadError> {
        let names = || (import.module.to_owned(), import.name.to_owned());
        let Some((version, (params, results))) = import_signature(import.module, import.name)
        else {
            let (module, name) = names();
            return Err(UploadError::UnknownImport { module, name });
        };
        if let TypeRef::Func(index) = import.ty
            && let Some(ty) = self.types.get(index as usize)
            && ty.params() == params
            && ty.results() == results
        {
            self.functions.push(index);
            self.newest_import = self.newest_import.max(version);
            return Ok(());
        }
        let (module, name) = names();
        Err(UploadError::WrongImportType { module, name })
    }

    /// Element segments must lie inside the table, so that making an instance cannot trap.
    fn elements(&self, reader: wasmparser::ElementSectionReader<'_>) -> Result<(), UploadError> {
        at_most("element segments", reader.count().into(), MAX_SEGMENTS)?;
        for (index, element) in reader.into_iter().enumerate() {
            let element = element.map_err(invalid)?;
            let count = match &element.items {
                ElementItems::Functions(reader) => reader.count(),
                ElementItems::Expressions(_, reader) => reader.count(),
            };
            at_most("elements of a segment", count.into(), MAX_TABLE_ELEMENTS)?;
            if let ElementKind::Active { table_index, offset_expr } = element.kind {
                let table = self.tables.get(table_index.unwrap_or(0) as usize).copied();
                if !fits(&offset_expr, count.into(), table.unwrap_or(0)) {
                    let index = index as u32;
                    return Err(UploadError::SegmentOutOfBounds { what: "element", index });
                }
            }
        }
        Ok(())
    }

    /// Data segments must lie inside the initial memory, so that making an instance cannot trap.
    fn data(&self, reader: wasmparser::DataSectionReader<'_>) -> Result<(), UploadError> {
        at_most("data segments", reader.count().into(), MAX_SEGMENTS)?;
        for (index, data) in reader.into_iter().enumerate() {
            let data = data.map_err(invalid)?;
            if let DataKind::Active { offset_expr, .. } = data.kind {
                let memory = self.pages.saturating_mul(PAGE_BYTES as u64);
                if !fits(&offset_expr, data.data.len() as u64, memory) {
                    let index = index as u32;
                    return Err(UploadError::SegmentOutOfBounds { what: "data", index });
                }
            }
        }
        Ok(())
    }

    /// The contract's exports are there and have its types.
    fn check_exports(&self, exports: &[Export<'_>]) -> Result<(), UploadError> {
        let memory = self.export(exports, EXPORT_MEMORY)?;
        if memory.kind != ExternalKind::Memory || self.memories != 1 {
            return Err(UploadError::WrongExportType { name: EXPORT_MEMORY.into() });
        }
        self.check_function(exports, EXPORT_ALLOC, ALLOC)?;
        EXPORTS.iter().try_for_each(|name| self.check_function(exports, name, ENTRY_POINT))
    }

    /// One exported function.
    fn check_function(
        &self,
        exports: &[Export<'_>],
        name: &str,
        (params, results): Signature,
    ) -> Result<(), UploadError> {
        let export = self.export(exports, name)?;
        let ty = self.function_type(export.index).filter(|_| export.kind == ExternalKind::Func);
        match ty {
            Some(ty) if ty.params() == params && ty.results() == results => Ok(()),
            _ => Err(UploadError::WrongExportType { name: name.into() }),
        }
    }

    /// Finds an export.
    fn export<'a>(&self, exports: &[Export<'a>], name: &str) -> Result<Export<'a>, UploadError> {
        let found = exports.iter().find(|export| export.name == name).copied();
        found.ok_or_else(|| UploadError::MissingExport { name: name.into() })
    }
}

/// Whether `count` things at a constant offset fit into `size`. No other offset passes: there are
/// no imported globals that it could name.
fn fits(offset: &ConstExpr<'_>, count: u64, size: u64) -> bool {
    let mut reader = offset.get_operators_reader();
    match (reader.read(), reader.read()) {
        (Ok(Operator::I32Const { value }), Ok(Operator::End)) => {
            u64::from(value as u32).saturating_add(count) <= size
        }
        _ => false,
    }
}
