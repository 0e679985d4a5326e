//! The boundary between a node's host side and its enclave: one byte stream, multiplexed.
//!
//! A frame is a 4-byte big-endian length, at most [`MAX_FRAME_BYTES`], and an encoded
//! [`pb::Frame`]. The host calls; while a call runs the enclave may call back for consensus
//! state, light blocks and tree nodes, which it verifies itself: nothing that the host says is
//! trusted. Both ends work over plain blocking streams; in process they are joined by a socket pair
//! just the same, so there is one protocol.

use std::io::{Read, Write};

use paralith_proto::Message;
pub use paralith_proto::pb::host::v1 as pb;

/// Longest frame.
pub const MAX_FRAME_BYTES: usize = 64 * 1024 * 1024;

/// A stream that broke or carries what is no frame: both ends give the stream up.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum FrameError {
    #[error("the other side of the boundary is gone")]
    Closed,
    #[error("the stream to the other side failed: {0}")]
    Io(std::io::Error),
    #[error("a frame of {got} bytes exceeds the limit of {limit}")]
    TooLarge { limit: usize, got: usize },
    #[error("a frame cannot be read: {0}")]
    Malformed(String),
}

/// Writes one frame.
pub fn write_frame(stream: &mut impl Write, frame: &pb::Frame) -> Result<(), FrameError> {
    let body = frame.encode_to_vec();
    let too_large = FrameError::TooLarge { limit: MAX_FRAME_BYTES, got: body.len() };
    if body.len() > MAX_FRAME_BYTES {
        return Err(too_large);
    }
    let length = u32::try_from(body.len()).map_err(|_| too_large)?;
    let mut bytes = Vec::with_capacity(body.len().saturating_add(4));
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(&body);
    stream.write_all(&bytes).and_then(|()| stream.flush()).map_err(FrameError::Io)
}

/// Reads one frame; its length is checked before anything is allocated for it.
pub fn read_frame(stream: &mut impl Read) -> Result<pb::Frame, FrameError> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).map_err(closed_or_io)?;
    let length = u32::from_be_bytes(length) as usize;
    if length > MAX_FRAME_BYTES {
        return Err(FrameError::TooLarge { limit: MAX_FRAME_BYTES, got: length });
    }
    let mut body = Vec::new();
    stream.take(length as u64).read_to_end(&mut body).map_err(FrameError::Io)?;
    if body.len() != length {
        return Err(FrameError::Closed);
    }
    pb::Frame::decode(body.as_slice()).map_err(|e| FrameError::Malformed(e.to_string()))
}

fn closed_or_io(error: std::io::Error) -> FrameError {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof
        | std::io::ErrorKind::ConnectionReset
        | std::io::ErrorKind::BrokenPipe => FrameError::Closed,
        _ => FrameError::Io(error),
    }
}
