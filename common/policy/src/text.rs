//! The text form of a policy, for command lines and files.
//!
//! ```text
//! policy = name | "any" group | "all" group | number "of" group
//! group  = "(" item { "," item } ")"
//! item   = [ number "*" ] policy
//! ```
//! `any` is a threshold of 1, `all` one of the sum of the weights. Spaces between words do not
//! matter. A name does not begin with a digit, and has no space and none of `( ) , *`.

use std::collections::BTreeMap;
use std::fmt;
use std::iter::Peekable;
use std::str::Chars;

use crate::tree::count;
use crate::{Policy, PolicyError};

/// Longest text that is read.
pub const MAX_TEXT_BYTES: usize = 64 * 1024;

impl Policy {
    /// Reads the text form. `names` are those of the members, in the order of their indices. What
    /// it gives has passed [`Policy::check`] for these members.
    pub fn parse(text: &str, names: &[&str]) -> Result<Self, PolicyError> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(PolicyError::TooLarge { limit: MAX_TEXT_BYTES, got: text.len() });
        }
        let mut parser =
            Parser { rest: text.chars().peekable(), at: 1, names: index(names)?, nodes: 0 };
        let policy = parser.policy(1)?;
        parser.spaces();
        if parser.rest.peek().is_some() {
            return Err(parser.expected("the end"));
        }
        policy.check(names.len())?;
        Ok(policy)
    }

    /// The text form, with these names for the members. What it writes of a valid policy and valid
    /// names, [`Policy::parse`] reads as the same policy. A member without a name is written as `#`
    /// and its index.
    pub fn display<'a>(&'a self, names: &'a [&'a str]) -> impl fmt::Display + 'a {
        Text { policy: self, names }
    }
}

/// The index of each name.
fn index<'a>(names: &[&'a str]) -> Result<BTreeMap<&'a str, u32>, PolicyError> {
    let mut indices = BTreeMap::new();
    for (member, name) in (0_u32..).zip(names) {
        let bad = |reason| Err(PolicyError::BadName { name: (*name).to_string(), reason });
        if name.is_empty() {
            return bad("it is empty");
        }
        if name.starts_with(|c: char| c.is_ascii_digit()) {
            return bad("it begins with a digit");
        }
        if !name.chars().all(in_name) {
            return bad("it has a space or one of ( ) , *");
        }
        if indices.insert(*name, member).is_some() {
            return bad("two members have it");
        }
    }
    Ok(indices)
}

fn in_name(c: char) -> bool {
    !(c.is_whitespace() || c.is_control() || matches!(c, '(' | ')' | ',' | '*'))
}

struct Parser<'a> {
    rest: Peekable<Chars<'a>>,
    /// Where the next character stands, from 1.
    at: usize,
    names: BTreeMap<&'a str, u32>,
    nodes: usize,
}

impl Parser<'_> {
    fn expected(&self, reason: &'static str) -> PolicyError {
        PolicyError::Text { at: self.at, reason }
    }

    fn next_if(&mut self, wanted: impl Fn(char) -> bool) -> Option<char> {
        let found = self.rest.next_if(|c| wanted(*c));
        if found.is_some() {
            self.at = self.at.saturating_add(1);
        }
        found
    }

    fn spaces(&mut self) {
        while self.next_if(char::is_whitespace).is_some() {}
    }

    fn accept(&mut self, wanted: char) -> bool {
        self.spaces();
        self.next_if(|c| c == wanted).is_some()
    }

    /// A name or keyword; empty if there is none.
    fn word(&mut self) -> String {
        self.spaces();
        std::iter::from_fn(|| self.next_if(in_name)).collect()
    }

    /// A number, if one begins here.
    fn number(&mut self) -> Result<Option<u64>, PolicyError> {
        self.spaces();
        let at = self.at;
        let digits: String = std::iter::from_fn(|| self.next_if(|c| c.is_ascii_digit())).collect();
        if digits.is_empty() {
            return Ok(None);
        }
        let too_large = PolicyError::Text { at, reason: "a number of at most 64 bits" };
        digits.parse().map(Some).map_err(|_| too_large)
    }

    fn policy(&mut self, depth: usize) -> Result<Policy, PolicyError> {
        let number = self.number()?;
        self.after_number(number, depth)
    }

    /// A policy of which the number at the start, if there is one, is read already.
    fn after_number(&mut self, number: Option<u64>, depth: usize) -> Result<Policy, PolicyError> {
        count(depth, &mut self.nodes)?;
        let at = {
            self.spaces();
            self.at
        };
        let word = self.word();
        if let Some(weight) = number {
            if word != "of" {
                return Err(PolicyError::Text { at, reason: "\"of\" after a number, or \"*\"" });
            }
            return Ok(Policy::AtLeast { weight, of: self.group(depth)? });
        }
        self.spaces();
        let opens = self.rest.peek() == Some(&'(');
        match word.as_str() {
            "any" if opens => Ok(Policy::AtLeast { weight: 1, of: self.group(depth)? }),
            "all" if opens => {
                let of = self.group(depth)?;
                Ok(Policy::AtLeast { weight: sum(&of), of })
            }
            "" => Err(PolicyError::Text { at, reason: "a name, \"any\", \"all\" or a number" }),
            name => match self.names.get(name) {
                Some(member) => Ok(Policy::Member(*member)),
                None => Err(PolicyError::UnknownName { name: word }),
            },
        }
    }

    fn group(&mut self, depth: usize) -> Result<Vec<(u32, Policy)>, PolicyError> {
        if !self.accept('(') {
            return Err(self.expected("\"(\""));
        }
        let mut items = Vec::new();
        loop {
            items.push(self.item(depth.saturating_add(1))?);
            if self.accept(')') {
                return Ok(items);
            }
            if !self.accept(',') {
                return Err(self.expected("\",\" or \")\""));
            }
        }
    }

    fn item(&mut self, depth: usize) -> Result<(u32, Policy), PolicyError> {
        let at = {
            self.spaces();
            self.at
        };
        let number = self.number()?;
        if let Some(weight) = number
            && self.accept('*')
        {
            let too_large = PolicyError::Text { at, reason: "a weight of at most 32 bits" };
            let weight = u32::try_from(weight).map_err(|_| too_large)?;
            return Ok((weight, self.policy(depth)?));
        }
        Ok((1, self.after_number(number, depth)?))
    }
}

fn sum(of: &[(u32, Policy)]) -> u64 {
    of.iter().map(|(weight, _)| u64::from(*weight)).fold(0, u64::saturating_add)
}

struct Text<'a> {
    policy: &'a Policy,
    names: &'a [&'a str],
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (weight, of) = match self.policy {
            Policy::Member(member) => {
                let name = usize::try_from(*member).ok().and_then(|at| self.names.get(at));
                return match name {
                    Some(name) => f.write_str(name),
                    None => write!(f, "#{member}"),
                };
            }
            Policy::AtLeast { weight, of } => (*weight, of),
        };
        match weight {
            1 => f.write_str("any(")?,
            all if all == sum(of) => f.write_str("all(")?,
            weight => write!(f, "{weight} of (")?,
        }
        for (at, (weight, policy)) in of.iter().enumerate() {
            if at > 0 {
                f.write_str(", ")?;
            }
            if *weight != 1 {
                write!(f, "{weight}*")?;
            }
            write!(f, "{}", Text { policy, names: self.names })?;
        }
        f.write_str(")")
    }
}
