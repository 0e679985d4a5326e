//! Limits of light clients.

/// Longest step between two verified headers, in blocks. A chain whose debonding time is short allows
/// less: see `Document::longest_light_step` in the genesis crate.
pub const MAX_STEP: u64 = 1000;
