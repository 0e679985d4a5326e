//! The facilitator: opens wraps, finds contents.
//!
//! A content is looked for in the own store, then at all members at once, then at the sender's URI if that
//! is one of the contract's origins. Nothing else is contacted. Bytes count only under the content's hash.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use paralith_private_contract_core::member::{Found, Input};
use paralith_private_contract_core::messages::{
    Definition, MAX_CONTENT_BYTES, OpenBatch, Terms, Ticket, TransactionRecord,
};
use paralith_private_contract_core::sealing::{
    CallOf, KeySetRef, OpenedWraps, is_content, open_call, open_wraps,
};
use paralith_private_contract_core::signed::{sign, ticket_bytes};
use paralith_private_contract_core::terms::uri_allowed;
use paralith_runtime_abi as abi;
use paralith_types::PublicKey;
use prost::Message as _;

use super::{Opened, Stakeholder};
use crate::links::{LinkError, LinkFuture};
use crate::proven::index_of;
use crate::{Contract, ServiceError};

/// How long a member or a data store may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// A ticket is valid for so many blocks.
const TICKET_BLOCKS: u64 = 100;

/// An answer within its time.
pub(super) async fn in_time<T>(answer: LinkFuture<'_, T>) -> Result<T, LinkError> {
    let late = |_| LinkError::Unreachable("no answer in time".into());
    paralith_rt::timeout(ANSWER_TIMEOUT, answer).await.map_err(late)?
}

/// The first answer that is some.
pub(super) async fn first_of<T>(
    asked: impl IntoIterator<Item = impl Future<Output = Option<T>>>,
) -> Option<T> {
    let mut asked: FuturesUnordered<_> = asked.into_iter().collect();
    while let Some(answer) = asked.next().await {
        if answer.is_some() {
            return answer;
        }
    }
    None
}

impl Stakeholder {
    /// Begins to fetch a batch's contents.
    pub(super) async fn fetch(
        &mut self,
        contract: &Contract,
        batch: u64,
        seqs: Vec<u64>,
    ) -> Result<(), ServiceError> {
        self.batch = batch;
        self.opened.clear();
        self.wanted = seqs.into_iter().collect();
        self.fetch_wanted(contract).await
    }

    /// Opens wraps that are not opened yet, and looks for contents that are not found yet.
    pub(super) async fn fetch_wanted(&mut self, contract: &Contract) -> Result<(), ServiceError> {
        let open = contract.open_batch()?.filter(|open| open.batch.number == self.batch);
        let Some(open) = open.filter(|_| !self.wanted.is_empty()) else { return Ok(()) };
        let definition = contract.definition(open.batch.version)?.definition;
        for seq in self.wanted.clone() {
            if self.opened.contains_key(&seq) {
                continue;
            }
            if let Err(error) = self.open_one(contract, &definition, seq) {
                tracing::error!(%error, batch = self.batch, seq, "this member gives no vote");
                self.wanted.clear();
                return self.give(Input::Fault { batch: self.batch });
            }
        }
        self.find_contents(&open, &definition, contract.height()).await
    }

    fn open_one(
        &mut self,
        contract: &Contract,
        definition: &Definition,
        seq: u64,
    ) -> Result<(), ServiceError> {
        let foreign = ServiceError::ForeignKey { seq };
        let record = contract.transaction(seq)?;
        let wraps = contract.wraps(seq)?;
        let keys = contract.key_set(record.keys_version)?;
        let me = index_of(&definition.members, &self.keys.account()).ok_or(foreign.clone())?;
        let place = usize::try_from(me).unwrap_or(usize::MAX);
        let published = keys.keys.get(place).ok_or(foreign.clone())?;
        let secret = self.keys.kem_secret(published).ok_or(foreign.clone())?;
        let of = call_of(contract, &record);
        let set = KeySetRef { version: record.keys_version, set: &keys };
        let (complain, sk, uri) = match open_wraps(&of, set, &record, &wraps, &secret, me) {
            OpenedWraps::ForeignKey => return Err(foreign),
            OpenedWraps::Own => return self.found(seq, Found::Malformed { complain: None }),
            OpenedWraps::Others { sk, uri, index } => (Some(index), sk, uri),
            OpenedWraps::Right { sk, uri } => (None, sk, uri),
        };
        self.opened.insert(seq, Opened { record, sk, uri, call: None });
        match complain {
            Some(_) => self.found(seq, Found::Malformed { complain }),
            None => Ok(()),
        }
    }

    fn found(&mut self, seq: u64, found: Found) -> Result<(), ServiceError> {
        self.wanted.remove(&seq);
        self.give(Input::Content { batch: self.batch, seq, found })
    }

    async fn find_contents(
        &mut self,
        open: &OpenBatch,
        definition: &Definition,
        height: u64,
    ) -> Result<(), ServiceError> {
        let wanted: BTreeSet<u64> = self.wanted.clone();
        let looked = {
            let this = &*self;
            let look = |seq: &u64| {
                let (seq, opened) = (*seq, this.opened.get(seq)?);
                Some(async move { (seq, this.content(definition, opened, height).await) })
            };
            futures::future::join_all(wanted.iter().filter_map(look)).await
        };
        let until = open.batch.open_height.saturating_add(blocks_to_final(&definition.terms));
        for (seq, content) in looked {
            let Some(bytes) = content? else { continue };
            let Some(opened) = self.opened.get_mut(&seq) else { continue };
            let of = CallOf {
                place: self.shared.place,
                sender: opened.record.sender,
                sender_seq: opened.record.sender_seq,
            };
            let call = open_call(&of, &opened.record, &opened.sk, &bytes).ok();
            opened.call = call.filter(|call| is_call(call));
            let is_call = opened.call.is_some();
            let (hash, version) = (opened.record.content_hash, opened.record.version);
            if !self.shared.store.keep_content(&hash, version, until, &bytes)? {
                tracing::warn!(seq, "too many contents are kept: members fetch this one elsewhere");
            }
            let found = if is_call { Found::Call } else { Found::Malformed { complain: None } };
            self.found(seq, found)?;
        }
        Ok(())
    }

    /// Bytes of the content's hash, from wherever they are.
    async fn content(
        &self,
        definition: &Definition,
        opened: &Opened,
        height: u64,
    ) -> Result<Option<Vec<u8>>, ServiceError> {
        let record = &opened.record;
        if let Some(kept) = self.shared.store.content(&record.content_hash)? {
            return Ok(Some(kept.bytes));
        }
        let (me, contract) = (self.keys.account(), self.shared.place.contract_id);
        let ask = |peer: PublicKey| async move {
            let asked = self.outside.links.fetch_content(peer, contract, record.content_hash);
            in_time(asked).await.ok().filter(|bytes| is_right(record, bytes))
        };
        let others = definition.members.iter().copied().filter(|member| *member != me);
        if let Some(bytes) = first_of(others.map(ask)).await {
            return Ok(Some(bytes));
        }
        if !uri_allowed(&definition.terms, &record.content_hash, &opened.uri) {
            return Ok(None);
        }
        let index = index_of(&definition.members, &me).unwrap_or(u32::MAX);
        let ticket = Ticket {
            contract_id: contract,
            content_hash: record.content_hash,
            index,
            expires: height.saturating_add(TICKET_BLOCKS),
        };
        let chain = &self.shared.place.chain_context;
        let signature = sign(self.keys.account_key(), chain, &ticket);
        let ticket = ticket_bytes(&ticket, &signature);
        let limit = record.content_bytes.min(MAX_CONTENT_BYTES);
        let asked = self.outside.origins.get(opened.uri.clone(), ticket, limit);
        Ok(in_time(asked).await.ok().filter(|bytes| is_right(record, bytes)))
    }
}

pub(super) fn call_of(contract: &Contract, record: &TransactionRecord) -> CallOf {
    CallOf { place: *contract.place(), sender: record.sender, sender_seq: record.sender_seq }
}

/// Within so many blocks of its batch's opening each transaction is final, also if the batch fails and its
/// transactions are tried one at a time.
fn blocks_to_final(terms: &Terms) -> u64 {
    let batch = u64::from(terms.fetch_blocks).saturating_add(u64::from(terms.vote_blocks));
    batch.saturating_mul(u64::from(terms.max_batch).saturating_add(1))
}

/// Bytes of another hash are not the content; a longer one is malformed, and is not read to its end.
fn is_right(record: &TransactionRecord, bytes: &[u8]) -> bool {
    bytes.len() <= MAX_CONTENT_BYTES as usize && is_content(record, bytes)
}

/// Whether a content's plaintext is the one encoding of a call.
fn is_call(bytes: &[u8]) -> bool {
    abi::Call::decode(bytes).is_ok_and(|call| call.encode_to_vec() == bytes)
}
