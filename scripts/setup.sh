#!/usr/bin/env bash
# Adds what a command needs and is missing. Says what it does; may be run again.
#
#   scripts/setup.sh dev      Rust, its WebAssembly target, a C compiler (linker): enough for `paralith dev`
#   scripts/setup.sh build    the same and a C++ compiler, clang and libclang, for RocksDB
#   scripts/setup.sh test     the same and CometBFT (built with Go)
#   scripts/setup.sh check    the same and cargo-deny, for scripts/check-more.sh
set -euo pipefail
cd "$(dirname "$0")/.."

COMETBFT_VERSION=v0.38.25
CARGO_DENY_VERSION=0.20.2
tools="${PARALITH_TOOLS:-${XDG_DATA_HOME:-$HOME/.local/share}/paralith/tools}"
for_what="${1:-test}"

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

case "$for_what" in
dev) level=1 ;;
build) level=2 ;;
test) level=3 ;;
check) level=4 ;;
*) fail "unknown: $for_what (one of dev, build, test, check)" ;;
esac

apt_updated=
apt_add() { # command-or-file that must appear, then packages
    command -v apt-get >/dev/null || fail "install $2 (no apt-get here), then run this again"
    say "installing $2 with apt-get"
    if [ -z "$apt_updated" ]; then as_root apt-get update -qq || fail "apt-get update failed; install $2, then run this again"; apt_updated=1; fi
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $2 >/dev/null \
        || fail "apt-get could not install $2 (needed: $1); install it, then run this again"
}

has_libclang() { # where clang-sys looks; libclang-cpp is another library
    local file
    for file in /usr/lib/llvm-*/lib/libclang*.so* /usr/lib/*/libclang*.so* "${LIBCLANG_PATH:-/nonexistent}"/libclang*.so*; do
        case "$file" in
        *-cpp.*) ;;
        *) if [ -e "$file" ]; then return 0; fi ;;
        esac
    done
    return 1
}

command -v rustup >/dev/null || fail "rustup is missing: install it from https://rustup.rs, then run this again"
toolchain=$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
if ! rustup toolchain list | grep -q "^$toolchain"; then
    say "installing Rust $toolchain"
    rustup toolchain install "$toolchain" --profile minimal --component rustfmt,clippy
fi
if ! rustup target list --toolchain "$toolchain" --installed | grep -q wasm32-unknown-unknown; then
    say "adding the WebAssembly target to Rust $toolchain"
    rustup target add wasm32-unknown-unknown --toolchain "$toolchain"
fi

# rustc links with it, and TLS has some C.
command -v cc >/dev/null || apt_add "a C compiler" "gcc libc6-dev"
if [ "$level" -lt 2 ]; then say "ready"; exit; fi

for component in rustfmt clippy; do
    if ! rustup component list --toolchain "$toolchain" --installed | grep -q "^$component"; then
        say "adding $component to Rust $toolchain"
        rustup component add "$component" --toolchain "$toolchain"
    fi
done
command -v c++ >/dev/null || apt_add "a C++ compiler, for RocksDB" "build-essential"
# Not needed: scripts/cxx takes it where it is, because it compiles RocksDB in a third of the time.
if ! command -v clang++ >/dev/null && command -v apt-get >/dev/null; then
    (apt_add "clang, for RocksDB" "clang") || say "going on without clang: RocksDB is compiled by c++, which takes longer"
fi
if ! has_libclang; then
    apt_add "libclang, for RocksDB's bindings" "libclang-dev"
fi
if [ "$level" -lt 3 ]; then say "ready"; exit; fi

if [ -n "${COMETBFT:-}" ]; then
    say "CometBFT: $COMETBFT"
elif [ -x "$tools/cometbft" ] || cometbft version 2>/dev/null | grep -qE '^0\.38\.(2[5-9]|[3-9][0-9])'; then
    :
elif command -v go >/dev/null; then
    say "building CometBFT $COMETBFT_VERSION (about a minute)"
    mkdir -p "$tools"
    GOBIN="$tools" CGO_ENABLED=0 go install "github.com/cometbft/cometbft/cmd/cometbft@$COMETBFT_VERSION"
else
    say "no Go here: the solo engine works fully; tests and networks on real CometBFT need Go 1.22.11 or newer"
fi
if [ "$level" -ge 4 ] && [ ! -x "$tools/bin/cargo-deny" ] && ! command -v cargo-deny >/dev/null; then
    say "building cargo-deny $CARGO_DENY_VERSION (some minutes, once)"
    scratch=$(mktemp -d)
    # Unoptimised: it runs for seconds.
    CARGO_TARGET_DIR="$scratch" cargo install --quiet --locked --debug --no-default-features \
        --root "$tools" --version "$CARGO_DENY_VERSION" cargo-deny \
        || say "cargo-deny cannot be built here: its check will be skipped"
    rm -rf "$scratch"
fi
say "ready"
