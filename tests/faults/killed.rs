//! Killed, or told to end, at every system call that changes a file or goes to the network, and at the one after it.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

use fixture::ANN;

use crate::faults::figures::Figures;
use crate::faults::judge::Case;
use crate::faults::scenario::Scenario;
use crate::faults::trace::{Disk, calls, spoilt, wire, worth_a_strike};
use crate::faults::volume::Volume;

/// How long the issuer may take to have seen a request whose sender is dead.
const SEEN: Duration = Duration::from_millis(500);

#[test]
fn killed_at_every_system_call_a_pass_loses_no_login() {
    let mut figures = Figures::of("killed at every system call");
    let mut on_the_wire = BTreeSet::new();
    for (scenario, disk) in everywhere() {
        on_the_wire.extend(strike(scenario, disk, "signal=SIGKILL", 9, &mut figures));
    }
    assert!(figures.struck > 500, "the calls were not traced to the end");
    let calls: Vec<_> = on_the_wire.into_iter().collect();
    figures.print(&format!("; killed on the wire at {}", calls.join(", ")));
}

#[test]
fn told_to_end_at_every_system_call_a_pass_loses_nothing_at_all() {
    let mut figures = Figures::of("told to end at every system call");
    for (scenario, disk) in everywhere() {
        strike(scenario, disk, "signal=SIGTERM", 15, &mut figures);
    }
    assert!(figures.struck > 500, "the calls were not traced to the end");
    assert_eq!(figures.lost_on_the_wire, 0, "an answer on its way is waited for");
    figures.print("");
}

fn everywhere() -> impl Iterator<Item = (Scenario, Disk)> {
    Scenario::ALL.into_iter().flat_map(|scenario| Disk::ALL.map(|disk| (scenario, disk)))
}

/// Strikes at one call after the other, and names those at which an answer was lost on the wire.
fn strike(scenario: Scenario, disk: Disk, how: &str, signal: i32, figures: &mut Figures) -> BTreeSet<String> {
    let calls = calls(scenario, disk);
    let wire = wire(&calls);
    let mut lost = BTreeSet::new();
    for (at, call) in worth_a_strike(&calls) {
        let volume = scenario.volume();
        let case = Case {
            volume: &volume,
            name: format!(
                "{scenario:?} on a {disk:?} disk, {how} at {} {}: {}",
                call.name, call.nth, call.line
            ),
            served: volume.bytes("auth.json"),
            may_be_lost_on_the_wire: signal == 9 && wire.contains(&at),
        };
        let output = spoilt(&scenario.command(&volume), disk, call, how, &call.nth.to_string());
        figures.struck += usize::from(output.status.signal() == Some(signal));
        if wire.first().is_some_and(|first| at >= *first) {
            issuer_has_seen_it(&volume);
        }
        let before = figures.lost_on_the_wire;
        case.at_once(&output, figures);
        case.once_mended(figures);
        if let Some(complaint) = scenario.complaint(&volume) {
            case.complain(figures, &complaint);
        }
        if figures.lost_on_the_wire > before {
            lost.insert(call.name.clone());
        }
    }
    lost
}

fn issuer_has_seen_it(volume: &Volume) {
    let start = Instant::now();
    while volume.refreshes_of(ANN) == 0 && start.elapsed() < SEEN {
        std::thread::sleep(Duration::from_millis(1));
    }
}
