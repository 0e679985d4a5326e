//! Tickets: signed bytes that say what one request may do with one content. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use paralith_crypto::ed25519::verify;
use paralith_crypto::{Domain, SigningKey};
use paralith_types::{ChainContext, Hash, Height, PublicKey, Signature};
use prost::Message as _;

use crate::pb;
use crate::{DataError, TicketFault};

/// The domain under which tickets are signed.
pub const TICKET_DOMAIN: Domain = Domain::new("paralith/data/ticket/v1");

/// The version of the form.
pub const TICKET_VERSION: u32 = 1;

/// The scheme of the `Authorization` header.
pub const SCHEME: &str = "Paralith";

/// Most bytes of a credential: a certificate fits.
pub const MAX_CREDENTIAL_BYTES: usize = 1024;

/// Longer than the header of any valid ticket.
const MAX_HEADER_BYTES: usize = 2048;

const SIGNATURE_BYTES: usize = 64;

/// What a ticket allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// To store the content.
    Put,
    /// To read the content, or its length.
    Get,
}

impl Action {
    fn number(self) -> u32 {
        match self {
            Self::Put => 1,
            Self::Get => 2,
        }
    }
}

/// What one request may do with one content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// What it allows.
    pub action: Action,
    /// Which rule decides, and whose quota is charged: the id of a contract, a service.
    pub scope: [u8; 32],
    /// SHA3-256 of the content.
    pub content: Hash,
    /// Of a put: the content's bytes, exactly. Of a get: 0.
    pub length: u64,
    /// The first height at which it is not valid. What a put stores is kept until then.
    pub expires: Height,
    /// Whose signature it carries.
    pub signer: PublicKey,
    /// What the rule wants to see besides, at most [`MAX_CREDENTIAL_BYTES`].
    pub credential: Vec<u8>,
}

/// A ticket with the signature that came with it, which is checked by [`SignedTicket::check`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedTicket {
    /// The ticket.
    pub ticket: Ticket,
    /// Over its canonical message, under [`TICKET_DOMAIN`].
    pub signature: Signature,
}

/// What a store allows to tickets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TicketBounds {
    /// Longest content in bytes.
    pub content_bytes: u64,
    /// Blocks from now to the latest height at which a ticket may expire.
    pub blocks: u64,
}

impl Ticket {
    /// The canonical message, which is signed.
    #[must_use]
    pub fn message(&self) -> Vec<u8> {
        pb::Ticket {
            version: TICKET_VERSION,
            action: self.action.number(),
            scope: self.scope.to_vec(),
            content_hash: self.content.as_bytes().to_vec(),
            length: self.length,
            expires: self.expires.0,
            signer: self.signer.as_bytes().to_vec(),
            credential: self.credential.clone(),
        }
        .encode_to_vec()
    }

    /// Signs it for a chain. `key` is that of [`Ticket::signer`].
    #[must_use]
    pub fn sign(self, key: &SigningKey, chain: &ChainContext) -> SignedTicket {
        let signature = key.sign(TICKET_DOMAIN, chain, &self.message());
        SignedTicket { ticket: self, signature }
    }

    fn decode(bytes: &[u8]) -> Result<Self, TicketFault> {
        let form = TicketFault::Form;
        let pb =
            pb::Ticket::decode(bytes).map_err(|_| form("it is not the message of a ticket"))?;
        if pb.version != TICKET_VERSION {
            return Err(form("its version is unknown here"));
        }
        let action = match pb.action {
            1 => Action::Put,
            2 => Action::Get,
            _ => return Err(form("it is neither for putting nor for getting")),
        };
        if pb.credential.len() > MAX_CREDENTIAL_BYTES {
            return Err(form("its credential is too long"));
        }
        if action == Action::Get && pb.length != 0 {
            return Err(form("it names a length, which only a ticket for putting does"));
        }
        let ticket = Self {
            action,
            scope: <[u8; 32]>::try_from(pb.scope.as_slice())
                .map_err(|_| form("its scope does not have 32 bytes"))?,
            content: Hash::try_from(pb.content_hash.as_slice())
                .map_err(|_| form("its content's hash does not have 32 bytes"))?,
            length: pb.length,
            expires: Height(pb.expires),
            signer: PublicKey::try_from(pb.signer.as_slice())
                .map_err(|_| form("its signer does not have 32 bytes"))?,
            credential: pb.credential,
        };
        // DA-1: one encoding.
        if ticket.message() == bytes {
            Ok(ticket)
        } else {
            Err(form("it is not in canonical form"))
        }
    }
}

impl SignedTicket {
    /// The value of the `Authorization` header.
    #[must_use]
    pub fn authorization(&self) -> String {
        let bytes = [&self.ticket.message()[..], self.signature.as_bytes()].concat();
        format!("{SCHEME} {}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Reads the value of an `Authorization` header. Nothing but the form is checked.
    pub fn from_authorization(value: &str) -> Result<Self, TicketFault> {
        let form = TicketFault::Form;
        if value.len() > MAX_HEADER_BYTES {
            return Err(form("it is too long"));
        }
        let (scheme, text) = value.split_once(' ').ok_or(TicketFault::Missing)?;
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return Err(TicketFault::Missing);
        }
        let bytes = URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_| form("it is not base64url without padding"))?;
        let at = bytes.len().checked_sub(SIGNATURE_BYTES).ok_or(form("it has no signature"))?;
        let (message, signature) = bytes.split_at_checked(at).unwrap_or_default();
        let signature = Signature::try_from(signature).map_err(|_| form("it has no signature"))?;
        Ok(Self { ticket: Ticket::decode(message)?, signature })
    }

    /// Whether it allows this action with this content at this height on this chain, for a scope
    /// that `serves` knows. What the scope's rule says of it is asked afterwards, so that nothing but
    /// this check is paid for a stranger's ticket.
    pub fn check(
        &self,
        action: Action,
        content: &Hash,
        chain: &ChainContext,
        now: Height,
        bounds: TicketBounds,
        serves: impl FnOnce(&[u8; 32]) -> bool,
    ) -> Result<(), DataError> {
        let ticket = &self.ticket;
        // DA-2: in this order; the signature comes last since it costs the most.
        if ticket.action != action {
            return Err(TicketFault::Action.into());
        }
        if ticket.content != *content {
            return Err(TicketFault::Content.into());
        }
        if now >= ticket.expires {
            return Err(TicketFault::Expired { expires: ticket.expires, now }.into());
        }
        let latest = Height(now.0.saturating_add(bounds.blocks));
        if ticket.expires > latest {
            return Err(TicketFault::TooLong { expires: ticket.expires, latest }.into());
        }
        if ticket.length > bounds.content_bytes {
            return Err(DataError::TooLarge { limit: bounds.content_bytes });
        }
        if !serves(&ticket.scope) {
            return Err(TicketFault::Scope.into());
        }
        verify(&ticket.signer, TICKET_DOMAIN, chain, &ticket.message(), &self.signature)
            .map_err(|_| TicketFault::Signature.into())
    }
}
