//! How a node misbehaves on purpose, in tests and on development chains.

use std::str::FromStr;

/// One way to misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Byzantine {
    /// Its trusted side computes another state root; the host hands the lie on.
    WrongRoot,
    /// It never proposes and never votes.
    Silent,
    /// Its votes leave only when the round's timeout has passed.
    Late,
    /// It signs a vote and a failure, and as a scheduler two proposals, and tells each half of its
    /// peers another one.
    Equivocate,
    /// It votes failure, whatever it executed.
    Failure,
    /// As a scheduler it proposes two batches for one rank, each to other members.
    TwoBatches,
    /// As a scheduler it sends header and vote, and gives the batch to nobody.
    WithholdBatch,
    /// Of the votes that it hands to the chain it leaves out one of another member.
    WithholdVote,
}

impl Byzantine {
    /// All of them with their names.
    pub const NAMES: [(&'static str, Self); 8] = [
        ("wrong-root", Self::WrongRoot),
        ("silent", Self::Silent),
        ("late", Self::Late),
        ("equivocate", Self::Equivocate),
        ("failure", Self::Failure),
        ("two-batches", Self::TwoBatches),
        ("withhold-batch", Self::WithholdBatch),
        ("withhold-vote", Self::WithholdVote),
    ];

    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, other)| *other == self).map_or("", |(name, _)| name)
    }

    /// What the trusted side is told at its start.
    pub fn for_trusted(self) -> &'static str {
        match self {
            Self::WrongRoot => self.name(),
            _ => "",
        }
    }

    /// Whether it proposes two batches for one rank.
    pub(crate) fn proposes_twice(self) -> bool {
        matches!(self, Self::Equivocate | Self::TwoBatches)
    }
}

impl FromStr for Byzantine {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::NAMES.iter().find(|(name, _)| *name == text);
        found.map(|(_, byzantine)| *byzantine).ok_or_else(|| {
            let names: Vec<_> = Self::NAMES.iter().map(|(name, _)| *name).collect();
            format!("no such misbehaviour; there are {}", names.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back() {
        for (name, byzantine) in Byzantine::NAMES {
            assert_eq!((name.parse(), byzantine.name()), (Ok(byzantine), name));
        }
        assert!("honest".parse::<Byzantine>().is_err());
    }
}
