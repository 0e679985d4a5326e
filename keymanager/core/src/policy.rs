//! Which enclaves may ask for keys and which may replicate.

use paralith_attest::Measurement;
use paralith_consensus_api::keymanager::Policy;
use paralith_types::{Hash, RuntimeId};

use crate::error::SecretError;

/// What an enclave says that it follows while state has no policy.
pub const NO_POLICY: Hash = Hash::ZERO;

/// Whether the enclave may ask for the runtime's keys.
#[must_use]
pub fn may_ask(policy: &Policy, runtime_id: &RuntimeId, enclave: &Measurement) -> bool {
    policy
        .runtimes
        .iter()
        .any(|one| one.runtime_id == *runtime_id && one.measurements.contains(&enclave.0))
}

/// Whether the enclave may hold master secrets.
#[must_use]
pub fn may_replicate(policy: &Policy, enclave: &Measurement) -> bool {
    policy.measurements.contains(&enclave.0)
}

/// Whether the policy is this key manager's and in its one form: lists sorted, nothing twice.
pub fn check_policy(policy: &Policy, id: &RuntimeId) -> Result<(), SecretError> {
    let bad = |reason| Err(SecretError::BadPolicy { reason });
    if policy.id != *id {
        return bad("it is another key manager's");
    }
    if !policy.measurements.is_sorted_by(|a, b| a < b) {
        return bad("its measurements are not sorted");
    }
    if !policy.runtimes.is_sorted_by(|a, b| a.runtime_id < b.runtime_id) {
        return bad("its runtimes are not sorted");
    }
    if !policy.nodes.is_sorted_by(|a, b| a < b) {
        return bad("its nodes are not sorted");
    }
    if policy.runtimes.iter().any(|one| !one.measurements.is_sorted_by(|a, b| a < b)) {
        return bad("a runtime's measurements are not sorted");
    }
    Ok(())
}

/// Whether an enclave that followed a policy may follow this one: serials only grow, and one
/// serial has one content.
pub fn adopt(followed: Option<&Policy>, policy: &Policy) -> Result<(), SecretError> {
    match followed {
        Some(old) if policy.serial < old.serial => {
            Err(SecretError::PolicyRollback { followed: old.serial, got: policy.serial })
        }
        Some(old) if policy.serial == old.serial && policy != old => {
            Err(SecretError::PolicyRollback { followed: old.serial, got: policy.serial })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use paralith_consensus_api::keymanager::RuntimePolicy;

    use super::*;

    const KM: RuntimeId = RuntimeId([9; 32]);

    fn policy(serial: u32) -> Policy {
        let runtime = |n: u8, measurements: &[u8]| RuntimePolicy {
            runtime_id: RuntimeId([n; 32]),
            measurements: measurements.iter().map(|m| Hash([*m; 32])).collect(),
        };
        Policy {
            serial,
            id: KM,
            measurements: vec![Hash([1; 32]), Hash([2; 32])],
            runtimes: vec![runtime(5, &[3, 4]), runtime(6, &[4])],
            max_epoch_secret_age: 1,
            rotation_epochs: 0,
            nodes: Vec::new(),
        }
    }

    #[test]
    fn each_runtime_has_its_own_enclaves() {
        let may = |runtime: u8, enclave: u8| {
            may_ask(&policy(1), &RuntimeId([runtime; 32]), &Measurement(Hash([enclave; 32])))
        };
        assert!(may(5, 3) && may(5, 4) && may(6, 4));
        assert!(!may(6, 3) && !may(7, 4) && !may(5, 1));
        assert!(may_replicate(&policy(1), &Measurement(Hash([2; 32]))));
        assert!(!may_replicate(&policy(1), &Measurement(Hash([3; 32]))));
    }

    #[test]
    fn a_policy_has_one_form() {
        assert_eq!(check_policy(&policy(1), &KM), Ok(()));
        assert!(check_policy(&policy(1), &RuntimeId([8; 32])).is_err());
        let cases: [fn(&mut Policy); 4] = [
            |p| p.measurements.reverse(),
            |p| p.measurements.push(Hash([2; 32])),
            |p| p.runtimes.reverse(),
            |p| p.runtimes[0].measurements.reverse(),
        ];
        for (index, change) in cases.into_iter().enumerate() {
            let mut bad = policy(1);
            change(&mut bad);
            assert!(check_policy(&bad, &KM).is_err(), "case {index}");
        }
    }

    #[test]
    fn a_policy_neither_goes_back_nor_changes_under_its_serial() {
        let followed = policy(5);
        let mut changed = policy(5);
        changed.rotation_epochs = 1;
        assert_eq!(adopt(None, &policy(0)), Ok(()));
        assert_eq!(adopt(Some(&followed), &policy(5)), Ok(()));
        assert_eq!(adopt(Some(&followed), &policy(6)), Ok(()));
        assert!(adopt(Some(&followed), &policy(4)).is_err());
        assert!(adopt(Some(&followed), &changed).is_err());
    }
}
