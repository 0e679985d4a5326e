//! Two rules as systems have them, and the tickets of their users.

use std::collections::BTreeMap;

use paralith_crypto::sha3::sha3_256;
use paralith_crypto::{Domain, SigningKey, ed25519, hash};
use paralith_data::{Action, Denied, Quotas, SignedTicket, Ticket, TicketBounds, TicketRule};
use paralith_policy::{CERTIFICATE_VERSION, Certificate};
use paralith_types::{ChainContext, Hash, Height, PublicKey, Signature};

pub(crate) const CHAIN: ChainContext = ChainContext([7; 32]);
pub(crate) const NOW: Height = Height(100);
pub(crate) const CONTRACT: [u8; 32] = [1; 32];
pub(crate) const POOL: [u8; 32] = [2; 32];
pub(crate) const BOUNDS: TicketBounds = TicketBounds { content_bytes: 1 << 20, blocks: 1000 };
pub(crate) const ROOM: Quotas = Quotas { total: 1 << 30, scope: 1 << 29, holder: 1 << 28 };

pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed([seed; 32])
}

pub(crate) fn named(content: &[u8]) -> Hash {
    Hash(sha3_256(content))
}

/// Of a contract: those whom an issuer certified put, members get.
#[derive(Debug)]
pub(crate) struct Contract {
    pub(crate) issuer: PublicKey,
    pub(crate) members: Vec<PublicKey>,
}

impl TicketRule for Contract {
    fn serves(&self, scope: &[u8; 32]) -> bool {
        *scope == CONTRACT
    }

    fn may_put(&self, ticket: &Ticket, now: Height) -> Result<[u8; 32], Denied> {
        let refused = |e: &dyn std::fmt::Display| Denied::No(e.to_string());
        let certificate = Certificate::decode(&ticket.credential).map_err(|e| refused(&e))?;
        if certificate.issuer != self.issuer {
            return Err(Denied::No("the issuer is not listed".to_string()));
        }
        certificate.check(&ticket.scope, &ticket.signer, now).map_err(|e| refused(&e))?;
        let verify = |key: &PublicKey, message: &[u8], signature: &Signature| {
            ed25519::verify_raw(key, message, signature).is_ok()
        };
        certificate.check_signature(&CHAIN, verify).map_err(|e| refused(&e))?;
        let holder = Domain::new("test/holder");
        Ok(hash(holder, &[&certificate.issuer.0, &certificate.serial.to_be_bytes()]).0)
    }

    fn may_get(&self, ticket: &Ticket, _now: Height) -> Result<(), Denied> {
        let known = self.members.contains(&ticket.signer);
        if known { Ok(()) } else { Err(Denied::No("not a member".to_string())) }
    }
}

/// Of a pool: each key of a list puts and gets, until the height that stands beside it.
#[derive(Debug)]
pub(crate) struct Pool(pub(crate) BTreeMap<PublicKey, Height>);

impl Pool {
    fn check(&self, ticket: &Ticket, now: Height) -> Result<(), Denied> {
        match self.0.get(&ticket.signer) {
            Some(until) if now < *until => Ok(()),
            Some(_) => Err(Denied::No("its key is no longer in the pool".to_string())),
            None if self.0.is_empty() => Err(Denied::NotReady),
            None => Err(Denied::No("its key is not in the pool".to_string())),
        }
    }
}

impl TicketRule for Pool {
    fn serves(&self, scope: &[u8; 32]) -> bool {
        *scope == POOL
    }

    fn may_put(&self, ticket: &Ticket, now: Height) -> Result<[u8; 32], Denied> {
        self.check(ticket, now).map(|()| ticket.signer.0)
    }

    fn may_get(&self, ticket: &Ticket, now: Height) -> Result<(), Denied> {
        self.check(ticket, now)
    }
}

pub(crate) fn contract() -> Contract {
    Contract { issuer: key(10).public(), members: vec![key(20).public(), key(21).public()] }
}

pub(crate) fn pool() -> Pool {
    Pool([(key(30).public(), Height(1000)), (key(31).public(), Height(1000))].into())
}

/// The issuer's word for a key.
pub(crate) fn certificate(subject: &SigningKey, serial: u64) -> Certificate {
    let mut certificate = Certificate {
        version: CERTIFICATE_VERSION,
        issuer: key(10).public(),
        subject: subject.public(),
        scope: CONTRACT,
        attributes: String::new(),
        serial,
        not_before: Height(0),
        not_after: Height(10_000),
        signature: Signature([0; 64]),
    };
    let domain = Domain::new("paralith/certificate/v1");
    certificate.signature = key(10).sign(domain, &CHAIN, &certificate.message());
    certificate
}

/// A put into the contract by a certified key, unsigned.
pub(crate) fn upload(signer: &SigningKey, content: &[u8]) -> Ticket {
    Ticket {
        action: Action::Put,
        scope: CONTRACT,
        content: named(content),
        length: content.len() as u64,
        expires: Height(200),
        signer: signer.public(),
        credential: certificate(signer, u64::from(signer.seed()[0])).encode(),
    }
}

/// A put into the pool, unsigned.
pub(crate) fn deposit(signer: &SigningKey, content: &[u8]) -> Ticket {
    Ticket { scope: POOL, credential: Vec::new(), ..upload(signer, content) }
}

/// A get from a scope, unsigned.
pub(crate) fn download(signer: &SigningKey, scope: [u8; 32], content: Hash) -> Ticket {
    Ticket {
        action: Action::Get,
        scope,
        content,
        length: 0,
        expires: Height(200),
        signer: signer.public(),
        credential: Vec::new(),
    }
}

pub(crate) fn signed(ticket: Ticket, signer: &SigningKey) -> SignedTicket {
    ticket.sign(signer, &CHAIN)
}
