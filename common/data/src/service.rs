//! `PUT`, `GET` and `HEAD` of `/data/<64 hex>`: what a server does with one request.
//!
//! A request is refused by its head alone, before a byte of its body is read, unless its ticket is
//! valid, its rule agrees, and there are room and a place for it. Contents travel in pieces; a
//! transfer that the other end lets wait ends.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::SinkExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Body, Frame};
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Uri};
use paralith_rt::Instant;
use paralith_types::{ChainContext, Error, Hash, Height};
use tokio::sync::Semaphore;

use crate::ledger::{Claim, Owner};
use crate::places::{Place, PlaceLimits, Places};
use crate::rule::TicketRule;
use crate::store::{Begun, Content, Store, Upload};
use crate::ticket::{Action, SignedTicket, Ticket, TicketBounds};
use crate::{DataError, TicketFault};

/// Where contents are.
const PREFIX: &str = "/data/";

/// Bytes that are written to the disk, or read from it, at once.
const PIECE_BYTES: usize = 256 * 1024;

/// Tickets that are checked at once; others wait.
const CHECKS: usize = 32;

/// The height of the newest state that this node has proven; none before there is any.
pub type HeightNow = Arc<dyn Fn() -> Option<Height> + Send + Sync>;

/// The body of a response.
pub type ResponseBody = UnsyncBoxBody<Bytes, std::io::Error>;

/// What one service allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceLimits {
    /// What it allows to tickets.
    pub tickets: TicketBounds,
    /// Uploads at once.
    pub puts: usize,
    /// Downloads at once.
    pub gets: usize,
    /// Uploads of one signer at once.
    pub puts_of_one: usize,
    /// Downloads of one signer at once.
    pub gets_of_one: usize,
    /// How long the other end may let a transfer wait.
    pub idle: Duration,
    /// The time that every transfer has.
    pub total: Duration,
    /// The bytes a second for which it has more time.
    pub bytes_per_second: u64,
}

impl ServiceLimits {
    /// For these tickets: 16 uploads and 64 downloads at once, 4 and 16 of one signer; 10 s of waiting,
    /// and 30 s in all with one more for each 64 KiB.
    #[must_use]
    pub fn new(tickets: TicketBounds) -> Self {
        Self {
            tickets,
            puts: 16,
            gets: 64,
            puts_of_one: 4,
            gets_of_one: 16,
            idle: Duration::from_secs(10),
            total: Duration::from_secs(30),
            bytes_per_second: 64 * 1024,
        }
    }

    fn deadline(&self, length: u64) -> Deadline {
        let more = Duration::from_secs(length / self.bytes_per_second.max(1));
        Deadline { began: Instant::now(), total: self.total.saturating_add(more), idle: self.idle }
    }
}

/// Until when the other end must have gone on.
#[derive(Debug, Clone, Copy)]
struct Deadline {
    began: Instant,
    total: Duration,
    idle: Duration,
}

impl Deadline {
    /// How long the next step may take.
    fn next(&self) -> Duration {
        self.idle.min(self.total.saturating_sub(self.began.elapsed()))
    }
}

/// The data service of one node.
#[derive(Clone)]
pub struct Service {
    store: Arc<Store>,
    rules: Arc<[Arc<dyn TicketRule>]>,
    chain: ChainContext,
    height: HeightNow,
    limits: ServiceLimits,
    checks: Arc<Semaphore>,
    places: Arc<Places>,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("rules", &self.rules).finish_non_exhaustive()
    }
}

impl Service {
    /// Over a store, for the scopes of these rules.
    #[must_use]
    pub fn new(
        store: Arc<Store>,
        rules: Vec<Arc<dyn TicketRule>>,
        chain: ChainContext,
        height: HeightNow,
        limits: ServiceLimits,
    ) -> Self {
        let ServiceLimits { puts, gets, puts_of_one, gets_of_one, .. } = limits;
        let places = Places::new(PlaceLimits { puts, gets, puts_of_one, gets_of_one });
        let checks = Arc::new(Semaphore::new(CHECKS));
        Self { store, rules: rules.into(), chain, height, limits, checks, places }
    }

    /// Serves one request.
    pub async fn answer<B>(self, request: Request<B>) -> Response<ResponseBody>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Display,
    {
        let is_head = *request.method() == Method::HEAD;
        match self.serve(request).await {
            Ok(response) => response,
            Err(error) => refused(&error, is_head),
        }
    }

    async fn serve<B>(self, request: Request<B>) -> Result<Response<ResponseBody>, DataError>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Display,
    {
        let content = content_of(request.uri())?;
        let action = match *request.method() {
            Method::PUT => Action::Put,
            Method::GET | Method::HEAD => Action::Get,
            _ => return Err(DataError::Request("only PUT, GET and HEAD are served here")),
        };
        let now = (self.height)().ok_or(DataError::NotReady)?;
        let (ticket, holder) =
            self.admit(ticket_of(request.headers())?, action, content, now).await?;
        let place = self.places.enter(ticket.signer, action)?;
        match (*request.method() == Method::HEAD, action) {
            (true, _) => {
                let length = self.store.length(&content).ok_or(DataError::NotFound)?;
                Ok(with_length(StatusCode::OK, length, empty()))
            }
            (false, Action::Get) => self.get(content, place).await,
            (false, Action::Put) => {
                let owner = Owner { scope: ticket.scope, holder };
                let claim = Claim { content, length: ticket.length, owner, until: ticket.expires };
                let (head, body) = request.into_parts();
                self.put(claim, &head.headers, body, place).await
            }
        }
    }

    /// Checks a ticket, then asks its scope's rule. Gives the holder of a put.
    async fn admit(
        &self,
        signed: SignedTicket,
        action: Action,
        content: Hash,
        now: Height,
    ) -> Result<(Ticket, [u8; 32]), DataError> {
        let _check = self.checks.acquire().await.map_err(|e| DataError::Internal(e.to_string()))?;
        let (rules, chain) = (Arc::clone(&self.rules), self.chain);
        let bounds = self.limits.tickets;
        let decided = paralith_rt::blocking(move || {
            let mut rule = None;
            let serves = |scope: &[u8; 32]| {
                rule = rules.iter().find(|rule| rule.serves(scope));
                rule.is_some()
            };
            signed.check(action, &content, &chain, now, bounds, serves)?;
            let (rule, ticket) = (rule.ok_or(TicketFault::Scope)?, signed.ticket);
            let holder = match action {
                Action::Put => rule.may_put(&ticket, now)?,
                Action::Get => {
                    rule.may_get(&ticket, now)?;
                    [0; 32]
                }
            };
            Ok((ticket, holder))
        });
        decided.await?
    }

    async fn put<B>(
        self,
        claim: Claim,
        headers: &HeaderMap,
        mut body: B,
        _place: Place,
    ) -> Result<Response<ResponseBody>, DataError>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Display,
    {
        let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        if announced.and_then(|text| text.parse::<u64>().ok()).is_some_and(|n| n > claim.length) {
            return Err(DataError::TooLarge { limit: claim.length });
        }
        let store = Arc::clone(&self.store);
        let begun = paralith_rt::blocking(move || store.begin(claim)).await??;
        let Begun::Upload(mut upload) = begun else {
            return Ok(with_length(StatusCode::OK, 0, empty()));
        };
        let deadline = self.limits.deadline(claim.length);
        let mut piece = BytesMut::new();
        loop {
            let next = paralith_rt::timeout(deadline.next(), body.frame());
            let frame = match next.await.map_err(|_| DataError::TooSlow)? {
                None => break,
                Some(Ok(frame)) => frame,
                // The other end went away: nobody reads the answer.
                Some(Err(_)) => return Err(DataError::Request("its body ended early")),
            };
            let Ok(bytes) = frame.into_data() else { continue };
            let came = u64::try_from(piece.len().saturating_add(bytes.len())).unwrap_or(u64::MAX);
            if came > upload.missing() {
                return Err(DataError::TooLarge { limit: claim.length });
            }
            piece.extend_from_slice(&bytes);
            if piece.len() >= PIECE_BYTES {
                upload = write(upload, piece.split().freeze()).await?;
            }
        }
        upload = write(upload, piece.freeze()).await?;
        paralith_rt::blocking(move || upload.finish()).await??;
        Ok(with_length(StatusCode::CREATED, 0, empty()))
    }

    async fn get(&self, content: Hash, place: Place) -> Result<Response<ResponseBody>, DataError> {
        let store = Arc::clone(&self.store);
        let content = paralith_rt::blocking(move || store.read(&content)).await??;
        let length = content.length;
        let deadline = self.limits.deadline(length);
        let (sender, receiver) = futures::channel::mpsc::channel(0);
        // Ends by its deadline, also if the other end neither reads nor goes away.
        paralith_rt::spawn(send(content, sender, deadline, place));
        let body = StreamBody::new(receiver).boxed_unsync();
        Ok(with_length(StatusCode::OK, length, body))
    }
}

async fn write(mut upload: Box<Upload>, piece: Bytes) -> Result<Box<Upload>, DataError> {
    if piece.is_empty() {
        return Ok(upload);
    }
    let written = paralith_rt::blocking(move || upload.write(&piece).map(|()| upload));
    written.await?
}

type Sender = futures::channel::mpsc::Sender<Result<Frame<Bytes>, std::io::Error>>;

/// Sends a content, piece by piece. The place is taken until it ends.
async fn send(mut content: Content, mut sender: Sender, deadline: Deadline, _place: Place) {
    loop {
        let read = paralith_rt::blocking(move || {
            let piece = content.next(PIECE_BYTES);
            (content, piece)
        });
        let Ok((rest, piece)) = read.await else { return };
        content = rest;
        let piece = match piece {
            Ok(piece) if piece.is_empty() => return,
            Ok(piece) => Ok(Frame::data(Bytes::from(piece))),
            Err(error) => {
                tracing::warn!(%error, "a content cannot be read");
                Err(std::io::Error::other("the content cannot be read"))
            }
        };
        let failed = piece.is_err();
        let sent = paralith_rt::timeout(deadline.next(), sender.send(piece)).await;
        if failed || !matches!(sent, Ok(Ok(()))) {
            return;
        }
    }
}

/// The content that a path names, in its one form.
fn content_of(uri: &Uri) -> Result<Hash, DataError> {
    let wrong = DataError::Request("its path is not /data/ and 64 lower-case hexadecimal digits");
    let digits = uri.path().strip_prefix(PREFIX);
    let Some(digits) = digits.filter(|_| uri.query().is_none()) else { return Err(wrong) };
    let hash: Option<[u8; 32]> = hex::decode(digits).ok().and_then(|bytes| bytes.try_into().ok());
    match hash {
        Some(hash) if hex::encode(hash) == digits => Ok(Hash(hash)),
        _ => Err(wrong),
    }
}

fn ticket_of(headers: &HeaderMap) -> Result<SignedTicket, DataError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(TicketFault::Missing.into());
    };
    let value = value.to_str().map_err(|_| TicketFault::Form("it is not text"))?;
    Ok(SignedTicket::from_authorization(value)?)
}

fn empty() -> ResponseBody {
    full(Bytes::new())
}

fn full(bytes: Bytes) -> ResponseBody {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

fn with_length(status: StatusCode, length: u64, body: ResponseBody) -> Response<ResponseBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    response
}

/// A refusal: its identity as JSON, as everywhere over HTTP.
fn refused(error: &DataError, is_head: bool) -> Response<ResponseBody> {
    let Error { module, code, message, .. } = Error::from(error);
    let text = serde_json::json!({ "module": module, "code": code, "message": message });
    let text = Bytes::from(text.to_string());
    let length = u64::try_from(text.len()).unwrap_or_default();
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = with_length(status, length, if is_head { empty() } else { full(text) });
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
