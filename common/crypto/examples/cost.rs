//! What hosts do for guests, in nanoseconds: the numbers behind the gas schedule, in which ten gas are
//! one nanosecond. A line gives the median and the worst of ten runs.
//!
//! `cargo run --release -p paralith-crypto --features groups --example cost`
#![allow(clippy::unwrap_used, clippy::disallowed_types, missing_docs)]

use std::hint::black_box;
use std::time::Instant;

use paralith_crypto::groups::{Group, SCALAR_LEN, combine, recover, schnorr_verify};
use paralith_crypto::sha3::{keccak256, sha3_256};
use paralith_crypto::{Domain, SigningKey, ed25519, sha256};
use paralith_types::ChainContext;

const RUNS: usize = 10;

fn main() {
    println!("{:<36} {:>12} {:>12}", "nanoseconds", "median", "worst");
    hashes();
    signatures();
    for group in [Group::Secp256k1, Group::Ed25519] {
        let pairs = pairs(group, 64);
        let of = |count: usize| &pairs[..count * group.pair_len()];
        for count in [1, 8, 64] {
            let name = format!("combine {group:?}, {count} pairs");
            measure(&name, 200 / count + 2, || assert!(combine(group, of(count)).is_some()));
        }
    }
}

fn hashes() {
    let data = vec![7; 1 << 16];
    for length in [0, 32, 136, 1 << 16] {
        let (times, data) = (20_000 / (length / 64 + 1) + 2, &data[..length]);
        measure(&format!("sha256, {length} bytes"), times, || sha256(data));
        measure(&format!("keccak256, {length} bytes"), times, || keccak256(data));
        measure(&format!("sha3_256, {length} bytes"), times, || sha3_256(data));
    }
}

/// Ed25519 has been priced before: its line tells how this machine compares with that of the schedule.
fn signatures() {
    // BIP340's vector 1, and go-ethereum's of `secp256_test.go`.
    let bip340 = (
        bytes("dff1d77f2a671c5f36183726db2341be58feae1da2deced843240f7b502ba659"),
        bytes(
            "6896bd60eeae296db48a229ff71dfe071bde413e6d43f917dc8dcf8c78de3341\
             8906d11ac976abccb20b091292bff4ea897efcb639ea871cfa95f6de339e4b0a",
        ),
        bytes::<32>("243f6a8885a308d313198a2e03707344a4093822299f31d0082efa98ec4e6c89"),
    );
    let ecdsa = (
        bytes("ce0677bb30baa8cf067c88db9811f4333d131bf8bcf12fe7065d211dce971008"),
        bytes(
            "90f27b8b488db00b00606796d2987f6a5f59ae62ea05effe84fef5b8b0e54998\
             4a691139ad57a3f0b906637673aa2f63d1f55cb1a69199d4009eea23ceaddc93",
        ),
    );
    let (domain, chain) = (Domain::new("paralith/cost"), ChainContext([2; 32]));
    let key = SigningKey::from_seed([1; 32]);
    let signature = key.sign(domain, &chain, &[3; 32]);
    let verify = || ed25519::verify(&key.public(), domain, &chain, &[3; 32], &signature).unwrap();
    measure("ed25519 verify", 200, verify);
    measure("schnorr_verify", 200, || assert!(schnorr_verify(&bip340.0, &bip340.1, &bip340.2)));
    measure("recover", 200, || assert!(recover(&ecdsa.0, &ecdsa.1, true).is_some()));
}

fn bytes<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).unwrap().try_into().unwrap()
}

/// Different points with scalars of full length.
fn pairs(group: Group, count: usize) -> Vec<u8> {
    let mut pairs = Vec::new();
    let mut scalar = [0x5a; SCALAR_LEN];
    for _ in 0..count {
        // Below both orders in either order of the bytes.
        scalar = sha256(&scalar);
        (scalar[0], scalar[31]) = (scalar[0] & 0x0f, scalar[31] & 0x0f);
        let of_generator = [&scalar[..], &vec![0; group.point_len()]].concat();
        let point = combine(group, &of_generator).unwrap();
        pairs.extend_from_slice(&scalar);
        pairs.extend_from_slice(&point);
    }
    pairs
}

fn measure<T>(name: &str, times: usize, mut work: impl FnMut() -> T) {
    let mut run = || {
        let start = Instant::now();
        for _ in 0..times {
            black_box(work());
        }
        start.elapsed().as_nanos() / times as u128
    };
    run();
    let mut runs: Vec<u128> = (0..RUNS).map(|_| run()).collect();
    runs.sort_unstable();
    println!("{name:<36} {:>12} {:>12}", runs[RUNS / 2], runs[RUNS - 1]);
}
