use paralith_storage::{Files, StorageError};

fn both() -> (Vec<Files>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (vec![Files::memory(), Files::folder(&folder.path().join("a/b")).unwrap()], folder)
}

#[test]
fn files_are_replaced_listed_and_removed() {
    let (both, _folder) = both();
    for files in both {
        assert_eq!(files.read("identity", 10).unwrap(), None);
        files.replace("identity", b"one").unwrap();
        files.replace("identity", b"two").unwrap();
        files.replace("a-b_c.D9", b"").unwrap();
        files.sync().unwrap();
        assert_eq!(files.read("identity", 3).unwrap(), Some(b"two".to_vec()));
        assert_eq!(files.list().unwrap(), ["a-b_c.D9", "identity"]);
        files.remove("identity").unwrap();
        files.remove("identity").unwrap();
        assert_eq!(files.read("identity", 10).unwrap(), None);
        assert_eq!(files.list().unwrap(), ["a-b_c.D9"]);
    }
}

#[test]
fn a_file_above_the_bound_is_refused() {
    let (both, _folder) = both();
    for files in both {
        files.replace("large", &[7; 1000]).unwrap();
        let refused = files.read("large", 999).unwrap_err();
        assert_eq!(refused, StorageError::TooLarge { what: "a file" });
        assert_eq!(files.read("large", 1000).unwrap().unwrap().len(), 1000);
    }
}

#[test]
fn a_name_stays_within_the_folder() {
    let (both, _folder) = both();
    for files in both {
        for name in ["", ".", "..", "../x", "a/b", ".new-x", "a b", "ä", &"x".repeat(201)] {
            let refused = files.replace(name, b"x").unwrap_err();
            assert!(matches!(refused, StorageError::BadName { .. }), "{name}: {refused}");
            assert_eq!(refused.code(), 12);
            files.read(name, 1).unwrap_err();
            files.remove(name).unwrap_err();
        }
        assert_eq!(files.list().unwrap(), Vec::<String>::new());
    }
}

#[test]
fn a_crash_while_replacing_leaves_the_old_content() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::folder(folder.path()).unwrap();
    files.replace("sealed", b"old").unwrap();
    std::fs::write(folder.path().join(".new-sealed"), b"half of the n").unwrap();
    let files = Files::folder(folder.path()).unwrap();
    assert_eq!(files.list().unwrap(), ["sealed"]);
    assert_eq!(files.read("sealed", 100).unwrap(), Some(b"old".to_vec()));
    // What was left does not show through a shorter content.
    files.replace("sealed", b"new").unwrap();
    assert_eq!(files.read("sealed", 100).unwrap(), Some(b"new".to_vec()));
}

#[cfg(unix)]
#[test]
fn only_the_owner_reads_files() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sealed");
    let files = Files::folder(&path).unwrap();
    files.replace("identity", b"secret").unwrap();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&path) & 0o777, 0o700);
    assert_eq!(mode(&path.join("identity")) & 0o777, 0o600);
}

#[test]
fn a_content_in_pieces_has_no_name_until_it_is_whole() {
    let (both, _folder) = both();
    for files in both {
        files.replace("content", b"old").unwrap();
        let mut new = files.create("content-1").unwrap();
        let mut abandoned = files.create("content-2").unwrap();
        for piece in [&b"new "[..], b"con", b"tent"] {
            new.write(piece).unwrap();
        }
        abandoned.write(b"half").unwrap();
        assert_eq!(files.list().unwrap(), ["content"]);
        let mut old = files.open("content").unwrap().unwrap();
        new.publish("content").unwrap();
        // A reader keeps what it opened, also when the file is gone.
        assert_eq!(files.length("content").unwrap(), Some(11));
        let mut read = files.open("content").unwrap().unwrap();
        files.remove("content").unwrap();
        assert_eq!(old.next(10).unwrap(), b"old");
        assert_eq!(read.length().unwrap(), 11);
        assert_eq!(read.next(4).unwrap(), b"new ");
        assert_eq!(read.next(100).unwrap(), b"content");
        assert_eq!(read.next(100).unwrap(), b"");
        assert!(files.open("content").unwrap().is_none());
        drop(abandoned);
        assert_eq!(files.remove_unfinished().unwrap(), 1);
        assert_eq!(files.remove_unfinished().unwrap(), 0);
        files.create("content-3").unwrap().discard().unwrap();
        assert_eq!(files.remove_unfinished().unwrap(), 0);
    }
}

#[test]
fn changes_in_memory_fail_from_a_given_one_on() {
    let files = Files::memory();
    files.fail_after(Some(3));
    let mut new = files.create("a").unwrap();
    new.write(b"x").unwrap();
    // The sync is the third change, the name would be the fourth.
    new.publish("a").unwrap_err();
    files.replace("b", b"y").unwrap_err();
    files.fail_after(None);
    assert_eq!(files.list().unwrap(), Vec::<String>::new());
    assert_eq!(files.remove_unfinished().unwrap(), 1);
    files.replace("b", b"y").unwrap();
}
