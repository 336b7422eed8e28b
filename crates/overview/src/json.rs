//! The overview for scripts: version 1 of the schema that `docs/scripts.md` documents. Fields are added, never changed.

use records::state::{Cooldown, Parked};
use records::{Naming, text};
use serde_json::{Value, json};

use crate::finding::Finding;
use crate::trouble::Trouble;
use crate::{AccountInfo, Overview, Published, Row, SlotState};

/// The overview and the findings as one document, with every text in it printable.
#[must_use]
pub fn document(overview: &Overview, findings: &[Finding]) -> Value {
    let Overview { at, naming, rows, published, exhausted_at, agents, .. } = overview;
    let active = if let Published::Account(slot) = published { json!(slot) } else { Value::Null };
    let published = match published {
        Published::Account(_) => "account",
        Published::Unknown => "unknown_account",
        Published::Placeholder => "placeholder",
        Published::Nothing => "nothing",
        Published::Foreign(_) => "foreign",
    };
    let accounts: Vec<_> = rows.iter().map(|row| account(row, *naming)).collect();
    let findings: Vec<_> = findings.iter().map(Finding::document).collect();
    text::document(
        json!({"version": 1, "at": at, "active": active, "published": published, "exhausted_at": exhausted_at, "accounts": accounts, "agents": agents, "findings": findings}),
    )
}

fn account(row: &Row, naming: Naming) -> Value {
    let Row { slot, who, state: slot_state, is_active, lanes, is_pinned, is_due, troubles } = row;
    let (cooldown, parked, why) = details(slot_state);
    let who_field = |get: fn(&AccountInfo) -> Value| who.as_ref().map_or(Value::Null, get);
    let mut account = json!({
        "slot": slot,
        "identity": who_field(|who| json!(who.name)),
        "plan": who_field(|who| json!(who.plan)),
        "state": state(row),
        "active": is_active,
        "lanes": lanes,
        "pinned": is_pinned,
        "refresh_due": is_due,
        "why": why,
        "cooldown": cooldown,
        "parked": parked,
        "expires_at": who_field(|who| json!(who.expiry)),
        "last_refresh": who_field(|who| json!(who.last_refresh)),
        "usage": who_field(|who| json!(who.usage)),
        "families": who_field(|who| json!(who.families)),
        "models": who_field(|who| json!(who.models)),
        "reserved_until": if let SlotState::Reserved(until) = slot_state { json!(until) } else { Value::Null },
        "needs_login": Value::Null,
        "refresh_unanswered": Value::Null,
        "refresh_refused": Value::Null,
        "not_storable": Value::Null,
    });
    for (name, value) in troubles.iter().map(trouble) {
        account[name] = value;
    }
    if naming == Naming::InFull {
        account["account_id"] = who_field(|who| json!(who.account.as_ref().map(|it| &it.account_id)));
        account["user_id"] = who_field(|who| json!(who.account.as_ref().and_then(|it| it.user_id.as_ref())));
    }
    account
}

/// What there is to say of a state: the cooldown, the park, or why.
fn details(state: &SlotState) -> (Value, Value, Value) {
    match state {
        SlotState::Capped(Cooldown { until, kind, source }) => {
            (json!({"until": until, "kind": kind, "source": source}), Value::Null, Value::Null)
        }
        SlotState::Parked(Parked { until, reason }) => {
            (Value::Null, json!({"until": until, "reason": reason}), Value::Null)
        }
        SlotState::NeedsLogin(why) => (Value::Null, Value::Null, json!(why)),
        SlotState::Unusable(broken) => (Value::Null, Value::Null, json!(broken.why)),
        SlotState::OtherAccount(from) => {
            let why = format!("its last refresh answered for another account than {from}");
            (Value::Null, Value::Null, json!(why))
        }
        SlotState::Duplicate(other) => {
            (Value::Null, Value::Null, json!(format!("the same account as {other}")))
        }
        SlotState::Ready | SlotState::RefreshDue | SlotState::Reserved(_) => {
            (Value::Null, Value::Null, Value::Null)
        }
    }
}

/// What keeps a login from being refreshed, in a field for each kind.
fn trouble(trouble: &Trouble) -> (&'static str, Value) {
    match trouble {
        Trouble::NeedsLogin { code, until } => ("needs_login", json!({"code": code, "serves_until": until})),
        Trouble::Unanswered { since, until } => {
            ("refresh_unanswered", json!({"since": since, "serves_until": until}))
        }
        Trouble::Refused { code, since } => ("refresh_refused", json!({"code": code, "since": since})),
        Trouble::NotStorable(why) => ("not_storable", json!(why)),
    }
}

/// The state of a slot in one word; `active` is a ready account that serves.
#[must_use]
pub fn state(row: &Row) -> &'static str {
    match row.state {
        SlotState::Ready if row.is_active => "active",
        SlotState::Ready => "ready",
        SlotState::Capped(_) => "capped",
        SlotState::Parked(_) => "parked",
        SlotState::Reserved(_) => "reserved",
        SlotState::RefreshDue => "refresh_due",
        SlotState::NeedsLogin(_) => "needs_login",
        SlotState::OtherAccount(_) => "other_account",
        SlotState::Duplicate(_) => "duplicate",
        SlotState::Unusable(_) => "unusable",
    }
}
