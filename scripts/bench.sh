#!/usr/bin/env bash
# All measurements, in release. Results go to standard output, what they mean to standard error;
# those that are one JSON object a line stand in bench.jsonl of cargo's target folder, too.
set -euo pipefail
cd "$(dirname "$0")/.."

target="${CARGO_TARGET_DIR:-$PWD/target}"
results="$target/bench.jsonl"
failed=

say() { printf '\n== %s\n' "$*" >&2; }

say "building in release (the first time takes minutes: RocksDB and wasmtime)"
cargo build --release --package paralith --package bench
: >"$results"

say "discrepancy pool"
cargo run --release --quiet --package discrepancy --example cost
say "state tree beside jmt and sparse-merkle-tree"
cargo run --release --quiet --package paralith-storage --features rocksdb --example state

measures=(application runtime dev private_contract chaincode)
cometbft="${COMETBFT:-$(command -v cometbft || true)}"
tools="${PARALITH_TOOLS:-${XDG_DATA_HOME:-$HOME/.local/share}/paralith/tools}"
if [ -n "$cometbft" ] || [ -x "$tools/cometbft" ]; then
    measures+=(consensus localnet)
else
    echo "SKIPPED consensus and localnet: there is no CometBFT here; scripts/setup.sh builds it with Go" >&2
fi
for what in "${measures[@]}"; do
    say "$what"
    "$target/release/bench" "$what" | tee -a "$results" || failed="$failed $what"
done

say "results are in $results"
if [ -n "$failed" ]; then
    echo "bench: failed:$failed" >&2
    exit 1
fi
