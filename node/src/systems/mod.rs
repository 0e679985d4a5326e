//! What is built on ParaTimes and runs at nodes, one folder a system. The rest of the node names none of
//! them: a system gives its links, its public services and its rules, and runs its own tasks.

pub mod chaincode;
mod demonstration;
pub mod private_contract;
