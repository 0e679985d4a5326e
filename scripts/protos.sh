#!/usr/bin/env bash
# Generates common/proto/src/generated from the protobuf tree, and the services of systems from theirs.
#
#   scripts/protos.sh            writes it
#   scripts/protos.sh --check    writes nothing; fails if what is committed is not what would be made
set -euo pipefail
cd "$(dirname "$0")/.."

target="${CARGO_TARGET_DIR:-$PWD/target}/protos"
# From these folders into those.
trees=(
    common/proto/proto:common/proto/src/generated
    systems/private-contract/grpc/proto:systems/private-contract/grpc/src/generated
    systems/chaincode/grpc/proto:systems/chaincode/grpc/src/generated
)
generate() {
    cargo run --quiet --locked --manifest-path common/proto/generate/Cargo.toml --target-dir "$target" \
        -- "$1" "$2"
}

for tree in "${trees[@]}"; do
    from=${tree%%:*} out=${tree##*:}
    if [ "${1:-}" = --check ]; then
        fresh=$(mktemp -d)
        trap 'rm -rf "$fresh"' EXIT
        generate "$from" "$fresh"
        diff -r "$fresh" "$out" || { echo "protos: $out is not what \`make protos\` makes: run it" >&2; exit 1; }
    else
        generate "$from" "$out"
    fi
done
