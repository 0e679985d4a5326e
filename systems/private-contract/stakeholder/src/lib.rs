//! A stakeholder of private contracts: the machine that holds code, calls and state in the clear.
//!
//! * [`Code`] executes a batch on the salted tree and gives a verdict. The same inputs give every member
//!   the same verdict.
//! * [`ContractStore`] is what a member has on its disk for one contract. Each step of the protocol is one
//!   atomic write.
//! * [`Keys`] are the account, vote and KEM keys, in files under a password.
//! * [`Stakeholder`] drives [`paralith_private_contract_core::member::Member`]: it reads proven state of the
//!   mediator, carries the machine's effects out in order, and answers the machine.
//! * [`Server`] answers the other members. Nobody else is answered.
//!
//! Specification: `systems/private-contract/SPEC.md`.

mod error;
mod executor;
mod keys;
mod links;
mod proven;
mod record;
mod server;
mod service;
mod store;

pub use error::ServiceError;
pub use executor::{Code, Executed, GivenCall, Inputs, MAX_BATCH_BYTES, TxInput};
pub use keys::{Agreement, KeyFileError, Keys};
pub use links::{LinkError, LinkFuture, Links, Mediator, Origins, Outside};
pub use proven::{Contract, MediatorState, Snapshot};
pub use record::{BatchLog, CallLog, Page, PageEntry, Write};
pub use server::Server;
pub use service::{Answer, Installed, Stakeholder, Step};
pub use store::ContractStore;
