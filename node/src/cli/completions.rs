//! `paralith completions` and `paralith man`: what a package installs beside the program.

use std::io::Write as _;

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{Cli, CompletionsArgs, ManArgs};
use crate::error::NodeError;

const NAME: &str = "paralith";

/// Writes the completions of a shell to standard output.
pub fn completions(args: &CompletionsArgs) -> Result<(), NodeError> {
    let script = completions_of(args.shell);
    std::io::stdout().write_all(&script).map_err(|e| NodeError::io("standard output", &e))
}

fn completions_of(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), NAME, &mut script);
    script
}

/// Writes one manual page for each command into a folder.
pub fn man(args: &ManArgs) -> Result<(), NodeError> {
    let folder = &args.folder;
    std::fs::create_dir_all(folder).map_err(|e| NodeError::io(folder.display().to_string(), &e))?;
    clap_mangen::generate_to(Cli::command(), folder)
        .map_err(|e| NodeError::io(folder.display().to_string(), &e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completions_know_every_command() {
        for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
            let script = String::from_utf8(completions_of(shell)).unwrap();
            for command in Cli::command().get_subcommands() {
                if command.is_hide_set() {
                    continue;
                }
                assert!(script.contains(command.get_name()), "{shell}: {}", command.get_name());
            }
        }
    }

    #[test]
    fn every_command_has_a_manual_page() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("man1");
        man(&ManArgs { folder: folder.clone() }).unwrap();
        let page = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
        assert!(page("paralith.1").contains("paralith\\-dev"));
        assert!(page("paralith-dev.1").contains("\\-\\-seed"));
        assert!(page("paralith-keys-list.1").contains("paralith\\-keys\\-list"));
        for entry in std::fs::read_dir(&folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(!name.starts_with("paralith-enclave") && !name.contains("help"), "{name}");
        }
    }
}
