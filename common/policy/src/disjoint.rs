//! Two disjoint sets that both satisfy a policy: then two decisions can contradict each other and
//! nobody has signed both.

use crate::{Members, Policy};

/// How many steps a command spends on the search.
pub const DISJOINT_STEPS: u64 = 1_000_000;

/// What the search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disjoint {
    /// Two sets, from which nobody can be left out.
    Found(Members, Members),
    /// There are no two such sets.
    Impossible,
    /// The steps were used up before.
    Unknown,
}

impl Policy {
    /// Searches for two disjoint sets of members that both satisfy it. A step looks at each node
    /// once.
    #[must_use]
    pub fn find_disjoint(&self, steps: u64) -> Disjoint {
        let members: Vec<u32> = self.members().iter().collect();
        let tree = Node::new(self, &members);
        let mut search = Search { tree, sides: vec![None; members.len()], steps };
        match search.go(0) {
            Some(true) => {
                let side = |wanted: bool| {
                    let sides = members.iter().zip(&search.sides);
                    let on_it = sides.filter(|(_, side)| side.unwrap_or(true) == wanted);
                    self.least(on_it.map(|(member, _)| *member).collect())
                };
                Disjoint::Found(side(false), side(true))
            }
            Some(false) => Disjoint::Impossible,
            None => Disjoint::Unknown,
        }
    }

    /// Takes everybody out of a set that satisfies it without whom it still does.
    fn least(&self, set: Members) -> Members {
        let mut least = set.clone();
        for member in set.iter() {
            least.remove(member);
            if !self.satisfied(&least) {
                least.insert(member);
            }
        }
        least
    }
}

/// The policy with members numbered by their place in the search.
enum Node {
    Member(usize),
    /// The index of a member that nobody has.
    Nobody,
    AtLeast(u64, Vec<(u64, Node)>),
}

impl Node {
    fn new(policy: &Policy, members: &[u32]) -> Self {
        match policy {
            Policy::Member(member) => {
                members.binary_search(member).map_or(Self::Nobody, Self::Member)
            }
            Policy::AtLeast { weight, of } => {
                let of = of.iter().map(|(weight, p)| (u64::from(*weight), Self::new(p, members)));
                Self::AtLeast(*weight, of.collect())
            }
        }
    }

    /// What can still be reached: by the left side, by the right side, by both at once. The last is
    /// an upper bound while sides are undecided, and exact when all are decided.
    fn reachable(&self, sides: &[Option<bool>]) -> [bool; 3] {
        match self {
            Self::Nobody => [false; 3],
            Self::Member(member) => match sides.get(*member).copied().flatten() {
                None => [true, true, false],
                Some(right) => [!right, right, false],
            },
            Self::AtLeast(weight, of) => {
                let [mut left, mut right, mut both] = [0_u64; 3];
                for (weight, child) in of {
                    let [l, r, b] = child.reachable(sides);
                    let add = |sum: &mut u64, times: bool| {
                        *sum = sum.saturating_add(if times { *weight } else { 0 });
                    };
                    add(&mut left, l);
                    add(&mut right, r);
                    // A child gives its weight to one side, or to both if it can be split.
                    add(&mut both, l || r);
                    add(&mut both, b);
                }
                let (l, r) = (left >= *weight, right >= *weight);
                [l, r, l && r && both >= weight.saturating_mul(2)]
            }
        }
    }
}

struct Search {
    tree: Node,
    /// Left (false), right (true) or undecided, by member.
    sides: Vec<Option<bool>>,
    steps: u64,
}

impl Search {
    /// Decides the members from this one on. `None`: no steps are left.
    fn go(&mut self, from: usize) -> Option<bool> {
        self.steps = self.steps.checked_sub(1)?;
        if !self.tree.reachable(&self.sides)[2] {
            return Some(false);
        }
        if from == self.sides.len() {
            return Some(true);
        }
        // Both sides are alike, so the first member goes to the left.
        let choices = if from == 0 { &[false][..] } else { &[false, true][..] };
        for side in choices {
            self.set(from, Some(*side));
            if self.go(from.saturating_add(1))? {
                return Some(true);
            }
        }
        self.set(from, None);
        Some(false)
    }

    fn set(&mut self, member: usize, side: Option<bool>) {
        if let Some(place) = self.sides.get_mut(member) {
            *place = side;
        }
    }
}
