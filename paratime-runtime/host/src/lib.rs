//! The trusted side of a ParaTime: runs its WebAssembly on its state.

pub mod trusted;
pub mod wasm;

pub use trusted::{TrustedError, TrustedRuntime, measurement};
