//! consensus-abci
