//! The people who sign in, and how the backend treats each of them.

use std::mem::take;

use serde::{Deserialize, Serialize};

use crate::control::AccountRequest;
use crate::refusal::{DEFAULT_RESET_SECONDS, Refusal};
use crate::token::now;
use crate::usage::{Usage, used_up_until};
use crate::way::{Shown, Way};

/// How `chatgpt.com` answers a request made with an account's token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Behaviour {
    /// An answer that names the account.
    #[default]
    Ok,
    /// 429 `usage_limit_reached` with `x-codex-*` headers, until `resets_at`; then as `Ok`.
    Capped,
    /// A plain 429 without a reset, as under momentary load.
    RateLimited,
    /// 401 `token_invalidated`, although the token itself is good.
    Invalidated,
    /// 403.
    Forbidden,
    /// 500.
    Broken,
    /// 200, and then the stream ends in `response.failed`.
    CappedInStream,
}

/// One account, as the control API shows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Account {
    /// The key of the account, and the `email` claim of its tokens.
    pub email: String,
    /// `chatgpt_account_id`: the workspace; several people may share one.
    pub account_id: String,
    /// `chatgpt_user_id`: the person; one may sit in several workspaces.
    pub user_id: String,
    /// `chatgpt_plan_type`.
    pub plan: String,
    /// How the backend treats it now.
    pub behaviour: Behaviour,
    /// When a cap ends, in seconds since the epoch.
    pub resets_at: i64,
    /// How long a new access token lives; negative for one that is expired at birth.
    pub token_lifetime_seconds: i64,
    /// How much of its limits it has used.
    pub usage: Usage,
}

impl Account {
    /// `ann@example.test` becomes account `acct-ann` of `user-ann`.
    pub(crate) fn of(email: &str) -> Self {
        let name = email.split('@').next().unwrap_or(email);
        Self {
            email: email.to_owned(),
            account_id: format!("acct-{name}"),
            user_id: format!("user-{name}"),
            plan: "plus".to_owned(),
            behaviour: Behaviour::Ok,
            resets_at: now() + DEFAULT_RESET_SECONDS,
            token_lifetime_seconds: 864_000,
            usage: Usage::of_a_new_account(),
        }
    }

    /// Takes over what the request names; the reset is counted from now.
    pub(crate) fn alter(&mut self, request: &AccountRequest) {
        let request = request.clone();
        self.account_id = request.account_id.unwrap_or_else(|| take(&mut self.account_id));
        self.user_id = request.user_id.unwrap_or_else(|| take(&mut self.user_id));
        self.plan = request.plan.unwrap_or_else(|| take(&mut self.plan));
        if let Some(behaviour) = request.behaviour {
            self.behaviour = behaviour;
            self.resets_at = now() + DEFAULT_RESET_SECONDS;
        }
        if let Some(seconds) = request.resets_in_seconds {
            self.resets_at = now() + seconds;
        }
        self.token_lifetime_seconds = request.token_lifetime_seconds.unwrap_or(self.token_lifetime_seconds);
        if let (Some(window), Some(used)) = (self.usage.windows.first_mut(), request.used_percent) {
            window.used_percent = used;
        }
    }

    /// How a request for `model` is refused: by its behaviour, or because a window is used up.
    pub(crate) fn refusal(&self, model: &str) -> Option<Refusal> {
        let way = match self.behaviour_now() {
            Behaviour::Ok => {
                let until = used_up_until(self.usage.windows(model))?;
                let refusal = Refusal::plain(Way::UsageLimitReached, until);
                return Some(Refusal { shown: Shown::AsTheyAre, ..refusal });
            }
            Behaviour::Capped => Way::UsageLimitReached,
            Behaviour::RateLimited => Way::RateLimited,
            Behaviour::Invalidated => Way::Invalidated,
            Behaviour::Forbidden => Way::Forbidden,
            Behaviour::Broken => Way::Broken,
            Behaviour::CappedInStream => {
                let refusal = Refusal::plain(Way::ResponseFailed, self.resets_at);
                return Some(Refusal { shown: Shown::Full, ..refusal });
            }
        };
        Some(Refusal::plain(way, self.resets_at))
    }

    /// When its behaviour caps it, until then.
    pub(crate) fn capped_until(&self) -> Option<i64> {
        let capped = matches!(self.behaviour_now(), Behaviour::Capped | Behaviour::CappedInStream);
        capped.then_some(self.resets_at)
    }

    /// The behaviour at this moment: a cap is over once its reset has passed.
    fn behaviour_now(&self) -> Behaviour {
        let over = self.resets_at <= now();
        match self.behaviour {
            Behaviour::Capped | Behaviour::CappedInStream if over => Behaviour::Ok,
            behaviour => behaviour,
        }
    }
}
