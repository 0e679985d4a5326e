//! Refusals on the wire.

use paralith_types::{Error, Retry};

use crate::pb::error::v1 as pb;
use crate::{DecodeError, Wire};

impl Wire for Error {
    type Pb = pb::Error;

    fn to_pb(&self) -> pb::Error {
        let Self { module, code, message, retry } = self.clone();
        pb::Error { module, code, message, retry: retry_to_pb(retry) }
    }

    fn from_pb(pb: pb::Error) -> Result<Self, DecodeError> {
        if pb.code == 0 {
            return Err(DecodeError::field("code", "is 0, which is success"));
        }
        let retry = retry_from_pb(pb.retry).map_err(|e| e.within("retry"))?;
        Ok(Self { module: pb.module, code: pb.code, message: pb.message, retry })
    }
}

fn retry_to_pb(retry: Retry) -> Option<pb::Retry> {
    use pb::retry::Kind;
    let kind = match retry {
        Retry::Never => return None,
        Retry::Later => Kind::Later(pb::Later {}),
        Retry::OtherPeer => Kind::OtherPeer(pb::OtherPeer {}),
        Retry::AlreadyFinal { round } => Kind::AlreadyFinal(pb::AlreadyFinal { round }),
        Retry::NonceIs { nonce } => Kind::NonceIs(pb::NonceIs { nonce }),
    };
    Some(pb::Retry { kind: Some(kind) })
}

fn retry_from_pb(pb: Option<pb::Retry>) -> Result<Retry, DecodeError> {
    use pb::retry::Kind;
    let Some(pb) = pb else { return Ok(Retry::Never) };
    Ok(match pb.kind.ok_or_else(|| DecodeError::field("kind", "is of a kind unknown here"))? {
        Kind::Later(_) => Retry::Later,
        Kind::OtherPeer(_) => Retry::OtherPeer,
        Kind::AlreadyFinal(pb) => Retry::AlreadyFinal { round: pb.round },
        Kind::NonceIs(pb) => Retry::NonceIs { nonce: pb.nonce },
    })
}
