//! Whether a definition is one, and what its terms allow.

use std::collections::BTreeSet;

use paralith_policy::Members;
use paralith_private_contract_messages::{
    ContentHash, Definition, MAX_BATCH, MAX_BLOCKS, MAX_CONTENT_BYTES, MAX_ISSUERS, MAX_MEMBERS,
    MAX_ORIGINS, MAX_TEXT_BYTES, MIN_VOTE_BLOCKS, Terms,
};

/// What is wrong with a definition, whatever its version; `None`: nothing.
#[must_use]
pub fn fault(definition: &Definition) -> Option<&'static str> {
    let Definition { issuers, members, policy, terms, .. } = definition;
    if members.is_empty() || members.len() > MAX_MEMBERS {
        return Some("a contract has 1 to 256 members");
    }
    if members.iter().collect::<BTreeSet<_>>().len() != members.len() {
        return Some("a member is listed twice");
    }
    if issuers.len() > MAX_ISSUERS || issuers.iter().collect::<BTreeSet<_>>().len() != issuers.len()
    {
        return Some("a contract has at most 64 issuers, none of them twice");
    }
    if policy.check(members.len()).is_err() {
        return Some("the policy is not valid over the members");
    }
    terms_fault(terms, members.len())
}

fn terms_fault(terms: &Terms, members: usize) -> Option<&'static str> {
    let blocks =
        [terms.fetch_blocks, terms.vote_blocks, terms.retention_blocks, terms.dormant_blocks];
    if blocks.iter().any(|blocks| *blocks > MAX_BLOCKS) {
        return Some("a term is longer than 100,000,000 blocks");
    }
    if terms.fetch_blocks == 0 || terms.vote_blocks < MIN_VOTE_BLOCKS {
        return Some("fetch_blocks is at least 1, vote_blocks at least 8");
    }
    // A member that leaves may still vote in the open batch: its bond is held that long.
    if terms.retention_blocks < terms.fetch_blocks.saturating_add(terms.vote_blocks) {
        return Some("retention_blocks is at least fetch_blocks + vote_blocks");
    }
    if terms.max_batch == 0 || terms.max_batch > MAX_BATCH {
        return Some("max_batch is 1 to 64");
    }
    if terms.max_content_bytes == 0 || terms.max_content_bytes > MAX_CONTENT_BYTES {
        return Some("max_content_bytes is 1 to 1,048,576");
    }
    if terms.slash > terms.bond {
        return Some("slash is at most the bond");
    }
    if usize::try_from(terms.min_receipts).is_ok_and(|receipts| receipts > members) {
        return Some("min_receipts is at most the number of members");
    }
    let origins_fit = terms.origins.iter().all(|origin| origin_allowed(origin));
    if terms.origins.len() > MAX_ORIGINS || !origins_fit {
        return Some(
            "at most 16 origins, each an http or https URL of at most 255 bytes without a `/` at its end",
        );
    }
    None
}

fn origin_allowed(origin: &str) -> bool {
    let rest = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty())
        && origin.len() <= MAX_TEXT_BYTES
        && !origin.ends_with('/')
        && origin.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether the definition after this one leaves a member out, so that it needs another `group_secret`.
#[must_use]
pub fn drops_a_member(before: &Definition, gone: &Members, after: &Definition) -> bool {
    let kept: BTreeSet<_> = after.members.iter().collect();
    let lost = |(index, member)| gone.contains(index) || !kept.contains(member);
    (0_u32..).zip(&before.members).any(lost)
}

/// The URI of a content at an origin.
#[must_use]
pub fn uri(origin: &str, content_hash: &ContentHash) -> String {
    format!("{origin}/data/{}", content_hash.to_hex())
}

/// Whether a content may be fetched from this URI: nothing outside of the terms is contacted. An empty one
/// stands for the members.
#[must_use]
pub fn uri_allowed(terms: &Terms, content_hash: &ContentHash, of_sender: &str) -> bool {
    terms.origins.iter().any(|origin| uri(origin, content_hash) == of_sender)
}
