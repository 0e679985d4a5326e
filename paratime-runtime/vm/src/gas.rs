//! The gas schedule: what everything costs a guest.
//!
//! One gas is about a tenth of a nanosecond on the machine that it was measured on. Operators are
//! priced by [`operators`], which the compiler weaves into the code as fuel; host functions, bytes
//! that cross the border, memory pages and the instance itself by the constants here.
//!
//! **Rule.** Changing any number changes results. It takes a new [`GAS_SCHEDULE_VERSION`], which a
//! runtime's descriptor names on chain, and a golden test fails until someone says so. A new version
//! may add prices of new imports; a module that runs under an old one cannot import those.
//!
//! **Exactness.** The compiled code keeps its fuel counter in a register and writes it back at
//! calls, returns and `unreachable`. After any other trap of the guest's own code the counter is
//! old, so such a trap costs the whole limit; a loop could otherwise run for free and divide by
//! zero. Out of gas also costs the whole limit. Everything else costs what it used.

use wasmtime::{OperatorCost, VariableOperatorCost};

/// Version of every number in this module.
pub const GAS_SCHEDULE_VERSION: u32 = 2;

/// The oldest schedule that hosts still serve. Version 2 has the prices of version 1 and adds those
/// of the imports that version 2 of the ABI adds.
pub const OLDEST_GAS_SCHEDULE_VERSION: u32 = 1;

/// Highest gas limit; a higher one counts as this.
pub const MAX_GAS_LIMIT: u64 = 1 << 60;

/// A call: a fresh instance and its end.
pub const CALL: u64 = 60_000;

/// A page of memory beyond [`FREE_PAGES`]: sixteen page faults and their cleaning up.
pub const MEMORY_PAGE: u64 = 40_000;

/// Pages of a module's initial memory that [`CALL`] pays for.
pub const FREE_PAGES: u64 = 32;

/// Any host function.
pub const HOST_CALL: u64 = 800;

/// A byte that is copied between guest and host.
pub const COPIED_BYTE: u64 = 2;

/// Reading a key, there or not.
pub const STATE_READ: u64 = 10_000;

/// A byte of a key or value that is read.
pub const STATE_READ_BYTE: u64 = 20;

/// Writing or removing a key.
pub const STATE_WRITE: u64 = 30_000;

/// A byte of a key or value that is written.
pub const STATE_WRITE_BYTE: u64 = 50;

/// A block of 64 bytes that is hashed.
pub const HASH_BLOCK: u64 = 2_500;

/// Verifying a signature, beside hashing.
pub const VERIFY_SIGNATURE: u64 = 500_000;

/// A message, an event or a request to reveal.
pub const EFFECT: u64 = 10_000;

/// A byte of one.
pub const EFFECT_BYTE: u64 = 50;

/// Reading a key of consensus state, there or not: its proof is fetched and verified.
pub const CONSENSUS_READ: u64 = 100_000;

/// A byte of a key or value of consensus state.
pub const CONSENSUS_READ_BYTE: u64 = 20;

/// Verifying a proof of possession of a BLS key, which checks the key.
pub const BLS_POSSESSION: u64 = 17_000_000;

/// Verifying an aggregate BLS signature, beside its keys.
pub const BLS_VERIFY: u64 = 15_000_000;

/// A key of an aggregate signature. No key is taken as checked before.
pub const BLS_VERIFY_KEY: u64 = 2_000_000;

/// Sealing by HPKE to an X25519 key.
pub const HPKE_SEAL_X25519: u64 = 900_000;

/// Sealing by HPKE to an X-Wing key.
pub const HPKE_SEAL_X_WING: u64 = 3_000_000;

/// A byte that is sealed, or of its info.
pub const HPKE_SEAL_BYTE: u64 = 2;

/// Recovering a key from an ECDSA signature on secp256k1. `paralith-crypto` has an example, `cost`, that
/// measures this and the following.
pub const SECP256K1_RECOVER: u64 = 1_000_000;

/// Verifying a signature of BIP340, beside hashing.
pub const SCHNORR_VERIFY: u64 = 1_000_000;

/// Adding multiples of points, beside the pairs.
pub const GROUP_COMBINE: u64 = 300_000;

/// A pair of a scalar and a point.
pub const GROUP_COMBINE_PAIR: u64 = 600_000;

/// Hashing `bytes` bytes with SHA-256, padding included. Keccak and SHA-3 cost as much.
#[must_use]
pub fn hashing(bytes: usize) -> u64 {
    (bytes as u64 / 64).saturating_add(2).saturating_mul(HASH_BLOCK)
}

/// The price of a module's initial memory.
#[must_use]
pub fn initial_memory(pages: u64) -> u64 {
    pages.saturating_sub(FREE_PAGES).saturating_mul(MEMORY_PAGE)
}

/// The price of every operator. Operators that guests must not use keep the engine's default.
#[must_use]
pub fn operators() -> OperatorCost {
    let base = integers(OperatorCost::new());
    let base = memory(control(base));
    floats(base)
}

/// Control flow, locals and constants.
fn control(base: OperatorCost) -> OperatorCost {
    OperatorCost {
        Loop: 1,
        If: 5,
        Br: 3,
        BrIf: 5,
        BrTable: 20,
        Call: 50,
        CallIndirect: 70,
        Select: 4,
        LocalGet: 1,
        LocalSet: 1,
        LocalTee: 1,
        GlobalGet: 4,
        GlobalSet: 4,
        I32Const: 1,
        I64Const: 1,
        F32Const: 2,
        F64Const: 2,
        ..base
    }
}

/// Integer arithmetic. What is not named costs as much as an addition.
fn integers(base: OperatorCost) -> OperatorCost {
    const ALU: u8 = 2;
    const MUL: u8 = 8;
    const DIV: u8 = 40;
    OperatorCost {
        I32Eqz: ALU,
        I32Eq: ALU,
        I32Ne: ALU,
        I32LtS: ALU,
        I32LtU: ALU,
        I32GtS: ALU,
        I32GtU: ALU,
        I32LeS: ALU,
        I32LeU: ALU,
        I32GeS: ALU,
        I32GeU: ALU,
        I64Eqz: ALU,
        I64Eq: ALU,
        I64Ne: ALU,
        I64LtS: ALU,
        I64LtU: ALU,
        I64GtS: ALU,
        I64GtU: ALU,
        I64LeS: ALU,
        I64LeU: ALU,
        I64GeS: ALU,
        I64GeU: ALU,
        I32Clz: 4,
        I32Ctz: 4,
        I32Popcnt: 4,
        I32Add: ALU,
        I32Sub: ALU,
        I32Mul: MUL,
        I32DivS: DIV,
        I32DivU: DIV,
        I32RemS: DIV,
        I32RemU: DIV,
        I32And: ALU,
        I32Or: ALU,
        I32Xor: ALU,
        I32Shl: ALU,
        I32ShrS: ALU,
        I32ShrU: ALU,
        I32Rotl: ALU,
        I32Rotr: ALU,
        I64Clz: 4,
        I64Ctz: 4,
        I64Popcnt: 4,
        I64Add: ALU,
        I64Sub: ALU,
        I64Mul: MUL,
        I64DivS: DIV,
        I64DivU: DIV,
        I64RemS: DIV,
        I64RemU: DIV,
        I64And: ALU,
        I64Or: ALU,
        I64Xor: ALU,
        I64Shl: ALU,
        I64ShrS: ALU,
        I64ShrU: ALU,
        I64Rotl: ALU,
        I64Rotr: ALU,
        ..base
    }
}

/// Loads, stores, bulk operations and growth.
fn memory(base: OperatorCost) -> OperatorCost {
    // Between a load from the cache (2 ns) and one that misses it (13 ns).
    const LOAD: u8 = 12;
    const STORE: u8 = 8;
    const BULK: u8 = 100;
    OperatorCost {
        I32Load: LOAD,
        I64Load: LOAD,
        F32Load: LOAD,
        F64Load: LOAD,
        I32Load8S: LOAD,
        I32Load8U: LOAD,
        I32Load16S: LOAD,
        I32Load16U: LOAD,
        I64Load8S: LOAD,
        I64Load8U: LOAD,
        I64Load16S: LOAD,
        I64Load16U: LOAD,
        I64Load32S: LOAD,
        I64Load32U: LOAD,
        I32Store: STORE,
        I64Store: STORE,
        F32Store: STORE,
        F64Store: STORE,
        I32Store8: STORE,
        I32Store16: STORE,
        I64Store8: STORE,
        I64Store16: STORE,
        I64Store32: STORE,
        MemorySize: 4,
        // Plus MEMORY_PAGE for each page that it gets.
        MemoryGrow: 255,
        MemoryInit: BULK,
        MemoryCopy: BULK,
        MemoryFill: BULK,
        DataDrop: BULK,
        TableInit: BULK,
        TableCopy: BULK,
        ElemDrop: BULK,
        variable: VariableOperatorCost {
            memory_copy_per_byte: 1,
            memory_fill_per_byte: 1,
            memory_init_per_byte: 1,
            memory_grow_per_page: 255,
            table_copy_per_element: 50,
            table_init_per_element: 100,
            ..VariableOperatorCost::new()
        },
        ..base
    }
}

/// Floats, whose NaNs are made canonical after each operation.
fn floats(base: OperatorCost) -> OperatorCost {
    const FAST: u8 = 8;
    const FLOAT: u8 = 25;
    const DIV: u8 = 50;
    const SQRT: u8 = 60;
    OperatorCost {
        F32Eq: FAST,
        F32Ne: FAST,
        F32Lt: FAST,
        F32Gt: FAST,
        F32Le: FAST,
        F32Ge: FAST,
        F64Eq: FAST,
        F64Ne: FAST,
        F64Lt: FAST,
        F64Gt: FAST,
        F64Le: FAST,
        F64Ge: FAST,
        F32Abs: FAST,
        F32Neg: FAST,
        F32Copysign: FAST,
        F64Abs: FAST,
        F64Neg: FAST,
        F64Copysign: FAST,
        F32Ceil: FLOAT,
        F32Floor: FLOAT,
        F32Trunc: FLOAT,
        F32Nearest: FLOAT,
        F32Add: FLOAT,
        F32Sub: FLOAT,
        F32Mul: FLOAT,
        F32Min: FLOAT,
        F32Max: FLOAT,
        F64Ceil: FLOAT,
        F64Floor: FLOAT,
        F64Trunc: FLOAT,
        F64Nearest: FLOAT,
        F64Add: FLOAT,
        F64Sub: FLOAT,
        F64Mul: FLOAT,
        F64Min: FLOAT,
        F64Max: FLOAT,
        F32Div: DIV,
        F64Div: DIV,
        F32Sqrt: SQRT,
        F64Sqrt: SQRT,
        I32TruncF32S: FLOAT,
        I32TruncF32U: FLOAT,
        I32TruncF64S: FLOAT,
        I32TruncF64U: FLOAT,
        I64TruncF32S: FLOAT,
        I64TruncF32U: FLOAT,
        I64TruncF64S: FLOAT,
        I64TruncF64U: FLOAT,
        I32TruncSatF32S: FLOAT,
        I32TruncSatF32U: FLOAT,
        I32TruncSatF64S: FLOAT,
        I32TruncSatF64U: FLOAT,
        I64TruncSatF32S: FLOAT,
        I64TruncSatF32U: FLOAT,
        I64TruncSatF64S: FLOAT,
        I64TruncSatF64U: FLOAT,
        F32ConvertI32S: FLOAT,
        F32ConvertI32U: FLOAT,
        F32ConvertI64S: FLOAT,
        F32ConvertI64U: FLOAT,
        F64ConvertI32S: FLOAT,
        F64ConvertI32U: FLOAT,
        F64ConvertI64S: FLOAT,
        F64ConvertI64U: FLOAT,
        F32DemoteF64: FLOAT,
        F64PromoteF32: FLOAT,
        I32ReinterpretF32: FAST,
        I64ReinterpretF64: FAST,
        F32ReinterpretI32: FAST,
        F64ReinterpretI64: FAST,
        ..base
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;

    /// The constants of version 1, in the order of its digest.
    const VERSION_1: [u64; 14] = [
        CALL,
        MEMORY_PAGE,
        FREE_PAGES,
        HOST_CALL,
        COPIED_BYTE,
        STATE_READ,
        STATE_READ_BYTE,
        STATE_WRITE,
        STATE_WRITE_BYTE,
        HASH_BLOCK,
        VERIFY_SIGNATURE,
        EFFECT,
        EFFECT_BYTE,
        MAX_GAS_LIMIT,
    ];

    /// What version 2 adds.
    const ADDED_IN_VERSION_2: [u64; 12] = [
        CONSENSUS_READ,
        CONSENSUS_READ_BYTE,
        BLS_POSSESSION,
        BLS_VERIFY,
        BLS_VERIFY_KEY,
        HPKE_SEAL_X25519,
        HPKE_SEAL_X_WING,
        HPKE_SEAL_BYTE,
        SECP256K1_RECOVER,
        SCHNORR_VERIFY,
        GROUP_COMBINE,
        GROUP_COMBINE_PAIR,
    ];

    fn digest(version: u32, constants: &[u64]) -> String {
        let schedule = format!("{version} {constants:?} {:?}", operators());
        hex::encode(Sha256::digest(schedule))
    }

    #[test]
    fn prices_of_version_1_never_change() {
        let digest = digest(1, &VERSION_1);
        assert_eq!(digest, "2ef6902c009447b221cd7bc430a6f3c80860d34bbd9872d54a399ee013a14154");
    }

    #[test]
    fn no_price_changes_without_a_new_version_of_the_schedule() {
        let constants = [&VERSION_1[..], &ADDED_IN_VERSION_2].concat();
        let digest = digest(GAS_SCHEDULE_VERSION, &constants);
        assert_eq!(digest, "ae4880d24003c3e24be5d638e67ef903473108d6766fc56a495cb2a99d4906c0");
    }
}
