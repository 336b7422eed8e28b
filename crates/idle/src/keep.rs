//! Staying alive: the loop that waits, reaps, runs the command when it is due, and ends when told to.

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
use crate::wake::Wake;

/// How often a run's end is looked for without a SIGCHLD to tell it: the kernel sends none to a program that
/// was started with that signal ignored, and a lost one must not end all later runs.
const LOOK_FOR_END_EVERY: Duration = Duration::from_secs(5);

/// Keeps the container alive until told to stop; wakes for nothing but signals. Gives the exit code.
///
/// # Errors
/// The kernel cannot wait for signals.
pub fn alive(signals: &Signals) -> anyhow::Result<u8> {
    loop {
        command::reap(None);
        let arrived = signals.wait(None, None).context("cannot wait for signals")?;
        if signals::ask_to_stop(&arrived) {
            return Ok(0);
        }
    }
}

/// Keeps the container alive and runs the job's command; gives the exit code.
///
/// # Errors
/// The kernel cannot wait for signals and events.
pub fn running(job: Job, signals: &Signals) -> anyhow::Result<u8> {
    let mut keeper = Keeper {
        command: Command::new(job.words),
        wake: job.wake_on.map(Wake::on),
        schedule: Schedule::new(job.every, job.wake_floor),
        current: None,
        exit_code: 0,
    };
    loop {
        let now = Instant::now();
        match keeper.schedule.next(now) {
            Next::Run => match keeper.start() {
                Ok(pid) => keeper.started(pid, now),
                // A container that can never do its work must be seen to fail.
                Err(error) if !keeper.schedule.has_started() => {
                    report(&error);
                    return Ok(error.exit_code());
                }
                Err(error) => keeper.could_not_start(&error, now),
            },
            Next::Wait(tick) => keeper.wait(tick, signals)?,
            Next::Leave => return Ok(keeper.exit_code),
        }
    }
}

struct Keeper {
    command: Command,
    wake: Option<Wake>,
    schedule: Schedule,
    current: Option<Pid>,
    exit_code: u8,
}

impl Keeper {
    /// What has appeared until now is for the run that starts, and for no other.
    fn start(&mut self) -> Result<Pid, CannotRun> {
        self.wake.as_mut().map(Wake::has_changed);
        self.command.start()
    }

    fn started(&mut self, pid: Pid, now: Instant) {
        self.current = Some(pid);
        self.schedule.started(now);
    }

    fn could_not_start(&mut self, error: &impl Display, now: Instant) {
        self.schedule.started(now);
        self.schedule.ended();
        report(&format!("{error}; {}", self.outlook()));
    }

    fn wait(&mut self, tick: Option<Instant>, signals: &Signals) -> anyhow::Result<()> {
        // During a run nothing but its end matters: what appears meanwhile is found then.
        let (wake, until) = match (self.current, &self.wake) {
            (Some(_), _) => (None, Some(Instant::now() + LOOK_FOR_END_EVERY)),
            // Until the floor has passed, a writer that never stops need not wake idle each time.
            (None, _) if self.schedule.is_woken() => (None, tick),
            (None, None) => (None, tick),
            (None, Some(wake)) => (wake.fd(), tick.into_iter().chain([wake.next_look()]).min()),
        };
        let arrived = signals.wait(wake, until).context("cannot wait for signals and events")?;

        // Reaped after the signals are read, so no SIGCHLD is lost, and before they are passed on, so a
        // command that has ended already is not taken for one that was stopped.
        let ending = command::reap(self.current);
        if let Some(ending) = ending {
            self.ended(ending);
        } else if self.current.is_none()
            && !self.schedule.is_woken()
            && self.wake.as_mut().is_some_and(Wake::has_appeared)
        {
            self.schedule.woken();
        }
        self.obey(&arrived);
        Ok(())
    }

    fn ended(&mut self, ending: Ending) {
        let pid = self.current.take();
        self.schedule.ended();
        if self.schedule.is_stopping() {
            self.exit_code = ending.exit_code();
            // It may have started more between our signal and its end.
            pid.inspect(|pid| command::signal_group(*pid, Signal::SIGTERM));
            return;
        }
        if self.wake.as_mut().is_some_and(Wake::has_changed) {
            self.schedule.woken();
        }
        if !ending.is_success() {
            report(&format!("{} {ending}; {}", self.command.name(), self.outlook()));
        }
    }

    fn obey(&mut self, arrived: &SigSet) {
        if signals::ask_to_stop(arrived) {
            self.schedule.stop_asked();
        }
        if let Some(pid) = self.current {
            signals::for_the_command(arrived).for_each(|signal| command::signal_group(pid, signal));
        }
    }

    /// When the command will run again, as the end of a sentence.
    fn outlook(&self) -> String {
        let now = Instant::now();
        let left = match self.schedule.next(now) {
            Next::Wait(due) => due.map(|at| at - now),
            Next::Run | Next::Leave => Some(Duration::ZERO),
        };
        let is_now =
            |left: Duration| left.is_zero() || (self.schedule.is_woken() && left < Duration::from_secs(1));
        if left.is_some_and(is_now) {
            return "next run now".to_owned();
        }
        let tick = left.map(|left| humantime::format_duration(whole_seconds(left)));
        let file = self.wake.as_ref().filter(|_| !self.schedule.is_woken()).map(|wake| wake.file().display());
        match (tick, file) {
            (Some(tick), Some(file)) => format!("next run in {tick} or when {file} appears"),
            (Some(tick), None) => format!("next run in {tick}"),
            (None, Some(file)) => format!("next run when {file} appears"),
            (None, None) => "it will not run again".to_owned(),
        }
    }
}

/// Rounded up: a person reads "in 30m", not "in 29m 59s 998ms".
fn whole_seconds(left: Duration) -> Duration {
    let begun = u64::from(left.subsec_nanos() > 0);
    Duration::from_secs(left.as_secs() + begun)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_of_time_is_rounded_up_to_seconds() {
        assert_eq!(whole_seconds(Duration::from_millis(1_799_002)), Duration::from_mins(30));
        assert_eq!(whole_seconds(Duration::from_mins(30)), Duration::from_mins(30));
    }
}
