//! What an agent notices when the account that serves it is refused: the time of a streamed request on each version of
//! LiteLLM, beside one that is served at once.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use fixture::wait_until;
use stand_in::Behaviour;
use support::litellm::{LiteLlm, VERSIONS};
use support::pod::Pod;

use crate::report::{Aim, Report, Table};
use crate::samples::{Samples, in_seconds, time};
use crate::volume;

/// Of each kind, for each version.
const FAILOVERS: u32 = 12;

/// The pause before each, because idle takes accounts that are refused one upon another for a storm of signals.
const PAUSE: Duration = Duration::from_secs(3);

/// What is known to end an account's service, in turn.
const REFUSALS: [(&str, Behaviour); 2] = [("429", Behaviour::Capped), ("401", Behaviour::Invalidated)];

/// The longest that a failover may add to a request in the median, in seconds.
const LIMIT: f64 = 0.3;

pub(crate) fn measure() -> Report {
    let title = format!("A streamed request, {FAILOVERS} of each kind");
    let mut table =
        Table::new(&title, &["LiteLLM", "account in use", "median", "95 %", "longest", "added by failover"]);
    let mut report = Report::default();
    for version in VERSIONS {
        for (status, behaviour) in REFUSALS {
            let [quiet, refused] = requests(version, behaviour);
            let added = refused.median() - quiet.median();
            let mut row = |in_use: &str, samples: &Samples, added: String| {
                let [last, longest] = [95, 100].map(|percent| time(samples.percentile(percent)));
                table.row([
                    version.to_owned(),
                    in_use.to_owned(),
                    time(samples.median()),
                    last,
                    longest,
                    added,
                ]);
            };
            row("serves", &quiet, String::new());
            row(&format!("refused with {status}"), &refused, time(added));
            let of = format!("LiteLLM {version}: what a failover from a {status} adds");
            report.aims.push(Aim::new(&of, "≤ 0.3 s", time(added), added <= LIMIT));
        }
    }
    report.tables.push(table);
    report
}

/// One that is served and one whose account has just become refused, in turn.
fn requests(version: &str, behaviour: Behaviour) -> [Samples; 2] {
    let pod = volume::with_accounts(Path::new(volume::MEMORY), FAILOVERS + 1);
    let _sidecar = pod.sidecar_with(&[("CODEX_ROTATION_POLICY", "sticky")]);
    wait_until("the first account is published", || pod.logged("active ").len() == 1);
    let litellm = LiteLlm::start(version, &pod);
    answered(&litellm);
    let (mut quiet, mut refused) = (Vec::new(), Vec::new());
    for _ in 0..FAILOVERS {
        sleep(PAUSE);
        // The first request after a pause is a slow one.
        answered(&litellm);
        quiet.push(answered(&litellm));
        pod.openai.set(&in_use(&pod), behaviour);
        refused.push(answered(&litellm));
    }
    [in_seconds(quiet), in_seconds(refused)]
}

fn answered(litellm: &LiteLlm) -> Duration {
    let begun = Instant::now();
    let (status, body) = litellm.ask_for(true);
    assert!(status == 200 && body.contains("Hello from"), "{status}: {body}");
    begun.elapsed()
}

/// The account that served the last request.
fn in_use(pod: &Pod) -> String {
    let requests = pod.openai.requests_to("/backend-api/codex/responses");
    requests
        .into_iter()
        .rfind(|request| request.status == Some(200))
        .and_then(|request| request.account)
        .unwrap()
}
