//! paralith-genesis
