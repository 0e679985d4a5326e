#!/usr/bin/env bash
# Generates common/proto/src/generated from the protobuf tree.
#
#   scripts/protos.sh            writes it
#   scripts/protos.sh --check    writes nothing; fails if what is committed is not what would be made
set -euo pipefail
cd "$(dirname "$0")/.."

target="${CARGO_TARGET_DIR:-$PWD/target}/protos"
out=common/proto/src/generated
generate() {
    cargo run --quiet --locked --manifest-path common/proto/generate/Cargo.toml --target-dir "$target" \
        -- common/proto/proto "$1"
}

if [ "${1:-}" = --check ]; then
    fresh=$(mktemp -d)
    trap 'rm -rf "$fresh"' EXIT
    generate "$fresh"
    diff -r "$fresh" "$out" || { echo "protos: $out is not what \`make protos\` makes: run it" >&2; exit 1; }
else
    generate "$out"
fi
