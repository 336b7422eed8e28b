//! Running a command under strace: to list its system calls, and to spoil one of them. Only its first thread is traced,
//! so that the calls are the same in each run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::faults::scenario::Scenario;
use crate::faults::volume::Volume;

/// One system call of a command that nothing befell.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) name: String,
    /// Counted from 1 among those of its name.
    pub(crate) nth: u32,
    /// As strace prints it.
    pub(crate) line: String,
}

/// How the file system is that the volume lies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disk {
    /// It has files without names.
    Local,
    /// It has none, like NFS: every file has its name from the start.
    Network,
}

impl Disk {
    pub(crate) const ALL: [Self; 2] = [Self::Local, Self::Network];

    fn faults(self) -> &'static [&'static str] {
        match self {
            Self::Local => &[],
            Self::Network => &["-e", "inject=linkat:error=EXDEV"],
        }
    }
}

/// What changes a volume, or goes to the network.
const CHANGES: [&str; 19] = [
    "clone3",
    "connect",
    "fchmod",
    "fchown",
    "flock",
    "fsync",
    "ftruncate",
    "linkat",
    "mkdir",
    "pwrite64",
    "recvfrom",
    "rename",
    "sendto",
    "shutdown",
    "socket",
    "unlink",
    "utimensat",
    "write",
    "writev",
];

/// The calls of a program's first thread that touch files or the network, in order.
pub(crate) fn calls(scenario: Scenario, disk: Disk) -> Vec<Call> {
    let (volume, log) = (scenario.volume(), tempfile::NamedTempFile::new().unwrap());
    let pass = scenario.command(&volume);
    let output = traced(&pass, log.path(), disk, &["trace=file,desc,network,process"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    let text = fs::read_to_string(log.path()).unwrap();
    let calls = text.lines().filter_map(|line| {
        let (name, _) = line.split_once('(').filter(|(name, _)| !name.contains([' ', '-', '+']))?;
        let nth = counts.entry(name.to_owned()).or_default();
        *nth += 1;
        Some(Call { name: name.to_owned(), nth: *nth, line: line.to_owned() })
    });
    calls.collect()
}

/// The calls at which there is something new for who is killed: those that change something, and the first after each.
/// Between two that only read, the volume and the network are as they were.
pub(crate) fn worth_a_strike(calls: &[Call]) -> impl Iterator<Item = (usize, &Call)> {
    let is_new = |at: usize| calls[at].changes_something() || at == 0 || calls[at - 1].changes_something();
    calls.iter().enumerate().filter(move |(at, _)| is_new(*at))
}

impl Call {
    fn changes_something(&self) -> bool {
        CHANGES.contains(&self.name.as_str()) || self.makes_a_file()
    }

    pub(crate) fn makes_a_file(&self) -> bool {
        self.name == "openat" && (self.line.contains("O_CREAT") || self.line.contains("O_TMPFILE"))
    }
}

/// The calls during which the issuer's answer is nowhere but in memory, if at all: what is killed then loses it.
///
/// In the thread that asks, it is from the call after the one that sends the request, to the one that writes the answer
/// into the room for it. In the thread that waits for that one, it is from that one's start until a pass looks no longer
/// for signals, and as it looks at another number of times in each run, any later look at a file is, too.
pub(crate) fn wire(calls: &[Call]) -> BTreeSet<usize> {
    if let Some(sent) = calls.iter().rposition(|call| call.name == "sendto") {
        let stored = calls[sent..].iter().position(|call| call.name == "write").unwrap_or(calls.len());
        return (sent + 1..=sent + stored).collect();
    }
    let Some(started) = calls.iter().position(|call| call.name == "clone3") else { return BTreeSet::new() };
    let looks = |call: &Call| call.name == "statx" && call.line.contains("/rotate-now\"");
    let last = calls.iter().rposition(looks).unwrap_or(started);
    (started + 1..calls.len()).filter(|at| *at <= last + 1 || calls[*at].name == "statx").collect()
}

/// A scenario's command with one of its calls spoilt, as `signal=SIGKILL` or `error=EIO` says.
pub(crate) fn spoilt(command: &Command, disk: Disk, call: &Call, how: &str, when: &str) -> Output {
    let inject = format!("inject={}:{how}:when={when}", call.name);
    traced(command, "/dev/null".as_ref(), disk, &[&inject]).output().unwrap()
}

/// A pass that takes its time at some calls, as `inject=CALL:delay_exit=MICROSECONDS:when=N` says.
pub(crate) fn slowed(volume: &Volume, how: &[&str]) -> Command {
    traced(&volume.rotate_once(), "/dev/null".as_ref(), Disk::Local, how)
}

fn traced(command: &Command, log: &Path, disk: Disk, expressions: &[&str]) -> Command {
    let mut strace = Command::new("strace");
    strace.arg("-o").arg(log).args(["-s", "64"]).args(disk.faults());
    strace.args(expressions.iter().flat_map(|expression| ["-e", expression]));
    strace.arg(command.get_program()).args(command.get_args());
    strace.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    strace
}
