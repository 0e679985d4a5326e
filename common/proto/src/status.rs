//! The one place where a refusal becomes a gRPC status, and a status a refusal.
//!
//! A status carries a `google.rpc.ErrorInfo` among its details: `domain` is `paralith`, `reason` is
//! `<module>/<code>`, and `metadata` holds `module`, `code` and, where the caller can do something,
//! `retry` with its value. The keys `paralith-module` and `paralith-code` in the status's own metadata
//! say the same to clients without the details' protobuf.

use std::collections::HashMap;

use paralith_types::{Error, Retry};
use tonic::metadata::MetadataValue;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// `domain` of every `ErrorInfo` that Paralith makes.
pub const ERROR_DOMAIN: &str = "paralith";

/// A status with this gRPC code that carries a refusal.
#[must_use]
pub fn status_of(grpc: Code, error: &Error) -> Status {
    let mut metadata = HashMap::from([
        ("module".to_string(), error.module.clone()),
        ("code".to_string(), error.code.to_string()),
    ]);
    if let Some((kind, value)) = retry_text(error.retry) {
        metadata.insert("retry".to_string(), kind.to_string());
        if let Some(value) = value {
            metadata.insert(kind.to_string(), value.to_string());
        }
    }
    // WI-14: callers decide by module, code and retry, never by text.
    let reason = format!("{}/{}", error.module, error.code);
    let details = ErrorDetails::with_error_info(reason, ERROR_DOMAIN, metadata);
    let mut status = Status::with_error_details(grpc, error.message.clone(), details);
    if let Ok(module) = MetadataValue::try_from(error.module.as_str()) {
        status.metadata_mut().insert("paralith-module", module);
    }
    status.metadata_mut().insert("paralith-code", MetadataValue::from(error.code));
    status
}

/// The refusal that a status carries. None if it is not one of Paralith's: a broken connection, say.
#[must_use]
pub fn error_of(status: &Status) -> Option<Error> {
    let info = status.get_details_error_info().filter(|info| info.domain == ERROR_DOMAIN)?;
    let field = |name: &str| info.metadata.get(name).map(String::as_str);
    let code = field("code")?.parse().ok().filter(|code| *code != 0)?;
    let retry = retry_of(field("retry"), &field)?;
    let message = status.message().to_string();
    Some(Error { module: field("module")?.to_string(), code, message, retry })
}

fn retry_text(retry: Retry) -> Option<(&'static str, Option<u64>)> {
    match retry {
        Retry::Never => None,
        Retry::Later => Some(("later", None)),
        Retry::OtherPeer => Some(("other-peer", None)),
        Retry::AlreadyFinal { round } => Some(("already-final", Some(round))),
        Retry::NonceIs { nonce } => Some(("nonce-is", Some(nonce))),
    }
}

fn retry_of<'a>(kind: Option<&'a str>, field: &impl Fn(&str) -> Option<&'a str>) -> Option<Retry> {
    let number = |name| field(name)?.parse::<u64>().ok();
    match kind {
        None => Some(Retry::Never),
        Some("later") => Some(Retry::Later),
        Some("other-peer") => Some(Retry::OtherPeer),
        Some("already-final") => Some(Retry::AlreadyFinal { round: number("already-final")? }),
        Some("nonce-is") => Some(Retry::NonceIs { nonce: number("nonce-is")? }),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_comes_back_from_its_status() {
        let retries = [
            Retry::Never,
            Retry::Later,
            Retry::OtherPeer,
            Retry::AlreadyFinal { round: u64::MAX },
            Retry::NonceIs { nonce: 0 },
        ];
        for retry in retries {
            let error =
                Error::new("worker", 3, "already final in round 7, näher nichts").with_retry(retry);
            let status = status_of(Code::FailedPrecondition, &error);
            assert_eq!(error_of(&status), Some(error));
        }
    }

    #[test]
    fn a_status_of_somebody_else_is_no_refusal() {
        assert_eq!(error_of(&Status::unavailable("worker 3: gone")), None);
    }
}
