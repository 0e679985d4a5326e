use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use paralith_consensus_abci::{Application, PeerCheck, ServeError, Server, serve};
use paralith_storage::Kv;
use tendermint::abci::request;
use tendermint::v0_38::abci::{Request, Response};
use tendermint_proto::Protobuf;
use tendermint_proto::v0_38::abci as raw;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

struct Socket {
    path: PathBuf,
    _server: Server,
    _folder: tempfile::TempDir,
}

async fn socket(peers: PeerCheck) -> Socket {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("private/abci.sock");
    let application = Application::open(Kv::memory()).unwrap();
    let server = serve(&path, &application, peers).await.unwrap();
    Socket { path, _server: server, _folder: folder }
}

fn framed(requests: Vec<Request>) -> Vec<u8> {
    let frame = |request| Protobuf::<raw::Request>::encode_length_delimited_vec(request);
    requests.into_iter().flat_map(frame).collect()
}

/// All answers until `count` have come or the connection ends.
async fn answers(stream: &mut UnixStream, count: usize) -> Vec<Response> {
    let mut found = Vec::new();
    while found.len() < count {
        let (mut len, mut shift) = (0_usize, 0);
        loop {
            let Ok(byte) = stream.read_u8().await else { return found };
            len |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let mut frame = vec![0; len];
        stream.read_exact(&mut frame).await.unwrap();
        found.push(<Response as Protobuf<raw::Response>>::decode(frame.as_slice()).unwrap());
    }
    found
}

async fn answers_info(path: &PathBuf) {
    let mut stream = UnixStream::connect(path).await.unwrap();
    let info = Request::Info(request::Info {
        version: "0.38.25".into(),
        block_version: 11,
        p2p_version: 8,
        abci_version: "2.0.0".into(),
    });
    stream.write_all(&framed(vec![info, Request::Flush])).await.unwrap();
    match answers(&mut stream, 2).await.as_slice() {
        [Response::Info(info), Response::Flush] => {
            assert_eq!(info.last_block_height.value(), 0);
            assert!(info.last_block_app_hash.as_bytes().is_empty());
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_ends_its_own_connection_and_no_other() {
    let socket = socket(PeerCheck::anyone()).await;
    let echo = framed(vec![Request::Echo(request::Echo { message: "x".into() })]);
    for garbage in [
        vec![0xff; 100_000],
        vec![0; 10],
        vec![3, 0xff, 0xff, 0xff],
        // A frame of a terabyte is announced.
        vec![0x80, 0x80, 0x80, 0x80, 0x80, 0x20],
        [echo.clone(), vec![0xff; 64]].concat(),
        echo[..2].to_vec(),
    ] {
        let mut stream = UnixStream::connect(&socket.path).await.unwrap();
        let _ = stream.write_all(&garbage).await;
        let _ = stream.shutdown().await;
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        answers_info(&socket.path).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_come_in_the_order_of_the_requests() {
    let socket = socket(PeerCheck::anyone()).await;
    let echo = |n: usize| Request::Echo(request::Echo { message: n.to_string() });
    let mut requests: Vec<Request> = (0..500).map(echo).collect();
    requests.push(Request::Flush);
    let mut stream = UnixStream::connect(&socket.path).await.unwrap();
    stream.write_all(&framed(requests)).await.unwrap();
    let answers = answers(&mut stream, 501).await;
    for (n, answer) in answers.iter().take(500).enumerate() {
        assert!(matches!(answer, Response::Echo(echo) if echo.message == n.to_string()));
    }
    assert!(matches!(answers.last(), Some(Response::Flush)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_genesis_nothing_is_admitted_and_nothing_breaks() {
    let socket = socket(PeerCheck::anyone()).await;
    let mut stream = UnixStream::connect(&socket.path).await.unwrap();
    let check = Request::CheckTx(request::CheckTx {
        tx: vec![1, 2, 3].into(),
        kind: request::CheckTxKind::New,
    });
    let query = Request::Query(request::Query {
        data: b"key".to_vec().into(),
        path: "/".into(),
        height: 7_u32.into(),
        prove: true,
    });
    stream.write_all(&framed(vec![check, query, Request::Flush])).await.unwrap();
    match answers(&mut stream, 3).await.as_slice() {
        [Response::CheckTx(check), Response::Query(query), Response::Flush] => {
            assert!(check.code.is_err() && !check.codespace.is_empty() && !check.log.is_empty());
            assert!(query.code.is_err() && !query.log.is_empty());
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_socket_is_private_alone_in_its_folder_and_replaced_when_stale() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("private/abci.sock");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    // A run that was killed has left its socket.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let application = Application::open(Kv::memory()).unwrap();
    let server = serve(&path, &application, PeerCheck::anyone()).await.unwrap();
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    // Nothing beside it leads around the relay.
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    answers_info(&path).await;
    drop(server);
    assert!(!path.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_named_process_is_served() {
    let peers = PeerCheck::nobody();
    let socket = socket(peers.clone()).await;
    let mut stream = UnixStream::connect(&socket.path).await.unwrap();
    let _ = stream.write_all(&framed(vec![Request::Flush])).await;
    assert!(answers(&mut stream, 1).await.is_empty());
    peers.admit(i32::try_from(std::process::id()).unwrap());
    answers_info(&socket.path).await;
}

#[tokio::test]
async fn a_path_that_no_socket_can_have_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x".repeat(120));
    let application = Application::open(Kv::memory()).unwrap();
    let error = serve(&path, &application, PeerCheck::anyone()).await.unwrap_err();
    assert!(matches!(error, ServeError::PathTooLong { limit: 107, .. }));
}
