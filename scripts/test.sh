#!/usr/bin/env bash
# All tests: the workspace's, then those of the guest SDK and the reference runtimes, which are
# crates of their own. Names the tests that were skipped and why.
set -euo pipefail
cd "$(dirname "$0")/.."

log=$(mktemp)
trap 'rm -f "$log"' EXIT

run() { "$@" 2>&1 | tee -a "$log"; }

# One selection for building and testing, so that nothing is compiled in two variants; the tests on
# real processes find the program beside themselves.
run cargo build --workspace --all-targets
run cargo test --workspace --all-targets --no-fail-fast -- --show-output
run cargo test --workspace --doc
guests="${CARGO_TARGET_DIR:-$PWD/target}/guest-tests"
run cargo test --manifest-path paratime-runtime/sdk/Cargo.toml --target-dir "$guests"
run cargo test --manifest-path paratime-runtime/examples/Cargo.toml --workspace --target-dir "$guests"
run cargo test --manifest-path systems/private-contract/mediator/Cargo.toml --target-dir "$guests"
run cargo test --manifest-path systems/chaincode/guests/Cargo.toml --workspace --target-dir "$guests"

echo
skipped=$(grep -h '^SKIPPED ' "$log" | sort -u || true)
[ -z "$skipped" ] || printf 'skipped in this run:\n%s\n' "$skipped"
awk '/^test result:/ { passed += $4; failed += $6; ignored += $8 }
     END { printf "%d passed, %d failed, %d skipped\n", passed, failed, ignored }' "$log"
