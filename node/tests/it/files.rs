//! Files that commands name: in the working folder, and in folders that others use too.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

/// Runs the program in a folder, with a keystore and a password there.
fn paralith(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_paralith"))
        .args(arguments)
        .current_dir(folder)
        .env("PARALITH_KEYS", folder.join("keys"))
        .env("PARALITH_PASSWORD_FILE", folder.join("password"))
        .output()
        .unwrap()
}

fn succeeds(folder: &Path, arguments: &[&str]) {
    let output = paralith(folder, arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_configuration_in_the_working_folder_needs_no_path() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("node.toml"), "name = 1").unwrap();
    let output = paralith(folder.path(), &["start", "--config", "node.toml"]);
    let said = String::from_utf8_lossy(&output.stderr);
    // It is read: what it lacks is named.
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("name"), "{said}");
}

#[test]
fn a_key_is_exported_beside_other_files_and_leaves_their_folder_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("password"), "correct horse\n").unwrap();
    let shared = folder.join("shared");
    fs::create_dir(&shared).unwrap();
    for path in [folder, &shared] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    succeeds(folder, &["keys", "new", "treasury"]);
    succeeds(folder, &["keys", "export", "treasury", "--file", "backup.json"]);
    succeeds(folder, &["keys", "export", "treasury", "--file", "shared/backup.json"]);
    succeeds(folder, &["keys", "export", "treasury", "--file", "new/backup.json"]);
    assert_eq!((mode(folder), mode(&shared)), (0o755, 0o755));
    assert_eq!((mode(&folder.join("keys")), mode(&folder.join("new"))), (0o700, 0o700));
    assert_eq!(mode(&folder.join("backup.json")), 0o600);
    succeeds(folder, &["keys", "import", "again", "--file", "backup.json"]);
}
