//! How a person or a supervisor ends a program.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::NodeError;

/// Listens for Ctrl-C (SIGINT) and SIGTERM, which are alike. Made before the first thing that must be
/// cleaned up: from then on a signal ends nothing by itself, and none is lost between two waits.
#[derive(Debug)]
pub struct EndSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl EndSignals {
    /// Begins to listen.
    pub fn listen() -> Result<Self, NodeError> {
        let failed = |e: std::io::Error| NodeError::io("listening for signals", &e);
        let interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let terminate = signal(SignalKind::terminate()).map_err(failed)?;
        Ok(Self { interrupt, terminate })
    }

    /// Returns when the program is asked to end.
    pub async fn received(&mut self) {
        tokio::select! {
            biased;
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
