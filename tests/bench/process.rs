//! Programs that are run to their end: how long they take, and how much memory.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use fixture::workspace::{repository, tool};

use crate::samples::Samples;

/// A command that is run many times.
pub(crate) struct Case {
    pub(crate) name: String,
    /// Restores what a run changes. It runs before each run and is not measured.
    pub(crate) before: Box<dyn Fn()>,
    pub(crate) command: Box<dyn Fn() -> Command>,
}

impl Case {
    pub(crate) fn new(name: &str, command: impl Fn() -> Command + 'static) -> Self {
        Self { name: name.to_owned(), before: Box::new(|| {}), command: Box::new(command) }
    }

    pub(crate) fn after(self, before: impl Fn() + 'static) -> Self {
        Self { before: Box::new(before), ..self }
    }
}

/// Seconds from start to exit of each, in turn, so that the machine's drift affects all alike.
pub(crate) fn start_to_exit(cases: &[Case], rounds: usize) -> Vec<Samples> {
    let mut seconds = vec![Vec::new(); cases.len()];
    for round in 0..=rounds {
        for (case, seconds) in cases.iter().zip(&mut seconds) {
            (case.before)();
            let mut command = (case.command)();
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let begun = Instant::now();
            let status = command.status().unwrap();
            let taken = begun.elapsed();
            assert!(
                status.success(),
                "{}: {command:?}: {:?}",
                case.name,
                command.stderr(Stdio::inherit()).status()
            );
            // The first round only warms up.
            if round > 0 {
                seconds.push(taken.as_secs_f64());
            }
        }
    }
    seconds.into_iter().map(Samples::of).collect()
}

/// Peak resident memory in KiB.
pub(crate) fn peak(case: &Case, rounds: usize) -> Samples {
    let measure = built("peak");
    let once = || {
        (case.before)();
        let command = (case.command)();
        let mut measured = Command::new(&measure);
        measured.env_clear().arg(command.get_program()).args(command.get_args());
        measured.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = measured.stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{}: {said}", case.name);
        let last = said.lines().last().unwrap();
        last.parse::<f64>().unwrap()
    };
    Samples::of((0..rounds).map(|_| once()))
}

/// One of the C programs in `peers/`, which `scripts/bench` has compiled.
pub(crate) fn built(name: &str) -> PathBuf {
    tool("bench").join(name)
}

pub(crate) fn script(name: &str) -> PathBuf {
    repository().join("tests/bench/peers").join(name)
}

/// Debian's Python, on a script in `peers/`.
pub(crate) fn python(name: &str, args: &[&Path]) -> Command {
    let mut python = Command::new("/usr/bin/python3");
    python.env_clear().env("PATH", "/usr/bin:/bin").arg(script(name)).args(args);
    python
}
