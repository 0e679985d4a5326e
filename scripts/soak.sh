#!/usr/bin/env bash
# Slow campaigns, too slow for every change: repeats them for MINUTES (60) and stops at the first
# failure, whose log it keeps. Random cases differ in every repetition and print their seed.
set -euo pipefail
cd "$(dirname "$0")/.."

minutes="${MINUTES:-60}"
target="${CARGO_TARGET_DIR:-$PWD/target}"
log="$target/soak.log"

campaign() { # name, then the command
    local name="$1"
    shift
    printf '== round %s, %ss: %s\n' "$round" "$SECONDS" "$name"
    if ! "$@" >"$log" 2>&1; then
        tail -n 60 "$log" >&2
        printf 'soak: %s failed in round %s; the whole log is %s\n' "$name" "$round" "$log" >&2
        exit 1
    fi
}

round=0
cargo test --workspace --all-targets --no-run
# Once: without their defences the systems fall to the attacks that their tests withstand.
campaign "attacks without defences" scripts/controls.sh
campaign "tests without defences" scripts/controls-of-tests.sh
until [ "$SECONDS" -ge $((minutes * 60)) ]; do
    round=$((round + 1))
    campaign "stores killed at 500 moments" \
        cargo test --package paralith-storage --all-features --test crash -- soak 500
    campaign "random cases of the pure crates" \
        cargo test --package paralith-storage --package paralith-crypto --package discrepancy \
        --package paralith-consensus-app --package paralith-runtime-enclave
    campaign "faults in networks of processes" cargo test --package e2e
done
printf 'soak: %s rounds in %s minutes, nothing failed\n' "$round" "$minutes"
