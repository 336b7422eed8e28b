//! Refusals: which of them befalls which request, and until when.

use serde::{Deserialize, Serialize};

use crate::token::now;
use crate::way::{Shown, Way};

/// Where a refusal is met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// `/backend-api/codex/responses`
    #[default]
    Responses,
    /// `/backend-api/wham/usage`
    Usage,
    /// Both.
    Everywhere,
}

/// `POST /_control/refusal`: how requests are refused from now on; replaces the last refusal for the same account,
/// model and place. The narrowest that fits is met: of an account before that of all, of a model before that of all.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RefusalRequest {
    /// How, or `none`.
    pub way: Way,
    /// Only this account's requests.
    pub email: Option<String>,
    /// Only requests for this model.
    pub model: Option<String>,
    /// Where.
    pub place: Place,
    /// For so many requests; until changed if absent.
    pub times: Option<u32>,
    /// When the limit ends, counted from each refusal; 5432 if absent. The refusal itself goes on.
    pub resets_after_seconds: Option<i64>,
    /// What stands in the place of `resets_at`, as it is: `NaN`, `"soon"` with its quotes; nothing for no such field.
    pub resets_at: Option<String>,
    /// The same for `resets_in_seconds`.
    pub resets_in_seconds: Option<String>,
    /// The header `Retry-After`, as it is.
    pub retry_after: Option<String>,
    /// True for headers with a full window, false for no headers of usage; as the way has them if absent.
    pub headers: Option<bool>,
}

/// A refusal that a request has met.
#[derive(Clone)]
pub(crate) struct Refusal {
    pub(crate) request: RefusalRequest,
    /// When the limit ends.
    pub(crate) until: i64,
    /// What its headers show of the windows.
    pub(crate) shown: Shown,
}

/// The refusals that are in force.
#[derive(Default)]
pub(crate) struct Refusals(Vec<RefusalRequest>);

impl Refusals {
    pub(crate) fn set(&mut self, refusal: RefusalRequest) {
        self.0.retain(|old| !old.is_same(&refusal));
        if refusal.way != Way::None {
            self.0.push(refusal);
        }
    }

    /// The refusal that a request meets.
    pub(crate) fn find(&self, place: Place, email: &str, model: Option<&str>) -> Option<&RefusalRequest> {
        let fits = |it: &&RefusalRequest| {
            it.is_at(place)
                && it.email.as_deref().is_none_or(|own| own == email)
                && it.model.as_deref().is_none_or(|own| Some(own) == model)
        };
        self.0.iter().filter(fits).max_by_key(|it| (it.email.is_some(), it.model.is_some()))
    }

    /// The challenge that every request to `place` meets, before its bearer is looked at.
    pub(crate) fn challenge(&self, place: Place) -> Option<&RefusalRequest> {
        self.0.iter().find(|it| {
            it.is_at(place) && it.way == Way::Challenge && it.email.is_none() && it.model.is_none()
        })
    }

    /// Counts down a refusal that was met.
    pub(crate) fn count_down(&mut self, met: &RefusalRequest) {
        for refusal in self.0.iter_mut().filter(|it| it.is_same(met)) {
            refusal.times = refusal.times.map(|times| times.saturating_sub(1));
        }
        self.0.retain(|it| it.times != Some(0));
    }
}

impl RefusalRequest {
    fn is_at(&self, place: Place) -> bool {
        self.place == place || self.place == Place::Everywhere
    }

    fn is_same(&self, other: &Self) -> bool {
        (&self.email, &self.model, self.place) == (&other.email, &other.model, other.place)
    }
}

impl Refusal {
    /// A refusal in this way, in its plain form.
    pub(crate) fn plain(way: Way, until: i64) -> Self {
        let shown = way.shown();
        Self { request: RefusalRequest { way, ..RefusalRequest::default() }, until, shown }
    }

    pub(crate) fn of(request: &RefusalRequest) -> Self {
        let until = now() + request.resets_after_seconds.unwrap_or(DEFAULT_RESET_SECONDS);
        let shown = match request.headers {
            None => request.way.shown(),
            Some(true) => Shown::Full,
            Some(false) => Shown::Nothing,
        };
        Self { request: request.clone(), until, shown }
    }
}

/// How long a limit lasts when nothing else is said.
pub(crate) const DEFAULT_RESET_SECONDS: i64 = 5432;
