//! What stops a login before it is finished: a signal, `auth-login --abort`, or a connection that is gone.

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

use crate::connection::Connection;

/// How often it is checked for what no signal announces.
const CHECK_EVERY: Duration = Duration::from_millis(250);

/// Why a login was stopped. The slot is then as it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// A signal, by its number.
    Signal(i32),
    /// `auth-login --abort`.
    Requested,
    /// The terminal or the connection is gone, and with it the person who could approve the login.
    Disconnected,
}

/// Why a login was not stored.
#[derive(Debug)]
pub enum Ended {
    Stopped(Stop),
    Failed(Failure),
}

impl<E: Into<Failure>> From<E> for Ended {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Stop {
    /// The code that a shell reports for a command that a signal ended.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        let signal = match self {
            Self::Signal(signal) => signal,
            Self::Requested => SIGTERM,
            Self::Disconnected => SIGHUP,
        };
        u8::try_from(128 + signal).unwrap_or(u8::MAX)
    }

    /// The line for the log.
    #[must_use]
    pub fn line(self, slot: Slot) -> impl fmt::Display {
        let by = match self {
            Self::Signal(_) => String::new(),
            Self::Requested => format!(" (requested by {})", remedy::abort(slot)),
            Self::Disconnected => {
                format!(" (the terminal or the connection is gone: run {} again)", remedy::login(slot))
            }
        };
        format!("stopped: {slot} is as it was{by}")
    }
}

/// Where requests to stop a login arrive.
///
/// The signals are handled and not blocked, because codex must be able to die of them: `exec` resets a handler, but
/// keeps a mask.
#[derive(Debug)]
pub(crate) struct StopRequests<'a> {
    signals: SignalDelivery<UnixStream, SignalOnly>,
    volume: &'a Volume,
    slot: Slot,
    connection: Option<Connection>,
}

impl<'a> StopRequests<'a> {
    /// From here on no signal is lost.
    ///
    /// # Errors
    /// The signals cannot be handled.
    pub(crate) fn new(volume: &'a Volume, slot: Slot) -> io::Result<Self> {
        let (read, write) = UnixStream::pair()?;
        let signals = [SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM];
        let signals = SignalDelivery::with_pipe(read, write, SignalOnly, signals)?;
        Ok(Self { signals, volume, slot, connection: None })
    }

    /// From here on the person is needed, so a connection that is lost counts as well.
    pub(crate) fn watch_connection(&mut self) {
        self.connection = Some(Connection::new());
    }

    /// The request that has arrived, if any.
    pub(crate) fn arrived(&mut self) -> Option<Stop> {
        let is_lost =
            |connection: &mut Option<Connection>| connection.as_mut().is_some_and(Connection::is_gone);
        self.signal_or_abort(&[SIGHUP, SIGINT, SIGQUIT, SIGTERM])
            .or_else(|| is_lost(&mut self.connection).then_some(Stop::Disconnected))
    }

    /// The same once the person has done their part, so that a lost connection does not count any more.
    pub(crate) fn arrived_after_login(&mut self) -> Option<Stop> {
        self.signal_or_abort(&[SIGINT, SIGQUIT, SIGTERM])
    }

    fn signal_or_abort(&mut self, signals: &[i32]) -> Option<Stop> {
        let signal = self.signals.pending().find(|signal| signals.contains(signal)).map(Stop::Signal);
        signal.or_else(|| self.volume.take_login_abort(self.slot).then_some(Stop::Requested))
    }

    /// Waits for a signal, such as that of a child's end, but not so long that anything else would go unnoticed.
    pub(crate) fn wait(&self) {
        let mut arrived = [PollFd::new(self.signals.get_read().as_fd(), PollFlags::POLLIN)];
        // Interrupted or not, the caller checks.
        let _ = poll(&mut arrived, PollTimeout::try_from(CHECK_EVERY).unwrap_or(PollTimeout::ZERO));
    }
}
