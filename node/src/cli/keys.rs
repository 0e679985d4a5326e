//! `paralith keys …`

use paralith_consensus_api::address;
use paralith_crypto::SigningKey;
use paralith_crypto::keystore::{self, words};
use paralith_types::PublicKey;
use serde::Serialize;
use serde_json::json;

use super::{ExportArgs, ImportArgs, KeysCommand, output};
use crate::error::NodeError;
use crate::keystore::{Keystore, write_private};
use crate::password::{Passwords, typed};

#[derive(Debug, Serialize)]
struct Shown {
    name: String,
    address: String,
    public_key: String,
    /// Everyone has the key.
    test_account: bool,
}

fn shown(name: String, public: &PublicKey, test_account: bool) -> Shown {
    let address = address::of_key(public).to_string();
    Shown { name, address, public_key: public.to_string(), test_account }
}

/// Runs a command on keys.
pub fn run(command: KeysCommand) -> Result<(), NodeError> {
    match command {
        KeysCommand::New(args) => {
            let passwords = Passwords::from_file(args.password_file);
            let public = Keystore::open(args.keys.keystore)?.create(&args.name, &passwords)?;
            output::print(&shown(args.name, &public, false), args.keys.json)
        }
        KeysCommand::Export(args) => export(args),
        KeysCommand::Import(args) => import(args),
        KeysCommand::List(args) => {
            let listed = Keystore::open(args.keystore)?.list()?;
            let shown: Vec<Shown> =
                listed.into_iter().map(|key| shown(key.name, &key.public, key.test)).collect();
            output::print(&shown, args.json)
        }
        KeysCommand::Show(args) => {
            let listed = Keystore::open(args.keys.keystore)?.list()?;
            let found = listed.into_iter().find(|key| key.name == args.name);
            let found = found.ok_or_else(|| NodeError::NotFound {
                what: "key",
                name: args.name.clone(),
                hint: format!(". Make it with `paralith keys new {}`", args.name),
            })?;
            output::print(&shown(found.name, &found.public, found.test), args.keys.json)
        }
    }
}

fn export(args: ExportArgs) -> Result<(), NodeError> {
    let keystore = Keystore::open(args.keys.keystore)?;
    let Some(file) = args.file else {
        let passwords = Passwords::from_file(args.password_file);
        let key = keystore.signing_key(&args.name, false, &passwords)?;
        let words = words::from_key(&key).map_err(|e| NodeError::usage(&args.name, e))?;
        if args.keys.json {
            return output::print(&json!({ "name": args.name, "words": *words }), true);
        }
        println!("{}", *words);
        return Ok(());
    };
    if file.exists() {
        let reason = "there is such a file: choose another name";
        return Err(NodeError::usage(file.display().to_string(), reason));
    }
    write_private(&file, keystore.read(&args.name)?.as_bytes())?;
    let shown = json!({ "name": args.name, "file": file, "encrypted": true });
    output::print(&shown, args.keys.json)
}

fn import(args: ImportArgs) -> Result<(), NodeError> {
    let keystore = Keystore::open(args.keys.keystore.clone())?;
    keystore.check_new(&args.name)?;
    let passwords = Passwords::from_file(args.password_file.clone());
    let key = imported(&args, &passwords)?;
    let public = keystore.add(&args.name, &key, &passwords)?;
    output::print(&shown(args.name, &public, false), args.keys.json)
}

fn imported(args: &ImportArgs, passwords: &Passwords) -> Result<SigningKey, NodeError> {
    let read = |file: &std::path::Path| {
        std::fs::read_to_string(file)
            .map(zeroize::Zeroizing::new)
            .map_err(|e| NodeError::io(file.display().to_string(), &e))
    };
    if let Some(file) = &args.file {
        let name = file.display().to_string();
        let json = read(file)?;
        let password = passwords.of_key(&name)?;
        return keystore::decrypt(&json, password.as_bytes())
            .map_err(|e| NodeError::usage(name, e));
    }
    let words = match &args.words_file {
        Some(file) => read(file)?,
        None => typed("The 24 words: ")?,
    };
    words::to_key(&words).map_err(|e| NodeError::usage("the words", e))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{KeyArgs, KeysArgs, NewKeyArgs};
    use super::*;

    fn keys(folder: &Path) -> KeysArgs {
        KeysArgs { keystore: Some(folder.join("keys")), json: true }
    }

    fn import_args(folder: &Path, name: &str) -> ImportArgs {
        ImportArgs {
            name: name.to_string(),
            file: None,
            words: false,
            words_file: None,
            password_file: Some(folder.join("password")),
            keys: keys(folder),
        }
    }

    #[test]
    fn a_key_survives_its_file_and_its_words() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        std::fs::write(folder.join("password"), "correct horse").unwrap();
        let password_file = Some(folder.join("password"));
        let name = "first".to_string();
        run(KeysCommand::New(NewKeyArgs {
            name: name.clone(),
            password_file: password_file.clone(),
            keys: keys(folder),
        }))
        .unwrap();
        let backup = folder.join("backup.json");
        let export = ExportArgs {
            name: name.clone(),
            file: Some(backup.clone()),
            words: false,
            password_file: password_file.clone(),
            keys: keys(folder),
        };
        run(KeysCommand::Export(export.clone())).unwrap();
        assert!(run(KeysCommand::Export(export)).is_err(), "a backup is never overwritten");
        let args = ImportArgs { file: Some(backup), ..import_args(folder, "second") };
        run(KeysCommand::Import(args.clone())).unwrap();
        assert!(run(KeysCommand::Import(args)).is_err(), "nor is a key");

        let keystore = Keystore::open(Some(folder.join("keys"))).unwrap();
        let passwords = Passwords::from_file(password_file);
        let key = keystore.signing_key(&name, false, &passwords).unwrap();
        let paper = folder.join("words");
        std::fs::write(&paper, words::from_key(&key).unwrap().as_bytes()).unwrap();
        let args = ImportArgs { words_file: Some(paper), ..import_args(folder, "third") };
        run(KeysCommand::Import(args)).unwrap();
        for other in ["second", "third"] {
            assert_eq!(keystore.public(other, false).unwrap(), key.public(), "{other}");
            let opened = keystore.signing_key(other, false, &passwords).unwrap();
            assert_eq!(opened.public(), key.public());
        }
        let show = KeyArgs { name: "none".to_string(), keys: keys(folder) };
        assert!(run(KeysCommand::Show(show)).is_err());
    }
}
