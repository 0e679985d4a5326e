# `make dev` runs a chain, `make test` runs all tests. Each target sets up what it needs first.
.PHONY: dev test check-more soak setup build lint bench release protos

# All targets share one folder and one cargo profile, so that nothing is compiled twice.
export CARGO_INCREMENTAL ?= 0

# Needs Rust and a C compiler: no C++, no libclang, no Go. Stores are redb's.
dev:
	@scripts/setup.sh dev
	cargo run --package paralith --bin paralith -- dev --demo

test: setup
	scripts/test.sh

# Slow campaigns, for MINUTES (60): kills at many more writes, more random cases, repeated faults.
soak: setup
	scripts/soak.sh

setup:
	@scripts/setup.sh test

build:
	@scripts/setup.sh build
	cargo build --workspace --all-targets

lint:
	@scripts/setup.sh build
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

# Slower checks beside .ci/run: dependencies, the generated Rust, a build without C++.
check-more:
	@scripts/setup.sh check
	scripts/check-more.sh

# After a change of a .proto file: the generated Rust is committed.
protos:
	scripts/protos.sh

bench: setup
	scripts/bench.sh

# Static, stripped, reproducible: two builds of a commit give the same bytes.
release:
	@scripts/setup.sh build
	scripts/release.sh
