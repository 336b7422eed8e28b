//! Passes under strace: their system calls, and passes of which one is spoilt.

use std::collections::BTreeSet;
use std::process::{Command, Output};

use fixture::strace::{Call, Strace};

use crate::faults::scenario::Scenario;

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

    fn strace(self) -> Strace {
        match self {
            Self::Local => Strace::new(),
            Self::Network => Strace::new().inject_always("linkat", "error=EXDEV"),
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
    let volume = scenario.volume();
    disk.strace().trace("file,desc,network,process").calls(&scenario.command(&volume))
}

/// The calls at which there is something new for who is killed: those that change something, and the first after each.
/// Between two that only read, the volume and the network are as they were.
pub(crate) fn worth_a_strike(calls: &[Call]) -> impl Iterator<Item = (usize, &Call)> {
    let is_new = |at: usize| at == 0 || changes_something(&calls[at]) || changes_something(&calls[at - 1]);
    calls.iter().enumerate().filter(move |(at, _)| is_new(*at))
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
    disk.strace().inject(&call.name, how, when).command(command).output().unwrap()
}

fn changes_something(call: &Call) -> bool {
    CHANGES.contains(&call.name.as_str()) || call.makes_a_file()
}
