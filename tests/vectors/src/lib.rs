//! Vectors that another implementation has computed: `*.json`, written by the script of the same
//! name in Python from the specification alone.
//!
//! The tests compare this repository's code with the files, and the files with what the scripts
//! compute now. The latter needs Python with the packages of `requirements.txt`: tests install them
//! into a virtual environment, or say `SKIPPED`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// A committed file of this folder.
#[must_use]
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn runs(command: &mut Command) -> bool {
    let silent = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    silent.status().is_ok_and(|status| status.success())
}

/// A Python that has the packages, and what is missing if there is none. `scratch` is a folder that
/// stays between runs.
fn python(scratch: &Path) -> &'static Result<PathBuf, String> {
    static PYTHON: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let system = PathBuf::from("python3");
        if runs(Command::new(&system).args(["-c", "import py_ecc"])) {
            return Ok(system);
        }
        let venv = scratch.join("python");
        if !runs(Command::new(&system).args(["-m", "venv"]).arg(&venv)) {
            return Err("python3 cannot make a virtual environment".to_string());
        }
        let python = venv.join("bin/python");
        let requirements = folder().join("requirements.txt");
        let mut install = Command::new(&python);
        install.args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(&requirements);
        if !runs(&mut install) {
            return Err(format!("pip cannot install {}", requirements.display()));
        }
        Ok(python)
    })
}

/// Runs the script `<name>.py` with these arguments. Its output, or `None` after saying on standard
/// output that the test is skipped, and why.
///
/// # Errors
/// What the script wrote to standard error, if it fails.
pub fn run(
    test: &str,
    name: &str,
    args: &[&str],
    scratch: &Path,
) -> Result<Option<String>, String> {
    let python = match python(scratch) {
        Ok(python) => python,
        Err(missing) => {
            println!("SKIPPED {test}: {missing}");
            return Ok(None);
        }
    };
    let mut command = Command::new(python);
    command.arg(folder().join(format!("{name}.py"))).args(args).stdin(Stdio::null());
    let output = command.output().map_err(|e| e.to_string())?;
    if output.status.success() {
        Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned()))
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}
