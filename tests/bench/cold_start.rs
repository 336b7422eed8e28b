//! How long a command takes from start to exit, beside a Python script that does the same, and beside a program that
//! makes the necessary system calls and nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use fixture::strace::Strace;
use fixture::workspace::shipped;
use support::pod::Pod;

use crate::process::{Case, built, peak, python, start_to_exit};
use crate::report::{Aim, Panel, Report, Table};
use crate::samples::{kib, ratio, seconds};
use crate::volume;

const ROUNDS: usize = 200;
const BASE_URL: &str = "http://litellm:4000/v1";

/// One task done by three programs.
struct Task {
    name: &'static str,
    command: &'static str,
    ours: Case,
    floor: Case,
    python: Case,
}

pub(crate) fn measure() -> Report {
    let mut report = Report::default();
    for task in on("tmpfs", Path::new(volume::MEMORY), &mut report) {
        let [ours, floor, python] = task.medians;
        let beside = |peer: &str| format!("{} beside {peer}", task.command);
        report.aims.extend([
            Aim::new(&beside("Python"), "≥ 50× faster", ratio(python, ours), python >= 50.0 * ours),
            Aim::at_most(&beside("the floor"), ours, 2.0, floor),
        ]);
        for (program, median) in [(task.command, ours), ("the floor", floor), ("python3", python)] {
            report.bar(Panel::ColdStart, &format!("{}: {program}", task.name), median);
        }
    }
    on("disk", &volume::disk(), &mut report);
    report.tables.push(system_calls());
    report
}

/// A task that was measured: ours, the floor, Python.
struct Measured {
    name: &'static str,
    command: &'static str,
    medians: [f64; 3],
}

fn on(file_system: &str, directory: &Path, report: &mut Report) -> Vec<Measured> {
    let mut table = Table::new(
        &format!("From start to exit, warm, {ROUNDS} runs, three accounts, on {file_system}"),
        &["task", "program", "start to exit", "beside ours", "peak RSS, KiB"],
    );
    let nothing = seconds(&start_to_exit(&[floor(&[], &[])], ROUNDS)[0]);
    let [none, program] = ["", "a static C program that ends"].map(str::to_owned);
    table.row(["nothing".to_owned(), program, nothing, none.clone(), none]);
    let pod = volume::with_accounts(directory, 3);
    let home = tempfile::tempdir_in(directory).unwrap();
    let measured = tasks(&pod, home.path()).map(|task| {
        let cases = [task.ours, task.floor, task.python];
        let times = start_to_exit(&cases, ROUNDS);
        let medians = [0, 1, 2].map(|n| times[n].median());
        for (case, time) in cases.iter().zip(&times) {
            let beside = ratio(time.median(), medians[0]);
            table.row([task.name.to_owned(), case.name.clone(), seconds(time), beside, kib(&peak(case, 5))]);
        }
        Measured { name: task.name, command: task.command, medians }
    });
    report.tables.push(table);
    measured.into()
}

fn tasks(pod: &Pod, home: &Path) -> [Task; 3] {
    let volume = pod.path();
    let at = |name: &str| volume.join(name).display().to_string();
    let logins: Vec<_> = (1..=3).map(|slot| at(&format!("auth-{slot}.json"))).collect();
    let config = home.join("config.toml");
    let forget = {
        let config = config.clone();
        move || drop(fs::remove_file(&config))
    };
    let seed = {
        let home = home.to_owned();
        move || {
            let mut seed = Command::new(shipped("seed-codex-config"));
            seed.env_clear().arg("--codex-home").arg(&home).args(["--base-url", BASE_URL]);
            seed
        }
    };
    let reads: Vec<_> = logins.iter().flat_map(|login| ["read", login.as_str()]).collect();
    let [whole, record, state] = ["", "auth.json", "rotator_state.json"].map(at);
    let known = ["read", &record, "read", &state];
    let list = [&["list", &whole], &reads[..], &known].concat();
    // Into files of its own, because what it writes means nothing to the others.
    let written = [(at("floor.record"), 2500), (at("floor.state"), 700)];
    let rotate_floor = floor(&[&["lock", &at(".lock")], &list[..]].concat(), &written);
    let list_floor = floor(&[&list[..], &["print", "400"]].concat(), &[]);
    let seed_floor = floor(&[], &[(config.display().to_string(), 300)]);
    let python_on_volume = |name: &'static str| {
        let volume = volume.to_owned();
        Case::new("python3", move || python(name, &[&volume]))
    };
    let home = home.to_owned();
    [
        Task {
            name: "a pass of the rotator",
            command: "`rotate-once`",
            ours: Case::new("`rotate-once`", volume::utility(pod, "rotate-once", &[])),
            floor: rotate_floor,
            python: python_on_volume("rotate.py"),
        },
        Task {
            name: "codex's config.toml",
            command: "`seed-codex-config`",
            ours: Case::new("`seed-codex-config`", seed).after(forget.clone()),
            floor: seed_floor.after(forget.clone()),
            python: Case::new("python3", move || python("seed.py", &[&home, Path::new(BASE_URL)]))
                .after(forget),
        },
        Task {
            name: "the table of accounts",
            command: "`accounts`",
            ours: Case::new("`accounts`", volume::utility(pod, "accounts", &[])),
            floor: list_floor,
            python: python_on_volume("accounts.py"),
        },
    ]
}

/// The floor under a task: what it reads and prints, and which files it replaces with so many bytes.
fn floor(words: &[&str], replaced: &[(String, usize)]) -> Case {
    let mut words: Vec<_> = words.iter().map(|&word| word.to_owned()).collect();
    for (file, bytes) in replaced {
        words.extend(["replace".to_owned(), file.clone(), bytes.to_string()]);
    }
    Case::new("the floor", move || {
        let mut floor = Command::new(built("floor"));
        floor.env_clear().args(&words);
        floor
    })
}

/// The system calls of each command in turn, by name.
fn system_calls() -> Table {
    let pod = volume::with_accounts(Path::new(volume::MEMORY), 3);
    let home = tempfile::tempdir_in(volume::MEMORY).unwrap();
    let mut table = Table::new("System calls from start to exit", &["task", "program", "calls", "of which"]);
    for task in tasks(&pod, home.path()) {
        for case in [task.ours, task.floor, task.python] {
            // The first run finds no state, which later ones have.
            (case.before)();
            let status = (case.command)().stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
            assert!(status.success(), "{}", case.name);
            (case.before)();
            let mut calls = BTreeMap::new();
            for call in Strace::new().follow().calls(&(case.command)()) {
                *calls.entry(call.name).or_insert(0_usize) += 1;
            }
            let count: usize = calls.values().sum();
            let listed: Vec<_> = calls.iter().map(|(name, n)| format!("{name} {n}")).collect();
            let listed = if case.name == "python3" { String::new() } else { listed.join(", ") };
            table.row([task.name.to_owned(), case.name, count.to_string(), listed]);
        }
    }
    table
}
