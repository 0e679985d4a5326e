//! Between an endorser and the node from which it learns the chain.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use paralith::error::NodeError;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use super::Outcome;

/// Options of `freeze`.
#[derive(Debug, Args)]
pub struct FreezeArgs {
    /// Where the endorser's `engine` looks for a node.
    #[arg(long, value_name = "HOST:PORT")]
    listen: SocketAddr,
    /// The node.
    #[arg(long, value_name = "HOST:PORT")]
    upstream: SocketAddr,
}

/// Options of `fork`.
#[derive(Debug, Args)]
pub struct ForkArgs {
    /// Where the endorser's `engine` looks for a node.
    #[arg(long, value_name = "HOST:PORT")]
    listen: SocketAddr,
    /// The node.
    #[arg(long, value_name = "HOST:PORT")]
    upstream: SocketAddr,
    /// A node of another history of the same chain, such as one that was started from a copy of a validator's home.
    #[arg(long, value_name = "HOST:PORT")]
    then: SocketAddr,
}

impl FreezeArgs {
    pub(super) async fn run(&self) -> Result<Outcome, NodeError> {
        relay(self.listen, self.upstream, None).await
    }
}

impl ForkArgs {
    pub(super) async fn run(&self) -> Result<Outcome, NodeError> {
        relay(self.listen, self.upstream, Some(self.then)).await
    }
}

fn io(error: &std::io::Error) -> NodeError {
    NodeError::io("the relay", error)
}

/// Ends with standard input. A line of it changes what is relayed: nothing, or another node.
async fn relay(
    listen: SocketAddr,
    upstream: SocketAddr,
    then: Option<SocketAddr>,
) -> Result<Outcome, NodeError> {
    let listener = TcpListener::bind(listen).await.map_err(|e| io(&e))?;
    let changed = Arc::new(AtomicBool::new(false));
    let mut connections = paralith_rt::TaskSet::new();
    let mut line = Box::pin(next_line());
    println!("relaying {listen} to {upstream}; a line on standard input changes that");
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (from, _) = accepted.map_err(|e| io(&e))?;
                let to = if changed.load(Ordering::Acquire) { then } else { Some(upstream) };
                connections.spawn(connection(from, to, Arc::clone(&changed)));
            }
            read = &mut line => {
                if !read? {
                    return Ok(Outcome::Prepared("the relay has ended".to_string()));
                }
                changed.store(true, Ordering::Release);
                println!("changed");
                line = Box::pin(next_line());
            }
        }
    }
}

/// Whether there is another line on standard input.
async fn next_line() -> Result<bool, NodeError> {
    let read = paralith_rt::blocking(|| std::io::stdin().read_line(&mut String::new())).await;
    read.map_err(|e| NodeError::internal(&e))?.map(|bytes| bytes > 0).map_err(|e| io(&e))
}

/// A frozen connection stays open and gives nothing more; one to the first of two nodes ends.
async fn connection(from: TcpStream, to: Option<SocketAddr>, changed: Arc<AtomicBool>) {
    let since = changed.load(Ordering::Acquire);
    let Some(to) = to else { return std::future::pending().await };
    let Ok(to) = TcpStream::connect(to).await else { return };
    let ((from_in, from_out), (to_in, to_out)) = (from.into_split(), to.into_split());
    let ends = || changed.load(Ordering::Acquire) != since;
    tokio::join!(copy(from_in, to_out, ends), copy(to_in, from_out, ends));
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, ends: impl Fn() -> bool) {
    let mut bytes = vec![0; 16 * 1024];
    loop {
        let Ok(read @ 1..) = from.read(&mut bytes).await else { return };
        if ends() {
            // Nothing of what came meanwhile, and no end either: that would say that something happened.
            return std::future::pending().await;
        }
        if to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}
