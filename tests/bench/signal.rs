//! From a signal on the volume to the record of another account.

use std::fs::{self, File};
use std::io::Read as _;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fixture::{Running, wait_until};
use support::pod::Pod;

use crate::process::script;
use crate::report::{Aim, Panel, Report, Table};
use crate::samples::{Samples, in_seconds, ratio, seconds, time};
use crate::volume;

const ROUNDS: usize = 200;

/// Longer than the 100 ms that lie between two runs of the sidecar at the least: what is measured is no pause of its
/// own.
const PAUSE: Duration = Duration::from_millis(150);

/// Logins that are due where the issuer hangs.
const DUE: u32 = 20;

/// Further ahead than any login of the stand-in ends: all of them are due.
const ALL_ARE_DUE: &str = "315360000";

/// Signals to the loop that polls every ten seconds; each has a volume and a loop of its own.
const POLLED: u32 = 20;
const POLL: Duration = Duration::from_secs(10);

pub(crate) fn measure() -> Report {
    let mut report = Report::default();
    let mut table = Table::new(
        "From the signal to the new record",
        &["program", "on", "signals", "median (5 % to 95 %)", "99 %", "longest", "beside ours on tmpfs"],
    );
    let memory = woken(Path::new(volume::MEMORY));
    let disk = woken(&volume::disk());
    let polled = polled();
    for (who, on, samples, rounds) in [
        ("`idle --wake-on`, `rotate-once`", "tmpfs", &memory, ROUNDS),
        ("`idle --wake-on`, `rotate-once`", "disk", &disk, ROUNDS),
        ("a shell that polls every 10 s, python3", "tmpfs", &polled, POLLED as usize),
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
    beside_a_hanging_issuer(&mut report);
    report
}

/// The same steps with and without refreshes that hang, in turn, so that the machine's drift affects both alike.
fn beside_a_hanging_issuer(report: &mut Report) {
    let title = format!("With and without {DUE} logins due whose refresh hangs, in turn");
    let mut table = Table::new(
        &title,
        &["what", "on", "refreshes", "runs", "median (5 % to 95 %)", "99 %", "longest", "beside none"],
    );
    let issuer = HangingIssuer::start();
    for (on, directory) in [("tmpfs", PathBuf::from(volume::MEMORY)), ("disk", volume::disk())] {
        let pods = [DUE, DUE].map(|accounts| volume::with_accounts(&directory, accounts));
        let due =
            [("CODEX_REFRESH_TOKEN_URL_OVERRIDE", &*issuer.url), ("CODEX_REFRESH_BEFORE_SEC", ALL_ARE_DUE)];
        let issuers = [None, Some(&issuer)];
        let _sidecars = [pods[0].sidecar(), pods[1].sidecar_with(&due)];
        for pod in &pods {
            wait_until("the first account is published", || pod.logged("active ").len() == 1);
        }
        for (what, steps) in STEPS {
            let mut taken = [Vec::new(), Vec::new()];
            for round in 0..ROUNDS {
                for ((taken, pod), issuer) in taken.iter_mut().zip(&pods).zip(issuers) {
                    settle(pod, issuer);
                    taken.push(steps[round % steps.len()](pod));
                }
            }
            let [none, hanging] = taken.map(in_seconds);
            for (refreshes, samples) in [("none", &none), ("hanging", &hanging)] {
                let median = seconds(samples);
                let [last, longest] = [99, 100].map(|percent| time(samples.percentile(percent)));
                let beside = ratio(samples.median(), none.median());
                table.row([what, on, refreshes].map(str::to_owned).into_iter().chain([
                    ROUNDS.to_string(),
                    median,
                    last,
                    longest,
                    beside,
                ]));
            }
            let (median, last) = (hanging.median(), hanging.percentile(99));
            report.aims.push(Aim::new(
                &format!("{what}, on {on}, while refreshes hang"),
                "median < 10 ms, 99 % < 100 ms",
                format!("{}, {}", time(median), time(last)),
                median < 0.010 && last < 0.100,
            ));
        }
    }
    report.tables.push(table);
}

/// Does something on a volume, and gives how long that took.
type Step = fn(&Pod) -> Duration;

/// What is measured beside them, by its name: steps in turn.
const STEPS: [(&str, &[Step]); 2] = [
    (
        "a signal to the new record",
        &[|pod| signal_to_record(&pod.file("rotate-now"), &pod.file("auth.json"))],
    ),
    (
        "`accounts park 2`, `accounts unpark 2`",
        &[|pod| whole_run(pod, &["park", "2"]), |pod| whole_run(pod, &["unpark", "2"])],
    ),
];

/// Waits until a pod is as it is between signals; if refreshes are to hang, until one of them does.
fn settle(pod: &Pod, hanging: Option<&HangingIssuer>) {
    wait_until("the signal is taken", || !pod.file("rotate-now").exists());
    thread::sleep(PAUSE);
    if let Some(issuer) = hanging.filter(|issuer| !issuer.is_asked()) {
        // The pass has given the last one up; the next pass begins with another login.
        File::create(pod.file("rotate-now")).unwrap();
        wait_until("a refresh hangs", || issuer.is_asked());
        thread::sleep(PAUSE);
    }
}

/// An issuer that takes each request and answers none.
struct HangingIssuer {
    url: String,
    waiting: Arc<AtomicUsize>,
}

impl HangingIssuer {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/oauth/token", listener.local_addr().unwrap());
        let waiting = Arc::new(AtomicUsize::new(0));
        let asked = Arc::clone(&waiting);
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let asked = Arc::clone(&asked);
                asked.fetch_add(1, Ordering::Relaxed);
                thread::spawn(move || {
                    // Until the other end gives up.
                    while stream.read(&mut [0; 4096]).is_ok_and(|bytes| bytes > 0) {}
                    asked.fetch_sub(1, Ordering::Relaxed);
                });
            }
        });
        Self { url, waiting }
    }

    /// Whether a request waits for its answer.
    fn is_asked(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }
}

fn whole_run(pod: &Pod, args: &[&str]) -> Duration {
    let mut accounts = volume::utility(pod, "accounts", args)();
    accounts.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let begun = Instant::now();
    let status = accounts.status().unwrap();
    let taken = begun.elapsed();
    assert!(status.success(), "accounts {args:?}: {status}");
    taken
}

fn woken(directory: &Path) -> Samples {
    let pod = volume::with_accounts(directory, 3);
    let _sidecar = pod.sidecar();
    wait_until("the first account is published", || pod.logged("active ").len() == 1);
    in_seconds((0..ROUNDS).map(|_| {
        // The sidecar is asleep, as it is between signals.
        wait_until("the signal is taken", || !pod.file("rotate-now").exists());
        thread::sleep(PAUSE);
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
    let pass = format!("/usr/bin/python3 {} {}", script("rotate.py").display(), pod.path().display());
    let looks = format!("{pass}; while sleep 10; do [ -e rotate-now ] && {pass}; done");
    let mut shell = Command::new("/bin/sh");
    shell.env_clear().env("PATH", "/usr/bin:/bin").args(["-c", &looks]).current_dir(pod.path());
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
