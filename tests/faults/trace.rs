//! Running a pass under strace: to list its system calls, and to spoil one of them.

use std::collections::BTreeMap;
use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;
use std::process::{Command, Output};

use crate::faults::volume::Volume;

/// One system call of a pass that nothing befell.
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

/// The calls that touch files or the network, in order.
pub(crate) fn calls(volume: &Volume, disk: Disk) -> Vec<Call> {
    let log = tempfile::NamedTempFile::new().unwrap();
    let output = traced(volume, log.path(), disk, &["trace=file,desc,network"]).output().unwrap();
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

/// From the call after the one that sends the request, to the one that writes the answer into the room for it:
/// who is killed at one of these has the answer nowhere but in its memory, if at all.
pub(crate) fn wire(calls: &[Call]) -> Option<RangeInclusive<usize>> {
    let sent = calls.iter().rposition(|call| call.name == "sendto")?;
    let stored = sent + calls[sent..].iter().position(|call| call.name == "write")?;
    Some(sent + 1..=stored)
}

/// A pass with one of its calls spoilt, as `signal=SIGKILL` or `error=EIO` says.
pub(crate) fn spoilt(volume: &Volume, disk: Disk, call: &Call, how: &str, when: &str) -> Output {
    let inject = format!("inject={}:{how}:when={when}", call.name);
    traced(volume, "/dev/null".as_ref(), disk, &[&inject]).output().unwrap()
}

/// A pass that takes its time at some calls, as `inject=CALL:delay_exit=MICROSECONDS:when=N` says.
pub(crate) fn slowed(volume: &Volume, how: &[&str]) -> Command {
    traced(volume, "/dev/null".as_ref(), Disk::Local, how)
}

fn traced(volume: &Volume, log: &Path, disk: Disk, expressions: &[&str]) -> Command {
    let pass = volume.rotate_once();
    let mut strace = Command::new("strace");
    strace.arg("-o").arg(log).args(["-s", "64"]).args(disk.faults());
    strace.args(expressions.iter().flat_map(|expression| ["-e", expression]));
    strace.arg(pass.get_program()).args(pass.get_args());
    strace.env_clear().envs(pass.get_envs().filter_map(|(name, value)| Some((name, value?))));
    strace
}
