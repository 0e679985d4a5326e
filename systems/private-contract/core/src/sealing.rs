//! Sealing a call for the members, opening it, and sealing packages.

use paralith_crypto::kem::{KEM_X_WING, KEM_X25519, KemSecret, hpke_open, hpke_seal};
use paralith_crypto::seal::CannotOpen;
use paralith_crypto::sha3::sha3_256;
use paralith_crypto::wrap::{
    CannotWrap, Recipient, first_false_wrap, key_commitment, open_content, seal_content, unwrap,
    wrap, wrap_parts,
};
pub use paralith_crypto::wrap::{ContentKey, WrapParts};
use paralith_policy::Members;
use paralith_private_contract_messages::{
    Canonical, Content, ContentHash, ContentInfo, KemKey, KeySet, MAX_CONTENT_BYTES,
    MAX_PLAINTEXT_BYTES, MAX_URI_BYTES, Package, TransactionRecord, WrapInfo,
};
use paralith_types::{Hash, PublicKey};

use crate::domains::SEALING;
use crate::ids::{Place, package_hash};

/// The purpose of the wraps of a content.
pub const PURPOSE_CONTENT: &str = "content";
/// The purpose of the seals of a package.
pub const PURPOSE_PACKAGE: &str = "package";
/// Most bytes of an encoded package.
pub const MAX_PACKAGE_BYTES: usize = 64 * 1024 * 1024;

/// Whose call it is, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallOf {
    /// Where.
    pub place: Place,
    /// Whose.
    pub sender: PublicKey,
    /// The sender's number for it.
    pub sender_seq: u64,
}

impl CallOf {
    /// The encoded [`ContentInfo`].
    #[must_use]
    pub fn content_info(&self) -> Vec<u8> {
        let Place { chain_context, mediator, contract_id } = self.place;
        let CallOf { sender, sender_seq, .. } = *self;
        ContentInfo { version: 1, chain_context, mediator, contract_id, sender, sender_seq }
            .encode()
    }

    /// The encoded [`WrapInfo`] of a member's wrap.
    #[must_use]
    pub fn wrap_info(
        &self,
        keys_version: u64,
        index: u32,
        content_hash: &ContentHash,
        key_commitment: &Hash,
    ) -> Vec<u8> {
        let Place { chain_context, mediator, contract_id } = self.place;
        WrapInfo {
            version: 1,
            purpose: PURPOSE_CONTENT.into(),
            chain_context,
            mediator,
            contract_id,
            keys_version,
            index,
            content_hash: *content_hash,
            key_commitment: *key_commitment,
            sender: self.sender,
            sender_seq: self.sender_seq,
        }
        .encode()
    }
}

/// A call, sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedCall {
    /// What the data stores get.
    pub content: Vec<u8>,
    /// Its name.
    pub content_hash: ContentHash,
    /// Binds the content key and the URI.
    pub key_commitment: Hash,
    /// In the members' order; empty for members that are gone.
    pub wraps: Vec<Vec<u8>>,
}

/// Members that get no wrap, as a key set says.
#[must_use]
pub fn gone(keys: &KeySet) -> Members {
    // What the mediator wrote is a set over this list.
    Members::from_bytes(&keys.gone, keys.keys.len()).unwrap_or_default()
}

/// Where a call is sealed: the key set with its number.
#[derive(Debug, Clone, Copy)]
pub struct KeySetRef<'a> {
    /// Its number.
    pub version: u64,
    /// The keys.
    pub set: &'a KeySet,
}

/// Members that get a wrap.
fn live(keys: &KeySet) -> impl Iterator<Item = (u32, &KemKey)> {
    let gone = gone(keys);
    (0_u32..).zip(&keys.keys).filter(move |(index, _)| !gone.contains(*index))
}

/// They as recipients of this content.
fn recipients<'a>(
    of: &'a CallOf,
    keys: KeySetRef<'a>,
    content_hash: &'a ContentHash,
) -> Vec<Recipient<'a, impl Fn(&Hash) -> Vec<u8> + use<'a>>> {
    let recipient = |(index, key): (u32, &'a KemKey)| {
        let info =
            move |commitment: &Hash| of.wrap_info(keys.version, index, content_hash, commitment);
        Recipient { kem: key.kem_id, key: &key.key, info }
    };
    live(keys.set).map(recipient).collect()
}

/// Seals a call for the members of a key set. `sk` is 32 random bytes, fresh for each sealing; `uri` is empty
/// or that of an origin.
pub fn seal_call(
    of: &CallOf,
    keys: KeySetRef<'_>,
    sk: &ContentKey,
    uri: &str,
    call: &[u8],
) -> Result<SealedCall, CannotWrap> {
    let plaintext = Content { call: call.to_vec() }.encode();
    let sealed = seal_content(&SEALING, sk, uri, &of.content_info(), &plaintext);
    let content_hash = ContentHash(sealed.content_hash);
    let to = recipients(of, keys, &content_hash);
    let mut wraps = vec![Vec::new(); keys.set.keys.len()];
    for ((index, _), made) in live(keys.set).zip(wrap(&SEALING, sk, uri, &to)?) {
        if let Some(place) = usize::try_from(index).ok().and_then(|index| wraps.get_mut(index)) {
            *place = made;
        }
    }
    let (content, key_commitment) = (sealed.content, sealed.key_commitment);
    Ok(SealedCall { content, content_hash, key_commitment, wraps })
}

/// PC-2: whether a transaction has one wrap for each member of the key set, each of a length that its KEM gives.
///
/// All wraps of one transaction have one plaintext, so their lengths follow from the KEMs. The mediator
/// refuses others before anybody opens them.
#[must_use]
pub fn wraps_fit(keys: &KeySet, wraps: &[Vec<u8>]) -> bool {
    let gone = gone(keys);
    if wraps.len() != keys.keys.len() {
        return false;
    }
    let mut plain = None;
    (0_u32..).zip(&keys.keys).zip(wraps).all(|((index, key), wrap)| {
        if gone.contains(index) {
            return wrap.is_empty();
        }
        let Some(len) = overhead(key.kem_id).and_then(|over| wrap.len().checked_sub(over)) else {
            return false;
        };
        let longest = MAX_URI_BYTES.saturating_add(KEY_PART.saturating_add(3));
        (KEY_PART..=longest).contains(&len) && *plain.get_or_insert(len) == len
    })
}

/// What the content key takes in a wrap's plaintext.
const KEY_PART: usize = 34;

/// Encapsulated key and tag.
const fn overhead(kem: u32) -> Option<usize> {
    match kem {
        KEM_X25519 => Some(32 + 16),
        KEM_X_WING => Some(1120 + 16),
        _ => None,
    }
}

/// What a member finds in a transaction's wraps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenedWraps {
    /// All are right.
    Right {
        /// The content key.
        sk: ContentKey,
        /// Where the content may be, or empty.
        uri: String,
    },
    /// The own one does not open, or the commitment is another: malformed, and nothing can be shown.
    Own,
    /// Another's is false: malformed, and the mediator can be shown so.
    Others {
        /// The content key.
        sk: ContentKey,
        /// The URI.
        uri: String,
        /// Whose wrap is false.
        index: u32,
    },
    /// The own key is not the one in the key set: this member has no class to give.
    ForeignKey,
}

/// A member opens its wrap, compares the commitment and makes all wraps again.
#[must_use]
pub fn open_wraps(
    of: &CallOf,
    keys: KeySetRef<'_>,
    tx: &TransactionRecord,
    wraps: &[Vec<u8>],
    secret: &KemSecret,
    index: u32,
) -> OpenedWraps {
    let own = usize::try_from(index).unwrap_or(usize::MAX);
    let is_mine = keys
        .set
        .keys
        .get(own)
        .is_some_and(|key| key.kem_id == secret.kem() && key.key == secret.public());
    if !is_mine || gone(keys.set).contains(index) {
        return OpenedWraps::ForeignKey;
    }
    let info = of.wrap_info(keys.version, index, &tx.content_hash, &tx.key_commitment);
    let mine = wraps.get(own).map_or(&[][..], Vec::as_slice);
    let Ok((sk, uri)) = unwrap(&SEALING, secret, &info, mine, &tx.key_commitment) else {
        return OpenedWraps::Own;
    };
    let to = recipients(of, keys, &tx.content_hash);
    let sent = |(index, _): (u32, &KemKey)| {
        let place = usize::try_from(index).unwrap_or(usize::MAX);
        wraps.get(place).cloned().unwrap_or_default()
    };
    let sent: Vec<Vec<u8>> = live(keys.set).map(sent).collect();
    let first = first_false_wrap(&SEALING, &sk, &uri, &to, &sent);
    let place = |place: u32| live(keys.set).nth(usize::try_from(place).ok()?);
    let first = first.and_then(place).map(|(index, _)| index);
    match first {
        None => OpenedWraps::Right { sk, uri },
        Some(index) => OpenedWraps::Others { sk, uri, index },
    }
}

/// What a member's wrap of this transaction must be, for the judge of a complaint.
#[derive(Debug, Clone)]
pub struct RightWrap {
    /// HPKE's info.
    pub info: Vec<u8>,
    /// Plaintext and keying material.
    pub parts: WrapParts,
}

/// The wrap that an honest sender makes for a member, from the content key and the URI that a complaint
/// reveals. `None`: they are not those of the transaction's commitment.
#[must_use]
pub fn right_wrap(
    of: &CallOf,
    tx: &TransactionRecord,
    sk: &ContentKey,
    uri: &str,
    index: u32,
) -> Option<RightWrap> {
    if key_commitment(&SEALING, sk, uri) != tx.key_commitment {
        return None;
    }
    let info = of.wrap_info(tx.keys_version, index, &tx.content_hash, &tx.key_commitment);
    let parts = wrap_parts(&SEALING, sk, uri, &info);
    Some(RightWrap { info, parts })
}

/// The call in a content: its length, hash, seal and encoding are right. Else the transaction is malformed,
/// if the bytes have the content's hash; bytes of another hash are not the content.
pub fn open_call(
    of: &CallOf,
    tx: &TransactionRecord,
    sk: &ContentKey,
    content: &[u8],
) -> Result<Vec<u8>, CannotOpen> {
    let right_length = usize::try_from(tx.content_bytes) == Ok(content.len());
    if !right_length || content.len() > MAX_CONTENT_BYTES as usize || !is_content(tx, content) {
        return Err(CannotOpen);
    }
    let plaintext = open_content(&SEALING, sk, &of.content_info(), content)?;
    let content = Content::decode(&plaintext, MAX_PLAINTEXT_BYTES).map_err(|_| CannotOpen)?;
    Ok(content.call)
}

/// Whether these bytes have the content's hash.
#[must_use]
pub fn is_content(tx: &TransactionRecord, bytes: &[u8]) -> bool {
    sha3_256(bytes) == tx.content_hash.0
}

fn package_info(place: &Place, owner: &PublicKey, package_hash: &Hash, index: u32) -> Vec<u8> {
    WrapInfo {
        version: 1,
        purpose: PURPOSE_PACKAGE.into(),
        chain_context: place.chain_context,
        mediator: place.mediator,
        contract_id: place.contract_id,
        keys_version: 0,
        index,
        content_hash: ContentHash(package_hash.0),
        key_commitment: Hash::ZERO,
        sender: *owner,
        sender_seq: 0,
    }
    .encode()
}

/// Seals a package to a member's key. `ikm` is 32 random bytes, fresh for each seal. `None`: nothing can be
/// sealed to the key.
#[must_use]
pub fn seal_package(
    place: &Place,
    owner: &PublicKey,
    package: &Package,
    index: u32,
    key: &KemKey,
    ikm: &[u8; 32],
) -> Option<Vec<u8>> {
    let info = package_info(place, owner, &package_hash(package), index);
    hpke_seal(key.kem_id, &key.key, &info, &package.encode(), ikm)
}

/// Opens a package and compares its hash with the definition's.
pub fn open_package(
    place: &Place,
    owner: &PublicKey,
    expected: &Hash,
    index: u32,
    secret: &KemSecret,
    sealed: &[u8],
) -> Result<Package, CannotOpen> {
    let info = package_info(place, owner, expected, index);
    let opened = hpke_open(secret, &info, sealed)?;
    let package = Package::decode(&opened, MAX_PACKAGE_BYTES).map_err(|_| CannotOpen)?;
    if package_hash(&package) == *expected { Ok(package) } else { Err(CannotOpen) }
}
