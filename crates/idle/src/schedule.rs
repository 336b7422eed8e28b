//! When to run the command: a pure core that is told what happened and what time it is.
//!
//! A tick is counted from the start of the last run, so a wake-up postpones it, and a tick that falls into a
//! run is simply due when that run ends. Never two runs at once; any number of wake-ups make one run.

use std::time::{Duration, Instant};

/// What has happened so far, as far as it decides what happens next.
#[derive(Debug)]
pub(crate) struct Schedule {
    every: Option<Duration>,
    last_start: Option<Instant>,
    running: bool,
    woken: bool,
    stopping: bool,
}

/// What to do now.
#[derive(Debug, PartialEq)]
pub(crate) enum Next {
    /// Run the command.
    Run,
    /// Wait for something to happen; at the given time, ask again.
    Wait(Option<Instant>),
    /// End.
    Leave,
}

impl Schedule {
    /// A command that has not run yet, and so is due at once.
    pub(crate) fn new(every: Option<Duration>) -> Self {
        Self { every, last_start: None, running: false, woken: false, stopping: false }
    }

    pub(crate) fn started(&mut self, now: Instant) {
        self.last_start = Some(now);
        self.running = true;
        self.woken = false;
    }

    /// The wake-up file appeared.
    pub(crate) fn woken(&mut self) {
        self.woken = true;
    }

    pub(crate) fn ended(&mut self) {
        self.running = false;
    }

    pub(crate) fn stop_asked(&mut self) {
        self.stopping = true;
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping
    }

    pub(crate) fn has_started(&self) -> bool {
        self.last_start.is_some()
    }

    pub(crate) fn next(&self, now: Instant) -> Next {
        if self.running {
            return Next::Wait(None);
        }
        if self.stopping {
            return Next::Leave;
        }
        match self.due() {
            _ if self.woken || !self.has_started() => Next::Run,
            Some(due) if due <= now => Next::Run,
            due => Next::Wait(due),
        }
    }

    /// The next tick; an interval beyond what the clock can count is never.
    fn due(&self) -> Option<Instant> {
        self.last_start?.checked_add(self.every?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn every_minute() -> (Schedule, Instant) {
        (Schedule::new(Some(MINUTE)), Instant::now())
    }

    #[test]
    fn the_first_run_is_at_once() {
        let (schedule, start) = every_minute();
        assert_eq!(schedule.next(start), Next::Run);
        assert_eq!(Schedule::new(None).next(start), Next::Run);
    }

    #[test]
    fn without_an_interval_nothing_follows_the_first_run() {
        let start = Instant::now();
        let mut schedule = Schedule::new(None);
        schedule.started(start);
        schedule.ended();
        assert_eq!(schedule.next(start + 1_000_000 * MINUTE), Next::Wait(None));
    }

    #[test]
    fn a_tick_is_counted_from_the_start_of_the_last_run() {
        let (mut schedule, start) = every_minute();
        schedule.started(start);
        schedule.ended();
        assert_eq!(schedule.next(start + MINUTE / 2), Next::Wait(Some(start + MINUTE)));
        assert_eq!(schedule.next(start + MINUTE), Next::Run);
    }

    #[test]
    fn a_wake_up_runs_at_once_and_postpones_the_tick() {
        let (mut schedule, start) = every_minute();
        schedule.started(start);
        schedule.ended();
        schedule.woken();
        assert_eq!(schedule.next(start + MINUTE / 2), Next::Run);
        schedule.started(start + MINUTE / 2);
        schedule.ended();
        assert_eq!(schedule.next(start + MINUTE), Next::Wait(Some(start + MINUTE / 2 + MINUTE)));
    }

    #[test]
    fn nothing_starts_while_the_command_runs() {
        let (mut schedule, start) = every_minute();
        schedule.started(start);
        schedule.woken();
        assert_eq!(schedule.next(start + 5 * MINUTE), Next::Wait(None));
    }

    #[test]
    fn ticks_missed_during_a_long_run_make_one_run_after_it() {
        let (mut schedule, start) = every_minute();
        schedule.started(start);
        schedule.ended();
        let late = start + 7 * MINUTE / 2;
        assert_eq!(schedule.next(late), Next::Run);
        schedule.started(late);
        schedule.ended();
        assert_eq!(schedule.next(late), Next::Wait(Some(late + MINUTE)));
    }

    #[test]
    fn many_wake_ups_make_one_run() {
        let (mut schedule, start) = every_minute();
        schedule.started(start);
        schedule.woken();
        schedule.woken();
        schedule.ended();
        assert_eq!(schedule.next(start), Next::Run);
        schedule.started(start);
        schedule.ended();
        assert_eq!(schedule.next(start), Next::Wait(Some(start + MINUTE)));
    }

    #[test]
    fn asked_to_stop_it_leaves_though_a_run_is_due() {
        let (mut schedule, start) = every_minute();
        schedule.started(start);
        schedule.ended();
        schedule.woken();
        schedule.stop_asked();
        assert_eq!(schedule.next(start + MINUTE), Next::Leave);
    }

    #[test]
    fn asked_to_stop_it_waits_for_the_running_command() {
        let (mut schedule, start) = every_minute();
        schedule.started(start);
        schedule.stop_asked();
        assert_eq!(schedule.next(start + 2 * MINUTE), Next::Wait(None));
        schedule.ended();
        assert_eq!(schedule.next(start + 2 * MINUTE), Next::Leave);
    }

    #[test]
    fn an_interval_beyond_the_clock_is_never() {
        let start = Instant::now();
        let mut schedule = Schedule::new(Some(Duration::MAX));
        schedule.started(start);
        schedule.ended();
        assert_eq!(schedule.next(start + MINUTE), Next::Wait(None));
    }
}
