//! What an enclave's process has of its machine: one stream to its node, and nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::BTreeSet;
use std::path::PathBuf;

use e2e::{Localnet, claim, until};

/// A process that another one started.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Child {
    pid: u32,
    /// Its arguments, the program's name first.
    args: Vec<String>,
}

/// The processes that a process has started and that run.
fn children(parent: u32) -> Vec<Child> {
    let pids = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let of_parent = pids.filter(|pid| parent_of(*pid) == Some(parent));
    let child = |pid: u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let args = line.split(|byte| *byte == 0).filter(|arg| !arg.is_empty());
        let args = args.map(|arg| String::from_utf8_lossy(arg).into_owned()).collect();
        Some(Child { pid, args })
    };
    of_parent.filter_map(child).collect()
}

fn parent_of(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The program's name is in brackets and may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

/// What a process has open: its descriptors' numbers and targets.
fn open_files(pid: u32) -> Vec<(u32, String)> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let file = |entry: std::fs::DirEntry| {
        let number = entry.file_name().to_str()?.parse().ok()?;
        let target = std::fs::read_link(entry.path()).ok()?;
        Some((number, target.to_string_lossy().into_owned()))
    };
    let mut files: Vec<_> = entries.filter_map(file).collect();
    files.sort();
    files
}

/// The sockets of a process's network, by inode, of one kind.
fn sockets(pid: u32, kind: &str, column: usize) -> BTreeSet<String> {
    let Ok(table) = std::fs::read_to_string(format!("/proc/{pid}/net/{kind}")) else {
        return BTreeSet::new();
    };
    let inode = |line: &str| line.split_whitespace().nth(column).map(String::from);
    table.lines().skip(1).filter_map(inode).collect()
}

/// The Unix sockets that listen, or that have a name in the file system or elsewhere, by inode.
fn reachable_unix_sockets(pid: u32) -> BTreeSet<String> {
    const LISTENS: u64 = 1 << 16;
    let table = std::fs::read_to_string(format!("/proc/{pid}/net/unix")).unwrap();
    let reachable = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let flags = u64::from_str_radix(columns.get(3)?, 16).ok()?;
        let inode = (*columns.get(6)?).to_string();
        (flags & LISTENS != 0 || columns.len() > 7).then_some(inode)
    };
    table.lines().skip(1).filter_map(reachable).collect()
}

/// Checks everything that such a process could reach the world by.
fn has_one_stream_and_nothing_else(node: &str, child: &Child, data: &str) {
    let pid = child.pid;
    // What whoever started the tests left open to all of their processes is not the node's.
    let inherited = open_files(std::process::id());
    let mut files = open_files(pid);
    files.retain(|(number, target)| {
        *number <= 2 || target == "/dev/null" || !inherited.contains(&(*number, target.clone()))
    });
    let told = format!("{node}, {child:?}: {files:?}");
    // The stream is standard input; the program keeps one handle of it to read and one to write.
    let sockets_held: Vec<&(u32, String)> =
        files.iter().filter(|(_, target)| target.starts_with("socket:")).collect();
    let streams: BTreeSet<&String> = sockets_held.iter().map(|(_, target)| target).collect();
    assert_eq!(streams.len(), 1, "one stream: {told}");
    assert!(sockets_held.iter().any(|(number, _)| *number == 0), "it is standard input: {told}");
    // Wasmtime's allocator of instances asks the kernel which pages of its memory were written.
    let own_pages = format!("/proc/{pid}/pagemap");
    for (number, target) in &files {
        let expected = target.starts_with("socket:")
            || target == "/dev/null"
            || *target == own_pages && child.args.get(1).is_some_and(|of| of == "runtime-enclave");
        assert!(expected, "descriptor {number} is {target}: {told}");
    }
    for number in [1, 2] {
        assert!(files.contains(&(number, "/dev/null".to_string())), "{told}");
    }

    // It is a Unix stream that nobody else can reach.
    let stream = streams.into_iter().next().unwrap();
    let inode = stream.trim_start_matches("socket:[").trim_end_matches(']').to_string();
    assert!(sockets(pid, "unix", 6).contains(&inode), "{told}");
    assert!(!reachable_unix_sockets(pid).contains(&inode), "{told}");
    for kind in ["tcp", "tcp6", "udp", "udp6", "raw", "raw6", "packet"] {
        let column = if kind == "packet" { 8 } else { 9 };
        assert!(!sockets(pid, kind, column).contains(&inode), "{kind}: {told}");
    }

    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
    assert!(environment.is_empty(), "{}: {told}", String::from_utf8_lossy(&environment));
    let folder = std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap();
    assert_eq!(folder, PathBuf::from("/"), "{told}");
    assert_eq!(child.args.len(), 2, "its arguments name nothing of the node: {told}");

    // Nothing of the node's data is mapped either.
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    assert!(!maps.contains(data), "{told}");
    assert!(files.iter().all(|(_, target)| !target.starts_with(data)), "{told}");
    // Nor has it started anybody who could have more.
    assert_eq!(children(pid), Vec::new(), "{told}");
}

#[test]
fn enclave_processes_have_one_stream_and_nothing_else() {
    let name = "enclave_processes_have_one_stream_and_nothing_else";
    if e2e::skipped_without_cometbft(name) {
        return;
    }
    claim(async {
        let shape = ["--validators", "1", "--compute", "3", "--keymanagers", "1"];
        let net = Localnet::start(&shape);
        let home = net.home().display().to_string();
        // A compute node has one for each of three ParaTimes, a key manager has one.
        for (node, kind, count) in
            [("compute-0", "runtime-enclave", 3), ("keymanager-0", "keymanager-enclave", 1)]
        {
            let found = until(&format!("{node} has its enclaves"), async || {
                let found = children(net.node(node).pid?);
                // Between fork and exec a child still is its parent's image.
                let started =
                    found.iter().all(|child| child.args.get(1).is_some_and(|a| a == kind));
                (started && found.len() == count).then_some(found)
            })
            .await;
            for child in &found {
                has_one_stream_and_nothing_else(node, child, &home);
            }
        }
    });
}
