#![allow(clippy::arithmetic_side_effects, clippy::unwrap_used, reason = "a panic is a failed test")]

mod codes;
mod collections;
mod lab;
mod money;
mod replay;
mod serial;
