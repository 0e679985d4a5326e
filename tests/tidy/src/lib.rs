//! Rules of the repository that no compiler checks; all of them are in `tests/it`.
//!
//! * `graph`: layers, owners of heavy dependencies, licences, where packages come from.
//! * `source`: what Rust files may not contain, and how long they may be.
//! * `manifests`: lints and versions.
//! * `pages`: links between documents.
//! * `protos`: the generated Rust is that of the protobuf tree.
//! * `rules`: every rule of the protocol has an id, which the code that enforces it cites.
//!
//! A rule's exceptions stand in a table beside it, each with its reason; an exception that is no
//! longer needed fails too.
