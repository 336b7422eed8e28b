//! What a suite counts, and prints.

use std::sync::Mutex;
use std::thread::scope;
use std::time::Instant;

/// How many complaints a failing suite prints; the others are alike.
const SHOWN: usize = 40;

/// How many cases are tried at once that mostly wait.
const AT_A_TIME: usize = 8;

pub(crate) struct Figures {
    suite: &'static str,
    start: Instant,
    pub(crate) passes: usize,
    /// How many passes a fault befell, as far as that is known.
    pub(crate) struck: usize,
    pub(crate) refresh_tokens_lost: usize,
    /// Refresh tokens that were sent once more, although the issuer had not said that they are as good as before.
    pub(crate) sent_twice: usize,
    /// Answers that died with the process or the connection that was to bring them: nobody has them.
    pub(crate) lost_on_the_wire: usize,
    pub(crate) records_torn: usize,
    pub(crate) secrets_out: usize,
    complaints: Vec<String>,
}

impl Figures {
    pub(crate) fn of(suite: &'static str) -> Self {
        Self {
            suite,
            start: Instant::now(),
            passes: 0,
            struck: 0,
            refresh_tokens_lost: 0,
            sent_twice: 0,
            lost_on_the_wire: 0,
            records_torn: 0,
            secrets_out: 0,
            complaints: Vec::new(),
        }
    }

    pub(crate) fn complain(&mut self, complaint: String) {
        self.complaints.push(complaint);
    }

    /// Does this with each of them, several at a time: most wait for a disk, an issuer or a clock.
    pub(crate) fn each<T: Send>(
        &mut self,
        all: impl IntoIterator<Item = T, IntoIter: Send>,
        does: impl Fn(T, &mut Self) + Sync,
    ) {
        let (all, suite) = (Mutex::new(all.into_iter()), self.suite);
        let work = || {
            let mut figures = Self::of(suite);
            loop {
                let next = all.lock().unwrap().next();
                match next {
                    Some(next) => does(next, &mut figures),
                    None => return figures,
                }
            }
        };
        let done: Vec<_> = scope(|scope| {
            let workers: Vec<_> = (0..AT_A_TIME).map(|_| scope.spawn(work)).collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).collect()
        });
        for figures in done {
            self.add(figures);
        }
    }

    fn add(&mut self, other: Self) {
        self.passes += other.passes;
        self.struck += other.struck;
        self.refresh_tokens_lost += other.refresh_tokens_lost;
        self.sent_twice += other.sent_twice;
        self.lost_on_the_wire += other.lost_on_the_wire;
        self.records_torn += other.records_torn;
        self.secrets_out += other.secrets_out;
        self.complaints.extend(other.complaints);
    }

    /// Prints the figures, and fails with the complaints if there are any.
    pub(crate) fn print(self, more: &str) {
        println!(
            "{}: {} passes, {} of them struck; refresh tokens lost: {} (and {} on the wire), sent twice: {}; records torn: {}; \
             secrets printed: {}{more} ({:.1} s)",
            self.suite,
            self.passes,
            self.struck,
            self.refresh_tokens_lost,
            self.lost_on_the_wire,
            self.sent_twice,
            self.records_torn,
            self.secrets_out,
            self.start.elapsed().as_secs_f32()
        );
        let shown: Vec<_> = self.complaints.iter().take(SHOWN).cloned().collect();
        assert!(shown.is_empty(), "{} complaints:\n{}", self.complaints.len(), shown.join("\n"));
    }
}
