//! Generates `common/proto/src/generated` from the protobuf tree: `make protos`.
//!
//! The result is committed, so that no build needs a protobuf compiler. Each file begins with the
//! hashes of what it was made from and of what was made; `tests/tidy` compares them.
//!
//! Usage: `generate-protos PROTO_FOLDER OUT_FOLDER`

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use prost::Message as _;

fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(root), Some(out), None) = (arguments.next(), arguments.next(), arguments.next())
    else {
        bail!("usage: generate-protos PROTO_FOLDER OUT_FOLDER");
    };
    let mut files = Vec::new();
    collect(&root, &mut files)?;
    files.sort();
    let descriptors = protox::compile(&files, [&root])?;
    let _ = fs::remove_dir_all(&out);
    fs::create_dir_all(&out)?;

    // Services need a library that the messages do without.
    let grpc = "#[cfg(feature = \"grpc\")]";
    let services = tonic_prost_build::configure()
        .client_mod_attribute(".", grpc)
        .server_mod_attribute(".", grpc)
        .service_generator();
    prost_build::Config::new()
        .out_dir(&out)
        .include_file("mod.rs")
        .btree_map(["."])
        .service_generator(services)
        .compile_fds(descriptors.clone())?;

    let mut packages: BTreeMap<String, prost_types::FileDescriptorSet> = BTreeMap::new();
    for mut file in descriptors.file {
        // Reflection shows no comments.
        file.source_code_info = None;
        packages.entry(file.package().to_string()).or_default().file.push(file);
    }
    let mut listed = String::from("// Made by `make protos`.\n&[\n");
    for (package, set) in packages {
        let set = set.encode_to_vec();
        let code = out.join(format!("{package}.rs"));
        let made = fs::read_to_string(&code).with_context(|| package.clone())?;
        fs::write(out.join(format!("{package}.bin")), &set)?;
        fs::write(&code, format!("{}{made}", heading(&root, &package, made.as_bytes(), &set)?))?;
        writeln!(listed, "    include_bytes!(\"{package}.bin\"),")?;
    }
    listed.push_str("]\n");
    fs::write(out.join("descriptors.rs"), listed)?;
    Ok(())
}

/// The first two lines of a package's file.
fn heading(root: &Path, package: &str, code: &[u8], descriptors: &[u8]) -> Result<String> {
    let mut sources = Vec::new();
    collect(&root.join(package.replace('.', "/")), &mut sources)?;
    sources.sort();
    let mut text = Vec::new();
    for source in sources {
        text.extend(fs::read(source)?);
    }
    let [sources, code, descriptors] = [text.as_slice(), code, descriptors].map(fnv1a);
    Ok(format!(
        "// Made by `make protos` from the package {package}: do not edit.\n\
         // sources {sources:016x}, code {code:016x}, descriptors {descriptors:016x}\n"
    ))
}

/// FNV-1a, 64 bits: it finds what was forgotten, not what was forged.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|ending| ending == "proto") {
            files.push(path);
        }
    }
    Ok(())
}
