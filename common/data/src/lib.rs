//! The data store: contents by their SHA3-256, over HTTP, for those to whom a rule gives tickets.
//! `docs/protocol/data.md` is the specification.
//!
//! * [`Ticket`], [`SignedTicket`]: what one request may do with one content. Pure.
//! * [`TicketRule`]: who may put and get. A system implements it; the store knows none.
//! * [`Ledger`]: quotas, owners and expiry. Pure.
//! * [`Store`]: the files, crash-safe; bytes are hashed while they are written.
//! * [`Service`]: `PUT`, `GET` and `HEAD` of `/data/<64 hex>`.
//! * [`Client`]: the other end. It contacts the origins of its list and nothing else.

mod client;
mod error;
mod ledger;
mod pb;
mod places;
mod rule;
mod service;
mod store;
mod ticket;

pub use client::{Client, ClientLimits, Dial, Io, Origin, tcp};
pub use error::{DataError, Quota, TicketFault};
pub use ledger::{Claim, Ended, Ledger, MAX_OWNERS, Owner, Quotas, Record, charge};
pub use rule::{Denied, TicketRule};
pub use service::{HeightNow, ResponseBody, Service, ServiceLimits};
pub use store::{Begun, Content, Store, Upload};
pub use ticket::{
    Action, MAX_CREDENTIAL_BYTES, SCHEME, SignedTicket, TICKET_DOMAIN, TICKET_VERSION, Ticket,
    TicketBounds,
};
