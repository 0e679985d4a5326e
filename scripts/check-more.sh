#!/usr/bin/env bash
# Slower checks beside .ci/run: dependencies, the generated Rust, a build without C++.
set -euo pipefail
cd "$(dirname "$0")/.."

tools="${PARALITH_TOOLS:-${XDG_DATA_HOME:-$HOME/.local/share}/paralith/tools}"
export PATH="$PATH:$tools/bin"

step() { printf '\n== %s (%ss)\n' "$*" "$SECONDS"; }

step dependencies
if command -v cargo-deny >/dev/null; then
    cargo deny --all-features --locked check --hide-inclusion-graph bans licenses sources
    if [ -d "${CARGO_HOME:-$HOME/.cargo}/advisory-dbs" ]; then
        cargo deny --locked check --disable-fetch advisories
    else
        echo "SKIPPED cargo deny check advisories: no copy of the advisory database here (cargo deny fetch)"
    fi
else
    echo "SKIPPED cargo deny: it is not installed (scripts/setup.sh check installs it); tests/tidy checks licences and sources"
fi

step "generated Rust of the protobuf tree"
scripts/protos.sh --check

step "a build without C++"
# The program of `make dev`: the compilers that it must not need are not to be found.
CXX=/nonexistent/c++ LIBCLANG_PATH=/nonexistent cargo check --package paralith --bin paralith

step done
