//! When the command runs. Pure: it is given what happened and the time.
//!
//! A tick is counted from the start of the last run, so a wake-up postpones it, and a tick during a run is due when
//! that run ends. There are never two runs at once, and any number of wake-ups make one run. A wake-up waits until the
//! floor has passed since the last start, so that one after a quiet time runs at once. A burst of runs follow each other
//! so; then each waits for a second of quiet, so that a writer that never stops costs a run a second.

use std::time::{Duration, Instant};

/// How many runs that the file causes may follow each other at the floor, as where one account after another is refused.
const BURST: u32 = 5;

/// How much quiet makes up for one of them.
const QUIET: Duration = Duration::from_secs(1);

/// What has happened so far, as far as it matters for what is next.
#[derive(Debug)]
pub(crate) struct Schedule {
    every: Option<Duration>,
    floor: Duration,
    last_start: Option<Instant>,
    /// When there has been quiet enough for a whole burst.
    rested: Option<Instant>,
    running: bool,
    woken: bool,
    stopping: bool,
}

/// What to do now.
#[derive(Debug, PartialEq)]
pub(crate) enum Next {
    /// Run the command.
    Run,
    /// Wait until something happens, or until this time.
    Wait(Option<Instant>),
    /// End idle.
    End,
}

impl Schedule {
    /// The schedule of a command that has not run yet, and so is due at once.
    pub(crate) fn new(every: Option<Duration>, floor: Duration) -> Self {
        Self { every, floor, last_start: None, rested: None, running: false, woken: false, stopping: false }
    }

    pub(crate) fn started(&mut self, now: Instant) {
        if self.woken {
            self.rested = self.rested.unwrap_or(now).max(now).checked_add(QUIET);
        }
        self.last_start = Some(now);
        self.running = true;
        self.woken = false;
    }

    /// Notes that the wake-up file has appeared.
    pub(crate) fn woken(&mut self) {
        self.woken = true;
    }

    /// Whether a run is due because of the file, at once or when the pause has passed.
    pub(crate) fn is_woken(&self) -> bool {
        self.woken
    }

    pub(crate) fn ended(&mut self, now: Instant) {
        self.running = false;
        // A run is no quiet time, however long it takes.
        let took = self.last_start.map(|start| now.saturating_duration_since(start));
        self.rested = self.rested.and_then(|rested| rested.checked_add(took?));
    }

    pub(crate) fn stop(&mut self) {
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
            return Next::End;
        }
        let Some(last_start) = self.last_start else { return Next::Run };
        // A time that the clock cannot represent never comes.
        let tick = self.every.and_then(|every| last_start.checked_add(every));
        let wake_up = self.woken.then(|| last_start.checked_add(self.floor)).flatten();
        let wake_up = wake_up.map(|floor| self.burst_goes_on().map_or(floor, |at| at.max(floor)));
        match tick.into_iter().chain(wake_up).min() {
            Some(due) if due <= now => Next::Run,
            due => Next::Wait(due),
        }
    }

    /// From when on the burst has room for one run more.
    fn burst_goes_on(&self) -> Option<Instant> {
        self.rested?.checked_sub(QUIET * (BURST - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);
    const FLOOR: Duration = Duration::from_millis(100);
    const A_MOMENT: Duration = Duration::from_millis(1);

    fn every_minute() -> (Schedule, Instant) {
        (Schedule::new(Some(MINUTE), FLOOR), Instant::now())
    }

    fn never() -> (Schedule, Instant) {
        (Schedule::new(None, FLOOR), Instant::now())
    }

    #[test]
    fn the_first_run_is_at_once() {
        let (schedule, start) = every_minute();
        assert_eq!(schedule.next(start), Next::Run);
        assert_eq!(Schedule::new(None, FLOOR).next(start), Next::Run);
    }

    #[test]
    fn without_an_interval_nothing_follows_the_first_run() {
        let (mut schedule, start) = never();
        schedule.started(start);
        schedule.ended(start);
        assert_eq!(schedule.next(start + 1_000_000 * MINUTE), Next::Wait(None));
    }

    #[test]
    fn a_tick_is_counted_from_the_start_of_the_last_run() {
        let (mut schedule, start) = every_minute();
        schedule.started(start);
        schedule.ended(start);
        assert_eq!(schedule.next(start + MINUTE / 2), Next::Wait(Some(start + MINUTE)));
        assert_eq!(schedule.next(start + MINUTE), Next::Run);
    }

    #[test]
    fn a_wake_up_runs_at_once_and_postpones_the_tick() {
        let (mut schedule, start) = every_minute();
        schedule.started(start);
        schedule.ended(start);
        schedule.woken();
        assert_eq!(schedule.next(start + MINUTE / 2), Next::Run);
        schedule.started(start + MINUTE / 2);
        schedule.ended(start + MINUTE / 2);
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
        schedule.ended(start);
        let late = start + 7 * MINUTE / 2;
        assert_eq!(schedule.next(late), Next::Run);
        schedule.started(late);
        schedule.ended(late);
        assert_eq!(schedule.next(late), Next::Wait(Some(late + MINUTE)));
    }

    #[test]
    fn many_wake_ups_make_one_run() {
        let (mut schedule, start) = every_minute();
        schedule.started(start);
        schedule.woken();
        schedule.woken();
        schedule.ended(start);
        let woken = start + FLOOR;
        assert_eq!(schedule.next(woken), Next::Run);
        schedule.started(woken);
        schedule.ended(woken);
        assert_eq!(schedule.next(woken), Next::Wait(Some(woken + MINUTE)));
    }

    #[test]
    fn a_wake_up_soon_after_a_start_waits_until_the_floor_has_passed() {
        let (mut schedule, start) = never();
        schedule.started(start);
        schedule.ended(start);
        schedule.woken();
        assert_eq!(schedule.next(start + A_MOMENT), Next::Wait(Some(start + FLOOR)));
        assert_eq!(schedule.next(start + FLOOR / 2), Next::Wait(Some(start + FLOOR)), "and it is not lost");
        assert_eq!(schedule.next(start + FLOOR), Next::Run);
    }

    #[test]
    fn the_floor_is_counted_from_the_start_also_of_a_long_run() {
        let (mut schedule, start) = never();
        schedule.started(start);
        schedule.woken();
        schedule.ended(start);
        assert_eq!(schedule.next(start + 2 * FLOOR), Next::Run);
    }

    /// When the runs of one second start, if the file appears all the time; in milliseconds.
    fn starts_in_a_storm(floor: Duration, seconds: u64) -> Vec<u128> {
        let (mut schedule, start) = (Schedule::new(None, floor), Instant::now());
        let (mut now, mut starts) = (start, Vec::new());
        while now < start + Duration::from_secs(seconds) {
            if schedule.next(now) == Next::Run {
                starts.push((now - start).as_millis());
                schedule.started(now);
                schedule.ended(now);
            }
            now += A_MOMENT;
            schedule.woken();
        }
        starts
    }

    #[test]
    fn a_storm_costs_a_burst_of_runs_and_then_one_a_second() {
        let starts = starts_in_a_storm(FLOOR, 6);
        assert_eq!(starts, [0, 100, 200, 300, 400, 500, 1100, 2100, 3100, 4100, 5100]);
        // A floor that is longer stays as it is.
        assert_eq!(starts_in_a_storm(3 * QUIET, 7), [0, 3000, 6000]);
    }

    #[test]
    fn runs_that_take_long_are_no_quiet_time() {
        let (mut schedule, mut now) = never();
        for _ in 0..BURST {
            schedule.woken();
            schedule.started(now);
            now += 3 * QUIET;
            schedule.ended(now);
        }
        schedule.woken();
        assert_eq!(schedule.next(now), Next::Wait(Some(now + QUIET)));
    }

    #[test]
    fn after_a_quiet_time_there_is_a_burst_again() {
        let (mut schedule, mut now) = never();
        for _ in 0..2 * BURST {
            schedule.woken();
            schedule.started(now);
            schedule.ended(now);
        }
        schedule.woken();
        assert_eq!(schedule.next(now), Next::Wait(Some(now + QUIET * (BURST + 1))));
        now += QUIET * 2 * BURST;
        for _ in 0..BURST {
            assert_eq!(schedule.next(now), Next::Run);
            schedule.started(now);
            schedule.ended(now);
            schedule.woken();
            now += FLOOR;
        }
    }

    #[test]
    fn without_a_floor_a_wake_up_runs_at_once() {
        let (mut schedule, start) = (Schedule::new(None, Duration::ZERO), Instant::now());
        schedule.started(start);
        schedule.ended(start);
        schedule.woken();
        assert_eq!(schedule.next(start), Next::Run);
    }

    #[test]
    fn a_tick_does_not_wait_for_the_floor() {
        let (mut schedule, start) = (Schedule::new(Some(FLOOR), MINUTE), Instant::now());
        schedule.started(start);
        schedule.ended(start);
        schedule.woken();
        assert_eq!(schedule.next(start), Next::Wait(Some(start + FLOOR)));
        assert_eq!(schedule.next(start + FLOOR), Next::Run);
    }

    #[test]
    fn when_stopped_it_does_not_wait_for_the_floor() {
        let (mut schedule, start) = never();
        schedule.started(start);
        schedule.ended(start);
        schedule.woken();
        schedule.stop();
        assert_eq!(schedule.next(start), Next::End);
    }

    #[test]
    fn when_stopped_it_ends_even_if_a_run_is_due() {
        let (mut schedule, start) = every_minute();
        schedule.started(start);
        schedule.ended(start);
        schedule.woken();
        schedule.stop();
        assert_eq!(schedule.next(start + MINUTE), Next::End);
    }

    #[test]
    fn when_stopped_it_waits_for_the_running_command() {
        let (mut schedule, start) = every_minute();
        schedule.started(start);
        schedule.stop();
        assert_eq!(schedule.next(start + 2 * MINUTE), Next::Wait(None));
        schedule.ended(start);
        assert_eq!(schedule.next(start + 2 * MINUTE), Next::End);
    }

    #[test]
    fn a_time_that_the_clock_cannot_represent_never_comes() {
        let start = Instant::now();
        let mut schedule = Schedule::new(Some(Duration::MAX), Duration::MAX);
        schedule.started(start);
        schedule.ended(start);
        assert_eq!(schedule.next(start + MINUTE), Next::Wait(None));
        schedule.woken();
        assert_eq!(schedule.next(start + MINUTE), Next::Wait(None));
    }
}
