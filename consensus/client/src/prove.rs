//! Entries of a ParaTime's state with proofs, after the newest or any earlier round.
//!
//! A value is proven under its header's state root, and the header by consensus state. Consensus keeps
//! the newest headers only. An older one is proven by the chain of headers from it to one that
//! consensus state proves: each names the hash of the one before.

use paralith_consensus_api::roothash::{self, Header};
use paralith_proto::{Canonical as _, Wire as _};
use paralith_runtime_api::state::provable_place;
use paralith_storage::Proof;
use paralith_types::{Height, Round};

use crate::chain::ChainClient;
use crate::error::{ClientError, refused, unverifiable};
use crate::paratime::{ParaTimeClient, STALE_TRIES, ppb};
use crate::portable::ProvenEntry;

/// Entries of a ParaTime's state, every step verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenState {
    /// The header of the round after which the state was so.
    pub header: Header,
    /// The height of the consensus state that proves the header, or a later one that its hash leads
    /// to.
    pub proven_at: Height,
    /// The value of each key, in the order of the keys; none: there is no such entry.
    pub values: Vec<Option<Vec<u8>>>,
    /// The encoded proof of each value under the header's state root, in the same order.
    pub proofs: Vec<Vec<u8>>,
}

impl ParaTimeClient {
    /// Entries of the state after a round; without one after the newest that is final, which is not
    /// older than the newest round that this client had proven when it asked.
    ///
    /// Keys are those of the runtime's code, 64 at most. Of a confidential ParaTime only public
    /// entries can be proven, whose keys begin with 0xfe.
    pub async fn prove(
        &mut self,
        chain: &mut ChainClient,
        round: Option<Round>,
        keys: &[Vec<u8>],
    ) -> Result<ProvenState, ClientError> {
        let (header, entries) = self.prove_entries(chain, round, keys).await?;
        let proven_at = self.prove_past_header(chain, &header).await?;
        let (values, proofs) = entries.into_iter().map(|entry| (entry.value, entry.proof)).unzip();
        Ok(ProvenState { header, proven_at, values, proofs })
    }

    /// Entries under the state root of a header, which is not proven yet.
    pub(crate) async fn prove_entries(
        &mut self,
        chain: &mut ChainClient,
        round: Option<Round>,
        keys: &[Vec<u8>],
    ) -> Result<(Header, Vec<ProvenEntry>), ClientError> {
        let places = self.places(keys)?;
        let mut tries = 0;
        let (header, entries) = loop {
            let least = match round {
                Some(round) => round,
                None => self.state(chain).await?.1.last_normal_round,
            };
            let (header, entries) = self.prove_once(round, keys).await?;
            if header.round == least || (round.is_none() && header.round > least) {
                break (header, entries);
            }
            tries += 1;
            // LC-18: of the round that was asked for, or not older than what is proven.
            if round.is_some() || tries == STALE_TRIES {
                let got = header.round;
                return Err(unverifiable(&format!("the proof is of round {got}, not of {least}")));
            }
            let next = chain.sync().await?.next();
            chain.sync_to(next).await?;
        };
        if entries.len() != places.len() {
            return Err(unverifiable(&"it has more or fewer entries than keys were asked for"));
        }
        for (place, entry) in places.iter().zip(&entries) {
            Proof::from_bytes(&entry.proof)
                .and_then(|proof| proof.verify(&header.state_root, place, entry.value.as_deref()))
                .map_err(|e| unverifiable(&format!("an entry: {e}")))?;
        }
        let entries = keys.iter().zip(entries).map(|(key, entry)| ProvenEntry {
            key: key.clone(),
            value: entry.value,
            proof: entry.proof,
        });
        Ok((header, entries.collect()))
    }

    fn places(&self, keys: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, ClientError> {
        let place = |key: &Vec<u8>| {
            provable_place(&self.runtime, key).ok_or_else(|| {
                let reason = "this ParaTime is confidential: only entries whose keys begin with 0xfe are public";
                ClientError::usage(format!("the key 0x{}", hex(key)), reason)
            })
        };
        keys.iter().map(place).collect()
    }

    async fn prove_once(
        &mut self,
        round: Option<Round>,
        keys: &[Vec<u8>],
    ) -> Result<(Header, Vec<ppb::ProvenEntry>), ClientError> {
        let request = ppb::ProveStateRequest {
            runtime_id: self.runtime.id.as_bytes().to_vec(),
            round: round.unwrap_or_default().0,
            newest: round.is_none(),
            keys: keys.to_vec(),
        };
        let answer = self.service.prove_state(request).await.map_err(|s| refused(&s))?.into_inner();
        let header = answer.header.ok_or_else(|| unverifiable(&"a proof without header"))?;
        Ok((Header::from_pb(header).map_err(|e| unverifiable(&e))?, answer.entries))
    }

    /// Proves a header by consensus state, or by the chain of headers from it to one that consensus
    /// state proves.
    async fn prove_past_header(
        &mut self,
        chain: &mut ChainClient,
        header: &Header,
    ) -> Result<Height, ClientError> {
        let (height, state) = self.state(chain).await?;
        let id = self.runtime.id;
        let known = chain.proven(None, &roothash::keys::header(&id, header.round)).await?;
        match known.value {
            Some(known_header) if known_header == header.encode() => return Ok(known.height),
            Some(_) => return Err(unverifiable(&"the chain has another header for this round")),
            None if header.round >= state.last_block.round => {
                return Ok(self.prove_header(chain, header).await?.height);
            }
            None => {}
        }
        // The oldest that is kept is nearest. It may have gone meanwhile.
        let params: roothash::Params = chain.require(&roothash::keys::params()).await?;
        let kept = params.max_past_roots.max(1).saturating_sub(1);
        let oldest = state.last_block.round.minus(kept);
        let anchor = match chain.get::<Header>(&roothash::keys::header(&id, oldest)).await? {
            Some(anchor) if anchor.round > header.round => anchor,
            Some(_) | None => state.last_block,
        };
        self.follow_headers(header, &anchor).await?;
        Ok(height)
    }

    /// Follows the chain of headers from one to another, which is proven.
    async fn follow_headers(&mut self, from: &Header, to: &Header) -> Result<(), ClientError> {
        let mut last = from.clone();
        while last.round < to.round {
            let request = ppb::GetHeadersRequest {
                runtime_id: self.runtime.id.as_bytes().to_vec(),
                from: last.round.next().0,
                to: to.round.0,
            };
            let page = self.service.get_headers(request).await.map_err(|s| refused(&s))?;
            let page = page.into_inner().headers;
            if page.is_empty() {
                return Err(unverifiable(&"the chain of headers ends before one that is proven"));
            }
            for next in page {
                let next = Header::from_pb(next).map_err(|e| unverifiable(&e))?;
                // LC-19: no round is left out, and each names the one before.
                if next.runtime_id != to.runtime_id
                    || next.round != last.round.next()
                    || next.previous_hash != last.hash()
                {
                    let round = last.round;
                    return Err(unverifiable(&format!(
                        "the chain of headers breaks after round {round}"
                    )));
                }
                last = next;
                if last.round == to.round {
                    break;
                }
            }
        }
        if last.encode() == to.encode() {
            Ok(())
        } else {
            Err(unverifiable(&"the chain of headers leads to another header than the proven one"))
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
