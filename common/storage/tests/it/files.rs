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
