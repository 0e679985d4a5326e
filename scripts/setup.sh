#!/usr/bin/env bash
# Adds what building and testing need and is missing. Says what it does; may be run again.
set -euo pipefail
cd "$(dirname "$0")/.."

COMETBFT_VERSION=v0.38.25
tools="${PARALITH_TOOLS:-${XDG_DATA_HOME:-$HOME/.local/share}/paralith/tools}"

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

apt_updated=
apt_add() { # command-or-file that must appear, then packages
    command -v apt-get >/dev/null || fail "install $2 (no apt-get here), then run this again"
    say "installing $2 with apt-get"
    if [ -z "$apt_updated" ]; then as_root apt-get update -qq || fail "apt-get update failed; install $2, then run this again"; apt_updated=1; fi
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $2 >/dev/null \
        || fail "apt-get could not install $2 (needed: $1); install it, then run this again"
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
for component in rustfmt clippy; do
    if ! rustup component list --toolchain "$toolchain" --installed | grep -q "^$component"; then
        say "adding $component to Rust $toolchain"
        rustup component add "$component" --toolchain "$toolchain"
    fi
done

command -v c++ >/dev/null || apt_add "a C++ compiler, for RocksDB" "build-essential"
if ! ls /usr/lib/llvm-*/lib/libclang*.so* /usr/lib/*/libclang*.so* "${LIBCLANG_PATH:-/nonexistent}"/libclang*.so* 2>/dev/null | grep -q .; then
    apt_add "libclang, for RocksDB's bindings" "libclang-dev"
fi

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
say "ready"
