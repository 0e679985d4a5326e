//! Clients in Python, which share no code with the program.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Python with what `docs/examples` needs.
#[derive(Debug)]
pub struct Python {
    program: PathBuf,
    /// It goes with this.
    _folder: tempfile::TempDir,
}

fn runs(command: &mut Command) -> bool {
    let silent = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    silent.status().is_ok_and(|status| status.success())
}

impl Python {
    /// Whether there is one at all.
    pub fn is_there() -> bool {
        runs(Command::new("python3").arg("--version"))
    }

    /// Makes an environment and installs the requirements. Without them the test of this name says that it is
    /// skipped.
    pub fn for_test(name: &str) -> Option<Self> {
        let folder = crate::scratch();
        let venv = folder.path().join("venv");
        if !runs(Command::new("python3").args(["-m", "venv"]).arg(&venv)) {
            println!("SKIPPED {name}: python3 cannot make a virtual environment");
            return None;
        }
        let program = venv.join("bin/python");
        let requirements = examples().join("requirements.txt");
        let mut install = Command::new(&program);
        install.args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(&requirements);
        if !runs(&mut install) {
            println!("SKIPPED {name}: pip cannot install {}", requirements.display());
            return None;
        }
        Some(Self { program, _folder: folder })
    }

    /// A command that runs this script of the examples.
    pub fn example(&self, script: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(examples().join(script));
        command
    }

    /// The unit tests of the examples: their framing, and what they verify of frozen vectors.
    pub fn run_unit_tests(&self) {
        let mut units = Command::new(&self.program);
        units.args(["-m", "unittest", "discover", "--start-directory"]).arg(examples());
        let units = units.output().unwrap();
        assert!(units.status.success(), "{}", String::from_utf8_lossy(&units.stderr));
    }
}

fn examples() -> PathBuf {
    crate::root().join(Path::new("docs/examples"))
}
