//! Limits and prices of transactions.

use paralith_proto::{pb, wire_struct};
use paralith_types::Amount;
use serde::{Deserialize, Serialize};

/// Limits and prices of transactions. Zero gas prices and limits mean "free" and "unlimited".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Longest signed transaction; longer ones are refused before they are decoded.
    pub max_tx_bytes: u32,
    /// Gas that the transactions of one block may use together; 0 is unlimited.
    pub max_block_gas: u64,
    /// Least fee for a unit of gas limit.
    pub min_gas_price: Amount,
    /// Gas for each byte of a signed transaction.
    pub gas_per_byte: u64,
    /// Least balance of an account that sends a transaction, before its fee.
    pub min_transact_balance: Amount,
}
wire_struct!(
    Params,
    pb::consensus::v1::Params,
    { max_tx_bytes, max_block_gas, min_gas_price, gas_per_byte, min_transact_balance },
    {}
);
