//! What a round gives to `begin_block`: messages from consensus, and results of the runtime's own
//! messages.
//!
//! * A round offers the longest prefixes of both queues that fit into one request: results first,
//!   then at most as many messages as the descriptor allows. Only a `begin_block` that succeeds
//!   takes them.
//! * If it fails, the next round offers half as many messages, down to one and then to none, so that
//!   a message that `begin_block` cannot bear ends up alone at the front. A success takes the limit
//!   away.
//! * A message fails an attempt if `begin_block` fails with it alone and then succeeds without it.
//!   After [`abi::MESSAGE_ATTEMPTS`] of these, or at once if no request could hold it, the round
//!   skips it: it is taken without the guest's knowledge, and its tokens go back to its sender by
//!   the round's first message to consensus. Its fee stays with the runtime.
//! * Nothing is skipped while `begin_block` fails without any message: then the runtime itself is
//!   broken, and its owner must migrate it. Nothing is skipped either while the round has no room
//!   for the message that pays the tokens back. Results are never skipped.

use paralith_consensus_api::roothash::{
    IncomingMessage, Message, MessageResult, QueuedResult, TransferMessage,
};
use paralith_runtime_abi as abi;
use paralith_types::{Amount, Round};
use prost::Message as _;
use prost::encoding::message::encoded_len;

/// What earlier rounds found out about the queue, kept in the runtime's state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Inbox {
    /// Most messages to offer; none is no limit.
    limit: Option<u32>,
    /// Attempts that the first message has failed.
    attempts: u32,
    /// Rounds whose first message pays a skipped one back, and the guest must not see the result.
    refunds: Vec<u64>,
}

/// The queues at the height that the proposal pins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Queues<'a> {
    /// The first messages of the queue, as many as a round may take.
    pub(crate) incoming: &'a [IncomingMessage],
    /// All results that no round has taken yet.
    pub(crate) results: &'a [QueuedResult],
}

/// What a round does with its queues: the first messages and results of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Offer<'a> {
    /// Skipped before `begin_block`.
    pub(crate) skipped: Option<&'a IncomingMessage>,
    /// Given to `begin_block`, after the skipped one in the queue.
    pub(crate) incoming: &'a [IncomingMessage],
    pub(crate) results: &'a [QueuedResult],
    /// Whether the queue had any message left for `begin_block`.
    waiting: bool,
}

impl Offer<'_> {
    /// The message that pays a skipped one's tokens back.
    pub(crate) fn refund(&self) -> Option<Message> {
        let skipped = self.skipped.filter(|message| message.tokens != Amount::ZERO)?;
        let transfer = TransferMessage { to: skipped.caller, amount: skipped.tokens };
        Some(Message::Transfer(transfer))
    }
}

impl Inbox {
    /// The state's form; none is the default.
    pub(crate) fn encode(&self) -> Option<Vec<u8>> {
        if *self == Self::default() {
            return None;
        }
        let limit = self.limit.unwrap_or(u32::MAX);
        let mut bytes = [limit.to_be_bytes(), self.attempts.to_be_bytes()].concat();
        bytes.extend(self.refunds.iter().flat_map(|round| round.to_be_bytes()));
        Some(bytes)
    }

    /// Reads it back. Only enclaves write it: what cannot be read counts as nothing.
    pub(crate) fn decode(bytes: &[u8]) -> Self {
        let Some((limit, rest)) = bytes.split_first_chunk() else { return Self::default() };
        let Some((attempts, rest)) = rest.split_first_chunk() else { return Self::default() };
        let limit = Some(u32::from_be_bytes(*limit)).filter(|limit| *limit != u32::MAX);
        let (refunds, _) = rest.as_chunks();
        let refunds = refunds.iter().map(|round| u64::from_be_bytes(*round)).collect();
        Self { limit, attempts: u32::from_be_bytes(*attempts), refunds }
    }

    /// What is known of the first message is not known under new code.
    pub(crate) fn on_new_code(&mut self) {
        (self.limit, self.attempts) = (None, 0);
    }

    /// What this round offers. `may_refund`: whether it has room for one more message.
    pub(crate) fn offer<'a>(
        &self,
        context: &abi::Context,
        queues: Queues<'a>,
        may_refund: bool,
    ) -> Offer<'a> {
        let empty = abi::BeginBlockRequest { context: context.clone(), ..Default::default() };
        let empty = empty.encoded_len();
        let skipped = queues.incoming.first().filter(|message| {
            let bytes = encoded_len(INCOMING, &incoming(message)).saturating_add(empty);
            // EN-9: skipped once it cannot fit or has failed alone often enough.
            let hopeless = bytes > abi::MAX_REQUEST_BYTES || self.attempts >= abi::MESSAGE_ATTEMPTS;
            hopeless && (may_refund || message.tokens == Amount::ZERO)
        });
        let (limit, waiting) = match skipped {
            Some(_) => (usize::MAX, queues.incoming.get(1..).unwrap_or_default()),
            // EN-8: halved by each failure, until a bad message is alone.
            None => (limit_of(self.limit), queues.incoming),
        };
        let mut room = abi::MAX_REQUEST_BYTES.saturating_sub(empty);
        let results = prefix(queues.results, usize::MAX, &mut room, |one| {
            encoded_len(RESULTS, &message_result(one))
        });
        let messages =
            prefix(waiting, limit, &mut room, |one| encoded_len(INCOMING, &incoming(one)));
        Offer { skipped, incoming: messages, results, waiting: !waiting.is_empty() }
    }

    /// The request that gives the offer to `begin_block`.
    pub(crate) fn request(
        &self,
        context: &abi::Context,
        offer: &Offer<'_>,
    ) -> abi::BeginBlockRequest {
        let own = |one: &&QueuedResult| !self.is_refund(one);
        abi::BeginBlockRequest {
            context: context.clone(),
            incoming: offer.incoming.iter().map(incoming).collect(),
            message_results: offer.results.iter().filter(own).map(message_result).collect(),
        }
    }

    /// Notes how `begin_block` ended.
    pub(crate) fn settle(&mut self, round: Round, offer: &Offer<'_>, succeeded: bool) {
        if offer.skipped.is_some() {
            self.on_new_code();
        }
        let offered = u32::try_from(offer.incoming.len()).unwrap_or(u32::MAX);
        match (succeeded, offered) {
            (true, 0) => {
                if self.limit == Some(0) && offer.waiting {
                    (self.limit, self.attempts) = (Some(1), self.attempts.saturating_add(1));
                }
            }
            (true, _) => self.on_new_code(),
            (false, 0) => {}
            (false, offered) => self.limit = Some(offered / 2),
        }
        if succeeded {
            let taken = |one: u64| offer.results.iter().any(|result| result.round.0 == one);
            self.refunds.retain(|round| !taken(*round));
        }
        if offer.refund().is_some() {
            self.refunds.push(round.0);
        }
    }

    fn is_refund(&self, result: &QueuedResult) -> bool {
        result.result.index == 0 && self.refunds.contains(&result.round.0)
    }
}

/// Numbers of the fields in [`abi::BeginBlockRequest`].
const INCOMING: u32 = 2;
const RESULTS: u32 = 3;

fn limit_of(limit: Option<u32>) -> usize {
    limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

/// The first of these, as many as are within the limit and the room.
fn prefix<'a, T>(
    all: &'a [T],
    limit: usize,
    room: &mut usize,
    bytes: impl Fn(&T) -> usize,
) -> &'a [T] {
    let mut count = 0_usize;
    for one in all.iter().take(limit) {
        let Some(left) = room.checked_sub(bytes(one)) else { break };
        *room = left;
        count = count.saturating_add(1);
    }
    all.get(..count).unwrap_or_default()
}

fn incoming(message: &IncomingMessage) -> abi::IncomingMessage {
    abi::IncomingMessage {
        id: message.id,
        caller: message.caller.as_bytes().to_vec(),
        tag: message.tag,
        fee: message.fee.to_be_bytes_minimal(),
        tokens: message.tokens.to_be_bytes_minimal(),
        data: message.data.clone(),
    }
}

fn message_result(queued: &QueuedResult) -> abi::MessageResult {
    let MessageResult { index, module, code } = &queued.result;
    abi::MessageResult { index: *index, module: module.clone(), code: *code, round: queued.round.0 }
}

#[cfg(test)]
mod tests {
    use paralith_types::Address;

    use super::*;

    fn message(id: u64, tokens: u128, bytes: usize) -> IncomingMessage {
        IncomingMessage {
            id,
            caller: Address([1; 21]),
            tag: 0,
            fee: Amount(1),
            tokens: Amount(tokens),
            data: vec![0; bytes],
        }
    }

    fn result(round: u64, index: u32) -> QueuedResult {
        let result = MessageResult { index, module: String::new(), code: 0 };
        QueuedResult { round: Round(round), result }
    }

    fn context() -> abi::Context {
        abi::Context { runtime_id: vec![1; 32], ..Default::default() }
    }

    #[test]
    fn the_stored_form_is_frozen_and_nothing_is_stored_for_nothing() {
        assert_eq!(Inbox::default().encode(), None);
        for (inbox, hex) in [
            (Inbox { limit: Some(2), attempts: 3, refunds: vec![] }, "0000000200000003"),
            (
                Inbox { limit: None, attempts: 0, refunds: vec![7] },
                "ffffffff000000000000000000000007",
            ),
        ] {
            let bytes = inbox.encode().unwrap();
            assert_eq!(hex::encode(&bytes), hex);
            assert_eq!(Inbox::decode(&bytes), inbox);
        }
        assert_eq!(Inbox::decode(b"short"), Inbox::default());
    }

    /// The longest prefix: one more would not fit, and the request is never too long.
    #[test]
    fn an_offer_fills_a_request_and_no_more() {
        let mib = 1024 * 1024;
        for sizes in [[mib; 5], [3 * mib, mib / 2, mib / 2, 1, 1], [10, 10, 10, 10, 10]] {
            let incoming: Vec<_> = (0..).zip(sizes).map(|(id, n)| message(id, 1, n)).collect();
            let results: Vec<_> = (0..100).map(|index| result(1, index)).collect();
            let inbox = Inbox::default();
            let queues = Queues { incoming: &incoming, results: &results };
            let offer = inbox.offer(&context(), queues, true);
            assert_eq!((offer.skipped, offer.results.len()), (None, 100));
            let bytes = inbox.request(&context(), &offer).encoded_len();
            assert!(bytes <= abi::MAX_REQUEST_BYTES);
            if let Some(next) = incoming.get(offer.incoming.len()) {
                let one = encoded_len(INCOMING, &super::incoming(next));
                assert!(bytes + one > abi::MAX_REQUEST_BYTES, "one more would fit");
            }
        }
    }

    /// From eight messages to the bad one alone, and from there to its end.
    #[test]
    fn a_failure_halves_the_offer_until_the_first_message_is_alone() {
        let incoming: Vec<_> = (0..8).map(|id| message(id, 1, 0)).collect();
        let queues = Queues { incoming: &incoming, results: &[] };
        let mut inbox = Inbox::default();
        let mut offered = Vec::new();
        for round in 0..1_000 {
            let offer = inbox.offer(&context(), queues, true);
            if offer.skipped.is_some() {
                assert_eq!((offer.incoming.len(), offer.incoming[0].id), (7, 1));
                inbox.settle(Round(round), &offer, true);
                break;
            }
            offered.push(offer.incoming.len());
            inbox.settle(Round(round), &offer, offer.incoming.is_empty());
        }
        assert_eq!(offered[..5], [8, 4, 2, 1, 0]);
        assert_eq!(offered[5..], [1, 0].repeat(abi::MESSAGE_ATTEMPTS as usize - 1));
        assert_eq!((inbox.limit, inbox.attempts, inbox.refunds.len()), (None, 0, 1));
    }

    #[test]
    fn the_result_of_a_refund_is_taken_and_not_shown() {
        let mut inbox = Inbox { limit: None, attempts: 0, refunds: vec![4] };
        let results = [result(3, 0), result(4, 0), result(4, 1)];
        let queues = Queues { incoming: &[], results: &results };
        let offer = inbox.offer(&context(), queues, true);
        let shown: Vec<_> = inbox.request(&context(), &offer).message_results;
        let shown: Vec<_> = shown.iter().map(|one| (one.round, one.index)).collect();
        assert_eq!((offer.results.len(), shown), (3, vec![(3, 0), (4, 1)]));
        inbox.settle(Round(9), &offer, false);
        assert_eq!(inbox.refunds, [4], "it comes again");
        inbox.settle(Round(9), &offer, true);
        assert_eq!(inbox, Inbox::default());
    }
}
