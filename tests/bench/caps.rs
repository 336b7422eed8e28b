//! How many requests are refused at a cap, while other accounts have quota left.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use fixture::wait_until;
use stand_in::{UsageRequest, WindowRequest};
use support::litellm::{LiteLlm, VERSIONS};

use crate::report::{Aim, Report, Table};
use crate::samples::thousands;
use crate::volume;

const REQUESTS: usize = 10_000;
const AT_ONCE: usize = 8;
const ACCOUNTS: u32 = 5;

/// All accounts together serve a quarter more requests than are sent.
const PERCENT_PER_REQUEST: f64 = 0.04;

/// Policies and thresholds. At 100 % an account serves until it is refused.
const POLICIES: [(&str, &str); 4] =
    [("sticky", "95"), ("round-robin", "95"), ("earliest-reset", "95"), ("sticky", "100")];

pub(crate) fn measure() -> Report {
    let title = format!(
        "{} requests, {AT_ONCE} at once, over {ACCOUNTS} accounts whose usage grows by {PERCENT_PER_REQUEST} % with each; LiteLLM {}",
        thousands(REQUESTS),
        VERSIONS[0]
    );
    let mut table = Table::new(
        &title,
        &[
            "policy",
            "threshold",
            "rotations",
            "accounts that served",
            "refused upstream",
            "failed for agents",
        ],
    );
    let mut report = Report::default();
    for (policy, threshold) in POLICIES {
        let outcome = Outcome::of(policy, threshold);
        eprintln!("{policy}, {threshold} %: {outcome:?}");
        table.row([
            policy.to_owned(),
            format!("{threshold} %"),
            outcome.rotations.to_string(),
            outcome.served.to_string(),
            outcome.refused.to_string(),
            outcome.failed.to_string(),
        ]);
        let of = format!(
            "requests of {} refused upstream, {policy}, threshold {threshold} %",
            thousands(REQUESTS)
        );
        if threshold != "100" {
            report.aims.push(Aim::new(&of, "0", outcome.refused.to_string(), outcome.refused == 0));
        }
        let of = format!("requests that failed for agents, {policy}, threshold {threshold} %");
        report.aims.push(Aim::new(&of, "0", outcome.failed.to_string(), outcome.failed == 0));
    }
    report.tables.push(table);
    report
}

/// What became of all requests.
#[derive(Debug)]
struct Outcome {
    rotations: usize,
    served: usize,
    refused: usize,
    failed: usize,
}

impl Outcome {
    fn of(policy: &str, threshold: &str) -> Self {
        let pod = volume::with_accounts(Path::new(volume::MEMORY), ACCOUNTS);
        for account in 1..=ACCOUNTS {
            pod.openai.limit(&window(account));
        }
        let environment = [("CODEX_ROTATION_POLICY", policy), ("CODEX_ROTATE_AT_PERCENT", threshold)];
        let _sidecar = pod.sidecar_with(&environment);
        wait_until("the first account is published", || pod.logged("active ").len() == 1);
        let litellm = LiteLlm::start(VERSIONS[0], &pod);
        let failed = ask(&litellm);
        let requests = pod.openai.requests_to("/backend-api/codex/responses");
        let of_status = |served: bool| requests.iter().filter(move |it| (it.status == Some(200)) == served);
        let mut served: Vec<_> = of_status(true).filter_map(|request| request.account.as_deref()).collect();
        served.sort_unstable();
        served.dedup();
        Self {
            rotations: pod.logged("active account-").len() - 1,
            served: served.len(),
            refused: of_status(false).count(),
            failed,
        }
    }
}

/// A new window of five hours; the accounts' windows end one after the other.
fn window(account: u32) -> UsageRequest {
    let window = WindowRequest {
        minutes: 300,
        used_percent: Some(0.0),
        percent_per_request: Some(PERCENT_PER_REQUEST),
        resets_in_seconds: Some(i64::from(account) * 3600),
    };
    UsageRequest {
        email: format!("agent-{account}@example.test"),
        windows: Some(vec![window]),
        ..UsageRequest::default()
    }
}

/// Sends all requests, and counts those that had no answer of an account.
fn ask(litellm: &LiteLlm) -> usize {
    let (begun, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while begun.fetch_add(1, Ordering::Relaxed) < REQUESTS {
                    let (status, body) = litellm.ask();
                    if status != 200 || !body.contains("Hello from") {
                        failed.fetch_add(1, Ordering::Relaxed);
                        println!("{status}: {body}");
                    }
                }
            });
        }
    });
    failed.into_inner()
}
