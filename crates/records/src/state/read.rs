//! Reading a state leniently. A word of a later release, or a mistyped value, costs that value and no other; a value that
//! its part means nothing without costs the part.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{
    AccountState, Active, Cooldown, CooldownKind, CooldownSource, NeedsLogin, Parked, PollPause,
    RefreshRefusal, Refusals, ReportedPlan, State, VERSION,
};
use crate::counters::{Counters, Counts};
use crate::grant::Grant;
use crate::usage::{Minutes, Usage, Window};
use crate::{AccountId, Slot, Timestamp};

/// Stands for a time that cannot be read.
const LONG_AGO: i64 = 0;

/// Stands for a code that cannot be read.
const UNKNOWN_CODE: &str = "unknown";

/// The members of an object that have not been read yet.
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    pub(super) fn new(fields: Map<String, Value>) -> Self {
        Self(fields)
    }

    fn of(value: Value) -> Option<Self> {
        if let Value::Object(fields) = value { Some(Self(fields)) } else { None }
    }

    fn take<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        serde_json::from_value(self.0.remove(name)?).ok()
    }

    fn time(&mut self, name: &str) -> Timestamp {
        self.take(name).unwrap_or(Timestamp::from_seconds(LONG_AGO))
    }

    fn object<T>(&mut self, name: &str, read: impl FnOnce(Self) -> Option<T>) -> Option<T> {
        read(Self::of(self.0.remove(name)?)?)
    }

    /// The members of an object that can be read.
    fn map<T>(&mut self, name: &str, read: impl Fn(Self) -> Option<T>) -> BTreeMap<String, T> {
        let members = self.object(name, |members| Some(members.0)).unwrap_or_default();
        members.into_iter().filter_map(|(name, value)| Some((name, read(Self::of(value)?)?))).collect()
    }

    /// The elements of a list that can be read.
    fn list<T>(&mut self, name: &str, read: impl Fn(Value) -> Option<T>) -> Vec<T> {
        match self.0.remove(name) {
            Some(Value::Array(values)) => values.into_iter().filter_map(read).collect(),
            _ => Vec::new(),
        }
    }

    fn account(&mut self) -> Option<AccountId> {
        // A user of another kind is another account, not one without a user.
        let user_id =
            self.0.remove("user_id").map_or(Some(None), |user| serde_json::from_value(user).ok())?;
        Some(AccountId { account_id: self.take("account_id")?, user_id })
    }
}

impl State {
    pub(super) fn read(mut fields: Fields) -> Self {
        let entry = |entry: Value| {
            let mut entry = Fields::of(entry)?;
            Some((entry.account()?, AccountState::read(entry)))
        };
        let lane = |entry: Value| {
            let mut entry = Fields::of(entry)?;
            Some((entry.take("lane")?, Active::read(entry)?))
        };
        fields.0.remove("version");
        Self {
            version: VERSION,
            active: fields.object("active", Active::read),
            lanes: fields.list("lanes", lane).into_iter().collect(),
            handled_signals: fields.list("handled_signals", |name| serde_json::from_value(name).ok()),
            pin: fields.object("pin", |mut pin| pin.account()),
            accounts: fields.list("accounts", entry).into_iter().collect(),
            counters: fields
                .object("counters", |counters| Some(Counters::read(counters)))
                .unwrap_or_default(),
            consumption: fields.take("consumption").unwrap_or_default(),
            rest: fields.0,
        }
    }
}

impl Active {
    fn read(mut fields: Fields) -> Option<Self> {
        Some(Self {
            account: fields.account()?,
            slot: fields.take("slot").unwrap_or(Slot::FIRST),
            since: fields.time("since"),
        })
    }
}

impl AccountState {
    fn read(mut fields: Fields) -> Self {
        Self {
            cooldown: fields.object("cooldown", Cooldown::read),
            parked: fields.object("parked", |parked| Some(Parked::read(parked))),
            needs_login: fields.object("needs_login", NeedsLogin::read),
            unanswered: fields.take("unanswered"),
            refresh_failed: fields.take("refresh_failed"),
            refresh_refused: fields.object("refresh_refused", |refused| Some(RefreshRefusal::read(refused))),
            not_storable: fields.take("not_storable"),
            not_prolonged: fields.take("not_prolonged"),
            came_from: fields.object("came_from", |mut account| account.account()),
            refreshing_after_401: fields.take("refreshing_after_401"),
            refusals: fields.object("refusals", |refusals| Some(Refusals::read(refusals))),
            next_reset: fields.take("next_reset"),
            usage: fields.object("usage", usage),
            families: fields.map("families", usage),
            models: fields.map("models", Cooldown::read),
            refused_models: fields.take("refused_models").unwrap_or_default(),
            usage_poll: fields.object("usage_poll", PollPause::read),
            plan: fields.object("plan", ReportedPlan::read),
            refreshed_after_401: fields.take("refreshed_after_401"),
            rest: fields.0,
        }
    }
}

impl Cooldown {
    fn read(mut fields: Fields) -> Option<Self> {
        Some(Self {
            until: fields.take("until")?,
            kind: fields.take("kind").unwrap_or(CooldownKind::UsageCap),
            source: fields.take("source").unwrap_or(CooldownSource::Floor),
        })
    }
}

impl PollPause {
    fn read(mut fields: Fields) -> Option<Self> {
        Some(Self { times: fields.take("times").unwrap_or(1), until: fields.take("until")? })
    }
}

impl Parked {
    fn read(mut fields: Fields) -> Self {
        Self { until: fields.take("until"), reason: fields.take("reason") }
    }
}

impl NeedsLogin {
    fn read(mut fields: Fields) -> Option<Self> {
        let grant: Grant = fields.take("grant")?;
        let code = fields.take("code").unwrap_or_else(|| UNKNOWN_CODE.to_owned());
        let token_refused = fields.take("token_refused").unwrap_or_default();
        Some(Self { grant, since: fields.time("since"), code, token_refused })
    }
}

impl RefreshRefusal {
    fn read(mut fields: Fields) -> Self {
        let code = fields.take("code").unwrap_or_else(|| UNKNOWN_CODE.to_owned());
        Self { code, since: fields.time("since") }
    }
}

impl Refusals {
    fn read(mut fields: Fields) -> Self {
        Self { times: fields.take("times").unwrap_or(1), at: fields.time("at") }
    }
}

impl ReportedPlan {
    fn read(mut fields: Fields) -> Option<Self> {
        Self::new(&fields.take::<String>("plan")?, fields.time("at"))
    }
}

impl Counters {
    fn read(mut fields: Fields) -> Self {
        Self { refreshes: counts(&mut fields, "refreshes"), rotations: counts(&mut fields, "rotations") }
    }
}

fn counts(fields: &mut Fields, name: &str) -> Counts {
    let by_reason = |reasons: Fields| {
        reasons.0.into_iter().filter_map(|(reason, count)| Some((reason, count.as_u64()?))).collect()
    };
    let results = |results: Fields| {
        Some(
            results
                .0
                .into_iter()
                .filter_map(|(result, reasons)| Some((result, Fields::of(reasons).map(by_reason)?))),
        )
    };
    fields.object(name, results).into_iter().flatten().collect()
}

fn usage(mut fields: Fields) -> Option<Usage> {
    let window = |window: Value| {
        let mut window = Fields::of(window)?;
        let minutes = Minutes::new(window.take("minutes")?)?;
        Some(Window {
            minutes,
            used_percent: window.take("used_percent")?,
            resets_at: window.take("resets_at"),
        })
    };
    Usage::reported(fields.take("at")?, fields.list("windows", window))
}
