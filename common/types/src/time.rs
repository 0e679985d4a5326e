//! Counters of time. The chain has no other clock: every timer counts one of these.

use std::fmt;

macro_rules! counter {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        #[derive(serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// The next one, or the largest if there is none.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }

            /// This many later, or the largest if there is none.
            #[must_use]
            pub const fn plus(self, count: u64) -> Self {
                Self(self.0.saturating_add(count))
            }

            /// This many earlier, or zero.
            #[must_use]
            pub const fn minus(self, count: u64) -> Self {
                Self(self.0.saturating_sub(count))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

counter! {
    /// A consensus block's height. The first block has height 1; 0 is the genesis state.
    Height
}
counter! {
    /// An epoch: the interval of blocks between two elections. The first is 0.
    Epoch
}
counter! {
    /// A ParaTime's block number. Round 0 is its genesis block.
    Round
}
