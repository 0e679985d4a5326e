//! `paralith dev`.

use std::path::Path;

use crate::process::Process;
use crate::scratch;

/// What a development chain is started with.
#[derive(Debug, Clone, Copy, Default)]
pub struct DevOptions<'a> {
    /// Where it is kept; in memory without.
    pub home: Option<&'a Path>,
    /// Further arguments.
    pub more: &'a [&'a str],
}

/// A development chain.
#[derive(Debug)]
pub struct Dev {
    /// Its process.
    pub process: Process,
    /// Where its node is.
    pub node: String,
    folder: tempfile::TempDir,
}

impl Dev {
    /// Starts one and waits until it is ready.
    pub fn start(options: DevOptions<'_>) -> Self {
        let mut dev = Self::launch(options);
        dev.node = dev.process.wait_for("the chain's banner", banner);
        dev
    }

    /// Waits for the banner, and gives the node of it.
    pub async fn node_when_ready(&self) -> String {
        loop {
            if let Some(node) = banner(&self.process.lines()) {
                return node;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    /// Starts one. Its node is known when it is ready.
    pub fn launch(options: DevOptions<'_>) -> Self {
        let folder = scratch();
        let mut args: Vec<String> =
            ["dev", "--json", "--listen", "127.0.0.1:0"].map(String::from).to_vec();
        if let Some(home) = options.home {
            args.extend(["--home".to_string(), home.display().to_string()]);
        }
        args.extend(options.more.iter().map(|arg| (*arg).to_string()));
        let process = Process::start(&args, &folder.path().join("log"), Some(folder.path()));
        Self { process, node: String::new(), folder }
    }

    /// The folder of its log and its temporary files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

fn banner(lines: &[serde_json::Value]) -> Option<String> {
    lines.iter().find_map(|line| line.get("node")?.as_str().map(String::from))
}
