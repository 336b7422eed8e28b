//! Programs that wait as PID 1 of a namespace of their own: what they cost, and whether they end and reap.

use std::fs;
use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use fixture::workspace::shipped;
use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, CpuSet, sched_setaffinity, unshare};
use nix::sys::signal::{Signal, kill, killpg};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{Pid, pipe2, write};

use crate::process::built;
use crate::report::{Aim, Panel, Report, Table};
use crate::samples::{Samples, kib, ratio, seconds, thousands};

const ROUNDS: usize = 31;

/// A system call that lasts longer than this is the one in which the program waits.
const SETTLED: Duration = Duration::from_millis(20);

/// A program that has not ended by then never does.
const PATIENCE: Duration = Duration::from_secs(1);

struct Peer {
    name: &'static str,
    words: Vec<String>,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Keeps a container alive.
    Keeper,
    /// Runs a command now and then.
    Scheduler,
}

fn peers() -> Vec<Peer> {
    let peer = |kind, name, line: &str| {
        let words = line.split('|').map(str::trim).map(str::to_owned).collect();
        Peer { name, words, kind }
    };
    let keeper = |name, line: &str| peer(Kind::Keeper, name, line);
    let scheduler = |name, line: &str| peer(Kind::Scheduler, name, line);
    let idle = shipped("idle").display().to_string();
    let pause = built("pause").display().to_string();
    let forever = "while true; do sleep 3600; done";
    let polling = "while true; do [ -e /nonexistent ] && true; sleep 10; done";
    vec![
        keeper("idle", &idle),
        keeper("catatonit -P", "/usr/bin/catatonit | -P"),
        keeper("pause of Kubernetes", &pause),
        keeper("tini -- sleep infinity", "/usr/bin/tini | -- | /usr/bin/sleep | infinity"),
        keeper("tini-static -- busybox sleep", "/usr/bin/tini-static | -- | /bin/busybox | sleep | 1000000"),
        keeper("sleep infinity", "/usr/bin/sleep | infinity"),
        keeper("sh, a loop around sleep", &format!("/bin/dash | -c | {forever}")),
        keeper("bash, the same", &format!("/bin/bash | -c | {forever}")),
        keeper("python3, signal.pause()", "/usr/bin/python3 | -S | -c | import signal; signal.pause()"),
        scheduler(
            "idle --every --wake-on",
            &format!("{idle} | --every | 30m | --wake-on | /tmp/rotate-now | -- | /bin/true"),
        ),
        scheduler("cron -f", "/usr/sbin/cron | -f"),
        scheduler("busybox crond -f", "/bin/busybox | crond | -f | -c | /var/spool/cron/crontabs"),
        scheduler("snooze", "/usr/bin/snooze | -H* | /bin/true"),
        scheduler("sh, a loop around sleep 10", &format!("/bin/dash | -c | {polling}")),
    ]
}

/// What was measured in one run.
struct Run {
    /// From just before `execve` to the system call in which it waits.
    start: f64,
    rss: f64,
    private_dirty: f64,
    /// From SIGTERM until it is gone, or `None` when it goes on.
    end: Option<f64>,
}

/// All runs of a peer.
struct Row {
    peer: Peer,
    as_pid_1: Vec<Run>,
    /// Runs without a namespace, whose end takes the kernel milliseconds.
    alone: Vec<Run>,
    reaps: bool,
}

pub(crate) fn measure() -> Report {
    // Pages that were just written count as the writer's own until they are on the disk.
    nix::unistd::sync();
    let mut rows: Vec<_> = peers()
        .into_iter()
        .map(|peer| Row { reaps: reaps(&peer), peer, as_pid_1: Vec::new(), alone: Vec::new() })
        .collect();
    for _ in 0..ROUNDS {
        for row in &mut rows {
            let ends = row.as_pid_1.first().is_none_or(|run| run.end.is_some());
            row.as_pid_1.push(observe(&row.peer, true, ends));
            row.alone.push(observe(&row.peer, false, true));
        }
    }
    report(&rows)
}

fn report(rows: &[Row]) -> Report {
    let mut report = Report::default();
    let named = |name: &str| rows.iter().find(|row| row.peer.name == name).unwrap();
    let [idle, scheduler, catatonit] = ["idle", "idle --every --wake-on", "catatonit -P"].map(named);
    for (kind, title) in [
        (Kind::Keeper, "PID 1 that keeps a container alive"),
        (Kind::Scheduler, "PID 1 that runs a command on time"),
    ] {
        let mut table = Table::new(
            title,
            &[
                "program",
                "file, bytes",
                "start",
                "beside catatonit",
                "RSS, KiB",
                "private dirty, KiB",
                "beside catatonit",
                "SIGTERM to exit, as PID 1",
                "the program's share",
                "reaps",
            ],
        );
        for row in rows.iter().filter(|row| row.peer.kind == kind) {
            let start = row.of(|run| run.start);
            let dirty = row.of(|run| run.private_dirty);
            table.row([
                format!("`{}`", row.peer.name),
                thousands(fs::metadata(&row.peer.words[0]).unwrap().len()),
                seconds(&start),
                ratio(start.median(), catatonit.of(|run| run.start).median()),
                kib(&row.of(|run| run.rss)),
                kib(&dirty),
                ratio(dirty.median(), catatonit.of(|run| run.private_dirty).median()),
                end(&row.as_pid_1),
                end(&row.alone),
                if row.reaps { "yes" } else { "no" }.to_owned(),
            ]);
            report.bar(Panel::PrivateDirty, row.peer.name, dirty.median());
        }
        report.tables.push(table);
    }
    let at_most = |of, ours: &Row, what: fn(&Run) -> f64, limit, peer: &Row| {
        Aim::at_most(of, ours.of(what).median(), limit, peer.of(what).median())
    };
    let share = |row: &Row| Samples::of(row.alone.iter().filter_map(|run| run.end));
    let (ours, theirs) = (share(idle), share(catatonit));
    report.aims.extend([
        at_most("`idle`: private dirty beside catatonit", idle, |run| run.private_dirty, 1.1, catatonit),
        at_most("`idle`: RSS beside catatonit", idle, |run| run.rss, 1.4, catatonit),
        at_most("`idle`: start beside catatonit", idle, |run| run.start, 1.05, catatonit),
        Aim::new(
            "`idle`: SIGTERM to exit, its own share",
            "within catatonit's spread",
            format!("{} beside {}", crate::samples::time(ours.median()), seconds(&theirs)),
            ours.median() <= theirs.percentile(95),
        ),
        at_most(
            "`idle` as a scheduler: private dirty beside plain `idle`",
            scheduler,
            |run| run.private_dirty,
            1.5,
            idle,
        ),
    ]);
    report
}

impl Row {
    fn of(&self, what: impl Fn(&Run) -> f64) -> Samples {
        Samples::of(self.as_pid_1.iter().map(what))
    }
}

fn end(runs: &[Run]) -> String {
    let ended: Vec<_> = runs.iter().filter_map(|run| run.end).collect();
    if ended.is_empty() { "never".to_owned() } else { seconds(&Samples::of(ended)) }
}

fn observe(peer: &Peer, as_pid_1: bool, ends: bool) -> Run {
    with_started(peer, as_pid_1, |child, begun| {
        let start = waits_since(child.id()).saturating_sub(begun);
        thread::sleep(Duration::from_millis(40));
        let (rss, private_dirty) = memory(child.id());
        let end = if ends { ended(child) } else { None };
        Run { start: start.as_secs_f64(), rss, private_dirty, end }
    })
}

/// Whether an orphan that ends in its namespace is gone soon afterwards.
fn reaps(peer: &Peer) -> bool {
    with_started(peer, true, |child, _| {
        waits_since(child.id());
        let pid = child.id().to_string();
        let mut orphan = Command::new("nsenter");
        orphan.args(["--target", &pid, "--pid", "sh", "-c", "sleep 0.05 &"]);
        assert!(orphan.status().unwrap().success(), "an orphan is made");
        thread::sleep(Duration::from_millis(300));
        let is_zombie = |pid: &u32| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z'))
        };
        !children(child.id()).iter().any(is_zombie)
    })
}

/// Starts the peer, measures it and ends it.
fn with_started<T: Send>(
    peer: &Peer,
    as_pid_1: bool,
    see: impl FnOnce(&mut Child, Duration) -> T + Send,
) -> T {
    let run = || {
        // On a thread of its own, because a thread can make a process namespace only once.
        if as_pid_1 {
            unshare(CloneFlags::CLONE_NEWPID).expect("run as root: namespaces are needed");
        }
        let (mut begun_at, write_end) = {
            let (read_end, write_end) = pipe2(OFlag::O_CLOEXEC).unwrap();
            (fs::File::from(read_end), write_end)
        };
        let mut command = Command::new(&peer.words[0]);
        command.args(&peer.words[1..]).env_clear().env("PATH", "/usr/bin:/bin").process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let report_time = move || {
            let begun = clock_gettime(ClockId::CLOCK_MONOTONIC)?;
            let (seconds, nanos) = (begun.tv_sec(), begun.tv_nsec());
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&seconds.to_ne_bytes());
            bytes[8..].copy_from_slice(&nanos.to_ne_bytes());
            write(write_end.as_fd(), &bytes)?;
            Ok(())
        };
        #[expect(unsafe_code, reason = "the clock is read between fork and exec")]
        // SAFETY: nothing but two system calls that are safe after a fork, on memory of its own.
        unsafe {
            command.pre_exec(report_time);
        }
        stay_on(Processor::OfThePeer);
        let mut child = command.spawn().unwrap();
        stay_on(Processor::OfTheWatcher);
        let mut bytes = [0; 16];
        begun_at.read_exact(&mut bytes).unwrap();
        let (seconds, nanos) = bytes.split_at(8);
        let number = |bytes: &[u8]| u64::from_ne_bytes(bytes.try_into().unwrap());
        let begun = Duration::from_secs(number(seconds)) + Duration::from_nanos(number(nanos));
        let seen = see(&mut child, begun);
        let _ = killpg(process(child.id()), Signal::SIGKILL);
        let _ = child.wait();
        seen
    };
    thread::scope(|scope| scope.spawn(run).join().unwrap())
}

/// Two processors, because a thread that watches without a pause would sometimes take the one that the peer waits for.
#[derive(Clone, Copy)]
enum Processor {
    OfTheWatcher = 0,
    OfThePeer = 1,
}

/// Moves this thread to a processor, together with what it starts from then on.
fn stay_on(processor: Processor) {
    let mut only = CpuSet::new();
    only.set(processor as usize).unwrap();
    sched_setaffinity(Pid::from_raw(0), &only).expect("two processors are needed");
}

/// Since when the process has been in the system call in which it stays, by the monotonic clock.
fn waits_since(pid: u32) -> Duration {
    let file = format!("/proc/{pid}/syscall");
    let (mut last, mut since) = (String::new(), now());
    loop {
        let seen = fs::read_to_string(&file).unwrap();
        let at = now();
        if seen != last || seen.starts_with("running") {
            (last, since) = (seen, at);
        } else if at.saturating_sub(since) > SETTLED {
            return since;
        }
    }
}

fn now() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap().into()
}

/// Resident and private dirty memory of the process and all below it, in KiB.
fn memory(pid: u32) -> (f64, f64) {
    let of = |pid: u32| {
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
        let field = |name: &str| {
            let line = rollup.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap()
        };
        (field("Rss:"), field("Private_Dirty:"))
    };
    let all = tree(pid).into_iter().map(of);
    all.fold((0.0, 0.0), |(rss, dirty), (more_rss, more_dirty)| (rss + more_rss, dirty + more_dirty))
}

fn tree(pid: u32) -> Vec<u32> {
    let below = children(pid).into_iter().flat_map(tree);
    [pid].into_iter().chain(below).collect()
}

fn children(pid: u32) -> Vec<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let list = fs::read_to_string(Path::new(&path)).unwrap_or_default();
    list.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

/// Seconds from SIGTERM until the process is gone, watched without a pause.
fn ended(child: &mut Child) -> Option<f64> {
    let begun = Instant::now();
    kill(process(child.id()), Signal::SIGTERM).unwrap();
    while begun.elapsed() < PATIENCE {
        if child.try_wait().unwrap().is_some() {
            return Some(begun.elapsed().as_secs_f64());
        }
    }
    None
}

fn process(pid: u32) -> Pid {
    Pid::from_raw(pid.try_into().unwrap())
}
