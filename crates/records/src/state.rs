//! What the rotator remembers from one pass to the next, by account and never by slot.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};
use thiserror::Error;

use self::read::Fields;
use crate::counters::Counters;
use crate::grant::Grant;
use crate::text::printable;
use crate::usage::Usage;
use crate::{AccountId, Login, Slot, Timestamp};

mod read;

/// The version this program writes.
const VERSION: u32 = 1;

/// The largest state that is read: three times what 10,000 capped accounts need.
pub const LARGEST: u64 = 16 << 20;

/// How many names of signals are remembered. What is beyond them is heard once more, should the pass die.
const HEARD: usize = 1000;

/// How long a plan that was told counts: no access token is as old, and its claims know better.
const PLAN: Duration = Duration::from_hours(30 * 24);

/// The longest name of a plan, in characters.
const LONGEST_PLAN: usize = 32;

/// The content of `rotator_state.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct State {
    version: u32,
    /// Whose record is published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<Active>,
    /// The signals of the last pass that had any, by the names under which they were taken: should it die before
    /// they are removed, they are not heard again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub heard: Vec<String>,
    /// The account that the operator wants whenever it can be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pin: Option<AccountId>,
    /// What is known of each account, beside its login.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", serialize_with = "as_list")]
    pub accounts: BTreeMap<AccountId, AccountState>,
    /// How often what happened.
    #[serde(skip_serializing_if = "Counters::is_empty")]
    pub counters: Counters,
    /// What a later release of the same version added: kept.
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// The account in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Active {
    /// Who.
    #[serde(flatten)]
    pub account: AccountId,
    /// Where its login was when it became active.
    pub slot: Slot,
    /// Since when.
    pub since: Timestamp,
}

/// What is known of an account, beside its login.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AccountState {
    /// It was refused for its usage, and is better left alone for a while.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cooldown: Option<Cooldown>,
    /// The operator put it aside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parked: Option<Parked>,
    /// Its grant is dead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub needs_login: Option<NeedsLogin>,
    /// A refresh was asked for with this grant, and no answer came: read from states that were written before grants
    /// had markers of their own.
    #[serde(skip_serializing)]
    pub unanswered: Option<Grant>,
    /// When a refresh last failed without saying anything of the grant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_failed: Option<Timestamp>,
    /// The issuer refuses to refresh it, by a code that is not known to end a grant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_refused: Option<RefreshRefused>,
    /// Why a new login of it could not be stored, so that none is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_storable: Option<String>,
    /// The grant that came of a refresh whose access token ends as soon as the one before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_prolonged: Option<Grant>,
    /// It came of a refresh of another account's login: a person must say whether that is right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub came_from: Option<AccountId>,
    /// The grant whose access token the provider refused, and that is refreshed because of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refreshing_after_401: Option<Grant>,
    /// The provider refused its access token, also after a refresh.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
    /// When one of its usage windows resets next, as far as signals told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_reset: Option<Timestamp>,
    /// How much of its usage it has used up, as far as signals told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// The subscription, as the provider last told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<ReportedPlan>,
    /// The grant that came of a refresh because of a 401: another 401 is not worth another refresh.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refreshed_after_401: Option<Grant>,
    /// What a later release of the same version added: kept.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// A subscription, as the provider told it of an account: an upgrade is known to it before it is in a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReportedPlan {
    plan: String,
    at: Timestamp,
}

impl ReportedPlan {
    /// A plan by this name, told at that time: printable, short, and not nothing.
    #[must_use]
    pub fn new(plan: &str, at: Timestamp) -> Option<Self> {
        let plan = printable(plan).trim().to_owned();
        let fits = !plan.is_empty() && plan.chars().count() <= LONGEST_PLAN;
        fits.then_some(Self { plan, at })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.plan
    }

    /// Whether it was told after the login's token was made, which says the plan of then.
    #[must_use]
    pub fn is_newer_than(&self, login: &Login) -> bool {
        login.issued.or(login.last_refresh).is_none_or(|issued| self.at > issued)
    }
}

/// How often in a row the provider refused an account's access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// How often.
    pub times: u32,
    /// When last.
    pub at: Timestamp,
}

/// The issuer refuses to refresh a grant, and does not say that it has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefreshRefused {
    /// By this code, the same each time.
    pub code: String,
    /// Since when.
    pub since: Timestamp,
}

/// Until when an account is left alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cooldown {
    /// The time it comes back.
    pub until: Timestamp,
    /// What kind of refusal it was.
    pub kind: Kind,
    /// Who said until when.
    pub source: Source,
}

/// `2026-11-23T15:00:00Z (usage cap, resets_at)`
impl fmt::Display for Cooldown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::UsageCap => "usage cap",
            Kind::Transient => "transient",
            Kind::Refused => "refused",
        };
        let source = match self.source {
            Source::ResetsAt => "resets_at",
            Source::Headers => "headers",
            Source::Floor => "floor",
            Source::Predecessor => "predecessor",
        };
        write!(f, "{} ({kind}, {source})", self.until)
    }
}

/// Why an account was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Its usage window is used up.
    UsageCap,
    /// A burst, or trouble that passes.
    Transient,
    /// Its access token was refused.
    Refused,
}

/// Where the end of a cooldown comes from, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The provider's `resets_at` or `resets_in_seconds`.
    ResetsAt,
    /// The `x-codex-*` headers.
    Headers,
    /// Nobody said: our own floor.
    Floor,
    /// The predecessor's state.
    Predecessor,
}

/// An account that the operator put aside.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Parked {
    /// Until when; for good without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// The operator's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// An account whose grant will never work again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NeedsLogin {
    /// The grant it is about: a new login has another one.
    pub grant: Grant,
    /// Since when.
    pub since: Timestamp,
    /// The issuer's code, such as `refresh_token_reused`.
    pub code: String,
    /// The provider refuses its access token, too: it serves nobody until its end.
    #[serde(default, skip_serializing_if = "is_false")]
    pub refused: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_false(it: &bool) -> bool {
    !*it
}

/// Why a file is not a state of ours.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NotAState {
    /// It is no JSON object.
    #[error("not a state file ({0})")]
    Broken(String),
    /// It was written by a release after this one.
    #[error("version {0}, which is newer than this program: use the newer one")]
    Newer(u64),
}

/// A state that was read: ours, or the predecessor's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// Ours.
    Ours(Box<State>),
    /// The predecessor's, which knows slots and no accounts.
    Predecessors(Predecessor),
}

/// What is worth taking over of the predecessor's state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Predecessor {
    /// The slot whose account was in use.
    pub last: Option<Slot>,
    /// Until when slots were left alone.
    pub cooldowns: BTreeMap<Slot, Timestamp>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            version: VERSION,
            active: None,
            heard: Vec::new(),
            pin: None,
            accounts: BTreeMap::new(),
            counters: Counters::default(),
            rest: Map::new(),
        }
    }
}

impl State {
    /// Reads a state from a file's bytes. A value in it that makes no sense costs that value.
    ///
    /// # Errors
    /// See [`NotAState`].
    pub fn parse(bytes: &[u8]) -> Result<Parsed, NotAState> {
        let document: Value = serde_json::from_slice(bytes).map_err(|e| NotAState::Broken(e.to_string()))?;
        match document["version"].as_u64() {
            Some(version) if version > u64::from(VERSION) => Err(NotAState::Newer(version)),
            None if ["last_index", "last_label", "cooldowns"]
                .iter()
                .any(|key| document.get(key).is_some()) =>
            {
                Ok(Parsed::Predecessors(Predecessor::read(&document)))
            }
            _ => match document {
                Value::Object(fields) => Ok(Parsed::Ours(Box::new(Self::read(Fields::new(fields))))),
                _ => Err(NotAState::Broken("no JSON object".to_owned())),
            },
        }
    }

    /// What is known of an account.
    #[must_use]
    pub fn of(&self, account: &AccountId) -> AccountState {
        self.accounts.get(account).cloned().unwrap_or_default()
    }

    /// Forgets what a new login of the account has put right. What the operator parked stays, and so does its usage:
    /// a login gives none back.
    pub fn forgive(&mut self, account: &AccountId) {
        if let Some(standing) = self.accounts.get_mut(account) {
            let (parked, usage) = (standing.parked.take(), standing.usage.take());
            *standing = AccountState { parked, usage, ..AccountState::default() };
        }
        self.accounts.retain(|_, standing| *standing != AccountState::default());
    }

    /// Ends what puts an account aside for a while: the operator's park, the provider's cooldown, the doubt whose it is.
    /// A dead grant stays dead. Says whether there was anything to end.
    pub fn unpark(&mut self, account: &AccountId) -> bool {
        let Some(standing) = self.accounts.get_mut(account) else { return false };
        let ended = standing.parked.take().is_some()
            | standing.cooldown.take().is_some()
            | standing.came_from.take().is_some();
        (standing.refused, standing.refreshed_after_401) = (None, None);
        self.accounts.retain(|_, standing| *standing != AccountState::default());
        ended
    }

    /// Has what is known of an account, and a pin, follow its login to another identity of the same person.
    pub fn follow(&mut self, before: &AccountId, after: &AccountId) {
        if let Some(standing) = self.accounts.remove(before) {
            self.accounts.entry(after.clone()).or_insert(standing);
        }
        if let Some(pin) = self.pin.as_mut().filter(|pin| *pin == before) {
            pin.clone_from(after);
        }
        if let Some(active) = self.active.as_mut().filter(|active| active.account == *before) {
            active.account.clone_from(after);
        }
    }

    /// Forgets an account whose login is gone.
    pub fn forget(&mut self, account: &AccountId) {
        self.accounts.remove(account);
        self.pin.take_if(|pinned| pinned == account);
        self.active.take_if(|active| active.account == *account);
    }

    /// Forgets what time has settled, so that the file does not grow for ever.
    pub fn tidy(&mut self, now: Timestamp) {
        self.heard.truncate(HEARD);
        for standing in self.accounts.values_mut() {
            standing.cooldown.take_if(|cooldown| cooldown.until <= now);
            standing.parked.take_if(|parked| parked.until.is_some_and(|until| until <= now));
            standing.next_reset.take_if(|reset| *reset <= now);
            standing.usage = standing.usage.take().and_then(|usage| usage.still(now));
            standing.plan.take_if(|told| now.since(told.at) >= PLAN);
        }
        self.accounts.retain(|_, standing| *standing != AccountState::default());
    }

    /// The bytes to write: without spaces, for it is written at each pass, and read by programs.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).expect("a state has string keys only");
        bytes.push(b'\n');
        bytes
    }
}

impl Predecessor {
    fn read(document: &Value) -> Self {
        let slot = |label: &str| label.rsplit('-').next().and_then(|number| number.parse().ok());
        let last = document["last_label"].as_str().and_then(slot);
        let cooldowns = document["cooldowns"].as_object().into_iter().flatten();
        let cooldowns =
            cooldowns.filter_map(|(label, until)| Some((slot(label)?, Timestamp::from_json(until)?)));
        Self { last, cooldowns: cooldowns.collect() }
    }
}

/// JSON has no keys of two parts, so the map is written as a list.
fn as_list<S: Serializer>(
    accounts: &BTreeMap<AccountId, AccountState>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Entry<'a> {
        #[serde(flatten)]
        account: &'a AccountId,
        #[serde(flatten)]
        standing: &'a AccountState,
    }
    serializer.collect_seq(accounts.iter().map(|(account, standing)| Entry { account, standing }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Secret;

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

    /// A state that has every field, and two accounts.
    fn full() -> Value {
        let account = |name: &str, year: u32| {
            let time = |month: u32| format!("{year}-{month:02}-01T00:00:00.000Z");
            json!({"account_id": name, "user_id": format!("user-{name}"), "later": {"kept": name},
                "cooldown": {"until": time(1), "kind": "transient", "source": "headers"},
                "parked": {"until": time(2), "reason": format!("for {name}")},
                "needs_login": {"grant": format!("dead-{name}"), "since": time(3), "code": format!("code_{year}")},
                "refresh_refused": {"code": format!("odd_{name}"), "since": time(9)}, "refused": {"times": 3, "at": time(10)},
                "not_storable": format!("busy {name}"), "not_prolonged": format!("late-{name}"),
                "came_from": {"account_id": format!("old-{name}"), "user_id": "u"},
                "refreshing_after_401": format!("asked-{name}"), "refresh_failed": time(4), "next_reset": time(5),
                "refreshed_after_401": format!("401-{name}"), "plan": {"plan": format!("pro {year}"), "at": time(6)},
                "usage": {"at": time(7), "windows": [
                    {"minutes": 300, "used_percent": 10.5, "resets_at": time(8)},
                    {"minutes": 10080, "used_percent": 11.5, "resets_at": time(9)}]}})
        };
        json!({"version": 1, "later": ["x"], "heard": ["first", "second"],
            "pin": {"account_id": "acct-P", "user_id": "user-P"},
            "active": {"account_id": "acct-A", "user_id": "user-A", "slot": 2, "since": "2026-11-18T15:00:00.000Z"},
            "accounts": [account("ann", 2030), account("ben", 2031)],
            "counters": {"refreshes": {"refreshed": {"expiring": 7}}, "rotations": {"switched": {"tick": 8, "first": 9}}}})
    }

    fn rewritten(document: &Value) -> Value {
        serde_json::from_slice(&ours(&document.to_string()).to_bytes()).unwrap()
    }

    /// Every value below a value: where it is, and what.
    fn all<'a>(value: &'a Value, at: &str) -> Vec<(String, &'a Value)> {
        let below: Vec<_> = match value {
            Value::Object(fields) => {
                fields.iter().map(|(key, value)| (format!("{at}/{key}"), value)).collect()
            }
            Value::Array(values) => {
                (0..).zip(values).map(|(n, value): (u32, _)| (format!("{at}/{n}"), value)).collect()
            }
            _ => Vec::new(),
        };
        below
            .into_iter()
            .flat_map(|(at, value)| [vec![(at.clone(), value)], all(value, &at)].concat())
            .collect()
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

    /// What means nothing once this value makes no sense: itself, or the part that cannot be without it.
    fn part(pointer: &str) -> &str {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let is_needed = match name {
            "account_id" | "user_id" | "grant" | "windows" | "minutes" | "used_percent" => true,
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
        let standing = state.accounts.values().next().unwrap();
        let cooldown = standing.cooldown.as_ref().unwrap();
        assert_eq!((cooldown.kind, cooldown.source), (Kind::UsageCap, Source::Floor));
        assert_eq!(cooldown.until.to_string(), "2030-01-01T00:00:00Z");
        assert_eq!(standing.needs_login.as_ref().unwrap().code, "unknown");
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
        let mut state = State { heard: vec!["x".repeat(255); 100_000], ..State::default() };
        state.tidy(Timestamp::from_seconds(1));
        assert_eq!(state.heard.len(), HEARD);
    }

    #[test]
    fn a_plan_is_told_in_a_few_printable_characters_and_counts_until_a_newer_token() {
        let told = |plan: &str| ReportedPlan::new(plan, Timestamp::from_seconds(100));
        assert_eq!(told(" pro\u{202e}\n").unwrap().name(), "pro");
        assert_eq!(told("x\u{1b}y").unwrap().name(), "x y");
        for nothing in ["", " ", "\u{feff}", &"x".repeat(33)] {
            assert_eq!(told(nothing), None, "{nothing:?}");
        }
        let mut login = Login::of_tokens(Secret::new("at"), None, None, Some("a")).unwrap();
        let pro = told("pro").unwrap();
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
        let cooldown = Some(Cooldown { until, kind: Kind::UsageCap, source: Source::Floor });
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
    fn a_new_login_is_forgiven_everything_but_what_the_operator_said() {
        let account = AccountId { account_id: "acct-A".into(), user_id: None };
        let mut state = State::default();
        let parked = AccountState { parked: Some(Parked::default()), ..AccountState::default() };
        let grant = Grant::of(&Secret::new("rt"));
        state.accounts.insert(account.clone(), AccountState { not_prolonged: Some(grant), ..parked.clone() });
        state.forgive(&account);
        assert_eq!(state.of(&account), parked);
        assert!(state.unpark(&account) && !state.unpark(&account));
        assert!(state.accounts.is_empty(), "nothing known is not written down");
    }
}
