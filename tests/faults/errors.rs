//! A volume that fails at any one call, once or from then on, and a network that does.

use fixture::strace::Call;

use crate::faults::figures::Figures;
use crate::faults::judge::Case;
use crate::faults::scenario::Scenario;
use crate::faults::trace::{Disk, calls, spoilt, wire};
use crate::faults::volume::Volume;

/// What changes a volume.
const CHANGES: [&str; 8] = ["write", "fsync", "rename", "openat", "linkat", "ftruncate", "unlink", "fchmod"];

/// What a volume says that cannot be changed, and the number by which the operator is told. One like NFS says the second:
/// which of them it is makes no difference to what is done.
const ERRORS: [(&str, u32); 4] = [("ENOSPC", 28), ("EIO", 5), ("EROFS", 30), ("EACCES", 13)];

/// What a network says, call by call.
const NETWORK: [(&str, &str); 9] = [
    ("socket", "EMFILE"),
    ("connect", "ECONNREFUSED"),
    ("connect", "ENETUNREACH"),
    ("connect", "ETIMEDOUT"),
    ("sendto", "EPIPE"),
    ("sendto", "ECONNRESET"),
    ("recvfrom", "ECONNRESET"),
    ("recvfrom", "EIO"),
    ("setsockopt", "EINVAL"),
];

#[test]
fn an_error_at_every_change_of_the_volume_loses_no_login_and_is_told_in_one_line() {
    strike("an error at every write", |nth| nth.to_string());
}

#[test]
fn a_volume_that_fails_from_any_change_on_loses_no_login_and_is_told_in_one_line() {
    // What cannot be written at all although there was room for it is nowhere: it died on the way to the disk.
    strike("errors from every write on", |nth| format!("{nth}+"));
}

#[test]
fn a_network_that_fails_at_any_call_loses_nothing_that_arrived() {
    let mut figures = Figures::of("an error at every network call");
    let scenario = Scenario::Asked;
    let calls = calls(scenario, Disk::Local);
    let wire = wire(&calls);
    for (at, call) in calls.iter().enumerate() {
        for (_, error) in NETWORK.iter().filter(|(name, _)| *name == call.name) {
            let volume = scenario.volume();
            let case = Case {
                volume: &volume,
                name: format!("{error} at {} {}", call.name, call.nth),
                served: volume.bytes("auth.json"),
                may_be_lost_on_the_wire: wire.contains(&at),
            };
            let how = format!("error={error}");
            let output = spoilt(&scenario.command(&volume), Disk::Local, call, &how, &call.nth.to_string());
            figures.struck += 1;
            case.at_once(&output, &mut figures);
            if !matches!(output.status.code(), Some(0 | 75)) {
                case.complain(&mut figures, "a network that fails is to be tried again");
            }
            case.once_mended(&mut figures);
        }
    }
    assert!(figures.struck > 10, "the calls were not traced to the end");
    figures.print("");
}

fn strike(suite: &'static str, when: fn(u32) -> String) {
    let mut figures = Figures::of(suite);
    let places = Scenario::ALL.into_iter().flat_map(|scenario| Disk::ALL.map(|disk| (scenario, disk)));
    let strikes: Vec<_> = places
        .flat_map(|(scenario, disk)| {
            let calls = calls(scenario, disk).into_iter().filter(changes_the_volume);
            let errors = if disk == Disk::Local { &ERRORS[..] } else { &ERRORS[1..2] };
            calls.flat_map(move |call| errors.iter().map(move |error| (scenario, disk, call.clone(), *error)))
        })
        .collect();
    figures.each(strikes, |(scenario, disk, call, error), figures| {
        strike_one(scenario, disk, &call, error, &when(call.nth), figures);
    });
    assert!(figures.struck > 500, "the calls were not traced to the end");
    figures.print("");
}

fn strike_one(
    scenario: Scenario,
    disk: Disk,
    call: &Call,
    error: (&str, u32),
    when: &str,
    figures: &mut Figures,
) {
    let (name, number) = error;
    let volume = scenario.volume();
    let case = Case {
        volume: &volume,
        name: format!("{scenario:?} on a {disk:?} disk, {name} at {} {when}: {}", call.name, call.line),
        served: volume.bytes("auth.json"),
        may_be_lost_on_the_wire: call.name == "write" && when.ends_with('+'),
    };
    let output = spoilt(&scenario.command(&volume), disk, call, &format!("error={name}"), when);
    figures.struck += 1;
    case.at_once(&output, figures);
    // A log that cannot be written is no failure, and tells of none.
    if call.name != "write" || !call.line.starts_with("write(2,") && !when.ends_with('+') {
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        if let Some(why) = badly_told(&told, number, &volume, output.status.success()) {
            case.complain(figures, &format!("{}, {why}: {told:?}", output.status));
        }
    }
    case.once_mended(figures);
    if let Some(complaint) = scenario.complaint(&volume) {
        case.complain(figures, &complaint);
    }
}

/// Each failure is one line that names what failed and why, and a volume that fails for good may fail twice.
fn badly_told(told: &str, number: u32, volume: &Volume, is_success: bool) -> Option<&'static str> {
    let mut causes: Vec<_> =
        told.lines().filter(|line| line.contains(&format!("(os error {number})"))).collect();
    let all = causes.len();
    causes.dedup();
    if causes.is_empty() && !is_success {
        Some("not told why")
    } else if causes.len() < all {
        Some("told twice")
    } else if causes.iter().any(|line| !line.contains(volume.path().to_str().unwrap())) {
        Some("not told where")
    } else {
        let is_a_line = |line: &str| line.starts_with("rotate-once: ") || line.starts_with("accounts: ");
        told.lines().any(|line| !is_a_line(line)).then_some("told in more than a line")
    }
}

fn changes_the_volume(call: &Call) -> bool {
    let is_output = call.line.starts_with("write(1,");
    CHANGES.contains(&call.name.as_str()) && !is_output && (call.name != "openat" || call.makes_a_file())
}
