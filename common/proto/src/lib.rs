//! paralith-proto
