//! One pass: take the signals in, choose, publish; then refresh what is due, and publish what came of that.
//!
//! Serving comes first and waits for nobody: no lock is held while the issuer is waited for, and a signal that comes in the
//! meantime is acted on at once.

use auth_volume::{Locked, Volume, VolumeError, clock};
use durable_file::Access;
use issuer::Issuer;
use judgement::assess::{Assessment, Turn, assess};
use judgement::decide::decide;
use judgement::due::Due;
use judgement::plan::Plan;
use judgement::policy::PassOptions;
use judgement::pool::Pool;
use records::Timestamp;

use crate::error::PassError;
use crate::serving::Serving;
use crate::{queue, reading};

/// A whole pass.
#[derive(Clone, Copy)]
pub struct Pass<'a> {
    /// Where.
    pub volume: &'a Volume,
    /// How.
    pub options: PassOptions,
    /// Who may read what is published.
    pub access: Access,
    /// Gets a line for each event.
    pub log: &'a dyn Fn(String),
    /// Is called each time when serving is done, with the lock still held.
    pub served: &'a dyn Fn(&Locked<'_>),
}

/// What serving came to.
#[derive(Debug)]
pub struct Served {
    /// Who was chosen.
    pub plan: Plan,
    /// The logins to refresh.
    pub due: Vec<Due>,
    /// Trouble with LiteLLM's directory, which stops nothing but what needs it.
    pub trouble: Result<(), VolumeError>,
}

/// What a pass would do if it ran now, and the pool after the signals that wait. Reads, and does nothing.
///
/// # Errors
/// The volume cannot be read.
pub fn look(
    volume: &Volume,
    options: PassOptions,
    now: Timestamp,
) -> Result<(Pool, Assessment, Plan), VolumeError> {
    let mut pool = reading::read(volume, now)?.pool;
    let signals: Vec<_> = volume.signals()?.into_iter().map(|taken| taken.signal).collect();
    let assessment = assess(&mut pool, &signals, options, Turn::First, now);
    let plan = decide(&pool, assessment.policy, now);
    Ok((pool, assessment, plan))
}

impl<'a> Pass<'a> {
    /// Serves, refreshes what is due, and serves again what came of it. Gives the plan that holds at the end.
    ///
    /// # Errors
    /// See [`PassError`].
    pub fn run(self) -> Result<Plan, PassError> {
        let Served { mut plan, mut due, mut trouble } = self.serve(Turn::First)?;
        if self.options.only.is_some() && plan.chosen.is_some() {
            // It serves as it is: the rest is the rotator's.
            due.clear();
        }
        let mut issuer = Ok(());
        if !due.is_empty() {
            match Issuer::from_environment() {
                Ok(issuer) => {
                    if let Some(served) = queue::refresh(self, &issuer, due)? {
                        plan = served.plan;
                        trouble = trouble.and(served.trouble);
                    }
                }
                Err(e) => issuer = Err(PassError::Issuer(e)),
            }
        }
        trouble?;
        // Last, because an account that needs no refresh must be able to serve in the meantime.
        issuer?;
        Ok(plan)
    }

    /// Takes the signals in, chooses and publishes, under the lock.
    ///
    /// # Errors
    /// The volume cannot be read or written.
    pub fn serve(self, turn: Turn) -> Result<Served, VolumeError> {
        let locked = self.volume.lock()?;
        let now = clock::now();
        if turn == Turn::First {
            locked.notes().iter().cloned().for_each(self.log);
        }
        // The init container and an operator's command run beside the rotator, whose signals they are.
        let taken = if self.options.offline { Ok(Vec::new()) } else { locked.take_signals(now) };
        let (signals, trouble) = match taken {
            Ok(signals) => (signals, Ok(())),
            Err(e) => (Vec::new(), Err(e)),
        };
        let reading = reading::read(self.volume, now)?;
        let served = self.under(&locked, turn, now).carry_out(reading, signals)?;
        (self.served)(&locked);
        Ok(Served { trouble: trouble.and(served.trouble), ..served })
    }

    /// The part of this pass that serves, under a lock that is held.
    #[must_use]
    pub fn under<'l>(self, locked: &'l Locked<'l>, turn: Turn, now: Timestamp) -> Serving<'l>
    where
        'a: 'l,
    {
        Serving { locked, options: self.options, access: self.access, log: self.log, turn, now }
    }
}
