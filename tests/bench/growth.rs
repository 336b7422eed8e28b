//! What more accounts cost, and whether a hundred thousand rotations leave anything behind.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use support::pod::Pod;

use crate::process::{Case, peak, start_to_exit};
use crate::report::{Aim, Panel, Report, Series, Table};
use crate::samples::{kib, ratio, seconds, thousands, time};
use crate::volume;

const SLOTS: [u32; 4] = [3, 30, 300, 3_000];
const COMMANDS: [&str; 2] = ["rotate-once", "accounts"];
const ROTATIONS: u32 = 100_000;

pub(crate) fn measure() -> Report {
    let mut report = Report::default();
    let mut table = Table::new(
        "More accounts, warm, on tmpfs, 21 runs",
        &["slots", "`rotate-once`", "peak RSS, KiB", "`accounts`", "peak RSS, KiB"],
    );
    let mut points = [Vec::new(), Vec::new()];
    let mut last = Vec::new();
    for slots in SLOTS {
        let pod = volume::with_accounts(Path::new(volume::MEMORY), slots);
        let cases = COMMANDS.map(|name| Case::new(name, volume::utility(&pod, name, &[])));
        let times = start_to_exit(&cases, 21);
        let peaks: Vec<_> = cases.iter().map(|case| peak(case, 5)).collect();
        let cells = times.iter().zip(&peaks).flat_map(|(time, peak)| [seconds(time), kib(peak)]);
        table.row([thousands(slots)].into_iter().chain(cells));
        for (points, time) in points.iter_mut().zip(&times) {
            points.push((f64::from(slots), time.median()));
        }
        last = times.iter().zip(&peaks).map(|(time, peak)| (time.median(), peak.percentile(100))).collect();
    }
    report.tables.push(table);
    for ((name, line), (taken, peak)) in COMMANDS.into_iter().zip(points).zip(last) {
        // What one more account costs, early and late on the line.
        let slope = |a: usize, b: usize| (line[b].1 - line[a].1) / (line[b].0 - line[a].0);
        let (early, late) = (slope(1, 2), slope(2, 3));
        let all = format!("`{name}` with 3,000 slots");
        let linear = format!("`{name}`: an account costs the same among 3,000 as among 300");
        let megabytes = peak * 1024.0 / 1e6;
        report.aims.extend([
            Aim::new(&all, "< 50 ms", time(taken), taken < 0.050),
            Aim::new(&format!("{all}, memory"), "< 16 MB", format!("{megabytes:.1} MB"), megabytes < 16.0),
            Aim::new(&linear, "linear: ≤ 1.25×", ratio(late, early), late <= 1.25 * early),
        ]);
        report.series.push(Series { panel: Panel::Growth, name: name.to_owned(), points: line });
    }
    bounded(&mut report);
    report
}

/// Rotates by hand many times, because that writes the most: record, state and audit log.
fn bounded(report: &mut Report) {
    let pod = volume::with_accounts(Path::new(volume::MEMORY), 3);
    let mut table = Table::new(
        &format!("{} rotations by `accounts use`, each with its line in the audit log", thousands(ROTATIONS)),
        &["rotations", "rotator_state.json, bytes", "audit.jsonl, bytes", "files on the volume", "all bytes"],
    );
    let uses = [1, 2, 3].map(|slot| volume::utility(&pod, "accounts", &["use", &slot.to_string()]));
    let mut largest = [0; 2];
    for n in 1..=ROTATIONS {
        let next = &uses[n as usize % uses.len()];
        let mut accounts = next();
        let status = accounts.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        assert!(status.unwrap().success(), "rotation {n}");
        for (largest, file) in largest.iter_mut().zip(["rotator_state.json", "audit.jsonl"]) {
            *largest = size(&pod, file).max(*largest);
        }
        if [10, 100, 1_000, 10_000, 30_000, 100_000].contains(&n) {
            let names = pod.names_without_ended_grants();
            let all: u64 = names.iter().map(|name| size(&pod, name)).sum();
            table.row(
                [
                    u64::from(n),
                    size(&pod, "rotator_state.json"),
                    size(&pod, "audit.jsonl"),
                    names.len() as u64,
                    all,
                ]
                .map(thousands),
            );
        }
    }
    let [state, audit] = largest;
    report.tables.push(table);
    report.aims.extend([
        Aim::new(
            "the state after 100,000 rotations",
            "bounded: < 4 KiB",
            format!("at most {} bytes", thousands(state)),
            state < 4096,
        ),
        Aim::new(
            "the audit log after 100,000 rotations",
            "bounded: ≤ 256 KiB",
            format!("at most {} bytes", thousands(audit)),
            audit <= 256 * 1024,
        ),
    ]);
}

fn size(pod: &Pod, file: &str) -> u64 {
    fs::metadata(pod.file(file)).map_or(0, |found| found.len())
}
