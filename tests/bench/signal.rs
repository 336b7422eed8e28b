//! From a signal on the volume to the record of another account.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::pod::{Pod, Running, wait_until};
use crate::process::script;
use crate::report::{Aim, Panel, Report, Table};
use crate::samples::{Samples, in_seconds, ratio, seconds, time};
use crate::volume;

const ROUNDS: usize = 200;

/// Signals to the loop that looks every ten seconds; each has a volume and a loop of its own.
const POLLED: u32 = 20;
const POLL: Duration = Duration::from_secs(10);

pub(crate) fn measure() -> Report {
    let mut report = Report::default();
    let mut table = Table::new(
        "From the signal to the new record",
        &["who", "on", "signals", "median (5 % to 95 %)", "99 %", "longest", "beside ours on tmpfs"],
    );
    let memory = woken(Path::new(volume::MEMORY));
    let disk = woken(&volume::disk());
    let polled = polled();
    for (who, on, samples, rounds) in [
        ("`idle --wake-on`, `rotate-once`", "tmpfs", &memory, ROUNDS),
        ("`idle --wake-on`, `rotate-once`", "disk", &disk, ROUNDS),
        ("a shell that looks every 10 s, python3", "tmpfs", &polled, POLLED as usize),
    ] {
        table.row([
            who.to_owned(),
            on.to_owned(),
            rounds.to_string(),
            seconds(samples),
            time(samples.percentile(99)),
            time(samples.percentile(100)),
            ratio(samples.median(), memory.median()),
        ]);
        report.bar(Panel::Signal, &format!("{who}, {on}"), samples.median());
    }
    report.tables.push(table);
    let limit = polled.median() / 100.0;
    report.aims.push(Aim::new(
        "a signal to the new record, on disk, beside a poll of 10 s",
        "a hundredth",
        ratio(disk.median(), polled.median()).replace("0.00×", "less than 0.005×"),
        disk.median() <= limit,
    ));
    report
}

fn woken(directory: &Path) -> Samples {
    let pod = volume::with_accounts(directory, 3);
    let _sidecar = pod.sidecar();
    wait_until("the first account is published", || pod.logged("active ").len() == 1);
    in_seconds((0..ROUNDS).map(|_| {
        // The sidecar is asleep, as it is between signals.
        wait_until("the signal is taken", || !pod.file("rotate-now").exists());
        thread::sleep(Duration::from_millis(20));
        signal_to_record(&pod.file("rotate-now"), &pod.file("auth.json"))
    }))
}

fn polled() -> Samples {
    let pods: Vec<_> = (0..POLLED).map(|_| volume::with_accounts(Path::new(volume::MEMORY), 3)).collect();
    // Spread over the interval, so that one signal to all meets every phase of it.
    let _loops: Vec<_> = pods
        .iter()
        .map(|pod| {
            thread::sleep(POLL / POLLED);
            poll(pod)
        })
        .collect();
    thread::scope(|scope| {
        let file = |pod: &Pod, name| -> PathBuf { pod.file(name) };
        let waiting: Vec<_> = pods
            .iter()
            .map(|pod| {
                let (signal, record) = (file(pod, "rotate-now"), file(pod, "auth.json"));
                scope.spawn(move || signal_to_record(&signal, &record))
            })
            .collect();
        in_seconds(waiting.into_iter().map(|waiting| waiting.join().unwrap()))
    })
}

fn poll(pod: &Pod) -> Running {
    let pass = format!("/usr/bin/python3 {} {}", script("rotate.py").display(), pod.volume().display());
    let looks = format!("{pass}; while sleep 10; do [ -e rotate-now ] && {pass}; done");
    let mut shell = Command::new("/bin/sh");
    shell.env_clear().env("PATH", "/usr/bin:/bin").args(["-c", &looks]).current_dir(pod.volume());
    Running(shell.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
}

fn signal_to_record(signal: &Path, record: &Path) -> Duration {
    let which = || fs::metadata(record).map(|found| found.ino()).ok();
    let before = which();
    let begun = Instant::now();
    File::create(signal).unwrap();
    while which() == before {
        assert!(begun.elapsed() < Duration::from_mins(1), "no new record");
        thread::sleep(Duration::from_micros(50));
    }
    begun.elapsed()
}
