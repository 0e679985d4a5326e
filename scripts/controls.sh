#!/usr/bin/env bash
# Shows that the defences of both systems are what stops the attacks of tests/adversary: builds the programs from a
# copy of this tree in which the patches of tests/adversary/controls have taken each defence out, and plays the same
# attacks. They must succeed. Nothing of the copy gets into another build.
set -euo pipefail
cd "$(dirname "$0")/.."

target="$(realpath --canonicalize-missing "${CARGO_TARGET_DIR:-$PWD/target}")/controls"
copy="$target/tree"

rm -rf "$copy"
mkdir -p "$copy"
git ls-files -z | tar --null --files-from=- -cf - | tar -xf - -C "$copy"
for patch in "$PWD"/tests/adversary/controls/*.patch; do
    printf 'without: %s\n' "$(head -n 1 "$patch")"
    # The copy is no repository, wherever it lies.
    GIT_CEILING_DIRECTORIES="$target" git -C "$copy" apply "$patch"
done

export CARGO_TARGET_DIR="$target"
cd "$copy"
cargo build --package paralith --package paralith-adversary --package e2e --all-targets
cargo test --package e2e --test private_contract --test chaincode -- adversary_
