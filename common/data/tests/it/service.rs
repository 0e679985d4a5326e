//! What the service answers, without a network.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, Stream};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH};
use hyper::{Method, Request, Response, StatusCode};
use paralith_data::{
    Owner, Quotas, ResponseBody, Service, ServiceLimits, SignedTicket, Store, Ticket, charge,
};
use paralith_storage::Files;
use paralith_types::{ChainContext, Hash, Height};

use crate::rules::{
    BOUNDS, CHAIN, CONTRACT, NOW, POOL, ROOM, certificate, contract, deposit, download, key, named,
    pool, signed, upload,
};

/// A service, its store and the height that it sees; 0 stands for none.
pub(crate) struct Served {
    pub(crate) service: Service,
    pub(crate) store: Arc<Store>,
    height: Arc<AtomicU64>,
}

pub(crate) fn limits() -> ServiceLimits {
    ServiceLimits::new(BOUNDS)
}

pub(crate) fn served(files: Files, quotas: Quotas, limits: ServiceLimits) -> Served {
    let store = Store::open(files, quotas).unwrap();
    let height = Arc::new(AtomicU64::new(NOW.0));
    let seen = Arc::clone(&height);
    let now = Arc::new(move || Some(Height(seen.load(Ordering::SeqCst))).filter(|h| h.0 > 0));
    let rules: Vec<Arc<dyn paralith_data::TicketRule>> =
        vec![Arc::new(contract()), Arc::new(pool())];
    Served { service: Service::new(Arc::clone(&store), rules, CHAIN, now, limits), store, height }
}

fn simple() -> Served {
    served(Files::memory(), ROOM, limits())
}

type Piece = Result<Frame<Bytes>, std::io::Error>;

fn pieces(content: &[u8]) -> impl Stream<Item = Piece> + Send + Unpin + 'static {
    let pieces: Vec<Bytes> = content.chunks(1000).map(Bytes::copy_from_slice).collect();
    stream::iter(pieces.into_iter().map(|piece| Ok(Frame::data(piece))))
}

async fn ask(
    served: &Served,
    method: Method,
    content: Hash,
    ticket: &str,
    body: impl Stream<Item = Piece> + Send + Unpin + 'static,
) -> Response<ResponseBody> {
    let path = format!("/data/{}", hex::encode(content.0));
    let mut request = Request::builder().method(method).uri(path);
    if !ticket.is_empty() {
        request = request.header(AUTHORIZATION, ticket);
    }
    served.service.clone().answer(request.body(StreamBody::new(body)).unwrap()).await
}

async fn put(
    served: &Served,
    ticket: &SignedTicket,
    body: impl Stream<Item = Piece> + Send + Unpin + 'static,
) -> (StatusCode, u64) {
    let content = ticket.ticket.content;
    refusal(ask(served, Method::PUT, content, &ticket.authorization(), body).await).await
}

async fn get(served: &Served, ticket: &SignedTicket) -> Response<ResponseBody> {
    let (content, ticket) = (ticket.ticket.content, ticket.authorization());
    ask(served, Method::GET, content, &ticket, pieces(b"")).await
}

/// The status, and the code of a refusal; 0 of none.
async fn refusal(response: Response<ResponseBody>) -> (StatusCode, u64) {
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    if status.is_success() {
        return (status, 0);
    }
    let error: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(error["module"], "data");
    assert!(!error["message"].as_str().unwrap().is_empty());
    (status, error["code"].as_u64().unwrap())
}

const CREATED: (StatusCode, u64) = (StatusCode::CREATED, 0);
const OK: (StatusCode, u64) = (StatusCode::OK, 0);
const FORBIDDEN: (StatusCode, u64) = (StatusCode::FORBIDDEN, 20);
const BUSY: (StatusCode, u64) = (StatusCode::SERVICE_UNAVAILABLE, 27);
const GONE: (StatusCode, u64) = (StatusCode::NOT_FOUND, 25);
const FULL: (StatusCode, u64) = (StatusCode::INSUFFICIENT_STORAGE, 26);

/// A body that must not be read.
fn untouched() -> impl Stream<Item = Piece> + Send + Unpin + 'static {
    stream::poll_fn(|_| -> std::task::Poll<Option<Piece>> { panic!("the body was read") })
}

#[tokio::test]
async fn contents_are_put_and_got_under_the_rule_of_their_scope() {
    let served = simple();
    let content = vec![7; 700_000];
    let cases = [
        (
            signed(upload(&key(40), &content), &key(40)),
            download(&key(20), CONTRACT, named(&content)),
            20,
        ),
        (
            signed(deposit(&key(30), b"pooled"), &key(30)),
            download(&key(31), POOL, named(b"pooled")),
            31,
        ),
    ];
    for ((putting, getting, getter), bytes) in cases.into_iter().zip([&content[..], b"pooled"]) {
        let getting = signed(getting, &key(getter));
        assert_eq!(refusal(get(&served, &getting).await).await, GONE);
        assert_eq!(put(&served, &putting, pieces(bytes)).await, CREATED);
        let text = getting.authorization();
        let head = ask(&served, Method::HEAD, named(bytes), &text, pieces(b"")).await;
        assert_eq!(head.headers()[CONTENT_LENGTH], bytes.len().to_string());
        assert!(head.into_body().collect().await.unwrap().to_bytes().is_empty());
        let got = get(&served, &getting).await;
        assert_eq!(got.headers()[CONTENT_LENGTH], bytes.len().to_string());
        assert_eq!(got.into_body().collect().await.unwrap().to_bytes(), bytes);
    }
}

#[tokio::test]
async fn without_a_valid_ticket_nothing_is_read_and_nothing_given() {
    let served = simple();
    assert_eq!(
        put(&served, &signed(upload(&key(40), b"content"), &key(40)), pieces(b"content")).await,
        CREATED
    );
    let good = upload(&key(40), b"other");
    let with = |change: &dyn Fn(&mut Ticket)| {
        let mut ticket = good.clone();
        change(&mut ticket);
        signed(ticket, &key(40)).authorization()
    };
    let expired = certificate(&key(40), 1);
    let expired = paralith_policy::Certificate { not_after: NOW, ..expired };
    let refused = [
        String::new(),
        "Bearer abc".to_string(),
        "Paralith abc".to_string(),
        with(&|t| t.expires = NOW),
        with(&|t| t.expires = Height(NOW.0 + BOUNDS.blocks + 1)),
        with(&|t| t.content = named(b"content")),
        with(&|t| t.scope = [9; 32]),
        // The other scope's rule does not know this key.
        with(&|t| t.scope = POOL),
        with(&|t| t.credential.clear()),
        with(&|t| t.credential = expired.encode()),
        // Another's certificate.
        with(&|t| t.credential = certificate(&key(41), 41).encode()),
        // A get where a put is asked for.
        signed(download(&key(20), CONTRACT, named(b"other")), &key(20)).authorization(),
        signed(good.clone(), &key(41)).authorization(),
        good.clone().sign(&key(40), &ChainContext([8; 32])).authorization(),
    ];
    for ticket in refused {
        let answer = ask(&served, Method::PUT, named(b"other"), &ticket, untouched()).await;
        assert_eq!(refusal(answer).await, FORBIDDEN, "{ticket}");
    }
    let content = named(b"content");
    let stranger = signed(download(&key(50), CONTRACT, content), &key(50));
    let elsewhere = signed(download(&key(30), POOL, Hash([5; 32])), &key(30));
    let putting = signed(upload(&key(40), b"content"), &key(40));
    for ticket in
        ["", &stranger.authorization(), &elsewhere.authorization(), &putting.authorization()]
    {
        for method in [Method::GET, Method::HEAD] {
            let is_head = method == Method::HEAD;
            let answer = ask(&served, method, content, ticket, untouched()).await;
            assert_eq!(answer.status(), StatusCode::FORBIDDEN);
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body.is_empty(), is_head);
        }
    }
    // Before there is proven state, nobody is served.
    served.height.store(0, Ordering::SeqCst);
    let early = put(&served, &signed(good, &key(40)), untouched()).await;
    assert_eq!(early, (StatusCode::SERVICE_UNAVAILABLE, 31));
}

#[tokio::test]
async fn paths_and_methods_that_are_no_contents_are_refused() {
    let served = simple();
    let digits = hex::encode(named(b"content").0);
    for path in [
        "/data/".to_string(),
        format!("/data/{}", &digits[1..]),
        format!("/data/{}", digits.to_uppercase()),
        format!("/data/{digits}?x=1"),
        format!("/data//{digits}"),
        format!("/data/../{digits}"),
    ] {
        let request = Request::builder().uri(&path).body(StreamBody::new(untouched())).unwrap();
        let answer = refusal(served.service.clone().answer(request).await).await;
        assert_eq!(answer, (StatusCode::BAD_REQUEST, 29), "{path}");
    }
    let answer = ask(&served, Method::POST, named(b"content"), "", untouched()).await;
    assert_eq!(refusal(answer).await, (StatusCode::BAD_REQUEST, 29));
}

#[tokio::test]
async fn wrong_long_and_cut_contents_are_refused_and_cost_nothing() {
    let served = simple();
    let ticket = signed(upload(&key(40), b"content"), &key(40));
    let owner = Owner { scope: CONTRACT, holder: [0; 32] };
    let cut = stream::iter([
        Ok(Frame::data(Bytes::from_static(b"con"))),
        Err(std::io::Error::other("gone")),
    ]);
    assert_eq!(put(&served, &ticket, pieces(b"c0ntent")).await, (StatusCode::CONFLICT, 21));
    assert_eq!(
        put(&served, &ticket, pieces(b"contents")).await,
        (StatusCode::PAYLOAD_TOO_LARGE, 22)
    );
    assert_eq!(put(&served, &ticket, pieces(b"conten")).await, (StatusCode::BAD_REQUEST, 34));
    assert_eq!(put(&served, &ticket, cut).await, (StatusCode::BAD_REQUEST, 29));
    // By its header alone, and by the limit of this service.
    let request = Request::builder()
        .method(Method::PUT)
        .uri(format!("/data/{}", hex::encode(named(b"content").0)))
        .header(AUTHORIZATION, ticket.authorization())
        .header(CONTENT_LENGTH, "8")
        .body(StreamBody::new(untouched()))
        .unwrap();
    let answer = served.service.clone().answer(request).await;
    assert_eq!(refusal(answer).await, (StatusCode::PAYLOAD_TOO_LARGE, 22));
    let large = Ticket { length: BOUNDS.content_bytes + 1, ..upload(&key(40), b"content") };
    let large = put(&served, &signed(large, &key(40)), untouched()).await;
    assert_eq!(large, (StatusCode::PAYLOAD_TOO_LARGE, 22));
    // An endless body ends where the ticket's length ends.
    let pulled = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&pulled);
    let endless = stream::repeat_with(move || {
        count.fetch_add(1, Ordering::SeqCst);
        Ok(Frame::data(Bytes::from_static(&[0; 1000])))
    });
    assert_eq!(put(&served, &ticket, endless).await, (StatusCode::PAYLOAD_TOO_LARGE, 22));
    assert_eq!(pulled.load(Ordering::SeqCst), 1);
    served.store.expire(NOW).unwrap();
    assert_eq!(served.store.used(&owner), (0, 0, 0));
    assert_eq!(put(&served, &ticket, pieces(b"content")).await, CREATED);
}

#[tokio::test]
async fn two_uploads_at_once_cannot_both_take_the_last_room() {
    let quotas = Quotas { scope: 2 * charge(7) - 1, ..ROOM };
    let served = served(Files::memory(), quotas, limits());
    let (mut sender, receiver) = futures::channel::mpsc::channel::<Piece>(0);
    let first = signed(upload(&key(40), b"content"), &key(40));
    let second = signed(upload(&key(41), b"another"), &key(41));
    let race = async {
        use futures::SinkExt as _;
        sender.send(Ok(Frame::data(Bytes::from_static(b"cont")))).await.unwrap();
        sender.flush().await.unwrap();
        // The first upload is under way: its room is taken.
        assert_eq!(put(&served, &second, untouched()).await, FULL);
        sender.send(Ok(Frame::data(Bytes::from_static(b"ent")))).await.unwrap();
        drop(sender);
    };
    let (uploaded, ()) = futures::join!(put(&served, &first, receiver), race);
    assert_eq!(uploaded, CREATED);
    assert_eq!(put(&served, &second, untouched()).await, FULL);
    while served.store.expire(Height(200)).unwrap() {}
    assert_eq!(put(&served, &second, pieces(b"another")).await, CREATED);
}

#[tokio::test]
async fn the_same_content_again_is_not_read_and_lives_as_long_as_its_last_owner() {
    let served = simple();
    let ticket = signed(upload(&key(40), b"content"), &key(40));
    assert_eq!(put(&served, &ticket, pieces(b"content")).await, CREATED);
    assert_eq!(put(&served, &ticket, untouched()).await, OK);
    let later = Ticket { expires: Height(300), ..upload(&key(41), b"content") };
    assert_eq!(put(&served, &signed(later, &key(41)), untouched()).await, OK);
    while served.store.expire(Height(299)).unwrap() {}
    let getting =
        Ticket { expires: Height(400), ..download(&key(20), CONTRACT, named(b"content")) };
    let getting = signed(getting, &key(20));
    assert_eq!(refusal(get(&served, &getting).await).await, OK);
    // Removed while it is read: this reader gets all of it, the next one nothing.
    let mut reading = get(&served, &getting).await.into_body();
    while served.store.expire(Height(300)).unwrap() {}
    assert_eq!(refusal(get(&served, &getting).await).await, GONE);
    let whole = reading.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(whole, &b"content"[..]);
}

#[tokio::test]
async fn a_transfer_that_waits_ends_and_its_signer_takes_no_others_place() {
    // Long enough for what happens before it is over, on a busy machine, too.
    let idle = Duration::from_secs(2);
    let limits = ServiceLimits { idle, puts_of_one: 1, gets_of_one: 1, puts: 2, ..limits() };
    let served = served(Files::memory(), ROOM, limits);
    let ticket = |signer, content: &[u8]| signed(upload(&key(signer), content), &key(signer));
    let during = async {
        // The first has its place by now: its body was asked for.
        assert_eq!(put(&served, &ticket(40, b"another"), untouched()).await, BUSY);
        assert_eq!(put(&served, &ticket(41, b"another"), pieces(b"another")).await, CREATED);
    };
    let (begun, started) = futures::channel::oneshot::channel();
    let mut begun = Some(begun);
    let body = stream::poll_fn(move |_| -> std::task::Poll<Option<Piece>> {
        begun.take().map(|begun| begun.send(()));
        std::task::Poll::Pending
    });
    let during = async {
        started.await.unwrap();
        during.await;
    };
    let slow = ticket(40, b"content");
    let (ended, ()) = futures::join!(put(&served, &slow, body), during);
    assert_eq!(ended, (StatusCode::REQUEST_TIMEOUT, 28));
    assert_eq!(put(&served, &ticket(40, b"content"), pieces(b"content")).await, CREATED);
    // A reader that does not read gives its place back, too.
    let large = vec![7; 1_000_000];
    assert_eq!(put(&served, &ticket(40, &large), pieces(&large)).await, CREATED);
    let getting = signed(download(&key(20), CONTRACT, named(&large)), &key(20));
    let unread = get(&served, &getting).await;
    assert_eq!(unread.status(), StatusCode::OK);
    assert_eq!(refusal(get(&served, &getting).await).await, BUSY);
    while refusal(get(&served, &getting).await).await == BUSY {
        tokio::task::yield_now().await;
    }
    drop(unread);
}
