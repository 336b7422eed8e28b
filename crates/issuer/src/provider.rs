//! Asking the provider whether it accepts an access token. The interface is unofficial, and the request read-only: it
//! refreshes nothing and uses nothing up, and its answer is never a reason to rotate.

use anyhow::Context as _;
use records::limits::{Limits, MOST_FAMILIES, family};
use records::probe::ProbeResult;
use records::state::ReportedPlan;
use records::usage::{Minutes, Percent, Usage, Window};
use records::{Login, Secret, Timestamp};
use serde_json::Value;

use crate::address::Address;
use crate::answer::code;
use crate::client::{Client, Limits as ClientLimits};
use crate::environment::Environment;

/// The address of the model, unless `CHATGPT_API_BASE` (LiteLLM's own name) says otherwise.
const API_BASE: &str = "https://chatgpt.com/backend-api/codex";

/// The provider.
#[derive(Debug)]
pub struct Provider {
    client: Client,
}

impl Provider {
    /// The provider that the environment names.
    ///
    /// # Errors
    /// An address, a proxy or a certificate file that is named cannot be used.
    pub fn from_environment() -> anyhow::Result<Self> {
        let environment = Environment::of_process();
        let base = environment.text("CHATGPT_API_BASE").unwrap_or_else(|| API_BASE.to_owned());
        let address = Address::parse(Secret::new(&usage_url(&base))).context("CHATGPT_API_BASE")?;
        Ok(Self { client: Client::new(address, environment, ClientLimits::USUAL)? })
    }

    /// Asks about a login's access token.
    #[must_use]
    pub fn probe(&self, login: &Login, now: Timestamp) -> ProbeResult {
        let bearer = format!("Bearer {}", login.access_token.expose());
        let headers = [("Authorization", &*bearer), ("ChatGPT-Account-Id", &login.account.account_id)];
        let mut reply = match self.client.get(headers) {
            Ok(reply) => reply,
            Err(no_reply) => return ProbeResult::Unknown(no_reply.why),
        };
        match reply.body() {
            Ok(body) => judge(reply.status(), &body, now),
            Err(why) => ProbeResult::Unknown(format!("HTTP {}, then {why}", reply.status())),
        }
    }
}

fn usage_url(base: &str) -> String {
    let base = base.trim_end_matches('/');
    format!("{}/wham/usage", base.strip_suffix("/codex").unwrap_or(base))
}

fn judge(status: u16, body: &[u8], now: Timestamp) -> ProbeResult {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    match status {
        200..300 => {
            let plan = answer["plan_type"].as_str().and_then(|plan| ReportedPlan::new(plan, now));
            ProbeResult::Accepted(limits(&answer, now), plan)
        }
        401 => ProbeResult::Refused(code(&answer).unwrap_or("HTTP 401").to_owned()),
        status => ProbeResult::Unknown(format!("HTTP {status}")),
    }
}

/// The account's own limit, and those of families of models.
fn limits(answer: &Value, now: Timestamp) -> Limits {
    let additional = answer["additional_rate_limits"].as_array().into_iter().flatten();
    let families = additional.filter_map(|limit| {
        let name = limit["metered_feature"].as_str().or(limit["limit_name"].as_str()).and_then(family)?;
        Some((name, usage(&limit["rate_limit"], now)?))
    });
    Limits {
        own: usage(&answer["rate_limit"], now),
        families: families.take(MOST_FAMILIES).collect(),
        active: None,
    }
}

fn usage(limit: &Value, now: Timestamp) -> Option<Usage> {
    let windows = ["primary_window", "secondary_window"];
    Usage::reported(now, windows.iter().filter_map(|name| window(&limit[name])))
}

fn window(window: &Value) -> Option<Window> {
    let minutes = u32::try_from(window["limit_window_seconds"].as_u64()? / 60).ok()?;
    Some(Window {
        minutes: Minutes::new(minutes)?,
        used_percent: Percent::new(window["used_percent"].as_f64()?)?,
        resets_at: Timestamp::from_json(&window["reset_at"]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_asked_for_beside_the_model() {
        for base in [
            "https://c.test/backend-api/codex",
            "https://c.test/backend-api/codex/",
            "https://c.test/backend-api",
        ] {
            assert_eq!(usage_url(base), "https://c.test/backend-api/wham/usage");
        }
    }

    #[test]
    fn distinguishes_a_refused_token_from_a_provider_that_does_not_answer() {
        let judge = |status, body: &str| judge(status, body.as_bytes(), Timestamp::from_seconds(1));
        let refused = r#"{"error": {"code": "token_invalidated"}}"#;
        assert_eq!(judge(401, refused), ProbeResult::Refused("token_invalidated".to_owned()));
        assert_eq!(judge(401, "<html>"), ProbeResult::Refused("HTTP 401".to_owned()));
        assert_eq!(judge(503, ""), ProbeResult::Unknown("HTTP 503".to_owned()));
        assert_eq!(judge(200, "{}"), ProbeResult::Accepted(Limits::default(), None));
        let used = r#"{"plan_type": "pro", "rate_limit": {"primary_window": {"used_percent": 12.5, "limit_window_seconds": 18000,
            "reset_at": 1795439575}, "secondary_window": null}}"#;
        let ProbeResult::Accepted(limits, Some(plan)) = judge(200, used) else { panic!("not accepted") };
        let usage = limits.own.unwrap();
        assert_eq!(plan.name(), "pro");
        assert_eq!((usage.windows.len(), usage.windows[0].minutes), (1, Minutes::FIVE_HOURS));
    }

    #[test]
    fn a_family_of_models_has_limits_of_its_own() {
        let answer = r#"{"additional_rate_limits": [{"limit_name": "GPT Spark", "metered_feature": "codex_bengalfox",
            "rate_limit": {"primary_window": {"used_percent": 100, "limit_window_seconds": 18000}}}, {"rate_limit": 7}, 8]}"#;
        let ProbeResult::Accepted(limits, None) = judge(200, answer.as_bytes(), Timestamp::from_seconds(1))
        else {
            panic!("not accepted")
        };
        assert_eq!(limits.own, None);
        assert_eq!(limits.families.keys().collect::<Vec<_>>(), ["bengalfox"]);
    }
}
