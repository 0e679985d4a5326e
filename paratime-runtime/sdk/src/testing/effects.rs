//! What calls change, and how it is undone.

use std::collections::BTreeMap;

use paralith_runtime_abi as abi;

use super::host::Event;

pub(super) type State = BTreeMap<Vec<u8>, Vec<u8>>;

/// What a call can change.
#[derive(Debug, Clone, Default)]
pub(super) struct Effects {
    pub(super) state: Store,
    pub(super) events: Vec<Event>,
    pub(super) messages: Vec<abi::ConsensusMessage>,
    /// The smallest height that was asked of `wake_at`.
    pub(super) asked: Option<u64>,
}

/// A moment in a round, to which effects can be undone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    writes: usize,
    events: usize,
    messages: usize,
    asked: Option<u64>,
}

/// The state, and what its entries were before each write of the round. Large states are not copied
/// for each call.
#[derive(Debug, Clone, Default)]
pub(super) struct Store {
    state: State,
    before: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Effects {
    pub(super) fn of(state: State) -> Self {
        Self { state: Store { state, before: Vec::new() }, ..Self::default() }
    }

    pub(super) fn moment(&self) -> Moment {
        Moment {
            writes: self.state.before.len(),
            events: self.events.len(),
            messages: self.messages.len(),
            asked: self.asked,
        }
    }

    pub(super) fn undo_to(&mut self, moment: Moment) {
        let Store { state, before } = &mut self.state;
        for (key, value) in before.drain(moment.writes..).rev() {
            match value {
                Some(value) => state.insert(key, value),
                None => state.remove(&key),
            };
        }
        self.events.truncate(moment.events);
        self.messages.truncate(moment.messages);
        self.asked = moment.asked;
    }

    /// Begins a round: nothing before it can be undone.
    pub(super) fn begin_round(&mut self) {
        self.state.before.clear();
        self.events.clear();
        self.asked = None;
    }
}

impl Store {
    pub(super) fn all(&self) -> &State {
        &self.state
    }

    pub(super) fn into_all(self) -> State {
        self.state
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<&Vec<u8>> {
        self.state.get(key)
    }

    pub(super) fn insert(&mut self, key: Vec<u8>, value: Vec<u8>) {
        let before = self.state.insert(key.clone(), value);
        self.before.push((key, before));
    }

    pub(super) fn remove(&mut self, key: &[u8]) {
        if let Some(before) = self.state.remove(key) {
            self.before.push((key.to_vec(), Some(before)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn undoing_restores_every_entry_and_keeps_what_was_before() {
        let entry = |key: &str, value: &str| (key.as_bytes().to_vec(), value.as_bytes().to_vec());
        let mut effects = Effects::of(State::from([entry("a", "1"), entry("b", "2")]));
        effects.state.insert(b"c".to_vec(), b"3".to_vec());
        effects.events.push(Event { topic: "kept".into(), data: Vec::new() });
        effects.asked = Some(9);
        let (state, moment) = (effects.state.all().clone(), effects.moment());
        for value in ["4", "5"] {
            for key in [b"a", b"c", b"d"] {
                effects.state.insert(key.to_vec(), value.into());
            }
            for key in [b"b", b"d", b"e"] {
                effects.state.remove(key);
            }
        }
        effects.events.push(Event { topic: "undone".into(), data: Vec::new() });
        effects.messages.push(abi::ConsensusMessage { kind: None });
        effects.asked = Some(7);
        effects.undo_to(moment);
        assert_eq!(effects.state.all(), &state);
        assert_eq!((effects.events.len(), effects.messages.len(), effects.asked), (1, 0, Some(9)));
        let copy = effects.clone().state.into_all();
        assert_eq!(copy.get(&b"c"[..]), Some(&b"3".to_vec()));
    }
}
