//! t01: what organisations decide together. That approvals lapse after ten epochs, and that an enclave with
//! another module cannot register: `consensus/app/tests/it/{decisions,tee}.rs`.

use e2e::cli;
use serde_json::json;

use crate::net::{SECRETS, done, text, tweaked};
use crate::shared::on_chain;

#[test]
fn t01_two_of_three_organisations_approve_and_nobody_alone() {
    on_chain(async |net| {
        let node = net.node();
        let proposed = net.propose(SECRETS, "bob");
        let (id, descriptor) = (text(&proposed["runtime"]), text(&proposed["descriptor"]));
        let active = || cli(node, &["chaincode", "status", &id]).success;
        let approve =
            |who: &str, what: &str| done(node, &["runtime", "approve", &id, what, "--from", who]);
        assert!(!active(), "it is only proposed");
        // The owner is an organisation, too: alone it changes nothing.
        approve("bob", &descriptor);
        assert!(!active(), "approved by its owner alone");
        done(node, &["runtime", "approve", &id, "--withdraw", "--from", "bob"]);
        approve("carol", &descriptor);
        assert!(!active(), "the owner's approval was withdrawn");
        // Another descriptor in the place of the first: who approved that one has not approved this.
        let other = net.propose_id(&tweaked(SECRETS), "bob", &id);
        approve("bob", &other);
        assert!(!active(), "carol has approved another descriptor");
        let stranger = cli(node, &["runtime", "approve", &id, &other, "--from", "erin"]);
        assert!(!stranger.success && stranger.error.contains("registry 27"), "{}", stranger.error);
        approve("dave", &other);
        assert!(active(), "approved by bob and dave");
        let code = paralith::network::code_of(&tweaked(SECRETS)).id;
        assert_eq!(done(node, &["chaincode", "status", &id])["code"], json!(code));
    });
}
