#!/usr/bin/env bash
# Shows that the tests of both systems fail where a defence is missing: takes each defence that a patch of
# tests/e2e/controls names out of a copy of this tree, and runs both suites there. Exactly the tests that the patches
# name must fail. Nothing of the copy gets into another build.
set -euo pipefail
cd "$(dirname "$0")/.."

target="$(realpath --canonicalize-missing "${CARGO_TARGET_DIR:-$PWD/target}")/controls"
copy="$target/tree-of-tests"

rm -rf "$copy"
mkdir -p "$copy"
git ls-files -z | tar --null --files-from=- -cf - | tar -xf - -C "$copy"
for patch in "$PWD"/tests/e2e/controls/*.patch; do
    printf 'without: %s\n' "$(head -n 1 "$patch")"
    # The copy is no repository, wherever it lies.
    GIT_CEILING_DIRECTORIES="$target" git -C "$copy" apply "$patch"
done
expected=$(sed -n 's/^Fails: [a-z_]* //p' tests/e2e/controls/*.patch | sort)

export CARGO_TARGET_DIR="$target"
cd "$copy"
cargo build --package paralith --package paralith-adversary --package e2e --all-targets
log="$target/controls-of-tests.log"
cargo test --package e2e --test private_contract --test chaincode --no-fail-fast 2>&1 | tee "$log" || true
failed=$(sed -n 's/^test \(.*::\)\{0,1\}\([a-z0-9_]*\) \.\.\. FAILED$/\2/p' "$log" | sort)
if ! diff <(echo "$expected") <(echo "$failed"); then
    echo "controls: other tests failed than the patches name (<: named, >: failed)" >&2
    exit 1
fi
echo "controls: the tests that the patches name failed, and no others"
