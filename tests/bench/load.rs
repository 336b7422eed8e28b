//! LiteLLM with the published record under load: what a rotation each second does to requests.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use fixture::Running;
use serde_json::json;
use support::litellm::{KEY, LiteLlm, VERSIONS};
use support::pod::Pod;

use crate::report::{Aim, Report, Table};
use crate::samples::{ratio, thousands, time};
use crate::volume;

/// Turns without and with rotation, so that the machine's drift affects both alike; 60 s of each in all.
const TURNS: usize = 2;
const SECONDS: u32 = 30;
const AT_ONCE: u32 = 8;

/// What wrk reports of one turn.
struct Turn {
    requests: u64,
    failed: u64,
    median: f64,
    p99: f64,
    longest: f64,
}

pub(crate) fn measure() -> Report {
    let pod = volume::with_accounts(Path::new(volume::MEMORY), 3);
    pod.rotate_once(&[]).success();
    let litellm = LiteLlm::start(VERSIONS[0], &pod);
    load(&litellm, 5);
    let mut turns = [Vec::new(), Vec::new()];
    for _ in 0..TURNS {
        turns[0].push(load(&litellm, SECONDS));
        let rotator = rotating(&pod);
        turns[1].push(load(&litellm, SECONDS));
        drop(rotator);
    }
    let rotations = pod.logged("active account-").len();
    let requests = pod.openai.requests_to("/backend-api/codex/responses");
    let mixed = requests.iter().filter(|request| request.mixes_accounts()).count();
    let mut used: Vec<_> = requests.iter().filter_map(|request| request.account.clone()).collect();
    used.sort();
    used.dedup();

    let mut report = Report::default();
    let mut table = Table::new(
        &format!(
            "LiteLLM {} under wrk, {AT_ONCE} requests at once, 2 × {SECONDS} s each, in turn",
            VERSIONS[0]
        ),
        &["record", "requests", "failed", "median", "99 %", "longest", "median beside the quiet record"],
    );
    let mean = |turns: &[Turn], of: fn(&Turn) -> f64| turns.iter().map(of).sum::<f64>() / TURNS as f64;
    let quiet = mean(&turns[0], |turn| turn.median);
    for (name, turns) in ["quiet", "another account each second"].into_iter().zip(&turns) {
        let longest = turns.iter().map(|turn| turn.longest).fold(0.0, f64::max);
        table.row([
            name.to_owned(),
            thousands(turns.iter().map(|turn| turn.requests).sum::<u64>()),
            turns.iter().map(|turn| turn.failed).sum::<u64>().to_string(),
            time(mean(turns, |turn| turn.median)),
            time(mean(turns, |turn| turn.p99)),
            time(longest),
            ratio(mean(turns, |turn| turn.median), quiet),
        ]);
    }
    report.tables.push(table);
    let failed: u64 = turns.iter().flatten().map(|turn| turn.failed).sum();
    report.aims.extend([
        Aim::new(
            "requests that failed under load",
            "0",
            format!("{failed}, over {rotations} rotations"),
            failed == 0 && rotations > 50,
        ),
        Aim::new(
            "requests with one account's token and another's id",
            "0",
            format!("{mixed} of {}, of {} accounts", thousands(requests.len()), used.len()),
            mixed == 0 && used.len() == 3,
        ),
    ]);
    report
}

/// The sidecar, with an interval of a second instead of half an hour.
fn rotating(pod: &Pod) -> Running {
    let log = fs::OpenOptions::new().create(true).append(true).open(pod.file("log")).unwrap();
    let mut idle = pod.command("idle");
    idle.args(["--every", "1s", "--", "rotate-once"]).stdin(Stdio::null()).stderr(log);
    Running(idle.spawn().unwrap())
}

fn load(litellm: &LiteLlm, seconds: u32) -> Turn {
    let question = json!({"model": "gpt-5.6-sol", "input": [{"role": "user", "content": "Who are you?"}]});
    let script = tempfile::NamedTempFile::new().unwrap();
    // An answer is right when it comes from an account; each number is printed on a line of its own.
    let lua = format!(
        r#"
wrk.method = "POST"
wrk.body = [[{question}]]
wrk.headers["Authorization"] = "Bearer {KEY}"
wrk.headers["Content-Type"] = "application/json"
local threads = {{}}
function setup(thread) table.insert(threads, thread) end
function init() wrong = 0 end
function response(status, _, body)
  if status ~= 200 or not body:find("Hello from", 1, true) then wrong = wrong + 1 end
end
function done(summary, latency)
  local errors, wrong = summary.errors, 0
  for _, thread in ipairs(threads) do wrong = wrong + thread:get("wrong") end
  io.write("\nfigures ", summary.requests, " ", wrong + errors.connect + errors.read + errors.write + errors.timeout,
    " ", latency:percentile(50), " ", latency:percentile(99), " ", latency.max, "\n")
end
"#
    );
    fs::write(script.path(), lua).unwrap();
    let mut wrk = Command::new("wrk");
    wrk.args(["--threads", "1", "--connections", &AT_ONCE.to_string(), "--timeout", "30s"]);
    wrk.args(["--duration", &format!("{seconds}s"), "--script"]).arg(script.path());
    let output = wrk.arg(format!("{}/responses", litellm.base_url())).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let figures = said.lines().find_map(|line| line.strip_prefix("figures "));
    let figures: Vec<f64> =
        figures.unwrap_or_else(|| panic!("{said}")).split(' ').map(|word| word.parse().unwrap()).collect();
    let [requests, failed, median, p99, longest] = figures[..] else { panic!("{said}") };
    assert!(requests > 0.0, "{said}");
    let whole = |number: f64| format!("{number:.0}").parse().unwrap();
    Turn {
        requests: whole(requests),
        failed: whole(failed),
        median: median / 1e6,
        p99: p99 / 1e6,
        longest: longest / 1e6,
    }
}
