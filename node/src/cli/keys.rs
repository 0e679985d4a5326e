//! `paralith keys …`

use paralith_consensus_api::address;
use paralith_types::PublicKey;
use serde::Serialize;

use super::{KeysCommand, output};
use crate::error::NodeError;
use crate::keystore::{Keystore, TEST_ACCOUNTS};

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
            let public = Keystore::open(args.keys.keystore)?.create(&args.name)?;
            output::print(&shown(args.name, &public, false), args.keys.json)
        }
        KeysCommand::List(args) => {
            let listed = Keystore::open(args.keystore)?.list()?;
            let shown: Vec<Shown> =
                listed.into_iter().map(|key| shown(key.name, &key.public, key.test)).collect();
            output::print(&shown, args.json)
        }
        KeysCommand::Show(args) => {
            let public = Keystore::open(args.keys.keystore)?.public(&args.name)?;
            let test = TEST_ACCOUNTS.contains(&args.name.as_str());
            output::print(&shown(args.name, &public, test), args.keys.json)
        }
    }
}
