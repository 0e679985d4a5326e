//! Meters call depth inside a module, so that it does not depend on the native stack.
//!
//! A global is added that the guest's own code cannot name. Each function adds the cost of its
//! frame ([`super::limits::frame_cost`]) to it on entry, traps if the sum exceeds [`MAX_CALL_DEPTH_COST`], and
//! takes it back at its one exit:
//!
//! ```text
//! depth += cost; if depth > MAX { unreachable }
//! block (result ...)  body, with `return` as `br` to this block  end
//! depth -= cost
//! ```
//!
//! Branches of the body to the function's label need no change: the block has its place. A trap
//! leaves the sum behind, which is how [`DEPTH_EXPORT`] tells this trap from the guest's own.
//! Custom sections and exports outside the contract are dropped.

use paralith_runtime_abi::{EXPORT_ALLOC, EXPORT_MEMORY, EXPORTS};
use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, ExportKind, ExportSection, Function, GlobalSection,
    GlobalType, Instruction, Module, SectionId, ValType,
};
use wasmparser::{CustomSectionReader, FunctionBody, GlobalSectionReader, Operator, Parser};

use super::error::UploadError;
use super::limits::{FREE_LEAF_COST, MAX_CALL_DEPTH_COST};
use super::validate::Shape;

/// The name under which the host finds the counter.
pub(crate) const DEPTH_EXPORT: &str = "paralith_host_depth";

/// Why a module could not be rewritten: a function that is too large, by index.
#[derive(Debug)]
struct TooLarge(u32);

/// Rewrites a validated module.
pub(crate) fn instrument(code: &[u8], shape: &Shape) -> Result<Vec<u8>, UploadError> {
    let mut module = Module::new();
    let mut meter = Meter { shape, next_function: 0, counter_added: false };
    match meter.parse_core_module(&mut module, Parser::new(0), code) {
        Ok(()) => Ok(module.finish()),
        Err(Error::UserError(TooLarge(index))) => Err(UploadError::FunctionTooLarge { index }),
        Err(error) => Err(UploadError::NotWasm { reason: format!("{error:?}") }),
    }
}

/// The rewriter.
struct Meter<'a> {
    shape: &'a Shape,
    /// Index, among the module's own functions, of the next body.
    next_function: u32,
    counter_added: bool,
}

impl Meter<'_> {
    /// Index of the counter: after the guest's own globals.
    fn counter(&self) -> u32 {
        self.shape.globals
    }

    /// Adds the counter to a section of globals.
    fn add_counter(&mut self, globals: &mut GlobalSection) {
        let ty = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
        globals.global(ty, &ConstExpr::i32_const(0));
        self.counter_added = true;
    }

    /// Adds to the counter, and traps if that was too much.
    fn enter(&self, function: &mut Function, cost: i32) {
        let counter = self.counter();
        function
            .instruction(&Instruction::GlobalGet(counter))
            .instruction(&Instruction::I32Const(cost))
            .instruction(&Instruction::I32Add)
            .instruction(&Instruction::GlobalSet(counter))
            .instruction(&Instruction::GlobalGet(counter))
            .instruction(&Instruction::I32Const(MAX_CALL_DEPTH_COST as i32))
            .instruction(&Instruction::I32GtU)
            .instruction(&Instruction::If(BlockType::Empty))
            .instruction(&Instruction::Unreachable)
            .instruction(&Instruction::End);
    }

    /// Takes back from the counter, and ends the function.
    fn leave(&self, function: &mut Function, cost: i32) {
        let counter = self.counter();
        function
            .instruction(&Instruction::GlobalGet(counter))
            .instruction(&Instruction::I32Const(cost))
            .instruction(&Instruction::I32Sub)
            .instruction(&Instruction::GlobalSet(counter))
            .instruction(&Instruction::End);
    }
}

impl Reencode for Meter<'_> {
    type Error = TooLarge;

    fn parse_custom_section(
        &mut self,
        _module: &mut Module,
        _section: CustomSectionReader<'_>,
    ) -> Result<(), Error<TooLarge>> {
        Ok(())
    }

    fn parse_global_section(
        &mut self,
        globals: &mut GlobalSection,
        section: GlobalSectionReader<'_>,
    ) -> Result<(), Error<TooLarge>> {
        utils::parse_global_section(self, globals, section)?;
        self.add_counter(globals);
        Ok(())
    }

    fn intersperse_section_hook(
        &mut self,
        module: &mut Module,
        _after: Option<SectionId>,
        before: Option<SectionId>,
    ) -> Result<(), Error<TooLarge>> {
        // Every guest has exports, and they come right after the globals.
        if before == Some(SectionId::Export) && !self.counter_added {
            let mut globals = GlobalSection::new();
            self.add_counter(&mut globals);
            module.section(&globals);
        }
        Ok(())
    }

    fn parse_export_section(
        &mut self,
        exports: &mut ExportSection,
        section: wasmparser::ExportSectionReader<'_>,
    ) -> Result<(), Error<TooLarge>> {
        for export in section {
            let export = export?;
            let name = export.name;
            if name == EXPORT_MEMORY || name == EXPORT_ALLOC || EXPORTS.contains(&name) {
                self.parse_export(exports, export)?;
            }
        }
        exports.export(DEPTH_EXPORT, ExportKind::Global, self.counter());
        Ok(())
    }

    fn parse_function_body(
        &mut self,
        code: &mut CodeSection,
        body: FunctionBody<'_>,
    ) -> Result<(), Error<TooLarge>> {
        let index = self.next_function;
        self.next_function = index.saturating_add(1);
        let absolute = (self.shape.imported as u32).saturating_add(index);
        let Some(ty) = self.shape.function_type(absolute) else {
            return Err(Error::UserError(TooLarge(index)));
        };
        let result = match ty.results() {
            [] => BlockType::Empty,
            [one, ..] => BlockType::Result(self.val_type(*one)?),
        };
        let Some(frame) = self.shape.bodies.get(index as usize) else {
            return Err(Error::UserError(TooLarge(index)));
        };
        if frame.cost > MAX_CALL_DEPTH_COST / 2 {
            return Err(Error::UserError(TooLarge(index)));
        }
        if !frame.calls && frame.cost <= FREE_LEAF_COST {
            return utils::parse_function_body(self, code, body);
        }
        let cost = frame.cost as i32;
        let mut function = self.new_function_with_parsed_locals(&body)?;
        self.enter(&mut function, cost);
        function.instruction(&Instruction::Block(result));
        // How many blocks of the body are open: the distance of a `return` to the block around it.
        // The body's own `end` closes that block.
        let mut open = 0_u32;
        let mut reader = body.get_operators_reader()?;
        while !reader.eof() {
            let operator = reader.read()?;
            match operator {
                Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => open += 1,
                Operator::End => open = open.saturating_sub(1),
                Operator::Return => {
                    function.instruction(&Instruction::Br(open));
                    continue;
                }
                _ => {}
            }
            function.instruction(&self.instruction(operator)?);
        }
        self.leave(&mut function, cost);
        code.function(&function);
        Ok(())
    }
}
