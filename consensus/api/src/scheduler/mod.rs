//! Elections: validators by stake, committees of runtimes by lot.

mod election;
mod error;
mod event;
pub mod keys;
mod params;
mod types;

pub use election::{ValidatorCandidate, elect_validators};
pub use error::Error;
pub use event::{CommitteeElected, ValidatorsElected};
pub use params::Params;
pub use types::{Committee, CommitteeTerm, TermMember, Validator, ValidatorAlarm, Validators};
