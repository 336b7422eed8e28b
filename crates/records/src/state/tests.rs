use serde_json::json;

use super::*;
use crate::grant::Grant;
use crate::{Login, Secret};

fn ours(text: &str) -> State {
    match State::parse(text.as_bytes()).unwrap() {
        Parsed::Ours(state) => *state,
        Parsed::Predecessors(_) => panic!("taken for the predecessor's"),
    }
}

#[test]
fn reads_back_what_it_wrote_and_keeps_what_it_does_not_know() {
    let state = ours(
        r#"{"version": 1, "active": {"account_id": "acct-A", "user_id": "user-A", "slot": 2,
            "since": "2026-11-23T12:32:55.123Z"}, "later": [1], "accounts": [{"account_id": "acct-A",
            "user_id": "user-A", "cooldown": {"until": "2026-11-23T15:00:00Z", "kind": "usage_cap",
            "source": "resets_at"}, "needs_login": {"grant": "0011", "since": 1795439575, "code": "x"}}]}"#,
    );
    assert_eq!(state.active.as_ref().unwrap().slot.to_string(), "account-2");
    assert_eq!(state.accounts.len(), 1);
    assert_eq!(State::parse(&state.to_bytes()).unwrap(), Parsed::Ours(Box::new(state.clone())));
    let text = String::from_utf8(state.to_bytes()).unwrap();
    assert!(text.contains(r#""later":[1]"#) && text.ends_with("}\n"), "{text}");
}

#[test]
fn tells_a_newer_and_a_broken_one_apart() {
    let parse = |text: &str| State::parse(text.as_bytes()).unwrap_err();
    assert_eq!(parse(r#"{"version": 2}"#), NotAState::Newer(2));
    for text in ["{", "[]", "null", "7", "", "{} x"] {
        assert!(matches!(parse(text), NotAState::Broken(_)), "{text}");
    }
    assert_eq!(ours("{}"), State::default());
}

/// A state with every field, and with two accounts.
fn full() -> Value {
    let account = |name: &str, year: u32| {
        let time = |month: u32| format!("{year}-{month:02}-01T00:00:00.000Z");
        json!({"account_id": name, "user_id": format!("user-{name}"), "later": {"kept": name},
            "cooldown": {"until": time(1), "kind": "transient", "source": "headers"},
            "parked": {"until": time(2), "reason": format!("for {name}")},
            "needs_login": {"grant": format!("dead-{name}"), "since": time(3), "code": format!("code_{year}")},
            "refresh_refused": {"code": format!("odd_{name}"), "since": time(9)}, "refusals": {"times": 3, "at": time(10)},
            "not_storable": format!("busy {name}"), "not_prolonged": format!("late-{name}"),
            "came_from": {"account_id": format!("old-{name}"), "user_id": "u"},
            "refreshing_after_401": format!("asked-{name}"), "refresh_failed": time(4), "next_reset": time(5),
            "refreshed_after_401": format!("401-{name}"), "plan": {"plan": format!("pro {year}"), "at": time(6)},
            "usage": {"at": time(7), "windows": [
                {"minutes": 300, "used_percent": 10.5, "resets_at": time(8)},
                {"minutes": 10080, "used_percent": 11.5, "resets_at": time(9)}]}})
    };
    json!({"version": 1, "later": ["x"], "handled_signals": ["first", "second"],
        "pin": {"account_id": "acct-P", "user_id": "user-P"},
        "active": {"account_id": "acct-A", "user_id": "user-A", "slot": 2, "since": "2026-11-18T15:00:00.000Z"},
        "lanes": [{"lane": 3, "account_id": "acct-L", "user_id": "user-L", "slot": 4, "since": "2026-11-19T15:00:00.000Z"}],
        "accounts": [account("ann", 2030), account("ben", 2031)],
        "counters": {"refreshes": {"refreshed": {"expiring": 7}}, "rotations": {"switched": {"tick": 8, "first": 9}}}})
}

fn rewritten(document: &Value) -> Value {
    serde_json::from_slice(&ours(&document.to_string()).to_bytes()).unwrap()
}

/// Every value below a value, with its JSON pointer.
fn all<'a>(value: &'a Value, at: &str) -> Vec<(String, &'a Value)> {
    let below: Vec<_> = match value {
        Value::Object(fields) => fields.iter().map(|(key, value)| (format!("{at}/{key}"), value)).collect(),
        Value::Array(values) => {
            (0..).zip(values).map(|(n, value): (u32, _)| (format!("{at}/{n}"), value)).collect()
        }
        _ => Vec::new(),
    };
    below.into_iter().flat_map(|(at, value)| [vec![(at.clone(), value)], all(value, &at)].concat()).collect()
}

fn leaves(value: &Value) -> Vec<String> {
    let is_leaf = |value: &Value| !value.is_object() && !value.is_array();
    all(value, "")
        .into_iter()
        .map(|(_, value)| value)
        .chain([value])
        .filter(|v| is_leaf(v))
        .map(Value::to_string)
        .collect()
}

/// What is lost once this value makes no sense: the value itself, or the part that means nothing without it.
fn part(pointer: &str) -> &str {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let is_needed = match name {
        "account_id" | "user_id" | "grant" | "windows" | "minutes" | "used_percent" | "lane" => true,
        "until" => parent.ends_with("/cooldown"),
        "at" => parent.ends_with("/usage"),
        "plan" => parent.ends_with("/plan"),
        _ => false,
    };
    if is_needed { parent } else { pointer }
}

#[test]
fn a_value_that_makes_no_sense_costs_itself_and_no_other() {
    let full = full();
    assert_eq!(rewritten(&full), full);
    let pointers: Vec<_> = all(&full, "").into_iter().map(|(pointer, _)| pointer).collect();
    assert!(pointers.len() > 80, "{pointers:?}");
    for pointer in &pointers {
        let may_go = leaves(full.pointer(part(pointer)).unwrap());
        for junk in [json!("a word of later"), json!(-1.5), json!([[]]), json!({"x": {}}), json!(null)] {
            let mut damaged = full.clone();
            *damaged.pointer_mut(pointer).unwrap() = junk.clone();
            let mut left = leaves(&rewritten(&damaged));
            for leaf in leaves(&full) {
                match left.iter().position(|other| *other == leaf) {
                    Some(at) => drop(left.swap_remove(at)),
                    None => assert!(may_go.contains(&leaf), "{pointer} is {junk}, and {leaf} is lost"),
                }
            }
        }
    }
}

#[test]
fn an_unknown_word_is_read_as_the_careful_one() {
    let mut document = full();
    document["accounts"][0]["cooldown"]["kind"] = json!("lunar");
    document["accounts"][0]["cooldown"]["source"] = json!(7);
    document["accounts"][0]["needs_login"]["code"] = json!(null);
    document["active"]["slot"] = json!(0);
    let state = ours(&document.to_string());
    let account_state = state.accounts.values().next().unwrap();
    let cooldown = account_state.cooldown.as_ref().unwrap();
    assert_eq!((cooldown.kind, cooldown.source), (CooldownKind::UsageCap, CooldownSource::Floor));
    assert_eq!(cooldown.until.to_string(), "2030-01-01T00:00:00Z");
    assert_eq!(account_state.needs_login.as_ref().unwrap().code, "unknown");
    assert_eq!(state.active.unwrap().slot, Slot::FIRST);
}

#[test]
fn ten_thousand_capped_accounts_can_be_read_back() {
    let full = full();
    let entry = |number: u32| {
        let mut entry = full["accounts"][0].clone();
        entry["account_id"] = json!(format!("{number:08}-0000-0000-0000-000000000000"));
        entry["user_id"] = json!(format!("user-{number:024}"));
        entry
    };
    let document = json!({"version": 1, "accounts": (0..10_000).map(entry).collect::<Vec<_>>()});
    let state = ours(&document.to_string());
    assert_eq!(state.accounts.len(), 10_000);
    let bytes = state.to_bytes();
    assert!(bytes.len() as u64 * 3 / 2 < LARGEST, "{} bytes", bytes.len());
    assert_eq!(State::parse(&bytes).unwrap(), Parsed::Ours(Box::new(state)));
}

#[test]
fn names_of_signals_do_not_pile_up() {
    let mut state = State { handled_signals: vec!["x".repeat(255); 100_000], ..State::default() };
    state.tidy(Timestamp::from_seconds(1));
    assert_eq!(state.handled_signals.len(), MOST_HANDLED);
}

#[test]
fn a_reported_plan_has_a_few_printable_characters_and_counts_until_a_newer_token() {
    let reported = |plan: &str| ReportedPlan::new(plan, Timestamp::from_seconds(100));
    assert_eq!(reported(" pro\u{202e}\n").unwrap().name(), "pro");
    assert_eq!(reported("x\u{1b}y").unwrap().name(), "x y");
    for nothing in ["", " ", "\u{feff}", &"x".repeat(33)] {
        assert_eq!(reported(nothing), None, "{nothing:?}");
    }
    let mut login = Login::from_tokens(Secret::new("at"), None, None, Some("a")).unwrap();
    let pro = reported("pro").unwrap();
    assert!(pro.is_newer_than(&login), "a token that does not say when it was made");
    for (issued, is_newer) in [(99, true), (100, false), (101, false)] {
        login.issued = Some(Timestamp::from_seconds(issued));
        assert_eq!(pro.is_newer_than(&login), is_newer, "{issued}");
    }
    let account = AccountId { account_id: "a".into(), user_id: None };
    let mut state = State::default();
    state.accounts.insert(account, AccountState { plan: Some(pro), ..AccountState::default() });
    state.tidy(Timestamp::from_seconds(100 + 29 * 86_400));
    assert_eq!(state.accounts.len(), 1);
    state.tidy(Timestamp::from_seconds(100 + 30 * 86_400));
    assert!(state.accounts.is_empty());
}

#[test]
fn takes_the_predecessors_slots_and_cooldowns() {
    let text = r#"{"last_index": 1, "last_label": "account-2", "timestamp": 1, "cooldowns":
        {"account-1": 1795439575.5, "account-3": "soon", "x": 5}}"#;
    let Ok(Parsed::Predecessors(found)) = State::parse(text.as_bytes()) else {
        panic!("not the predecessor's")
    };
    assert_eq!(found.last.unwrap().number(), 2);
    assert_eq!(found.cooldowns.len(), 1);
    assert_eq!(found.cooldowns[&Slot::FIRST].seconds(), 1_795_439_575);
}

#[test]
fn what_time_has_settled_is_forgotten() {
    let account = AccountId { account_id: "acct-A".into(), user_id: None };
    let until = Timestamp::from_seconds(100);
    let cooldown = Some(Cooldown { until, kind: CooldownKind::UsageCap, source: CooldownSource::Floor });
    let mut state = State::default();
    state
        .accounts
        .insert(account, AccountState { cooldown, next_reset: Some(until), ..AccountState::default() });
    state.tidy(Timestamp::from_seconds(99));
    assert_eq!(state.accounts.len(), 1);
    state.tidy(until);
    assert!(state.accounts.is_empty());
}

#[test]
fn a_new_login_resets_everything_but_what_the_operator_said() {
    let account = AccountId { account_id: "acct-A".into(), user_id: None };
    let mut state = State::default();
    let parked = AccountState { parked: Some(Parked::default()), ..AccountState::default() };
    let grant = Grant::of(&Secret::new("rt"));
    state.accounts.insert(account.clone(), AccountState { not_prolonged: Some(grant), ..parked.clone() });
    state.reset_after_login(&account);
    assert_eq!(state.account_state(&account), parked);
    assert!(state.unpark(&account) && !state.unpark(&account));
    assert!(state.accounts.is_empty(), "nothing known is not written down");
}
