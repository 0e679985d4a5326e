//! The one place that makes a gRPC channel from an address, and the server's side of its TLS.
//!
//! `http://host:port` is plain text. `https://host:port` is TLS 1.2 or 1.3, and the server's
//! certificate must satisfy [`Trust`]. An address or option that cannot be honoured is refused: an
//! `https` address is never spoken to in plain text, and a pinned key is never ignored.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use hyper_util::rt::TokioIo;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore,
    ServerConfig, SignatureScheme,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::either::Either;
use tonic::transport::{Channel, Endpoint, Uri};

use super::tls::provider;
use crate::error::NodeError;

/// How long a server may take to accept a connection, handshake included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a connection may be silent before a ping checks whether it still works.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// What the prefix of a pinned key looks like.
const PIN_PREFIX: &str = "sha256:";

/// Which certificate an `https` server must show.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Trust {
    /// One for the address's host, from an authority that the operating system trusts.
    #[default]
    System,
    /// One of a PEM file: the server's own certificate, whatever host it names, or one for the
    /// address's host from an authority in the file.
    File(PathBuf),
    /// Any with one of these keys: SHA-256 of its `SubjectPublicKeyInfo`, as in RFC 7469.
    Keys(Vec<[u8; 32]>),
}

impl Trust {
    /// Reads a pinned key, `sha256:` and 64 hexadecimal digits.
    pub fn pinned(text: &str) -> Result<Self, NodeError> {
        let wrong = || {
            NodeError::usage(
                text,
                "write a pinned key as `sha256:` and the 64 hexadecimal digits of the SHA-256 of \
                 the certificate's SubjectPublicKeyInfo",
            )
        };
        let digits = text.strip_prefix(PIN_PREFIX).ok_or_else(wrong)?;
        let mut key = [0; 32];
        hex::decode_to_slice(digits, &mut key).map_err(|_| wrong())?;
        Ok(Self::Keys(vec![key]))
    }
}

/// [`Trust`] as a person writes it: on the command line, or as `[engine.tls]` of a light node.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientTls {
    /// The PEM file of [`Trust::File`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// The keys of [`Trust::Keys`], each `sha256:` and 64 hexadecimal digits. A light node names
    /// the key of each of its full nodes; a server that changes its key is pinned by both.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pins: Vec<String>,
}

impl ClientTls {
    /// The rule that this asks for; the system's authorities if it asks for none.
    pub fn trust(&self) -> Result<Trust, NodeError> {
        if let Some(ca) = &self.ca {
            if !self.pins.is_empty() {
                let reason = "a file of certificates and pinned keys exclude each other: give one";
                return Err(NodeError::usage(ca.display().to_string(), reason));
            }
            return Ok(Trust::File(ca.clone()));
        }
        let mut keys = Vec::new();
        for pin in &self.pins {
            if let Trust::Keys(key) = Trust::pinned(pin)? {
                keys.extend(key);
            }
        }
        Ok(if keys.is_empty() { Trust::System } else { Trust::Keys(keys) })
    }
}

/// A channel to a node's public service. It connects with the first call and again after a failure.
pub fn channel(address: &str, trust: &Trust) -> Result<Channel, NodeError> {
    let (endpoint, connector) = endpoint(address, trust)?;
    Ok(endpoint.connect_with_connector_lazy(tower::service_fn(move |_: Uri| connector.connect())))
}

/// The same, connected. The error says why it could not.
pub async fn connect(address: &str, trust: &Trust) -> Result<Channel, NodeError> {
    let (endpoint, connector) = endpoint(address, trust)?;
    let dial = tower::service_fn(move |_: Uri| connector.connect());
    endpoint.connect_with_connector(dial).await.map_err(|error| {
        let node = address.to_string();
        match certificate_error(&error) {
            Some(reason) => NodeError::Untrusted { node, reason },
            None => NodeError::Unreachable { node, reason: with_sources(&error) },
        }
    })
}

/// Connects to origins of contents, by this rule if they are spoken to over TLS.
pub fn contents(trust: Trust) -> paralith_data::Dial {
    Arc::new(move |origin: paralith_data::Origin| {
        let by = if origin.is_secure() { &trust } else { &Trust::System };
        let dialer = endpoint(origin.as_str(), by);
        async move {
            let (_, dialer) = dialer.map_err(std::io::Error::other)?;
            Ok(Box::new(dialer.connect().await?) as Box<dyn paralith_data::Io>)
        }
        .boxed()
    })
}

/// Why the server's certificate was refused, if that is what ended the connection.
fn certificate_error(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(cause) = next {
        // An I/O error does not name what it wraps as its source.
        let wrapped = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if let Some(Error::InvalidCertificate(reason)) = wrapped.and_then(|e| e.downcast_ref()) {
            return Some(match reason {
                CertificateError::Other(OtherError(ours)) => ours.to_string(),
                reason => reason.to_string(),
            });
        }
        next = cause.source();
    }
    None
}

/// An error with what caused it: tonic's own text is only "transport error".
fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Where and how to connect.
#[derive(Clone)]
struct Dialer {
    /// "host:port".
    target: String,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Dialer {
    fn connect(
        &self,
    ) -> impl Future<
        Output = std::io::Result<
            TokioIo<Either<tokio_rustls::client::TlsStream<TcpStream>, TcpStream>>,
        >,
    > + Send
    + use<> {
        let Self { target, tls } = self.clone();
        async move {
            let tcp = TcpStream::connect(&target).await?;
            tcp.set_nodelay(true)?;
            let stream = match tls {
                Some((connector, name)) => Either::Left(connector.connect(name, tcp).await?),
                None => Either::Right(tcp),
            };
            Ok(TokioIo::new(stream))
        }
    }
}

fn endpoint(address: &str, trust: &Trust) -> Result<(Endpoint, Dialer), NodeError> {
    let refused = |reason: &str| NodeError::usage(address, reason);
    let uri: Uri = address
        .parse()
        .map_err(|e| NodeError::usage(address, format!("it is not an address: {e}")))?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(refused("write it as http://host:port or https://host:port"));
    };
    if uri.path() != "/" || uri.query().is_some() || authority.as_str().contains('@') {
        return Err(refused(
            "only host and port are allowed: a node's service has no path, query or user name",
        ));
    }
    let secure = match scheme {
        "https" => true,
        "http" => false,
        _ => return Err(refused("the scheme must be http or https")),
    };
    let host = authority.host();
    let port = authority.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let tls = match (secure, trust) {
        // WI-13: no fallback to plain text.
        (true, trust) => {
            let plain_host = host.trim_start_matches('[').trim_end_matches(']').to_string();
            let name = ServerName::try_from(plain_host)
                .map_err(|_| refused("its host is neither a DNS name nor an IP address"))?;
            Some((TlsConnector::from(client_config(trust)?), name))
        }
        (false, Trust::System) => None,
        (false, Trust::File(_) | Trust::Keys(_)) => {
            return Err(refused(
                "a certificate or key is pinned, but an http address is plain text: write https://, \
                 or do not pin",
            ));
        }
    };
    // TLS happens below tonic, which must therefore see a plain address; requests still name the
    // real one.
    let inner = format!("http://{authority}");
    let endpoint = Endpoint::from_shared(inner)
        .map_err(|e| NodeError::usage(address, e))?
        .origin(uri.clone())
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEPALIVE);
    Ok((endpoint, Dialer { target: format!("{host}:{port}"), tls }))
}

fn client_config(trust: &Trust) -> Result<Arc<ClientConfig>, NodeError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|e| NodeError::internal(&e))?;
    // WI-12: the system's authorities, a file's, or one pinned key.
    let mut config = match trust {
        Trust::System => builder.with_root_certificates(system_roots()?).with_no_client_auth(),
        pinned => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Pinned::new(pinned)?))
            .with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

fn system_roots() -> Result<RootCertStore, NodeError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let reasons: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        return Err(NodeError::usage(
            "https",
            format!(
                "the operating system has no trusted certificates ({}): install them (package \
                 ca-certificates), or pin the server's certificate or key",
                reasons.join("; ")
            ),
        ));
    }
    Ok(roots)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, NodeError> {
    let unusable = |reason: String| NodeError::Config { file: file.display().to_string(), reason };
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(file).map_err(|e| unusable(e.to_string()))?.collect();
    let certificates = certificates.map_err(|e| unusable(e.to_string()))?;
    if certificates.is_empty() {
        return Err(unusable("it holds no certificate in PEM form".to_string()));
    }
    Ok(certificates)
}

/// Why a server is refused whose key is not among the pinned ones.
#[derive(Debug, thiserror::Error)]
#[error("the server's key is {PIN_PREFIX}{}, which is not pinned", hex::encode(shown))]
struct NotPinned {
    shown: [u8; 32],
}

/// Accepts a pinned key, a pinned certificate, or one from a pinned authority.
struct Pinned {
    /// If there are any, they alone count.
    keys: Vec<[u8; 32]>,
    certificates: Vec<CertificateDer<'static>>,
    authorities: Option<Arc<WebPkiServerVerifier>>,
}

impl fmt::Debug for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pinned")
    }
}

impl Pinned {
    fn new(trust: &Trust) -> Result<Self, NodeError> {
        let mut this = Self { keys: Vec::new(), certificates: Vec::new(), authorities: None };
        match trust {
            Trust::System => {}
            Trust::Keys(keys) => this.keys.clone_from(keys),
            Trust::File(file) => {
                this.certificates = certificates(file)?;
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(this.certificates.clone());
                // A certificate of a form that is no trust anchor still matches as it is.
                if !roots.is_empty() {
                    let verifier =
                        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider());
                    this.authorities = Some(verifier.build().map_err(|e| NodeError::internal(&e))?);
                }
            }
        }
        Ok(this)
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if !self.keys.is_empty() {
            let info = ParsedCertificate::try_from(end_entity)?.subject_public_key_info();
            let shown: [u8; 32] = Sha256::digest(info.as_ref()).into();
            if self.keys.contains(&shown) {
                return Ok(ServerCertVerified::assertion());
            }
            return Err(CertificateError::Other(OtherError(Arc::new(NotPinned { shown }))).into());
        }
        if self.certificates.iter().any(|pinned| pinned == end_entity) {
            return Ok(ServerCertVerified::assertion());
        }
        match &self.authorities {
            Some(authorities) => authorities.verify_server_cert(
                end_entity,
                intermediates,
                server_name,
                ocsp_response,
                now,
            ),
            None => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &provider().signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

/// The certificate and key of a public service: PEM files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerTls {
    /// The certificate, and the intermediate ones after it.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl ServerTls {
    /// Reads both. They must belong together.
    pub(crate) fn load(&self) -> Result<Arc<ServerConfig>, NodeError> {
        let unusable = |file: &Path, reason: String| NodeError::Config {
            file: file.display().to_string(),
            reason,
        };
        let chain = certificates(&self.cert)?;
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|e| {
            unusable(&self.key, format!("it holds no private key in PEM form: {e}"))
        })?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|e| NodeError::internal(&e))?
            .with_no_client_auth()
            // WI-11: a key of another certificate ends the start of the node.
            .with_single_cert(chain, key)
            .map_err(|e| {
                unusable(&self.key, format!("it does not fit {}: {e}", self.cert.display()))
            })?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Arc::new(config))
    }
}
