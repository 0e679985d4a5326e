//! When a key manager's next generation is due: one rule for the chain, enclaves and their hosts.

use paralith_types::Epoch;

use super::Status;

/// Why no generation is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotDue {
    /// The policy wants no rotation.
    Disabled,
    /// The interval since the newest generation is not over.
    TooEarly,
}

/// Whether a generation may be proposed for an epoch. The first one is always due, a later one when
/// the policy's interval is over, or when an enclave was revoked that has the newest one.
pub fn rotation_due(status: &Status, epoch: Epoch) -> Result<(), NotDue> {
    if status.checksum.is_none() {
        return Ok(());
    }
    let required = status.rotation_required;
    if status.rotation_epoch < required && required <= epoch {
        return Ok(());
    }
    match status.policy.as_ref().map_or(0, |policy| policy.rotation_epochs) {
        0 => Err(NotDue::Disabled),
        interval if epoch < status.rotation_epoch.plus(interval) => Err(NotDue::TooEarly),
        _ => Ok(()),
    }
}
