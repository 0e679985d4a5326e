//! Writes ParaTimes: state machines in WebAssembly that a committee of nodes replicates.
//!
//! Implement [`Runtime`] for a type, name it in [`export!`], build for `wasm32-unknown-unknown`.
//!
//! * **Every call starts afresh.** What shall be remembered goes into the state, through
//!   [`Context`], [`Map`], [`List`] or [`Table`]. Statics do not survive a call.
//! * **A transaction is all or nothing.** An error or a panic in [`Runtime::execute`] undoes all
//!   that it wrote, emitted and asked for; what [`Runtime::authenticate`] wrote stays.
//! * **Reading cannot write.** `check`, `query` and `reveal` get a `&Context`, which has no method
//!   that writes.
//! * **Memory is a call's own**, and comes from the allocator that this crate brings. A module has one:
//!   name no other.
//! * **Same input, same output.** All replicas must agree, so there is no clock, no network and no
//!   randomness but [`Context::random`].
//! * **Arguments and results are JSON** by convention ([`args()`], [`reply`]), so that a person can
//!   write them on a command line: whole numbers, [`Amount`]s as decimal strings (many JSON
//!   programs round numbers above 2^53), [`Address`]es as `paralith1...`. `Call::args` and a result are plain bytes, so a runtime may use another
//!   encoding.
//! * **In a confidential runtime values are secret, shapes are not.** Which entries a call reads
//!   and writes, how long they are, messages to consensus and events are seen by the nodes' hosts.
//!
//! A runtime's logic is tested without a network with [`testing::Chain`].

mod accounts;
mod args;
mod collections;
mod context;
#[cfg(any(feature = "abi-2", not(target_arch = "wasm32")))]
mod crypto;
mod entry;
mod error;
#[cfg(any(target_arch = "wasm32", test))]
mod heap;
mod host;
mod nonce;
mod runtime;
#[cfg(any(feature = "abi-2", not(target_arch = "wasm32")))]
mod timers;
mod value;

#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod guest;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
#[cfg(test)]
mod tests;

/// The guide's examples compile and hold.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/writing-a-runtime.md")]
mod guide {}

pub use accounts::{Accounts, AccountsError, Ends, Lock, MINT_MAX, Purpose, Settled};
pub use args::{NoArgs, args, reply, unknown_method};
pub use collections::{List, Map, Table};
pub use context::{Context, IncomingMessage, Transaction};
#[cfg(any(feature = "abi-2", not(target_arch = "wasm32")))]
pub use crypto::Curve;
#[doc(hidden)]
pub use entry::Export;
pub use error::{Error, Result, SdkError, fail};
pub use nonce::{NONCE_GAP_MAX, accept_nonce, check_nonce, next_nonce};
pub use paralith_runtime_abi as abi;
pub use paralith_runtime_abi::{Call, MessageResult};
pub use paralith_types::{
    Address, Amount, AmountError, ChainContext, Hash, PublicKey, RuntimeId, Signature,
};
pub use runtime::Runtime;
pub use serde_json::{Value as JsonValue, json};
#[cfg(any(feature = "abi-2", not(target_arch = "wasm32")))]
pub use timers::{Timer, Timers};
pub use value::{Json, Proto, Value};

/// Exports a [`Runtime`] as the module's entry points. Write it once, at the crate's root.
#[macro_export]
macro_rules! export {
    ($runtime:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            #[unsafe(no_mangle)]
            extern "C" fn paralith_alloc(len: i32) -> i32 {
                $crate::guest::alloc(len)
            }
    $crate::export!(@entry $runtime, init, Init);
    $crate::export!(@entry $runtime, begin_block, BeginBlock);
    $crate::export!(@entry $runtime, authenticate, Authenticate);
    $crate::export!(@entry $runtime, execute, Execute);
    $crate::export!(@entry $runtime, end_block, EndBlock);
    $crate::export!(@entry $runtime, check, Check);
    $crate::export!(@entry $runtime, query, Query);
    $crate::export!(@entry $runtime, reveal, Reveal);
    $crate::export!(@entry $runtime, migrate, Migrate);
        };
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn() = || {
            fn must_be_a_runtime<R: $crate::Runtime>() {}
            must_be_a_runtime::<$runtime>();
        };
    };
    (@entry $runtime:ty, $name:ident, $export:ident) => {
        #[unsafe(no_mangle)]
        extern "C" fn $name(ptr: i32, len: i32) -> i64 {
            $crate::guest::run::<$runtime>($crate::Export::$export, ptr, len)
        }
    };
}
