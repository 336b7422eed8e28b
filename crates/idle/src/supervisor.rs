//! The supervisor: the loop that waits, reaps, runs the command when it is due, and ends when idle is stopped.

use std::fmt::Display;
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::Pid;

use crate::args::Job;
use crate::command::{self, CannotRun, Command, Ending};
use crate::report::report;
use crate::schedule::{Next, Schedule};
use crate::signals::{self, Signals};
use crate::wake_file::WakeFile;

/// How often it is checked without a SIGCHLD whether a run has ended: the kernel sends none to a program that was
/// started with that signal ignored, and a lost one must not end all later runs.
const CHECK_END_EVERY: Duration = Duration::from_secs(5);

/// Keeps the container alive until idle is stopped. It wakes for signals only. Gives the exit code.
///
/// # Errors
/// The kernel cannot wait for signals.
pub fn stay_alive(signals: &Signals) -> anyhow::Result<u8> {
    loop {
        command::reap(None);
        let arrived = signals.wait(None, None).context("cannot wait for signals")?;
        if signals::stop_idle(&arrived) {
            return Ok(0);
        }
    }
}

/// Keeps the container alive and runs the job's command. Gives the exit code.
///
/// # Errors
/// The kernel cannot wait for signals and events.
pub fn run_job(job: Job, signals: &Signals) -> anyhow::Result<u8> {
    let mut supervisor = Supervisor {
        command: Command::new(job.words),
        wake_file: job.wake_on.map(WakeFile::watch),
        schedule: Schedule::new(job.every, job.wake_floor),
        current: None,
        exit_code: 0,
    };
    loop {
        let now = Instant::now();
        match supervisor.schedule.next(now) {
            Next::Run => match supervisor.start() {
                Ok(pid) => supervisor.started(pid, now),
                // A container that can never do its work has to fail visibly.
                Err(error) if !supervisor.schedule.has_started() => {
                    report(&error);
                    return Ok(error.exit_code());
                }
                Err(error) => supervisor.could_not_start(&error, now),
            },
            Next::Wait(tick) => supervisor.wait(tick, signals)?,
            Next::End => return Ok(supervisor.exit_code),
        }
    }
}

struct Supervisor {
    command: Command,
    wake_file: Option<WakeFile>,
    schedule: Schedule,
    current: Option<Pid>,
    exit_code: u8,
}

impl Supervisor {
    /// A file that has appeared until now is for the run that starts, and causes no other.
    fn start(&mut self) -> Result<Pid, CannotRun> {
        self.wake_file.as_mut().map(WakeFile::has_changed);
        self.command.start()
    }

    fn started(&mut self, pid: Pid, now: Instant) {
        self.current = Some(pid);
        self.schedule.started(now);
    }

    fn could_not_start(&mut self, error: &impl Display, now: Instant) {
        self.schedule.started(now);
        self.schedule.ended(now);
        report(&format!("{error}; {}", self.outlook()));
    }

    fn wait(&mut self, tick: Option<Instant>, signals: &Signals) -> anyhow::Result<()> {
        // During a run only its end matters: a file that appears meanwhile is found then.
        let (events, until) = match (self.current, &self.wake_file) {
            (Some(_), _) => (None, Some(Instant::now() + CHECK_END_EVERY)),
            // Until the floor has passed, a writer that never stops need not wake idle each time.
            (None, _) if self.schedule.is_woken() => (None, tick),
            (None, None) => (None, tick),
            (None, Some(file)) => (file.events(), tick.into_iter().chain([file.next_check()]).min()),
        };
        let arrived = signals.wait(events, until).context("cannot wait for signals and events")?;

        // Reaped after the signals are read, so that no SIGCHLD is lost, and before they are passed on, so that a
        // command that has ended already does not count as stopped.
        let ending = command::reap(self.current);
        if let Some(ending) = ending {
            self.ended(ending);
        } else if self.current.is_none()
            && !self.schedule.is_woken()
            && self.wake_file.as_mut().is_some_and(WakeFile::has_appeared)
        {
            self.schedule.woken();
        }
        self.obey(&arrived);
        Ok(())
    }

    fn ended(&mut self, ending: Ending) {
        let pid = self.current.take();
        self.schedule.ended(Instant::now());
        if self.schedule.is_stopping() {
            self.exit_code = ending.exit_code();
            // It may have started more processes between our signal and its end.
            pid.inspect(|pid| command::signal_group(*pid, Signal::SIGTERM));
            return;
        }
        if self.wake_file.as_mut().is_some_and(WakeFile::has_changed) {
            self.schedule.woken();
        }
        if !ending.is_success() {
            report(&format!("{} {ending}; {}", self.command.name(), self.outlook()));
        }
    }

    fn obey(&mut self, arrived: &SigSet) {
        if signals::stop_idle(arrived) {
            self.schedule.stop();
        }
        if let Some(pid) = self.current {
            signals::for_the_command(arrived).for_each(|signal| command::signal_group(pid, signal));
            if signals::stop_idle(arrived) {
                // One that is stopped would take no other signal.
                command::signal_group(pid, Signal::SIGCONT);
            }
        }
    }

    /// When the command will run again, as the end of a sentence.
    fn outlook(&self) -> String {
        let now = Instant::now();
        let left = match self.schedule.next(now) {
            Next::Wait(due) => due.map(|at| at - now),
            Next::Run | Next::End => Some(Duration::ZERO),
        };
        let is_now =
            |left: Duration| left.is_zero() || (self.schedule.is_woken() && left < Duration::from_secs(1));
        if left.is_some_and(is_now) {
            return "next run now".to_owned();
        }
        let tick = left.map(|left| humantime::format_duration(whole_seconds(left)));
        let file = self.wake_file.as_ref().filter(|_| !self.schedule.is_woken());
        let file = file.map(|file| file.path().display());
        match (tick, file) {
            (Some(tick), Some(file)) => format!("next run in {tick} or when {file} appears"),
            (Some(tick), None) => format!("next run in {tick}"),
            (None, Some(file)) => format!("next run when {file} appears"),
            (None, None) => "it will not run again".to_owned(),
        }
    }
}

/// Rounded up, so that it reads "in 30m" and not "in 29m 59s 998ms".
fn whole_seconds(left: Duration) -> Duration {
    let begun = u64::from(left.subsec_nanos() > 0);
    Duration::from_secs(left.as_secs() + begun)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_is_rounded_up_to_seconds() {
        assert_eq!(whole_seconds(Duration::from_millis(1_799_002)), Duration::from_mins(30));
        assert_eq!(whole_seconds(Duration::from_mins(30)), Duration::from_mins(30));
    }
}
