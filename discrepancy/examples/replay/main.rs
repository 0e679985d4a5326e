//! Replays rounds: one JSON scenario a line in, one JSON object a line out.
//!
//! `cargo run -q -p discrepancy --example replay < scenario.json`
//!
//! It serves bug reports and outside oracles; `scenario` has the format. Exit code 0, or 2 with the
//! number of the line that cannot be replayed.

mod scenario;

use std::io::{stderr, stdin, stdout};
use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(scenario::replay(stdin().lock(), &mut stdout().lock(), &mut stderr().lock()))
}
