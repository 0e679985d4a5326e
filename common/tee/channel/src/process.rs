//! An enclave as a process of its own, and in the process of its host.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use crate::{Client, FrameError, Handler, HostServices, Recorder, serve};

/// Serves the host over the stream that this process was given as its standard input, a connected
/// Unix socket, until it ends.
pub fn serve_stdin(handler: Arc<dyn Handler>) -> io::Result<FrameError> {
    let reader = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let writer = reader.try_clone()?;
    Ok(serve(reader, writer, handler))
}

/// Runs an enclave on threads of this process, behind the same stream and protocol.
pub fn in_process(
    handler: Arc<dyn Handler>,
    services: Arc<dyn HostServices>,
    recorder: Option<Recorder>,
) -> io::Result<Client> {
    let (host, enclave) = UnixStream::pair()?;
    let (reader, writer) = (enclave.try_clone()?, enclave);
    std::thread::Builder::new()
        .name("enclave".into())
        .spawn(move || serve(reader, writer, handler))?;
    Ok(Client::connect(host.try_clone()?, host, services, recorder))
}
