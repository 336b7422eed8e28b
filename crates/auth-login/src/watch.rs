//! What may end a login before its time: a signal, a request from elsewhere, a person who is gone.

use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;
use std::{fmt, io};

use auth_volume::Volume;
use cli::exit::Failure;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use records::{Slot, remedy};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::SignalOnly;

use crate::person::Person;

/// How often it is looked for what no signal announces.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Why a login was stopped. The slot is then as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// By this signal's number.
    Signal(i32),
    /// By `auth-login --abort`.
    Asked,
    /// There is nobody left who could approve it.
    PersonGone,
}

/// Why a login came to nothing.
#[derive(Debug)]
pub enum Ended {
    /// It was stopped.
    Stopped(Stop),
    /// It failed.
    Failed(Failure),
}

impl<E: Into<Failure>> From<E> for Ended {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Stop {
    /// The code that a shell would report of a command that such a signal ended.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        let signal = match self {
            Self::Signal(signal) => signal,
            Self::Asked => SIGTERM,
            Self::PersonGone => SIGHUP,
        };
        u8::try_from(128 + signal).unwrap_or(u8::MAX)
    }

    /// The line that says so.
    #[must_use]
    pub fn line(self, slot: Slot) -> impl fmt::Display {
        let by = match self {
            Self::Signal(_) => String::new(),
            Self::Asked => format!(" (asked by {})", remedy::abort(slot)),
            Self::PersonGone => {
                format!(" (the terminal or the connection is gone: run {} again)", remedy::login(slot))
            }
        };
        format!("stopped: {slot} is as it was{by}")
    }
}

/// Looks for all of it.
///
/// Handlers take the signals, not a mask: codex must be able to die of them, and what a handler does is undone by
/// `exec`.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    signals: SignalDelivery<UnixStream, SignalOnly>,
    volume: &'a Volume,
    slot: Slot,
    person: Option<Person>,
}

impl<'a> Watch<'a> {
    /// From here on no signal is lost.
    ///
    /// # Errors
    /// The kernel said no.
    pub(crate) fn over(volume: &'a Volume, slot: Slot) -> io::Result<Self> {
        let (read, write) = UnixStream::pair()?;
        let signals = [SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM];
        let signals = SignalDelivery::with_pipe(read, write, SignalOnly, signals)?;
        Ok(Self { signals, volume, slot, person: None })
    }

    /// From here on the person is needed.
    pub(crate) fn meet_person(&mut self) {
        self.person = Some(Person::meet());
    }

    /// Why the login must stop, if it must.
    pub(crate) fn stop(&mut self) -> Option<Stop> {
        self.told_to_stop(&[SIGHUP, SIGINT, SIGQUIT, SIGTERM])
            .or_else(|| self.person.as_mut().is_some_and(Person::is_gone).then_some(Stop::PersonGone))
    }

    /// The same once the person has done their part: then their leaving ends nothing.
    pub(crate) fn give_up(&mut self) -> Option<Stop> {
        self.told_to_stop(&[SIGINT, SIGQUIT, SIGTERM])
    }

    fn told_to_stop(&mut self, by: &[i32]) -> Option<Stop> {
        let signal = self.signals.pending().find(|signal| by.contains(signal)).map(Stop::Signal);
        signal.or_else(|| self.volume.take_login_abort(self.slot).then_some(Stop::Asked))
    }

    /// Waits for a signal, the end of a child among them, but not so long that anything else would go unnoticed.
    pub(crate) fn rest(&self) {
        let mut arrived = [PollFd::new(self.signals.get_read().as_fd(), PollFlags::POLLIN)];
        // Interrupted or not, the caller looks.
        let _ = poll(&mut arrived, PollTimeout::try_from(LOOK_AGAIN).unwrap_or(PollTimeout::ZERO));
    }
}
