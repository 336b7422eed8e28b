//! How much of its limits an account has used: windows named by their length, and families of limits for some models.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::token::now;

/// What an account has used, as the control API shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// The limits of all models that no family names; the first is shown as primary, the second as secondary.
    pub windows: Vec<Window>,
    /// The limits of some models only, by their id, such as `codex_bengalfox`.
    pub families: BTreeMap<String, Family>,
}

/// One window of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Its length, which is its name: 300 is the one of 5 h, 10080 the one of 7 d.
    pub minutes: i64,
    /// From 0; at 100 the account is refused.
    pub used_percent: f64,
    /// What each request that is served adds.
    pub percent_per_request: f64,
    /// When it ends and the next one begins at 0, in seconds since the epoch.
    pub resets_at: i64,
}

/// A limit that counts for some models only. A request for one of them counts here and nowhere else.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Family {
    /// As a person reads it, such as `GPT-5.3-Codex-Spark`.
    pub limit_name: String,
    /// The models that count here.
    pub models: Vec<String>,
    /// As in `Usage::windows`.
    pub windows: Vec<Window>,
}

/// `POST /_control/usage`: the limits of an account, or one family of them. Answers [`Usage`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UsageRequest {
    /// Which account.
    pub email: String,
    /// Which family, such as `codex_bengalfox`; the account's own limits if absent.
    pub family: Option<String>,
    /// Another name for the family.
    pub limit_name: Option<String>,
    /// Other models for the family.
    pub models: Option<Vec<String>>,
    /// The windows from now on, in the order in which they are shown; as they were if absent.
    pub windows: Option<Vec<WindowRequest>>,
}

/// One window; what is left out stays as it is in the window of the same length.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WindowRequest {
    /// Its length.
    pub minutes: i64,
    /// 0 in a new window.
    pub used_percent: Option<f64>,
    /// 0 in a new window.
    pub percent_per_request: Option<f64>,
    /// When it ends, counted from now; after its whole length in a new window.
    pub resets_in_seconds: Option<i64>,
}

impl Usage {
    /// The limits of a new account: some of each window is used, and requests add nothing.
    pub(crate) fn of_a_new_account() -> Self {
        let window = |minutes, used_percent, seconds| Window {
            minutes,
            used_percent,
            percent_per_request: 0.0,
            resets_at: now() + seconds,
        };
        Self {
            windows: vec![window(300, 12.0, 5432), window(10_080, 42.0, 259_200)],
            families: BTreeMap::new(),
        }
    }

    /// Takes over what the request names.
    pub(crate) fn alter(&mut self, request: &UsageRequest) {
        let Some(family) = &request.family else {
            alter_windows(&mut self.windows, request.windows.as_deref());
            return;
        };
        let family = self.families.entry(family.clone()).or_default();
        family.limit_name = request.limit_name.clone().unwrap_or_else(|| family.limit_name.clone());
        family.models = request.models.clone().unwrap_or_else(|| family.models.clone());
        alter_windows(&mut family.windows, request.windows.as_deref());
    }

    /// The same at `now`: a window that has ended begins again.
    pub(crate) fn at(mut self, now: i64) -> Self {
        let families = self.families.values_mut().flat_map(|family| &mut family.windows);
        self.windows.iter_mut().chain(families).for_each(|window| *window = window.at(now));
        self
    }

    /// The family that `model` counts in, if it has one of its own.
    pub(crate) fn family(&self, model: &str) -> Option<&str> {
        let own = |family: &Family| family.models.iter().any(|own| own == model);
        self.families.iter().find(|(_, family)| own(family)).map(|(id, _)| id.as_str())
    }

    /// The windows that `model` counts in.
    pub(crate) fn windows(&self, model: &str) -> &[Window] {
        self.family(model).map_or(&self.windows, |id| &self.families[id].windows)
    }

    /// Counts a request for `model`.
    pub(crate) fn spend(&mut self, model: &str) {
        let family = self.family(model).map(str::to_owned);
        let windows = match family.and_then(|id| self.families.get_mut(&id)) {
            Some(family) => &mut family.windows,
            None => &mut self.windows,
        };
        for window in windows {
            *window = window.at(now());
            window.used_percent += window.percent_per_request;
        }
    }
}

/// When the last of the used-up windows ends; none is used up if absent.
pub(crate) fn used_up_until(windows: &[Window]) -> Option<i64> {
    windows.iter().filter(|window| window.is_used_up()).map(|window| window.resets_at).max()
}

impl Window {
    pub(crate) fn is_used_up(self) -> bool {
        // A hundred times one percent is not quite 100 in every sum of floats.
        self.used_percent > 100.0 - 1e-6
    }

    fn at(self, now: i64) -> Self {
        if now < self.resets_at {
            return self;
        }
        let length = self.minutes.max(1) * 60;
        let whole = (now - self.resets_at) / length + 1;
        Self { used_percent: 0.0, resets_at: self.resets_at + whole * length, ..self }
    }
}

fn alter_windows(windows: &mut Vec<Window>, requests: Option<&[WindowRequest]>) {
    let Some(requests) = requests else { return };
    let altered = requests.iter().map(|request| {
        let minutes = request.minutes;
        let new =
            Window { minutes, used_percent: 0.0, percent_per_request: 0.0, resets_at: now() + minutes * 60 };
        let old = windows.iter().find(|window| window.minutes == minutes).copied().unwrap_or(new);
        Window {
            minutes,
            used_percent: request.used_percent.unwrap_or(old.used_percent),
            percent_per_request: request.percent_per_request.unwrap_or(old.percent_per_request),
            resets_at: request.resets_in_seconds.map_or(old.resets_at, |seconds| now() + seconds),
        }
    });
    *windows = altered.collect();
}
