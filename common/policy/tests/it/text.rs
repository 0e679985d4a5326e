//! The text form.

use paralith_policy::{MAX_TEXT_BYTES, Policy, PolicyError};
use proptest::prelude::*;

use crate::{NAMES, at_least, valid_policies};

#[test]
fn texts_are_read_and_written_as_documented() {
    let names = ["org-a", "org-b", "org-c", "org-d"];
    let [a, b, c, d] = [0, 1, 2, 3].map(Policy::Member);
    let any = |x: &Policy, y: &Policy| at_least(1, &[(1, x.clone()), (1, y.clone())]);
    for (text, policy) in [
        ("org-a", a.clone()),
        (
            "2 of (org-a, org-b, any(org-c, org-d))",
            at_least(2, &[(1, a.clone()), (1, b.clone()), (1, any(&c, &d))]),
        ),
        ("3 of (3*org-a, org-b)", at_least(3, &[(3, a.clone()), (1, b.clone())])),
        ("2 of (2*any(org-a, org-b), org-c)", at_least(2, &[(2, any(&a, &b)), (1, c.clone())])),
        ("all(3*org-a, org-b)", at_least(4, &[(3, a.clone()), (1, b.clone())])),
        ("any(org-a)", at_least(1, &[(1, a.clone())])),
        (
            "2 of (org-d, 2*2 of (org-a, org-b, org-c))",
            at_least(2, &[(1, d), (2, at_least(2, &[(1, a), (1, b), (1, c)]))]),
        ),
    ] {
        assert_eq!(Policy::parse(text, &names).as_ref(), Ok(&policy), "{text}");
        assert_eq!(policy.display(&names).to_string(), text);
        let spread: String = text.chars().map(|c| if c == ' ' { '\n' } else { c }).collect();
        let spread = spread.replace(',', " , ").replace('*', " * ").replace('(', " ( ");
        assert_eq!(Policy::parse(&format!(" {spread} "), &names), Ok(policy), "{spread}");
    }
    assert_eq!(Policy::Member(9).display(&names).to_string(), "#9");
}

#[test]
fn texts_that_are_no_policies_say_where() {
    let read = |text: &str| Policy::parse(text, &NAMES).unwrap_err();
    for (text, at) in [
        ("", 1),
        ("  ", 3),
        ("a b-2", 3),
        ("2", 2),
        ("2 a", 3),
        ("2 of a", 6),
        ("2 of (a, )", 10),
        ("2 of (a", 8),
        ("any()", 5),
        ("any(a b-2)", 7),
        ("any(a))", 7),
        ("2*a", 2),
        ("any(*a)", 5),
        ("any(4294967296*a)", 5),
        ("18446744073709551616 of (a)", 1),
        ("any(é, a", 9),
    ] {
        match read(text) {
            PolicyError::Text { at: found, .. } => assert_eq!(found, at, "{text}"),
            PolicyError::UnknownName { name } => assert_eq!(name, "é"),
            other => panic!("{text}: {other}"),
        }
    }
    assert_eq!(read("c"), PolicyError::UnknownName { name: "c".to_string() });
    assert_eq!(read("any(a, a)"), PolicyError::Repeated { member: 0 });
    assert_eq!(read("0 of (a)"), PolicyError::ZeroThreshold);
    assert_eq!(read("any(0*a)"), PolicyError::ZeroWeight);
    assert_eq!(read("any(any(any(any(a))))"), PolicyError::TooDeep { limit: 4 });
    let many = format!("any({})", vec!["a"; 600].join(","));
    assert_eq!(read(&many), PolicyError::TooManyNodes { limit: 512 });
    let deep = "any(".repeat(10_000);
    assert_eq!(read(&deep), PolicyError::TooDeep { limit: 4 });
    let long = " ".repeat(MAX_TEXT_BYTES + 1);
    assert!(matches!(read(&long), PolicyError::TooLarge { .. }));
}

#[test]
fn names_that_the_text_cannot_hold_are_refused() {
    for names in [&[""][..], &["1st"], &["a b"], &["a("], &["a,b"], &["a*"], &["a\n"], &["a", "a"]]
    {
        let refused = Policy::parse("a", names);
        assert!(matches!(refused, Err(PolicyError::BadName { .. })), "{names:?}");
    }
}

#[test]
fn keywords_are_names_where_no_group_follows() {
    let read = |text: &str| Policy::parse(text, &NAMES);
    assert_eq!(read("any"), Ok(Policy::Member(2)));
    let both = at_least(1, &[(1, Policy::Member(2)), (1, Policy::Member(5))]);
    assert_eq!(read("any(any, all)").as_ref(), Ok(&both));
    assert_eq!(read("1 of (any, all)"), Ok(both));
    assert_eq!(
        read("2 of (of, a)"),
        Ok(at_least(2, &[(1, Policy::Member(3)), (1, Policy::Member(0))]))
    );
}

proptest! {
    #[test]
    fn what_is_written_is_read(policy in valid_policies()) {
        let text = policy.display(&NAMES).to_string();
        prop_assert_eq!(Policy::parse(&text, &NAMES), Ok(policy), "{}", text);
    }

    #[test]
    fn any_text_is_a_valid_policy_or_refused(text in "[a(),* 0-9anyoflé]{0,30}|.{0,30}") {
        if let Ok(policy) = Policy::parse(&text, &NAMES) {
            prop_assert_eq!(policy.check(NAMES.len()), Ok(()));
            let written = policy.display(&NAMES).to_string();
            prop_assert_eq!(Policy::parse(&written, &NAMES), Ok(policy));
        }
    }
}
