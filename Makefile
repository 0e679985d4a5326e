# The two commands: `make dev` and `make test`. Both set up what is missing first.
.PHONY: dev test setup build lint bench

# Both commands share this folder and one cargo profile, so that RocksDB is compiled once.
export CARGO_INCREMENTAL ?= 0

dev: setup
	cargo run --package paralith --bin paralith -- dev --demo

test: setup
	scripts/test.sh

setup:
	@scripts/setup.sh

build: setup
	cargo build --workspace --all-targets

lint: setup
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

bench: setup
	scripts/bench.sh
