//! One linear pass over the functions of a module: it validates them, and measures what their
//! compilation costs and what their frames need, before anything is compiled.

use wasmparser::{
    FuncToValidate, FuncValidatorAllocations, FunctionBody, Operator, Parser, ValidPayload,
    Validator, ValidatorResources,
};

use super::error::UploadError;
use super::limits::{FRAME_BASE_COST, MAX_COMPILE_WORK, MAX_NESTING, frame_cost};
use super::validate::features;

/// What one function's code looks like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Body {
    /// What its frame takes from the call depth.
    pub(crate) cost: u32,
    /// Whether it calls anything.
    pub(crate) calls: bool,
    /// Most blocks, loops and branches of `if` that are open at once.
    nesting: u32,
    /// See [`MAX_COMPILE_WORK`].
    work: u64,
}

/// Validates a module with all its functions and measures these, in order.
pub(crate) fn measure(code: &[u8]) -> Result<Vec<Body>, wasmparser::Error> {
    let mut validator = Validator::new_with_features(features());
    let mut functions = Vec::new();
    for payload in Parser::new(0).parse_all(code) {
        if let ValidPayload::Func(function, body) = validator.payload(&payload?)? {
            functions.push((function, body));
        }
    }
    let mut allocations = FuncValidatorAllocations::default();
    let mut bodies = Vec::with_capacity(functions.len());
    for (function, body) in functions {
        let measured = measure_one(function, &body, &mut allocations)?;
        bodies.push(measured);
    }
    Ok(bodies)
}

fn measure_one(
    function: FuncToValidate<ValidatorResources>,
    body: &FunctionBody<'_>,
    allocations: &mut FuncValidatorAllocations,
) -> Result<Body, wasmparser::Error> {
    let mut validator = function.into_validator(std::mem::take(allocations));
    let mut reader = body.get_binary_reader();
    validator.read_locals(&mut reader)?;
    reader.set_features(features());
    let locals = validator.len_locals();
    let (mut operators, mut height, mut edges) = (0_u32, 0_u32, 1_u64);
    let mut measured = Body::default();
    // For each open block, whether it is a loop; and how many of them are.
    let (mut open, mut loops) = (Vec::new(), 0_u64);
    while !reader.eof() {
        let offset = reader.original_position();
        let operator = reader.peek_operator(&validator.visitor(offset))?;
        reader.visit_operator(&mut validator.visitor(offset))??;
        operators = operators.saturating_add(1);
        height = height.max(validator.operand_stack_height());
        // An edge of a loop that lies in others is walked once for each of them.
        let weight = loops.saturating_add(1);
        match &operator {
            Operator::Loop { .. } => {
                open.push(true);
                loops = loops.saturating_add(1);
                edges = edges.saturating_add(weight.saturating_add(1));
            }
            Operator::Block { .. } | Operator::If { .. } => {
                open.push(false);
                edges = edges.saturating_add(weight);
            }
            Operator::End => {
                let ends_a_loop = open.pop() == Some(true);
                loops = loops.saturating_sub(u64::from(ends_a_loop));
            }
            Operator::Else | Operator::Br { .. } | Operator::BrIf { .. } | Operator::Return => {
                edges = edges.saturating_add(weight);
            }
            Operator::BrTable { targets } => {
                let targets = u64::from(targets.len()).saturating_add(1);
                edges = edges.saturating_add(weight.saturating_mul(targets));
            }
            Operator::Call { .. } | Operator::CallIndirect { .. } => measured.calls = true,
            _ => {}
        }
        measured.nesting = measured.nesting.max(u32::try_from(open.len()).unwrap_or(u32::MAX));
    }
    reader.finish_expression(&validator.visitor(reader.original_position()))?;
    measured.cost = frame_cost(locals, operators, height);
    let values = u64::from(locals).saturating_add(u64::from(height)).saturating_add(1);
    measured.work = values.saturating_mul(edges);
    *allocations = validator.into_allocations();
    Ok(measured)
}

/// Refuses a module whose compilation could take long although it is small.
pub(crate) fn check(bodies: &[Body]) -> Result<(), UploadError> {
    let mut work = 0_u64;
    for (index, body) in bodies.iter().enumerate() {
        // WI-8: before any compilation, in time proportional to the length.
        if body.nesting > MAX_NESTING {
            return Err(UploadError::NestedTooDeeply {
                index: u32::try_from(index).unwrap_or(u32::MAX),
                depth: body.nesting,
                max: MAX_NESTING,
            });
        }
        work = work.saturating_add(body.work);
    }
    if work > MAX_COMPILE_WORK {
        return Err(UploadError::TooMuchWork { work, max: MAX_COMPILE_WORK });
    }
    debug_assert!(bodies.iter().all(|body| body.cost >= FRAME_BASE_COST));
    Ok(())
}
