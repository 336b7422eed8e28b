//! The provider: what each account has really used, and what it answers.

use records::usage::{Minutes, Percent, Usage, Window};
use records::{Secret, Timestamp};

use crate::dice::Dice;

/// A usage window as it really is.
struct Limit {
    length: Minutes,
    /// How many requests fit it.
    fits: u32,
    used: u32,
    /// When it resets; it begins with the first request after that.
    resets_at: Option<Timestamp>,
}

/// An account as it really is.
pub(crate) struct Account {
    limits: [Limit; 2],
    /// The access token that is accepted; none once the login has ended.
    pub(crate) token: Option<Secret>,
    /// How many requests it has served.
    pub(crate) served: u32,
}

/// What a request is answered.
pub(crate) enum Answer {
    Served(Usage),
    Capped {
        resets_at: Timestamp,
        usage: Usage,
    },
    /// A 401.
    Unauthorized,
}

impl Limit {
    fn new(length: Minutes, fits: u32) -> Self {
        Self { length, fits, used: 0, resets_at: None }
    }

    fn is_full(&self, now: Timestamp) -> bool {
        self.used >= self.fits && self.resets_at.is_some_and(|resets| resets > now)
    }

    fn count(&mut self, now: Timestamp) {
        if self.resets_at.is_none_or(|resets| resets <= now) {
            (self.used, self.resets_at) = (0, Some(now.plus(self.length.duration())));
        }
        self.used += 1;
    }

    fn window(&self) -> Window {
        let used_percent = Percent::new(f64::from(self.used) * 100.0 / f64::from(self.fits)).unwrap();
        Window { minutes: self.length, used_percent, resets_at: self.resets_at }
    }
}

impl Account {
    pub(crate) fn new(dice: &mut Dice, token: Secret) -> Self {
        let fits = 200 + u32::try_from(dice.below(200)).unwrap();
        let limits = [Limit::new(Minutes::FIVE_HOURS, fits), Limit::new(Minutes::WEEK, fits * 7)];
        Self { limits, token: Some(token), served: 0 }
    }

    pub(crate) fn ask(&mut self, token: &Secret, now: Timestamp) -> Answer {
        if self.token.as_ref() != Some(token) {
            return Answer::Unauthorized;
        }
        let full = self.limits.iter().filter(|limit| limit.is_full(now));
        if let Some(resets_at) = full.filter_map(|limit| limit.resets_at).max() {
            return Answer::Capped { resets_at, usage: self.usage(now) };
        }
        self.limits.iter_mut().for_each(|limit| limit.count(now));
        self.served += 1;
        Answer::Served(self.usage(now))
    }

    /// Whether it would serve now.
    pub(crate) fn can_serve(&self, now: Timestamp) -> bool {
        self.token.is_some() && !self.limits.iter().any(|limit| limit.is_full(now))
    }

    /// Which part of what a week allows it has served.
    pub(crate) fn part_used(&self) -> f64 {
        f64::from(self.served) / f64::from(self.limits[1].fits)
    }

    fn usage(&self, now: Timestamp) -> Usage {
        Usage::reported(now, self.limits.iter().map(Limit::window)).unwrap()
    }
}
