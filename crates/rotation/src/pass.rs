//! A pass and the part of it that serves: take the signals in, choose, publish.

use auth_volume::{Locked, Volume, VolumeError, clock};
use durable_file::Access;
use judgement::assess::Turn;
use judgement::policy::PassOptions;
use records::Timestamp;

use crate::reading;
use crate::serving::{Served, Serving};

/// A pass: on which volume it runs, and how.
#[derive(Clone, Copy)]
pub struct Pass<'a> {
    pub volume: &'a Volume,
    pub options: &'a PassOptions,
    /// The access of the published record.
    pub access: Access,
    /// Is called with a line for each event.
    pub log: &'a dyn Fn(String),
    /// Is called each time the pass has served, while the lock is still held.
    pub served: &'a dyn Fn(&Locked<'_>),
}

impl<'a> Pass<'a> {
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
        // The init container and an operator's command run beside the rotator, and the signals are for the rotator.
        let taken = if self.options.offline { Ok(Vec::new()) } else { locked.take_signals(now) };
        let (signals, live_directory) = match taken {
            Ok(signals) => (signals, Ok(())),
            Err(e) => (Vec::new(), Err(e)),
        };
        let reading = reading::read(self.volume, now)?;
        let served = self.under(&locked, turn, now).carry_out(reading, signals)?;
        (self.served)(&locked);
        Ok(Served { live_directory: live_directory.and(served.live_directory), ..served })
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
