//! The frames that the compiler made, compared with what the protocol's cost of a function stands
//! for. The cost is the same everywhere; how many values a compiler spills is not. With this check
//! the native stack never ends before the metered depth does, whatever the compiler did.
//!
//! A frame's size is read from the compiled code, which is possible for x86-64 only: on any other
//! machine there is no [`Engine`](super::Engine). Each function begins with the same instructions:
//!
//! ```text
//! push rbp; mov rbp, rsp
//! mov r10, [rdi + …]; mov r10, [r10 + …]; add r10, total; cmp r10, rsp; ja …   unless a leaf without a frame
//! sub rsp, 4096; mov [rsp], 0; …; add rsp, …                                   touches the pages of a large frame
//! sub rsp, frame                                                               unless frame = 0
//! ```
//!
//! So the size stands there twice: `total` is `frame`, and 16 bytes more in a function that calls.
//! Code that begins in another way, or that contradicts itself, is refused.

use super::error::{EngineError, UploadError};
use super::limits::NATIVE_BYTES_PER_COST;
use super::validate::Shape;

/// Return address and frame pointer, and what aligns a call's arguments.
const FIXED_BYTES: u32 = 32;

/// What a function that calls needs for its callee's return address and frame pointer.
const CALL_BYTES: u32 = 16;

/// Refuses this machine if compiled frames cannot be read on it. No engine can be set up then, so a
/// node that is to run ParaTimes asks when it starts.
pub fn check_machine() -> Result<(), EngineError> {
    check_architecture(std::env::consts::ARCH)
}

fn check_architecture(architecture: &str) -> Result<(), EngineError> {
    if architecture == "x86_64" {
        return Ok(());
    }
    Err(EngineError::Machine { architecture: architecture.to_string() })
}

/// Refuses a module with a frame that is larger than its cost allows, or that cannot be read.
pub(crate) fn check(module: &wasmtime::Module, shape: &Shape) -> Result<(), UploadError> {
    let places = module.functions().map(|function| (function.offset, function.len));
    check_functions(module.text(), &places.collect::<Vec<_>>(), shape)
}

/// The same for the functions that lie at these places of the code.
fn check_functions(
    text: &[u8],
    places: &[(usize, usize)],
    shape: &Shape,
) -> Result<(), UploadError> {
    let unread = |index: usize, reason: &'static str| UploadError::FrameUnread {
        index: u32::try_from(index).unwrap_or(u32::MAX),
        reason,
    };
    if places.len() != shape.bodies.len() {
        return Err(unread(places.len(), "the compiler made another number of functions"));
    }
    for (index, ((offset, len), body)) in places.iter().zip(&shape.bodies).enumerate() {
        let code = text.get(*offset..offset.saturating_add(*len)).unwrap_or_default();
        let frame = read_frame(code).map_err(|reason| unread(index, reason))?;
        if body.calls && !frame.checks_the_stack {
            return Err(unread(index, "it calls and does not check the stack"));
        }
        let max = body.cost.saturating_mul(NATIVE_BYTES_PER_COST);
        let bytes = frame.bytes.saturating_add(FIXED_BYTES);
        // WI-10: the metered depth must end before the native stack does.
        if bytes > max {
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            return Err(UploadError::FrameTooLarge { index, bytes, max });
        }
    }
    Ok(())
}

/// What the beginning of a function says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Frame {
    /// Bytes that it takes from the stack.
    bytes: u32,
    checks_the_stack: bool,
}

/// Reads the beginning of a function.
fn read_frame(code: &[u8]) -> Result<Frame, &'static str> {
    let mut code = Reader(code);
    if !code.takes(&[0x55, 0x48, 0x89, 0xe5]) {
        return Err("it does not begin with a frame pointer");
    }
    let total = stack_check(&mut code)?;
    probes(&mut code)?;
    let bytes = code.immediate(&[0x48, 0x83, 0xec], &[0x48, 0x81, 0xec])?.unwrap_or(0);
    match total {
        Some(total) if total == bytes || bytes.checked_add(CALL_BYTES) == Some(total) => {
            Ok(Frame { bytes, checks_the_stack: true })
        }
        Some(_) => Err("it checks the stack for another size than it takes"),
        None if bytes == 0 && !code.takes_stack_soon() => {
            Ok(Frame { bytes: 0, checks_the_stack: false })
        }
        None => Err("it takes from the stack and does not check it"),
    }
}

/// Reads the comparison with the stack's limit, and gives the bytes that it is made for.
fn stack_check(code: &mut Reader<'_>) -> Result<Option<u32>, &'static str> {
    // mov r10, [rdi + …], with one byte or four.
    let limit = code.immediate(&[0x4c, 0x8b, 0x57], &[0x4c, 0x8b, 0x97])?;
    if limit.is_none() {
        return Ok(None);
    }
    // mov r10, [r10 + …]
    if !code.takes(&[0x4d, 0x8b, 0x12])
        && code.immediate(&[0x4d, 0x8b, 0x52], &[0x4d, 0x8b, 0x92])?.is_none()
    {
        return Ok(None);
    }
    // A large frame is compared twice, so that the sum cannot overflow.
    let compared = compare(code)?;
    // add r10, …
    match code.immediate(&[0x49, 0x83, 0xc2], &[0x49, 0x81, 0xc2])? {
        Some(total) if compare(code)? => Ok(Some(total)),
        None if compared => Ok(Some(0)),
        _ => Err("its check of the stack ends early"),
    }
}

/// Passes over the instructions that touch each page of a frame of a page or more, in a row or in a
/// loop, and put the stack pointer back.
fn probes(code: &mut Reader<'_>) -> Result<(), &'static str> {
    const BAD: &str = "it touches the pages of its frame in an unknown way";
    // sub rsp, 4096; mov dword ptr [rsp], 0
    let one: &[u8] = &[0x48, 0x81, 0xec, 0, 0x10, 0, 0, 0xc7, 0x04, 0x24, 0, 0, 0, 0];
    // mov r11, rsp; sub r11, …
    let area = if code.takes(&[0x49, 0x89, 0xe3]) {
        let area = code.immediate(&[0x49, 0x83, 0xeb], &[0x49, 0x81, 0xeb])?;
        // …; cmp r11, rsp; jne to the first of these.
        let looped = code.takes(one) && code.takes(&[0x4c, 0x3b, 0xdc, 0x0f, 0x85]) && code.skip(4);
        area.filter(|_| looped).ok_or(BAD)?
    } else {
        let mut area = 0_u32;
        while code.takes(one) {
            area = area.saturating_add(PAGE_BYTES);
        }
        area
    };
    // add rsp, …
    if area == 0 || code.immediate(&[0x48, 0x83, 0xc4], &[0x48, 0x81, 0xc4])? == Some(area) {
        return Ok(());
    }
    Err(BAD)
}

/// What the compiler takes for a page.
const PAGE_BYTES: u32 = 4096;

/// cmp r10, rsp; ja …
fn compare(code: &mut Reader<'_>) -> Result<bool, &'static str> {
    if !code.takes(&[0x4c, 0x3b, 0xd4]) {
        return Ok(false);
    }
    if code.takes(&[0x0f, 0x87]) && code.skip(4) {
        return Ok(true);
    }
    Err("its check of the stack decides nothing")
}

/// What is left of a function's code.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn takes(&mut self, bytes: &[u8]) -> bool {
        let rest = self.0.strip_prefix(bytes);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn skip(&mut self, count: usize) -> bool {
        let rest = self.0.get(count..);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// The operand of an instruction that has a form with one byte and one with four. It is never
    /// negative.
    fn immediate(&mut self, short: &[u8], long: &[u8]) -> Result<Option<u32>, &'static str> {
        let (value, len) = if self.takes(short) {
            (self.0.first().map(|byte| i32::from(i8::from_le_bytes([*byte]))), 1)
        } else if self.takes(long) {
            (self.0.first_chunk().map(|bytes| i32::from_le_bytes(*bytes)), 4)
        } else {
            return Ok(None);
        };
        let value = value.and_then(|value| u32::try_from(value).ok());
        let value = value.ok_or("an operand at its beginning is negative or missing")?;
        self.skip(len);
        Ok(Some(value))
    }

    /// Whether an instruction near the beginning may take from the stack after all.
    fn takes_stack_soon(&self) -> bool {
        const NEAR_BYTES: usize = 64;
        let near = self.0.get(..NEAR_BYTES).unwrap_or(self.0);
        near.windows(3).any(|bytes| matches!(bytes, [0x48, 0x81 | 0x83, 0xec]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::config;
    use crate::{Optimization, body::Body};

    const PUSH: &[u8] = &[0x55, 0x48, 0x89, 0xe5];
    const LIMIT: &[u8] = &[0x4c, 0x8b, 0x57, 0x08, 0x4d, 0x8b, 0x52, 0x18];
    const COMPARE: &[u8] = &[0x4c, 0x3b, 0xd4, 0x0f, 0x87, 1, 0, 0, 0];
    const TOUCH: &[u8] = &[0xc7, 0x04, 0x24, 0, 0, 0, 0];
    const RETURN: &[u8] = &[0x48, 0x89, 0xec, 0x5d, 0xc3];

    fn add(total: u32) -> Vec<u8> {
        [&[0x49, 0x81, 0xc2], total.to_le_bytes().as_slice()].concat()
    }

    fn sub(frame: u32) -> Vec<u8> {
        [&[0x48, 0x81, 0xec], frame.to_le_bytes().as_slice()].concat()
    }

    fn add_back(bytes: u32) -> Vec<u8> {
        [&[0x48, 0x81, 0xc4], bytes.to_le_bytes().as_slice()].concat()
    }

    fn body(cost: u32, calls: bool) -> Body {
        let mut body = Body::default();
        (body.cost, body.calls) = (cost, calls);
        body
    }

    fn shape(bodies: Vec<Body>) -> Shape {
        let mut shape = Shape::default();
        shape.bodies.extend(bodies);
        shape
    }

    fn read(parts: &[&[u8]]) -> Result<(u32, bool), &'static str> {
        read_frame(&parts.concat()).map(|frame| (frame.bytes, frame.checks_the_stack))
    }

    #[test]
    fn the_beginning_of_a_function_gives_its_frame() {
        let small = [0x48, 0x83, 0xec, 0x70];
        let add_small: &[u8] = &[0x49, 0x83, 0xc2, 0x70];
        let large: u32 = 40 * 1024;
        let (touch, back) = ([&sub(4096), TOUCH].concat(), add_back(3 * 4096));
        let looped = [&[0x49, 0x89, 0xe3, 0x49, 0x81, 0xeb], &large.to_le_bytes()[..]].concat();
        let again = [0x4c, 0x3b, 0xdc, 0x0f, 0x85, 0xe7, 0xff, 0xff, 0xff];
        let loop_back = add_back(large);
        let table: [(&[&[u8]], u32, bool); 8] = [
            (&[PUSH, RETURN], 0, false),
            (&[PUSH, LIMIT, COMPARE, RETURN], 0, true),
            (&[PUSH, LIMIT, &add(16), COMPARE, RETURN], 0, true),
            (&[PUSH, LIMIT, add_small, COMPARE, &small, RETURN], 0x70, true),
            (&[PUSH, LIMIT, &add(0x210), COMPARE, &sub(0x200), RETURN], 0x200, true),
            (&[PUSH, LIMIT, COMPARE, &add(large), COMPARE, &sub(large), RETURN], large, true),
            (
                &[PUSH, LIMIT, &add(0x3010), COMPARE, &touch, &touch, &touch, &back, &sub(0x3000)],
                0x3000,
                true,
            ),
            (
                &[
                    PUSH,
                    LIMIT,
                    COMPARE,
                    &add(large),
                    COMPARE,
                    &looped,
                    &touch,
                    &again,
                    &loop_back,
                    &sub(large),
                ],
                large,
                true,
            ),
        ];
        for (parts, bytes, checks) in table {
            assert_eq!(read(parts), Ok((bytes, checks)), "{parts:x?}");
        }
    }

    #[test]
    fn code_that_lies_about_its_frame_is_refused() {
        let touch = [&sub(4096), TOUCH].concat();
        let table: [(&str, &[&[u8]]); 11] = [
            ("no frame pointer", &[RETURN]),
            ("nothing", &[]),
            ("checks for less than it takes", &[PUSH, LIMIT, &add(0x200), COMPARE, &sub(0x400)]),
            ("checks for nothing", &[PUSH, LIMIT, COMPARE, &sub(0x400)]),
            ("checks for more", &[PUSH, LIMIT, &add(0x400), COMPARE, &sub(0x200)]),
            ("no check", &[PUSH, &sub(0x200), RETURN]),
            ("takes a little later", &[PUSH, &[0x90; 20], &sub(0x200), RETURN]),
            ("a check that decides nothing", &[PUSH, LIMIT, &COMPARE[..3], RETURN]),
            ("touches and stays", &[PUSH, LIMIT, &add(0x1010), COMPARE, &touch, &sub(0x1000)]),
            (
                "touches less than it says",
                &[PUSH, LIMIT, &add(0x2000), COMPARE, &touch, &add_back(0x2000), &sub(0x2000)],
            ),
            ("gives instead of taking", &[PUSH, LIMIT, &add(0x200), COMPARE, &sub(u32::MAX - 15)]),
        ];
        for (name, parts) in table {
            assert!(read(parts).is_err(), "{name}");
        }
        // And in a module: another number of functions, and a caller that says it is a leaf.
        let leaf = [PUSH, RETURN].concat();
        let shape = |calls: &[bool]| shape(calls.iter().map(|calls| body(1_000, *calls)).collect());
        let place = (0, leaf.len());
        assert_eq!(check_functions(&leaf, &[place], &shape(&[false])), Ok(()));
        let refused = |places: &[(usize, usize)], calls: &[bool]| {
            let error = check_functions(&leaf, places, &shape(calls)).unwrap_err();
            assert!(matches!(error, UploadError::FrameUnread { .. }), "{error}");
        };
        refused(&[place], &[true]);
        refused(&[place], &[false, false]);
        refused(&[place, place], &[false]);
        refused(&[(7, 100)], &[false]);
    }

    #[test]
    fn other_machines_are_refused_by_name() {
        assert!(check_architecture("x86_64").is_ok());
        for other in ["aarch64", "riscv64", "s390x"] {
            let text = check_architecture(other).unwrap_err().to_string();
            assert!(text.contains(other), "{text}");
        }
    }

    /// A function that keeps so many values over a call.
    fn keeping(values: usize) -> Vec<u8> {
        let each = |text: fn(usize) -> String| (0..values).map(text).collect::<String>();
        let locals = each(|n| format!("(local $v{n} i64)"));
        let load = each(|n| format!("(local.set $v{n} (i64.load (i32.const {})))", n * 8));
        let add =
            each(|n| format!("(local.set $sum (i64.add (local.get $sum) (local.get $v{n})))"));
        let text = format!(
            "(module (import \"paralith\" \"log\" (func $log (param i32 i32))) (memory 1)
               (func (export \"f\") (param $sum i64) (result i64) {locals}
                 {load} (call $log (i32.const 0) (i32.const 0)) {add} (local.get $sum)))"
        );
        wat::parse_str(text).unwrap()
    }

    /// The frame of that function, and the cheapest cost with which it is accepted.
    fn frame_of(values: usize, optimization: Optimization) -> u32 {
        let engine = wasmtime::Engine::new(&config(optimization)).unwrap();
        let module = wasmtime::Module::new(&engine, keeping(values)).unwrap();
        let checked = |cost| check(&module, &shape(vec![body(cost, true)]));
        let Err(UploadError::FrameTooLarge { index: 0, bytes, max: 0 }) = checked(0) else {
            panic!("a frame without any cost is accepted")
        };
        let least = bytes.div_ceil(NATIVE_BYTES_PER_COST);
        assert_eq!(checked(least), Ok(()));
        let max = (least - 1) * NATIVE_BYTES_PER_COST;
        let refused = UploadError::FrameTooLarge { index: 0, bytes, max };
        assert_eq!(checked(least - 1), Err(refused));
        bytes - FIXED_BYTES
    }

    #[test]
    fn a_frame_grows_by_eight_bytes_for_each_value_that_is_kept_over_a_call() {
        for optimization in [Optimization::None, Optimization::Speed, Optimization::SpeedAndSize] {
            let mut frames = Vec::new();
            // Frames from a page on are touched page by page before they are taken.
            for values in [64, 128, 512, 1024, 8192] {
                let frame = frame_of(values, optimization);
                // Some values stay in registers, which are saved in the frame; it is aligned to 16.
                let spilled = u32::try_from(values).unwrap() * 8;
                assert!(
                    (spilled - 64..=spilled + 256).contains(&frame),
                    "{optimization:?}, {values}: {frame}"
                );
                frames.push(frame);
            }
            assert_eq!(frames[1] - frames[0], 64 * 8, "{optimization:?}: {frames:?}");
            assert_eq!(frames[4] - frames[3], 7168 * 8, "{optimization:?}: {frames:?}");
        }
    }
}
