//! What a key manager derives from its secrets.

use paralith_crypto::{Domain, SigningKey, kdf};
use paralith_types::{Epoch, RuntimeId};

use crate::secret::Secret;

const SIGNING_KEY: Domain = Domain::new("paralith/km-signing-key/v1");
const RUNTIME_SECRET: Domain = Domain::new("paralith/km-runtime-secret/v1");
const RUNTIME_EPOCH: Domain = Domain::new("paralith/km-runtime-epoch/v1");

/// The key that signs the runtimes' public keys for clients, from a generation's master secret.
#[must_use]
pub fn signing_key(id: &RuntimeId, master: &Secret) -> SigningKey {
    SigningKey::from_seed(*kdf::derive(master.as_bytes(), &[], SIGNING_KEY, &[id.as_bytes()]))
}

/// A runtime's secret of a generation, from that generation's master secret.
#[must_use]
pub fn runtime_secret(
    id: &RuntimeId,
    runtime_id: &RuntimeId,
    generation: u64,
    master: &Secret,
) -> Secret {
    let info: [&[u8]; 3] = [id.as_bytes(), runtime_id.as_bytes(), &generation.to_be_bytes()];
    kdf::derive(master.as_bytes(), &[], RUNTIME_SECRET, &info).into()
}

/// A runtime's secret of an epoch, from that epoch's secret: the keying material of its HPKE keys.
#[must_use]
pub fn runtime_epoch_secret(
    id: &RuntimeId,
    runtime_id: &RuntimeId,
    epoch: Epoch,
    secret: &Secret,
) -> Secret {
    let info: [&[u8]; 3] = [id.as_bytes(), runtime_id.as_bytes(), &epoch.0.to_be_bytes()];
    kdf::derive(secret.as_bytes(), &[], RUNTIME_EPOCH, &info).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KM: RuntimeId = RuntimeId([9; 32]);
    const RT: RuntimeId = RuntimeId([5; 32]);

    /// Computed with Python's `hmac` (HKDF by hand) over the framing written out by hand.
    #[test]
    fn the_derivations_are_frozen() {
        let master = Secret::new([1; 32]);
        let shown = [
            hex::encode(*signing_key(&KM, &master).seed()),
            hex::encode(runtime_secret(&KM, &RT, 3, &master).as_bytes()),
            hex::encode(runtime_epoch_secret(&KM, &RT, Epoch(3), &master).as_bytes()),
        ];
        assert_eq!(
            shown,
            [
                "e4eb352e5f255b7a5e4d9ac65035b487a151a695f6a83a479cbd36cdabe110b4",
                "5f378aab2625c3cdce94d1e57e39af4c8cbf9cf4f5db3dc9b8c05cd18b8fb4a7",
                "0162e5041ed74b068aeeece248502829a1df51b47ef42b7844eaa633cc5ce747",
            ]
        );
    }

    #[test]
    fn runtimes_generations_epochs_and_key_managers_have_nothing_in_common() {
        let other = RuntimeId([6; 32]);
        let master = Secret::new([1; 32]);
        let mut all = vec![Secret::new(*signing_key(&KM, &master).seed())];
        for (km, runtime) in [(KM, RT), (KM, other), (other, RT)] {
            for number in [0, 1, u64::MAX] {
                all.push(runtime_secret(&km, &runtime, number, &master));
                all.push(runtime_epoch_secret(&km, &runtime, Epoch(number), &master));
            }
        }
        all.push(runtime_secret(&KM, &RT, 0, &Secret::new([2; 32])));
        for (index, one) in all.iter().enumerate() {
            assert!(!all[..index].contains(one), "case {index}");
        }
    }
}
