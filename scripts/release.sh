#!/usr/bin/env bash
# Builds the program that operators run: with RocksDB, static, stripped, and such that two builds of
# one commit on one system (compilers, C library) give the same bytes. Puts it with its completions,
# manual pages and systemd unit into an archive.
#
#   scripts/release.sh            builds target/dist/paralith-VERSION-TARGET.tar.gz
#   scripts/release.sh --check    builds twice, from two folders into two folders, and compares
set -euo pipefail
cd "$(dirname "$0")/.."

target="${RELEASE_TARGET:-$(rustc -vV | sed -n 's/^host: //p')}"
dist="${CARGO_TARGET_DIR:-$PWD/target}/dist"
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)

say() { printf '\n== %s\n' "$*" >&2; }
fail() { printf 'release: %s\n' "$*" >&2; exit 1; }

case "$target" in
*-linux-gnu | *-linux-musl) ;;
*) fail "no recipe for $target: use Linux, or the Dockerfile" ;;
esac

# The commit's time is the time of everything that is built from it.
SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}"
export SOURCE_DATE_EPOCH

build() { # the folder to build in
    local cargo_home="${CARGO_HOME:-$HOME/.cargo}" sysroot
    sysroot=$(rustc --print sysroot)
    # No path of this machine gets into the program, in Rust or in C and C++. The flags are for the
    # target alone (`--target` is given), so compiler plug-ins stay dynamic.
    local from_to=("$PWD=/paralith" "$cargo_home=/cargo" "$sysroot=/rust" "$1=/target") flags=() c_flags=()
    local pair
    for pair in "${from_to[@]}"; do
        flags+=("--remap-path-prefix=$pair")
        c_flags+=("-ffile-prefix-map=$pair")
    done
    # Stripped by a flag of the target, not by the profile: the profile would also reach the guests,
    # whose bytes are their identity on chain and must not depend on how the node was built.
    flags+=(-Ctarget-feature=+crt-static -Cstrip=symbols -Clink-arg=-Wl,--build-id=none)
    local separated
    separated=$(printf '%s\x1f' "${flags[@]}")
    # The usual compilers, not the one of development builds.
    env -u RUSTFLAGS CARGO_ENCODED_RUSTFLAGS="${separated%$'\x1f'}" \
        CC="${CC:-cc}" CXX="${CXX:-c++}" \
        CFLAGS="${c_flags[*]}" CXXFLAGS="${c_flags[*]}" \
        CARGO_INCREMENTAL=0 \
        cargo build --release --locked --package paralith --bin paralith --features rocksdb \
        --target "$target" --target-dir "$1"
}

if [ "${1:-}" = --check ]; then
    say "building twice to compare: here, and from a copy in another folder"
    copy=$(mktemp -d)
    trap 'rm -rf "$copy"' EXIT
    git ls-files -z | tar --null --files-from=- -cf - | tar -xf - -C "$copy"
    build "$dist/first"
    (cd "$copy" && build "$dist/second/in/another/folder")
    a="$dist/first/$target/release/paralith"
    b="$dist/second/in/another/folder/$target/release/paralith"
    sha256sum "$a" "$b"
    cmp "$a" "$b" || fail "the two builds differ"
    say "both builds have the same bytes"
    exit
fi

say "building $version for $target"
build "$dist/build"
program="$dist/build/$target/release/paralith"
if readelf --dynamic "$program" | grep -q NEEDED; then
    fail "the program needs shared libraries"
fi

name="paralith-$version-$target"
rm -rf "${dist:?}/$name"
mkdir -p "$dist/$name/completions"
install -m 755 "$program" "$dist/$name/paralith"
install -m 644 LICENSE README.md packaging/paralith.service "$dist/$name/"
"$program" man "$dist/$name/man1"
for shell in bash fish zsh; do
    "$program" completions "$shell" >"$dist/$name/completions/paralith.$shell"
done
# Same order, owners and times in every archive.
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" \
    -C "$dist" -cf - "$name" | gzip -9n >"$dist/$name.tar.gz"
(cd "$dist" && sha256sum "$name.tar.gz" "$name/paralith" | tee "$name.sha256")
