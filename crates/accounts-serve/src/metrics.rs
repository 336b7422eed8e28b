//! The metrics, in the Prometheus text format. `docs/metrics.md` has the table of them.

use std::fmt;
use std::time::Duration;

use overview::agents::AgentRow;
use overview::finding::{Area, Finding, Id};
use overview::trouble::Trouble;
use overview::{Published, Row, SlotState, json};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet, prometheus_text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};
use records::agents::Used;
use records::counters::Counts;
use records::text::printable;
use records::usage::Window;

use crate::snapshot::{SharedSnapshot, Snapshot};

/// The content type of the text.
pub(crate) const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

/// Every state that `/accounts.json` knows, so that a series that was 1 becomes 0 instead of ending.
const STATES: [&str; 10] = [
    "active",
    "ready",
    "capped",
    "parked",
    "reserved",
    "refresh_due",
    "needs_login",
    "other_account",
    "duplicate",
    "unusable",
];

type Labels = Vec<(&'static str, String)>;

/// The metrics of a snapshot; where there is none, only why.
pub(crate) fn text(snapshot: &SharedSnapshot) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("codex");
    registry.register_collector(Box::new(Scrape(snapshot.clone())));
    let mut text = String::new();
    prometheus_text::encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Scrape(SharedSnapshot);

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let mut into = Families(&mut encoder);
        let build = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
        into.gauge("podkit_build_info", "The release, always 1", None, [(build, 1.0)])?;
        let is_digest_read = self.0.as_ref().err().is_none_or(|why| why.id.area() != Area::Page);
        into.one(
            "digest_readable",
            "Whether what the rotator leaves for the page can be read",
            None,
            truth(is_digest_read),
        )?;
        if is_digest_read {
            let readable = truth(self.0.is_ok());
            into.one("volume_readable", "Whether the logins and the state can be read", None, readable)?;
        }
        let heartbeat = self.0.as_ref().ok().and_then(|snapshot| snapshot.observed.heartbeat.as_ref());
        let is_held = truth(heartbeat.is_some_and(|heartbeat| heartbeat.held));
        into.one("callback_held", "Whether it is known that LiteLLM calls the callback", None, is_held)?;
        match &self.0 {
            Ok(snapshot) => {
                let (help, age) =
                    ("Time since the volume was read for the page", snapshot.age().as_secs_f64());
                into.one("digest_age", help, Some(&Unit::Seconds), age)?;
                into.findings(&snapshot.findings, |_| true)?;
                into.pool(snapshot)?;
                into.accounts(snapshot)?;
                into.agents(snapshot)?;
                into.rotator(snapshot)
            }
            Err(hiding) => into.findings(std::slice::from_ref(hiding), |id| id.is_known_beside(hiding.id)),
        }
    }
}

struct Families<'a, 'b>(&'a mut DescriptorEncoder<'b>);

impl Families<'_, '_> {
    /// Every kind that could be judged, so that a series that was 1 becomes 0 instead of ending.
    fn findings(&mut self, findings: &[Finding], is_known: impl Fn(Id) -> bool) -> fmt::Result {
        let ids = Id::ALL.iter().filter(|id| id.is_seen_without_the_lock() && is_known(**id));
        let series = ids.map(|id| {
            let labels = vec![("id", id.name().to_owned()), ("severity", id.severity().name().to_owned())];
            (labels, count(findings.iter().filter(|finding| finding.id == *id).count()))
        });
        self.gauge("finding", "How many findings there are of a kind", None, series)
    }

    fn pool(&mut self, snapshot: &Snapshot) -> fmt::Result {
        let overview = &snapshot.observed.overview;
        let active = if let Published::Account(slot) = overview.published { slot.number() } else { 0 };
        self.one("active_slot", "The slot of the active account, 0 for none", None, active.into())?;
        let lanes = overview.rows.iter().flat_map(|row| row.lanes.iter().map(move |lane| (row, lane)));
        let lanes = lanes
            .map(|(row, lane)| (vec![("lane", lane.number().to_string())], f64::from(row.slot.number())));
        self.gauge("lane_slot", "The slot of the account that serves in a lane", None, lanes)?;
        let usable = count(overview.usable());
        self.one("accounts_usable", "Accounts that can serve now without a cooldown", None, usable)?;
        self.one("accounts_slots", "Slots that hold a login", None, count(overview.rows.len()))?;
        if let Some(at) = overview.exhausted_at {
            let help = "Time until the pool is exhausted at the rate of the last hours";
            let left = at.since(snapshot.now()).as_secs_f64();
            self.one("pool_exhausted", help, Some(&Unit::Seconds), left)?;
        }
        Ok(())
    }

    fn accounts(&mut self, snapshot: &Snapshot) -> fmt::Result {
        let now = snapshot.now();
        let rows = &snapshot.observed.overview.rows;
        let who = |row: &Row| {
            let who = row.who.as_ref();
            let identity = who.map(|who| who.name.clone()).unwrap_or_default();
            let plan = who.and_then(|who| who.plan.clone()).unwrap_or_default();
            (labels(row, [("identity", identity), ("plan", plan)]), 1.0)
        };
        self.gauge("account_info", "Whose login a slot holds, always 1", None, rows.iter().map(who))?;
        let states = rows.iter().flat_map(|row| {
            let is = json::state(row);
            STATES.map(|state| (labels(row, [("state", state.to_owned())]), truth(state == is)))
        });
        self.gauge("account_state", "1 for the state that a slot's account is in, else 0", None, states)?;
        let flag = |get: fn(&Row) -> bool| move |row: &Row| (labels(row, []), truth(get(row)));
        let pinned = rows.iter().map(flag(|row| row.is_pinned));
        self.gauge("account_pinned", "Whether the account is pinned", None, pinned)?;
        let due = rows.iter().map(flag(|row| row.is_due));
        self.gauge("account_refresh_due", "Whether the next pass refreshes the login", None, due)?;
        let needs_login = rows.iter().map(flag(|row| {
            matches!(row.state, SlotState::NeedsLogin(_))
                || has(row, |t| matches!(t, Trouble::NeedsLogin { .. }))
        }));
        let help = "Whether the login has ended, also while its access token still serves";
        self.gauge("account_needs_login", help, None, needs_login)?;
        let unanswered =
            rows.iter().map(flag(|row| has(row, |trouble| matches!(trouble, Trouble::Unanswered { .. }))));
        let help = "Whether a refresh was sent and the answer is not known";
        self.gauge("account_refresh_unanswered", help, None, unanswered)?;
        let failing = rows
            .iter()
            .map(flag(|row| has(row, |t| matches!(t, Trouble::Refused { .. } | Trouble::NotStorable(_)))));
        let help = "Whether the issuer has refused a refresh for a day, or its file cannot be replaced";
        self.gauge("account_refresh_failing", help, None, failing)?;
        let expiry = rows.iter().filter_map(|row| {
            let expiry = row.who.as_ref()?.expiry?.0;
            let left = expiry.since(now).as_secs_f64() - now.since(expiry).as_secs_f64();
            Some((labels(row, []), left))
        });
        let help = "Time until the access token ends, negative once it has";
        self.gauge("account_token_expiry", help, Some(&Unit::Seconds), expiry)?;
        let cooldown = rows.iter().map(|row| {
            let left = match &row.state {
                SlotState::Capped(cooldown) => cooldown.until.since(now),
                _ => Duration::ZERO,
            };
            (labels(row, []), left.as_secs_f64())
        });
        let help = "Time until the cooldown ends, 0 if there is none";
        self.gauge("account_cooldown", help, Some(&Unit::Seconds), cooldown)?;
        let used = windows(rows)
            .map(|(row, window)| (of_window(row, window), f64::from(window.used_percent.tenths()) / 1000.0));
        let help = "How much of a usage window was used when the provider last reported it";
        self.gauge("account_usage_ratio", help, None, used)?;
        let reset = windows(rows).filter_map(|(row, window)| {
            Some((of_window(row, window), window.resets_at?.since(now).as_secs_f64()))
        });
        self.gauge("account_usage_reset", "Time until the usage window resets", Some(&Unit::Seconds), reset)?;
        let age = rows.iter().filter_map(|row| {
            let usage = row.who.as_ref()?.usage.as_ref()?;
            Some((labels(row, []), now.since(usage.at).as_secs_f64()))
        });
        self.gauge("account_usage_age", "Time since usage was last read", Some(&Unit::Seconds), age)
    }

    fn agents(&mut self, snapshot: &Snapshot) -> fmt::Result {
        let rows = &snapshot.observed.overview.agents;
        let of = |row: &AgentRow| {
            let slot = row.slot.map(|slot| slot.number().to_string()).unwrap_or_default();
            vec![("agent", printable(&row.agent)), ("slot", slot)]
        };
        let requests = rows.iter().map(|row| (of(row), row.used.requests));
        self.total("agent_requests", "Requests of an agent that an account answered", requests)?;
        let tokens = rows.iter().flat_map(|row| {
            let Used { input_tokens, cached_tokens, output_tokens, .. } = row.used;
            [("input", input_tokens), ("cached", cached_tokens), ("output", output_tokens)]
                .map(|(kind, tokens)| ([of(row), vec![("kind", kind.to_owned())]].concat(), tokens))
        });
        self.total("agent_tokens", "Tokens of an agent's requests; cached is a part of input", tokens)?;
        let refused = rows.iter().map(|row| (of(row), row.used.refused));
        self.total("agent_refused", "Requests of an agent that an account refused", refused)?;
        let limited = rows.iter().filter(|row| row.slot.is_none());
        let limited = limited.map(|row| (vec![("agent", printable(&row.agent))], row.used.limited));
        self.total("agent_limited", "Requests of an agent beyond its own limits", limited)
    }

    fn rotator(&mut self, snapshot: &Snapshot) -> fmt::Result {
        let seconds = Some(&Unit::Seconds);
        if let Some(age) = snapshot.observed.last_pass_age() {
            let help = "Time since the rotator last completed a pass";
            self.one("rotator_last_pass_age", help, seconds, age.as_secs_f64())?;
        }
        let interval = snapshot.observed.interval.as_secs_f64();
        self.one("rotator_interval", "How often the rotator runs", seconds, interval)?;
        self.counter("refreshes", "Refreshes that were sent", &snapshot.observed.counters.refreshes)?;
        let help = "Passes that published another account, or had none to publish";
        self.counter("rotations", help, &snapshot.observed.counters.rotations)?;
        if let Some(heartbeat) = &snapshot.observed.heartbeat {
            let age = snapshot.now().since(heartbeat.at).as_secs_f64();
            self.one("callback_age", "Age of the heartbeat of LiteLLM's callback", seconds, age)?;
        }
        Ok(())
    }

    fn one(&mut self, name: &str, help: &str, unit: Option<&Unit>, value: f64) -> fmt::Result {
        self.gauge(name, help, unit, [(Labels::new(), value)])
    }

    /// Leaves out a family without series.
    fn gauge(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        series: impl IntoIterator<Item = (Labels, f64)>,
    ) -> fmt::Result {
        let mut series = series.into_iter().peekable();
        if series.peek().is_none() {
            return Ok(());
        }
        let mut family = self.0.encode_descriptor(name, help, unit, MetricType::Gauge)?;
        for (labels, value) in series {
            family.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    fn counter(&mut self, name: &str, help: &str, counts: &Counts) -> fmt::Result {
        let series = counts.iter().flat_map(|(result, by_reason)| {
            by_reason.iter().map(move |(reason, count)| {
                (vec![("result", printable(result)), ("reason", printable(reason))], *count)
            })
        });
        self.total(name, help, series)
    }

    /// Leaves out a family without series.
    fn total(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (Labels, u64)>,
    ) -> fmt::Result {
        let mut series = series.into_iter().peekable();
        if series.peek().is_none() {
            return Ok(());
        }
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in series {
            family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
        }
        Ok(())
    }
}

fn labels<const N: usize>(row: &Row, more: [(&'static str, String); N]) -> Labels {
    let more = more.map(|(name, value)| (name, printable(&value)));
    [("slot", row.slot.number().to_string())].into_iter().chain(more).collect()
}

fn has(row: &Row, is: fn(&Trouble) -> bool) -> bool {
    row.troubles.iter().any(is)
}

fn windows(rows: &[Row]) -> impl Iterator<Item = (&Row, &Window)> {
    rows.iter().flat_map(|row| {
        let usage = row.who.as_ref().and_then(|who| who.usage.as_ref());
        usage.into_iter().flat_map(|usage| &usage.windows).map(move |window| (row, window))
    })
}

fn of_window(row: &Row, window: &Window) -> Labels {
    labels(row, [("window", window.minutes.to_string())])
}

fn truth(is: bool) -> f64 {
    f64::from(u8::from(is))
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}
