//! The client against this service, and against servers that lie.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::stream::{self, StreamExt as _};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use paralith_data::{Client, ClientLimits, DataError, Origin, TicketBounds, tcp};
use paralith_storage::Files;
use paralith_types::Hash;

use crate::rules::{CONTRACT, ROOM, download, key, named, signed, upload};
use crate::service::{limits, served};

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

#[derive(Debug, Clone, Copy)]
struct Tasks;

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Tasks {
    fn execute(&self, future: F) {
        tokio::spawn(future);
    }
}

/// A server of one answer; gives its origin and how many connections it got.
async fn server<F>(
    answer: impl Fn(Request<Incoming>) -> F + Clone + Send + 'static,
) -> (Origin, Arc<AtomicUsize>)
where
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = Origin::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            let answer = answer.clone();
            let service = service_fn(move |request| answer(request).map(Ok::<_, Infallible>));
            let serving = hyper::server::conn::http2::Builder::new(Tasks)
                .serve_connection(TokioIo::new(tcp), service);
            tokio::spawn(async move { drop(serving.await) });
        }
    });
    (origin, connections)
}

fn body(pieces: impl futures::Stream<Item = Bytes> + Send + 'static) -> Body {
    StreamBody::new(pieces.map(|piece| Ok(Frame::data(piece)))).boxed_unsync()
}

fn client(origins: &[&Origin]) -> Client {
    let limits = ClientLimits { idle: Duration::from_secs(20), ..ClientLimits::default() };
    Client::new(origins.iter().map(|origin| (*origin).clone()).collect(), tcp(), limits)
}

async fn fetch(client: &Client, origin: &Origin, content: Hash) -> Result<Vec<u8>, DataError> {
    let mut all = Vec::new();
    let sink = |piece: &[u8]| {
        all.extend_from_slice(piece);
        Ok(())
    };
    let ticket = signed(download(&key(20), CONTRACT, content), &key(20)).authorization();
    client.get(origin, &content, &ticket, 1000, sink).await.map(|_| all)
}

#[test]
fn an_origin_has_one_form() {
    for text in ["http://a:1", "https://example.org", "http://[::1]:26600", "https://1.2.3.4:5"] {
        assert_eq!(Origin::parse(text).unwrap().as_str(), text);
    }
    assert_eq!(Origin::parse("https://example.org").unwrap().port(), 443);
    for text in [
        "a:1",
        "http://",
        "ftp://a",
        "http://a/",
        "http://a/x",
        "http://a?x",
        "http://u@a",
        " http://a",
        "HTTP://a",
    ] {
        Origin::parse(text).unwrap_err();
    }
}

#[test]
fn an_address_is_at_an_origin_of_the_list_or_is_not_contacted() {
    let origin = Origin::parse("http://example.org:80").unwrap();
    let content = named(b"content");
    let client = client(&[&origin]);
    assert_eq!(client.origin_of(&origin.address(&content), &content).unwrap(), origin);
    let path = format!("/data/{}", hex::encode(content.0));
    for uri in [
        format!("http://example.org{path}"),
        format!("http://127.0.0.1:22{path}"),
        format!("http://example.org:80@127.0.0.1:22{path}"),
        format!("http://example.org:80/data/../{path}"),
        format!("http://example.org:80{path}?x"),
        format!("http://example.org:80{path}#x"),
        format!("HTTP://example.org:80{path}"),
        origin.address(&named(b"another")),
        String::new(),
    ] {
        let refused = client.origin_of(&uri, &content).unwrap_err();
        assert_eq!(refused.code(), 23, "{uri}");
    }
}

#[tokio::test]
async fn an_origin_outside_the_list_gets_no_connection() {
    let (other, connections) = server(|_| async { Response::new(body(stream::empty())) }).await;
    let (listed, _) = server(|_| async { Response::new(body(stream::empty())) }).await;
    let refused = fetch(&client(&[&listed]), &other, named(b"content")).await.unwrap_err();
    assert_eq!(refused.code(), 23);
    assert_eq!(connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_redirect_leads_nowhere() {
    let content = named(b"content");
    let (target, connections) =
        server(|_| async { Response::new(body(stream::iter([Bytes::from_static(b"content")]))) })
            .await;
    for status in [301, 302, 303, 307, 308] {
        let location = target.address(&content);
        let (origin, _) = server(move |_| {
            let answer = Response::builder().status(status).header("location", &location);
            let answer = answer.body(body(stream::empty())).unwrap();
            async move { answer }
        })
        .await;
        // Also if the target is in the list.
        let client = client(&[&origin, &target]);
        let refused = fetch(&client, &origin, content).await.unwrap_err();
        assert_eq!(refused, DataError::Answer { origin: origin.as_str().to_string(), status });
    }
    assert_eq!(connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn endless_wrong_and_silent_answers_end() {
    let content = named(b"content");
    let pulled = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&pulled);
    let (endless, _) = server(move |_| {
        let count = Arc::clone(&count);
        let pieces = stream::repeat_with(move || {
            count.fetch_add(1, Ordering::SeqCst);
            Bytes::from_static(&[0; 1024])
        });
        async move { Response::new(body(pieces)) }
    })
    .await;
    let refused = fetch(&client(&[&endless]), &endless, content).await.unwrap_err();
    assert_eq!(refused, DataError::TooLarge { limit: 1000 });
    // What came beyond the bound is what was under way: a window, not a memory's worth.
    assert!(pulled.load(Ordering::SeqCst) < 4096, "{pulled:?}");

    let (wrong, _) =
        server(|_| async { Response::new(body(stream::iter([Bytes::from_static(b"c0ntent")]))) })
            .await;
    assert_eq!(fetch(&client(&[&wrong]), &wrong, content).await, Err(DataError::Hash));

    let announced = Response::builder().header("content-length", "1001");
    let announced = announced.body(()).unwrap().into_parts().0;
    let (long, _) = server(move |_| {
        let answer = Response::from_parts(announced.clone(), body(stream::pending()));
        async move { answer }
    })
    .await;
    let refused = fetch(&client(&[&long]), &long, content).await.unwrap_err();
    assert_eq!(refused, DataError::TooLarge { limit: 1000 });

    let (silent, _) = server(|_| async { Response::new(body(stream::pending())) }).await;
    let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mute_origin = Origin::parse(&format!("http://{}", mute.local_addr().unwrap())).unwrap();
    for origin in [&silent, &mute_origin] {
        let limit = Duration::from_millis(50);
        let limits = ClientLimits { idle: limit, total: 4 * limit };
        let client = Client::new(vec![origin.clone()], tcp(), limits);
        let refused = fetch(&client, origin, content).await.unwrap_err();
        assert!(matches!(refused.code(), 28 | 32), "{refused}");
    }
}

/// Largest memory of this process so far, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_content_travels_both_ways_without_being_in_memory() {
    const PIECES: usize = 96;
    const MEBIBYTE: usize = 1 << 20;
    let piece = |number: usize| Bytes::from(vec![u8::try_from(number).unwrap(); MEBIBYTE]);
    let mut hasher = paralith_crypto::sha3::Sha3Hasher::new();
    for number in 0..PIECES {
        hasher.update(&piece(number));
    }
    let content = Hash(hasher.finish());
    let folder = tempfile::tempdir().unwrap();
    let tickets = TicketBounds { content_bytes: 1 << 30, blocks: 1000 };
    let limits = paralith_data::ServiceLimits { tickets, ..limits() };
    let served = served(Files::folder(folder.path()).unwrap(), ROOM, limits);
    let service = served.service.clone();
    let (origin, _) = server(move |request| service.clone().answer(request)).await;
    let client = client(&[&origin]);
    let length = (PIECES * MEBIBYTE) as u64;
    let ticket = paralith_data::Ticket { content, length, ..upload(&key(40), b"") };
    let ticket = signed(ticket, &key(40)).authorization();
    let getting = signed(download(&key(20), CONTRACT, content), &key(20)).authorization();
    let before = peak();
    let pieces = stream::iter(0..PIECES).map(piece);
    client.put(&origin, &content, &ticket, length, pieces).await.unwrap();
    assert_eq!(client.head(&origin, &content, &getting).await.unwrap(), length);
    let mut got = 0;
    let sink = |piece: &[u8]| {
        got += piece.len();
        Ok(())
    };
    assert_eq!(client.get(&origin, &content, &getting, length, sink).await.unwrap(), length);
    assert_eq!(got, PIECES * MEBIBYTE);
    let grown = peak() - before;
    assert!(grown < 48 * 1024, "{grown} KiB more for {} KiB of content", length / 1024);
    // Once more: it is here, and nothing of it is read.
    let unread = stream::poll_fn(|_| std::task::Poll::<Option<Bytes>>::Pending);
    client.put(&origin, &content, &ticket, length, unread).await.unwrap();
    let refused = client.get(&origin, &content, "Paralith x", length, |_| Ok(())).await;
    assert_eq!(
        refused.unwrap_err(),
        DataError::Answer {
            origin: origin.as_str().to_string(),
            status: StatusCode::FORBIDDEN.as_u16(),
        }
    );
}
