//! Entries under 0xfe: in the clear in a confidential runtime of version 2, and provable by anybody.

use paralith_runtime_abi::PUBLIC_KEY_PREFIX;
use paralith_tee_channel::pb;

use crate::world::{EPOCH, World};
use crate::{guest, secret};

/// Writes "value one" under `fe 61` and "value two" under `61`, and answers the first eight bytes that
/// it read of the first before.
const BODY: &str = r#"(local $place i64)
    (local.set $place (call $state_get (i32.const 63) (i32.const 2)))
    (call $state_set (i32.const 63) (i32.const 2) (i32.const 100) (i32.const 9))
    (call $state_set (i32.const 64) (i32.const 1) (i32.const 110) (i32.const 9))
    (if (i64.eq (local.get $place) (i64.const -1)) (then (return (i64.const 2))))
    (call $answer (i64.load (i32.wrap_i64 (i64.shr_u (local.get $place) (i64.const 32)))))"#;
const DATA: &str = r#"(data (i32.const 63) "\fea") (data (i32.const 100) "value one")
    (data (i32.const 110) "value two")"#;

/// SHA-256 with the framing of the domain `paralith/public-entries/v1` and no part: part of the
/// protocol, since anybody computes the places of public entries.
const PLACE: &str = "0b54a7bd9dbdf3d0c4676ff22984404e43e9a38d3e2c741754bf2978c1b2b792";

fn place(key: &[u8]) -> Vec<u8> {
    [hex::decode(PLACE).unwrap().as_slice(), key].concat()
}

fn world(version: u32) -> World {
    let code = wat::parse_str(guest::v2_text(&[("execute", BODY)], DATA)).unwrap();
    let code = if version == 1 {
        // The same, without an import of version 2.
        let text = guest::text(
            &["execute"],
            &format!(r#"{DATA} (func (export "execute") (param i32 i32) (result i64) {BODY})"#),
        );
        wat::parse_str(text).unwrap()
    } else {
        code
    };
    let mut world = World::new(code, true);
    let named = world.runtime.code.as_mut().unwrap();
    (named.abi_version, named.gas_schedule_version) = (version, version);
    world.register();
    world
}

fn shown<'a>(executed: &'a pb::Executed, value: &[u8]) -> Vec<&'a [u8]> {
    let has = |change: &&pb::Change| {
        change.value.as_ref().is_some_and(|bytes| bytes.windows(value.len()).any(|w| w == value))
    };
    executed.changes.iter().filter(has).map(|change| change.key.as_slice()).collect()
}

#[test]
fn a_public_entry_is_in_the_clear_under_its_place_and_no_other_entry_is() {
    let mut world = world(2);
    let enclave = world.enclave(1, &[EPOCH]);
    let executed = world.round(&enclave, &[secret(&world, 3, 0, "")]);
    let key = [PUBLIC_KEY_PREFIX, b'a'];
    assert_eq!(shown(&executed, b"value one"), [place(&key)]);
    assert_eq!(shown(&executed, b"value two"), [[0_u8; 0]; 0]);
    let sealed = executed.changes.iter().filter(|change| change.key.len() == 32);
    assert!(sealed.count() >= 1, "places of sealed entries have 32 bytes");

    let (version, root) = world.state.latest().unwrap().unwrap();
    let (value, proof) = world.state.prove(version, &place(&key)).unwrap();
    assert_eq!(value.as_deref(), Some(b"value one".as_slice()));
    proof.verify(&root, &place(&key), value.as_deref()).unwrap();
}

#[test]
fn a_guest_reads_its_public_entries_back() {
    let mut world = world(2);
    let enclave = world.enclave(1, &[EPOCH]);
    world.round(&enclave, &[secret(&world, 3, 0, "")]);
    let executed = world.round(&enclave, &[secret(&world, 3, 1, "")]);
    let released = enclave.release(2, &executed).unwrap();
    let output = crate::read(&world, &released.outputs[0]);
    assert_eq!(output, paralith_runtime_api::output::Output::Ok(b"value on".to_vec()));
    assert!(shown(&executed, b"value one").is_empty(), "what is as before is not written again");
}

#[test]
fn under_version_1_no_key_is_public() {
    let mut world = world(1);
    let enclave = world.enclave(1, &[EPOCH]);
    let executed = world.round(&enclave, &[secret(&world, 3, 0, "")]);
    assert!(shown(&executed, b"value one").is_empty());
    assert!(executed.changes.iter().all(|change| change.key.len() == 32));
}
