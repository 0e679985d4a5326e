//! Who may use this node's store of contents for a contract: holders of certificates put, members get.

use std::sync::Arc;

use paralith_data::{Denied, Ticket, TicketRule};
use paralith_policy::Certificate;
use paralith_private_contract_messages::{ContractId, keys as places};
use paralith_private_contract_stakeholder::{Contract, ServiceError};
use paralith_types::Height;

use super::Shared;

/// The rule for the contracts whose packages are installed here.
#[derive(Debug)]
struct ContractRule(Arc<Shared>);

pub(super) fn rule(shared: &Arc<Shared>) -> Arc<dyn TicketRule> {
    Arc::new(ContractRule(Arc::clone(shared)))
}

fn no(reason: impl ToString) -> Denied {
    Denied::No(reason.to_string())
}

/// Whether a certificate lets its subject send to a contract now.
pub(super) fn check_certificate(
    shared: &Shared,
    contract: &Contract,
    certificate: &Certificate,
    now: Height,
) -> Result<(), Denied> {
    let read = |error: ServiceError| no(error);
    let place = *contract.place();
    let record = contract.record().map_err(read)?.ok_or_else(|| no("no such contract"))?;
    let definition = contract.definition(record.newest_version()).map_err(read)?.definition;
    if !definition.issuers.contains(&certificate.issuer) {
        return Err(no("the certificate's issuer is none of the contract's"));
    }
    certificate.check(&place.contract_id.0, &certificate.subject, now).map_err(no)?;
    certificate
        .check_signature(&place.chain_context, |key, message, signature| {
            paralith_crypto::ed25519::verify_raw(key, message, signature).is_ok()
        })
        .map_err(no)?;
    let key = places::revocation(&place.contract_id, &certificate.issuer, certificate.serial);
    let state = shared.state().map_err(|_| Denied::NotReady)?;
    match state.get(&key).map_err(no)? {
        None => Ok(()),
        Some(_) => Err(no("the certificate is revoked")),
    }
}

impl ContractRule {
    fn contract(&self, scope: &[u8; 32]) -> Result<Contract, Denied> {
        self.0.contract(ContractId(*scope)).map_err(|_| Denied::NotReady)
    }
}

impl TicketRule for ContractRule {
    fn serves(&self, scope: &[u8; 32]) -> bool {
        self.0.is_installed(&ContractId(*scope)).unwrap_or(false)
    }

    fn may_put(&self, ticket: &Ticket, now: Height) -> Result<[u8; 32], Denied> {
        let contract = self.contract(&ticket.scope)?;
        let certificate = Certificate::decode(&ticket.credential).map_err(no)?;
        if certificate.subject != ticket.signer {
            return Err(no("the ticket's signer is not the certificate's subject"));
        }
        check_certificate(&self.0, &contract, &certificate, now)?;
        Ok(paralith_crypto::sha256(&certificate.encode()))
    }

    fn may_get(&self, ticket: &Ticket, _now: Height) -> Result<(), Denied> {
        let contract = self.contract(&ticket.scope)?;
        let record = contract.record().map_err(no)?.ok_or_else(|| no("no such contract"))?;
        for version in [record.version, record.newest_version()] {
            let known = contract.definition(version).map_err(no)?;
            if known.definition.members.contains(&ticket.signer) {
                return Ok(());
            }
        }
        Err(no("the signer is no member of the contract"))
    }
}
