//! The store: what is found after a crash, quotas, owners, removal.

use std::sync::Arc;

use paralith_crypto::sha3::sha3_256;
use paralith_data::{Begun, Claim, DataError, Owner, Quotas, Store, Upload, charge};
use paralith_storage::Files;
use paralith_types::Height;

use crate::rules::{ROOM, named};

fn owner(holder: u8) -> Owner {
    Owner { scope: [1; 32], holder: [holder; 32] }
}

fn claim(content: &[u8], holder: u8, until: u64) -> Claim {
    let length = content.len() as u64;
    Claim { content: named(content), length, owner: owner(holder), until: Height(until) }
}

fn begun(store: &Arc<Store>, claim: Claim) -> Result<Box<Upload>, DataError> {
    match store.begin(claim)? {
        Begun::Upload(upload) => Ok(upload),
        Begun::Present => panic!("the content is here"),
    }
}

fn put(store: &Arc<Store>, content: &[u8], holder: u8, until: u64) -> Result<(), DataError> {
    let Begun::Upload(mut upload) = store.begin(claim(content, holder, until))? else {
        return Ok(());
    };
    for piece in content.chunks(4) {
        upload.write(piece)?;
    }
    upload.finish()
}

fn read(store: &Store, content: &[u8]) -> Option<Vec<u8>> {
    let mut reader = store.read(&named(content)).ok()?;
    let mut all = Vec::new();
    loop {
        let piece = reader.next(3).unwrap();
        if piece.is_empty() {
            return Some(all);
        }
        all.extend(piece);
    }
}

/// What a process does until it is killed; each acknowledged step is noted.
fn life(store: &Arc<Store>, done: &mut Vec<&'static str>) -> Result<(), DataError> {
    put(store, b"first content", 1, 10)?;
    done.push("first");
    put(store, b"second", 1, 50)?;
    done.push("second");
    put(store, b"first content", 2, 30)?;
    done.push("first for 2");
    store.keep(&named(b"second"), owner(1), Height(60))?;
    done.push("second until 60");
    let mut abandoned = begun(store, claim(b"third", 3, 40))?;
    abandoned.write(b"thi")?;
    drop(abandoned);
    store.expire(Height(10))?;
    store.expire(Height(30))?;
    Ok(())
}

#[test]
fn a_kill_between_any_two_writes_leaves_no_wrong_file_and_loses_nothing_acknowledged() {
    let mut kills = 0;
    for changes in 0.. {
        let files = Files::memory();
        let store = Store::open(files.clone(), ROOM).unwrap();
        files.fail_after(Some(changes));
        let mut done = Vec::new();
        let ended = life(&store, &mut done);
        files.fail_after(None);
        // Killed: nothing of the process is left but its files.
        std::mem::forget(store);
        let store = Store::open(files.clone(), ROOM).unwrap();
        let names = files.list().unwrap();
        for name in names.iter().filter(|name| !name.ends_with(".holds")) {
            let content = files.read(name, 1000).unwrap().unwrap();
            assert_eq!(hex::encode(sha3_256(&content)), *name, "after {changes} changes");
            assert!(names.contains(&format!("{name}.holds")), "after {changes} changes");
        }
        assert_eq!(names.len() % 2, 0, "after {changes} changes: {names:?}");
        assert_eq!(files.remove_unfinished().unwrap(), 0, "after {changes} changes");
        let has = |step| done.contains(&step);
        if has("first") && !has("second until 60") {
            assert_eq!(read(&store, b"first content").unwrap(), b"first content");
        }
        if has("second") {
            assert_eq!(read(&store, b"second").unwrap(), b"second");
        }
        while store.expire(Height(10)).unwrap() {}
        let kept = read(&store, b"first content").is_some();
        assert!(kept || !has("first for 2") || has("second until 60"), "after {changes} changes");
        while store.expire(Height(59)).unwrap() {}
        assert_eq!(read(&store, b"second").is_some(), has("second until 60"), "{changes}");
        while store.expire(Height(60)).unwrap() {}
        assert_eq!(store.used(&owner(1)), (0, 0, 0));
        assert_eq!(files.list().unwrap(), Vec::<String>::new());
        if ended.is_ok() {
            break;
        }
        kills += 1;
    }
    assert!(kills > 20, "only {kills} kills");
}

#[test]
fn what_a_crash_left_in_a_folder_is_removed_and_the_rest_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::folder(folder.path()).unwrap();
    let store = Store::open(files.clone(), ROOM).unwrap();
    put(&store, b"content", 1, 10).unwrap();
    drop(store);
    let name = |content: &[u8]| hex::encode(sha3_256(content));
    let write = |name: String, content: &[u8]| std::fs::write(folder.path().join(name), content);
    write(format!(".new-{}-0", name(b"x")), b"half").unwrap();
    write(name(b"without a record"), b"without a record").unwrap();
    write(format!("{}.holds", name(b"without a content")), b"").unwrap();
    write("notes.txt".to_string(), b"another program's").unwrap();
    let store = Store::open(files.clone(), ROOM).unwrap();
    assert_eq!(read(&store, b"content").unwrap(), b"content");
    assert_eq!(read(&store, b"without a record"), None);
    let content = name(b"content");
    let left = [content.clone(), format!("{content}.holds"), "notes.txt".to_string()];
    assert_eq!(files.list().unwrap(), left);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
    // A content that was cut by another program is not served.
    write(content, b"conte").unwrap();
    let store = Store::open(files.clone(), ROOM).unwrap();
    assert_eq!(read(&store, b"content"), None);
    assert_eq!(files.list().unwrap(), ["notes.txt"]);
}

#[test]
fn wrong_short_and_long_contents_get_no_name_and_give_their_room_back() {
    let files = Files::memory();
    let store = Store::open(files.clone(), ROOM).unwrap();
    let attempt = |bytes: &[u8]| {
        let mut upload = begun(&store, claim(b"content", 1, 10)).unwrap();
        upload.write(bytes)?;
        upload.finish()
    };
    assert_eq!(attempt(b"c0ntent"), Err(DataError::Hash));
    assert_eq!(attempt(b"cont"), Err(DataError::Truncated { got: 4, expected: 7 }));
    assert_eq!(attempt(b"contents"), Err(DataError::TooLarge { limit: 7 }));
    store.expire(Height(0)).unwrap();
    assert_eq!(store.used(&owner(1)), (0, 0, 0));
    assert_eq!(files.remove_unfinished().unwrap(), 0);
    assert_eq!(files.list().unwrap(), Vec::<String>::new());
    attempt(b"content").unwrap();
}

#[test]
fn two_uploads_at_once_do_not_pass_a_quota_together() {
    let quotas = Quotas { total: u64::MAX, scope: charge(7) + charge(7) - 1, holder: u64::MAX };
    let store = Store::open(Files::memory(), quotas).unwrap();
    let mut first = begun(&store, claim(b"content", 1, 10)).unwrap();
    let refused = store.begin(claim(b"another", 2, 10)).unwrap_err();
    assert!(matches!(refused, DataError::Quota { .. }), "{refused}");
    first.write(b"content").unwrap();
    first.finish().unwrap();
    store.begin(claim(b"another", 2, 10)).unwrap_err();
    store.expire(Height(10)).unwrap();
    put(&store, b"another", 2, 20).unwrap();
}

#[test]
fn two_uploads_of_one_content_at_once_keep_it_once() {
    let files = Files::memory();
    let store = Store::open(files.clone(), ROOM).unwrap();
    let mut uploads = [
        begun(&store, claim(b"content", 1, 10)).unwrap(),
        begun(&store, claim(b"content", 2, 20)).unwrap(),
        begun(&store, claim(b"content", 1, 15)).unwrap(),
    ];
    uploads.iter_mut().for_each(|upload| upload.write(b"content").unwrap());
    for upload in uploads {
        upload.finish().unwrap();
    }
    assert_eq!(files.list().unwrap().len(), 2);
    assert_eq!(files.remove_unfinished().unwrap(), 0);
    assert_eq!(store.used(&owner(1)), (charge(7), 2 * charge(7), charge(7)));
    // A claim that names another length is for another content.
    let lie = Claim { length: 8, ..claim(b"content", 3, 10) };
    assert_eq!(store.begin(lie).unwrap_err(), DataError::Hash);
    store.expire(Height(15)).unwrap();
    assert_eq!(store.used(&owner(1)), (charge(7), charge(7), 0));
    assert_eq!(read(&store, b"content").unwrap(), b"content");
}

#[test]
fn a_content_that_is_removed_while_it_is_read_is_read_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    for files in [Files::memory(), Files::folder(folder.path()).unwrap()] {
        let store = Store::open(files, ROOM).unwrap();
        put(&store, b"content", 1, 10).unwrap();
        let mut reader = store.read(&named(b"content")).unwrap();
        assert_eq!(reader.next(3).unwrap(), b"con");
        store.expire(Height(10)).unwrap();
        assert_eq!(store.read(&named(b"content")).unwrap_err(), DataError::NotFound);
        // Put again while the old one is still read.
        put(&store, b"content", 1, 20).unwrap();
        assert_eq!(reader.next(100).unwrap(), b"tent");
    }
}

#[test]
fn only_an_owner_keeps_a_content_longer() {
    let store = Store::open(Files::memory(), ROOM).unwrap();
    put(&store, b"content", 1, 10).unwrap();
    let keep = |holder, until| store.keep(&named(b"content"), owner(holder), Height(until));
    assert_eq!(keep(2, 100), Err(DataError::NotFound));
    keep(1, 20).unwrap();
    keep(1, 5).unwrap();
    store.expire(Height(19)).unwrap();
    assert_eq!(store.length(&named(b"content")), Some(7));
    store.expire(Height(20)).unwrap();
    assert_eq!(store.length(&named(b"content")), None);
}
