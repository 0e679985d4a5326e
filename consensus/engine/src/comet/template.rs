//! CometBFT's `config.toml`, written whole: keys that are not here have their defaults in v0.38.

use super::{CometOptions, RpcAddress, TAKEOVER_BLOCKS};

/// The configuration file.
pub(crate) fn config_toml(options: &CometOptions, has_signed: bool) -> String {
    let CometOptions { timing, local_network, .. } = options;
    let rpc = match &options.rpc {
        RpcAddress::Unix(path) => format!("unix://{}", path.display()),
        RpcAddress::Tcp(address) => format!("tcp://{address}"),
    };
    let abci = format!("unix://{}", options.abci_socket.display());
    let p2p = format!("tcp://{}", options.p2p_listen);
    format!(
        r#"# Written by paralith at every start: changes here are lost.
proxy_app = {abci}
abci = "socket"
moniker = {moniker}
db_backend = "goleveldb"
db_dir = "data"
log_level = "info"
log_format = "json"
genesis_file = "config/genesis.json"
priv_validator_key_file = "config/priv_validator_key.json"
priv_validator_state_file = "data/priv_validator_state.json"
node_key_file = "config/node_key.json"
filter_peers = false

[rpc]
laddr = {rpc}
unsafe = false
# One batch hands on a few hundred transactions.
max_request_batch_size = {BATCH_MAX}
max_body_bytes = {BODY_MAX}
timeout_broadcast_tx_commit = "10s"

[p2p]
laddr = {p2p}
external_address = {external}
persistent_peers = {peers}
seeds = {seeds}
addr_book_strict = {strict}
allow_duplicate_ip = {local_network}
flush_throttle_timeout = "{flush}ms"
max_packet_msg_payload_size = 10240
send_rate = 20480000
recv_rate = 20480000
persistent_peers_max_dial_period = "{dial}s"

[mempool]
type = "flood"
recheck = true
broadcast = true
size = 20000
max_txs_bytes = 268435456
cache_size = 100000
keep-invalid-txs-in-cache = false
max_tx_bytes = {tx_max}

[statesync]
enable = false

[blocksync]
version = "v0"

[consensus]
wal_file = "data/cs.wal/wal"
timeout_propose = "{propose}ms"
timeout_propose_delta = "{propose_delta}ms"
timeout_prevote = "{vote}ms"
timeout_prevote_delta = "{vote_delta}ms"
timeout_precommit = "{vote}ms"
timeout_precommit_delta = "{vote_delta}ms"
timeout_commit = "{commit}ms"
skip_timeout_commit = {local_network}
double_sign_check_height = {double_sign_check}
create_empty_blocks = true
create_empty_blocks_interval = "{interval}ms"
peer_gossip_sleep_duration = "{gossip}ms"
peer_query_maj23_sleep_duration = "2000ms"

[storage]
discard_abci_responses = false

[tx_index]
indexer = "null"

[instrumentation]
prometheus = {prometheus}
prometheus_listen_addr = {prometheus_address}
namespace = "cometbft"
"#,
        abci = quoted(&abci),
        moniker = quoted(&options.moniker),
        rpc = quoted(&rpc),
        p2p = quoted(&p2p),
        external = quoted(&options.p2p_external),
        peers = quoted(&options.persistent_peers.join(",")),
        seeds = quoted(&options.seeds.join(",")),
        double_sign_check = if options.took_over_key && !has_signed { TAKEOVER_BLOCKS } else { 0 },
        strict = !local_network,
        flush = timing.flush_throttle_ms,
        dial = if *local_network { 1 } else { 30 },
        tx_max = options.max_block_bytes,
        propose = timing.propose_ms,
        propose_delta = timing.propose_ms / 5,
        vote = timing.vote_ms,
        vote_delta = timing.vote_ms / 5,
        commit = timing.commit_ms,
        interval = timing.empty_block_interval_ms,
        gossip = timing.gossip_sleep_ms,
        prometheus = options.prometheus.is_some(),
        prometheus_address = quoted(options.prometheus.as_deref().unwrap_or_default()),
    )
}

/// A TOML string. What an operator types may hold quotes.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Most requests in one JSON-RPC batch.
pub(crate) const BATCH_MAX: usize = 1000;

/// Most bytes of one JSON-RPC request: a batch of the longest transactions is cut to this.
pub(crate) const BODY_MAX: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_operator_types_stays_one_string() {
        assert_eq!(quoted("a\"b\\c\nd"), "\"a\\\"b\\\\c\\u000Ad\"");
    }
}
