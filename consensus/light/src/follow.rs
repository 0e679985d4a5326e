//! The one loop that follows a chain: which header comes next on the way to a height.
//!
//! Pure: the caller fetches. [`Follow::next`] names the height of the header to fetch,
//! [`Follow::take`] verifies it, until `next` gives none. An enclave drives it with callbacks to its
//! host, a node and a client with gRPC calls.
//!
//! * Far from the target the client steps over headers (skipping verification), at most
//!   [`LightClient::max_step`] at once.
//! * Where too few of the trusted validators signed a header, a header half way comes first
//!   (bisection). The number of fetches is logarithmic in the step, whatever the peer answers.
//! * The last headers before the target are verified one by one, as many as the caller wants to read
//!   the states of.

use paralith_types::Height;

use crate::{LightBlock, LightClient, LightError};

/// How many of the newest headers an enclave or a node verifies one by one: a proposal may pin a
/// height a little behind the newest.
pub const KEPT_STEPS: u64 = 32;

/// The same of an application's enclave: an anchor may lie 100 blocks behind the newest.
pub const APPLICATION_KEPT_STEPS: u64 = 128;

/// The way to one height.
#[derive(Debug, Clone)]
pub struct Follow {
    target: Height,
    kept_steps: u64,
    /// Headers that are wanted, the next one last. Each lies before the one under it.
    wanted: Vec<Height>,
}

impl Follow {
    /// Leads a light client to the header of `target`, and over each of the `kept_steps` headers
    /// before it.
    pub fn new(target: Height, kept_steps: u64) -> Self {
        Self { target, kept_steps, wanted: Vec::new() }
    }

    /// The height of the header to fetch now; none once the target is reached.
    pub fn next(&mut self, light: &LightClient) -> Option<Height> {
        let trusted = light.height();
        while self.wanted.last().is_some_and(|wanted| *wanted <= trusted) {
            self.wanted.pop();
        }
        if trusted >= self.target {
            return None;
        }
        if self.wanted.is_empty() {
            let near = self.target.minus(self.kept_steps);
            // LC-6: no step is longer than stake that left stays slashable.
            let step = if trusted < near {
                near.min(trusted.plus(light.max_step()))
            } else {
                trusted.next()
            };
            self.wanted.push(step);
        }
        self.wanted.last().copied()
    }

    /// Takes the header that [`Self::next`] named. It is verified and trusted; or it is kept for
    /// later and a header in between is wanted first. On an error nothing has changed, and another
    /// peer may be asked for the same header.
    pub fn take(&mut self, light: &mut LightClient, block: &LightBlock) -> Result<(), LightError> {
        let Some(wanted) = self.next(light) else { return Ok(()) };
        // LC-8: an answer to another question proves nothing about this one.
        if block.height() != wanted {
            return Err(LightError::WrongHeight { wanted, got: block.height() });
        }
        match light.update(block) {
            Ok(()) => Ok(()),
            Err(error @ LightError::NotEnoughTrust { .. }) => {
                // LC-7: half way, down to the next height.
                let half = wanted.0.saturating_sub(light.height().0) / 2;
                if half == 0 {
                    return Err(error);
                }
                self.wanted.push(light.height().plus(half));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}
