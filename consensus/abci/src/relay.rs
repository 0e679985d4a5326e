//! Passes whole, bounded, readable requests on to tower-abci's server, and its answers back.

use tendermint::v0_38::abci::Request;
use tendermint_proto::Protobuf;
use tendermint_proto::v0_38::abci as raw;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader, BufWriter};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

/// The longest request: a block is 4 MiB by default and never more than 100 MiB in CometBFT, but
/// ours are limited to far less.
const MAX_FRAME_BYTES: u64 = 64 * 1024 * 1024;

/// Runs until one side closes. What is wrong with the client's bytes is the error.
pub(crate) async fn relay(client: UnixStream, server: UnixStream) -> Result<(), String> {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let requests = requests(from_client, to_server);
    let answers = answers(from_server, to_client);
    tokio::pin!(requests, answers);
    let result = tokio::select! {
        biased;
        result = &mut requests => result,
        () = &mut answers => return Ok(()),
    };
    answers.await;
    result
}

/// Passes answers on. The server would end in a panic if they went nowhere before it has noticed the
/// end of the requests, so they are read to their end even when the client has gone.
async fn answers(mut server: OwnedReadHalf, mut client: OwnedWriteHalf) {
    let _ = tokio::io::copy(&mut server, &mut client).await;
    let _ = tokio::io::copy(&mut server, &mut tokio::io::sink()).await;
}

async fn requests(client: OwnedReadHalf, server: OwnedWriteHalf) -> Result<(), String> {
    let mut client = BufReader::with_capacity(BUFFER_BYTES, client);
    let mut server = BufWriter::with_capacity(BUFFER_BYTES, server);
    let result = loop {
        match frame(&mut client).await {
            Ok(Some(frame)) => {
                if server.write_all(&frame).await.is_err() {
                    break Ok(());
                }
                // More requests are here already: they travel together.
                if client.buffer().is_empty() && server.flush().await.is_err() {
                    break Ok(());
                }
            }
            Ok(None) => break Ok(()),
            Err(reason) => break Err(reason),
        }
    };
    // The server may have gone first.
    let _ = server.shutdown().await;
    result
}

/// The next request with its length in front; none at the end.
async fn frame(client: &mut (impl AsyncRead + Unpin)) -> Result<Option<Vec<u8>>, String> {
    let mut frame = Vec::new();
    let mut len = 0_u64;
    loop {
        let byte = match client.read_u8().await {
            Ok(byte) => byte,
            Err(_) if frame.is_empty() => return Ok(None),
            Err(_) => return Err("it ended within a length".to_string()),
        };
        // Four bytes of seven bits hold more than the limit.
        let shift = 7 * u32::try_from(frame.len()).unwrap_or(u32::MAX);
        if shift > 21 {
            return Err("a length is too long".to_string());
        }
        frame.push(byte);
        len |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    if len > MAX_FRAME_BYTES {
        return Err(format!("a request of {len} bytes"));
    }
    // Grows as bytes arrive, not by what was announced.
    let read = (&mut *client).take(len).read_to_end(&mut frame).await;
    let missing = read.map_or(true, |read| u64::try_from(read) != Ok(len));
    if missing {
        return Err("it ended within a request".to_string());
    }
    <Request as Protobuf<raw::Request>>::decode_length_delimited(frame.as_slice())
        .map_err(|e| format!("not a request: {}", short(&e.to_string())))?;
    Ok(Some(frame))
}

fn short(text: &str) -> String {
    text.chars().take(200).collect()
}

const BUFFER_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn echo(message: &str) -> Vec<u8> {
        let message = message.to_string();
        let request = Request::Echo(tendermint::abci::request::Echo { message });
        Protobuf::<raw::Request>::encode_length_delimited_vec(request)
    }

    #[tokio::test]
    async fn whole_requests_pass_and_everything_else_is_an_error() {
        let good = echo("hi");
        let two = [good.clone(), echo("there")].concat();
        let mut stream = two.as_slice();
        assert_eq!(frame(&mut stream).await, Ok(Some(good.clone())));
        assert_eq!(frame(&mut stream).await, Ok(Some(echo("there"))));
        assert_eq!(frame(&mut stream).await, Ok(None));
        for (bad, why) in [
            (vec![0xff; 64], "an endless length"),
            (vec![0x80], "half a length"),
            (vec![0xff, 0xff, 0xff, 0x7f], "256 MiB"),
            (good[..3].to_vec(), "half a request"),
            (vec![2, 0xff, 0xff], "no message"),
            (vec![0], "a message without a request"),
        ] {
            assert!(frame(&mut bad.as_slice()).await.is_err(), "{why}");
        }
    }
}
