//! A week of a large pool, simulated: 50 replicas of LiteLLM, 500 accounts, and whatever can go wrong between them. The
//! judgement and the mirror are the production's; their rules are checked at each pass.
//!
//! `SIMULATION_SEEDS=1000 cargo test --release -p end-to-end --test simulation -- --nocapture` runs more seeds.

#![expect(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

#[path = "../faults/dice.rs"]
mod dice;
mod owner;
mod provider;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::{env, thread};

use judgement::policy::Order;
use records::LaneCount;

use crate::world::{Distance, Figures, Setting, World};

/// How many seeds are run of a week; without the variable it is one, of a day.
fn seeds() -> Option<u64> {
    env::var("SIMULATION_SEEDS").ok().map(|seeds| seeds.parse().unwrap())
}

/// The figures of each seed.
fn run(setting: Setting) -> Vec<Figures> {
    let (next, all) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    let workers = thread::available_parallelism().unwrap().get();
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds().unwrap_or(1) {
                        return;
                    }
                    let figures = World::run(setting, seed);
                    all.lock().unwrap().push(figures);
                }
            });
        }
    });
    let all = all.into_inner().unwrap();
    assert_eq!(all.len() as u64, seeds().unwrap_or(1), "each seed has come to its end");
    all
}

#[expect(clippy::cast_precision_loss, reason = "they are counts")]
fn row(name: &str, setting: Setting, all: &[Figures]) -> String {
    let sum = |of: fn(&Figures) -> u64| all.iter().map(of).sum::<u64>() as f64;
    let requests = sum(|figures| figures.requests);
    let in_a_million = |of: fn(&Figures) -> u64| sum(of) * 1e6 / requests;
    let hours = (setting.hours * all.len() as u64) as f64;
    let spread = all.iter().map(|figures| spread(&figures.parts)).sum::<f64>() / all.len() as f64;
    format!(
        "{name:<32}{:>10.0}{:>12.0}{:>10.1}{:>12.1}{:>10.2}{:>12.1}{:>12.1}",
        requests / all.len() as f64,
        in_a_million(|figures| figures.refusals),
        in_a_million(|figures| figures.failed),
        in_a_million(|figures| figures.failed_in_spite_of_the_owner),
        spread,
        sum(|figures| figures.lanes_moved) / hours,
        sum(|figures| figures.patches) / hours,
    )
}

/// The standard deviation of what the accounts have served, beside the mean.
#[expect(clippy::cast_precision_loss, reason = "they are counts")]
fn spread(parts: &[f64]) -> f64 {
    let mean = parts.iter().sum::<f64>() / parts.len() as f64;
    let variance = parts.iter().map(|part| (part - mean).powi(2)).sum::<f64>() / parts.len() as f64;
    variance.sqrt() / mean
}

#[test]
fn the_rules_hold_at_each_step_of_a_week_in_which_everything_goes_wrong() {
    let lanes = |count: u8| count.to_string().parse::<LaneCount>().unwrap();
    let many = Setting {
        replicas: 50,
        accounts: 500,
        lanes: lanes(16),
        order: Order::Sticky,
        distance: Distance::Followed,
        hours: if seeds().is_some() { 7 * 24 } else { 24 },
        requests: 60,
    };
    let one_pod = Setting { replicas: 1, lanes: LaneCount::ONE, distance: Distance::OnePod, ..many };
    println!(
        "{:<32}{:>10}{:>12}{:>10}{:>12}{:>10}{:>12}{:>12}",
        format!("{} × {} hours", seeds().unwrap_or(1), many.hours),
        "requests",
        "refused/10⁶",
        "lost/10⁶",
        "needlessly",
        "spread",
        "moves/h",
        "patches/h"
    );
    for (name, setting) in [
        ("50 replicas, 16 lanes, followed", many),
        ("50 replicas, 16 lanes, mounted", Setting { distance: Distance::Mounted, ..many }),
        ("1 pod, round-robin", Setting { order: Order::RoundRobin, ..one_pod }),
        ("1 pod, sticky", one_pod),
    ] {
        let all = run(setting);
        println!("{}", row(name, setting, &all));
        let sum = |of: fn(&Figures) -> u64| all.iter().map(of).sum::<u64>();
        let needlessly = sum(|figures| figures.failed_in_spite_of_the_owner);
        let is_followed = setting.distance == Distance::Followed;
        assert!(
            !is_followed || needlessly * 10_000 < sum(|figures| figures.requests),
            "{needlessly} are lost"
        );
    }
}
