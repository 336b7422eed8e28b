//! The alerts judge by findings, whose bounds stand in `overview::bounds`, and by none of their own.

use std::collections::BTreeSet;
use std::fs;

use fixture::workspace::repository;
use overview::finding::{Id, Severity};

/// The kinds that an alert covers by a series that names the slot, which no finding's series does.
const BY_SLOT: &[(Id, &str)] = &[
    (Id::NeedsLogin, "codex_account_needs_login"),
    (Id::OtherAccount, "other_account"),
    (Id::SlotBroken, "unusable"),
    (Id::SlotBlocked, "unusable"),
    (Id::RefreshUnanswered, "codex_account_refresh_unanswered"),
    (Id::RefreshRefused, "codex_account_refresh_failing"),
    (Id::NotStorable, "codex_account_refresh_failing"),
];

/// What each alert judges by.
fn expressions() -> Vec<String> {
    let rules = fs::read_to_string(repository().join("charts/codex-podkit/files/alerts.yaml")).unwrap();
    let expressions: Vec<_> =
        rules.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).map(str::to_owned).collect();
    assert_eq!(expressions.len(), rules.matches("- alert: ").count());
    expressions
}

/// The kinds of findings that the alerts name.
fn named() -> BTreeSet<String> {
    let expressions = expressions();
    let selectors = expressions.iter().flat_map(|expression| expression.split("{id=").skip(1));
    let quoted = selectors.map(|selector| selector.split('"').nth(1).unwrap());
    quoted.flat_map(|names| names.split('|')).map(str::to_owned).collect()
}

#[test]
fn every_finding_that_an_alert_names_can_be_found_without_the_lock() {
    let known = |name: &str| Id::ALL.iter().any(|id| id.name() == name && id.is_seen_without_the_lock());
    let unknown: Vec<_> = named().into_iter().filter(|name| !known(name)).collect();
    assert!(named().len() > 10 && unknown.is_empty(), "{unknown:?}");
}

#[test]
fn every_finding_that_asks_for_a_person_is_an_alert() {
    let (named, expressions) = (named(), expressions());
    let is_covered = |id: Id| {
        let by_slot = BY_SLOT.iter().find(|(of_slot, _)| *of_slot == id).map(|(_, series)| series);
        named.contains(id.name())
            || by_slot.is_some_and(|series| expressions.iter().any(|it| it.contains(series)))
    };
    let asks = Id::ALL.iter().filter(|id| id.severity() > Severity::Notice && id.is_seen_without_the_lock());
    let missing: Vec<_> = asks.filter(|id| !is_covered(**id)).collect();
    assert!(missing.is_empty(), "no alert covers {missing:?}");
}

#[test]
fn no_alert_has_a_bound_of_its_own() {
    for expression in expressions() {
        let outside: String = expression.split('"').step_by(2).collect();
        for bare in ["== 0", "== 1", "> 0"].iter().fold(outside, |rest, bare| rest.replace(bare, "")).chars()
        {
            assert!(!bare.is_ascii_digit() && !"+*/%<>".contains(bare), "a bound in {expression}");
        }
    }
}

/// The names of metrics in an expression.
fn metrics(expression: &str) -> impl Iterator<Item = &str> {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("codex_"))
}

#[test]
fn alerts_and_board_ask_for_metrics_that_are_in_the_docs() {
    // monitoring.rs holds the docs to what is served.
    let docs = fs::read_to_string(repository().join("docs/metrics.md")).unwrap();
    let is_there =
        |name: &&str| docs.contains(&format!("| `{name}`")) || docs.contains(&format!("| `{name}{{"));
    let board = fs::read_to_string(repository().join("charts/codex-podkit/files/dashboard.json")).unwrap();
    let of_board = board.split("\"expr\": \"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned());
    let all: Vec<_> = of_board.chain(expressions()).collect();
    let named: BTreeSet<_> = all.iter().flat_map(|expression| metrics(expression)).collect();
    let missing: Vec<_> = named.iter().filter(|name| !is_there(name)).collect();
    assert!(named.len() > 15 && missing.is_empty(), "{missing:?} of {named:?}");
}
