//! `paralith dev` ends the same way however it is asked to.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// A supervisor sends SIGTERM, a person SIGINT. Neither leaves the chain's temporary folder behind.
#[test]
fn a_signal_leaves_no_temporary_folder_behind() {
    for signal in [Signal::TERM, Signal::INT] {
        let temporary = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_paralith"))
            .args(["dev", "--once", "--json"])
            .env("TMPDIR", temporary.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let left = || std::fs::read_dir(temporary.path()).unwrap().count();
        // The first step is shown when the chain runs.
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        assert!(first.contains("\"step\""), "{first}");
        assert!(left() > 0, "the chain has no folder: this test shows nothing");
        kill_process(Pid::from_child(&child), signal).unwrap();
        lines.for_each(drop);
        assert!(child.wait().unwrap().success(), "{signal:?}");
        assert_eq!(left(), 0, "{signal:?}");
    }
}
