//! The genesis document: what a chain begins with and is identified by.
//!
//! * A document has one text: JSON with two spaces, the fields in their order, a newline at the end.
//!   Its hash is the chain's context, which every signature of the chain covers, so nodes
//!   with the same document are on the same chain, and no others.
//! * [`Document::parse`] reads any JSON of that meaning and refuses unknown fields; what it gives has
//!   passed [`Document::validate`]. What only the application can know (whether stake covers claims,
//!   whether signatures fit) the application checks when it takes the document.
//! * [`Document::first_validators`] gives the validators that the application begins with, for
//!   programs that do not link the application: light clients and enclaves.
//! * [`Builder`] makes documents for networks that are started from nothing.

mod builder;
mod document;
mod error;
mod time;
mod validate;
mod validators;

pub use builder::{Builder, NodeKeys, development_params};
pub use document::Document;
pub use error::GenesisError;
pub use time::GenesisTime;
