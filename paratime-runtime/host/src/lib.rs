//! The trusted side of a ParaTime: runs its WebAssembly on its state.

pub mod wasm;
