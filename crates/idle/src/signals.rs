//! Signals, waited for together with the clock and the wake-up file.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::time::TimeSpec;

const STOP: [Signal; 2] = [Signal::SIGTERM, Signal::SIGINT];
const PASSED_ON: [Signal; 4] = [Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGUSR1, Signal::SIGUSR2];

/// The signals that matter to idle, blocked for as long as it runs and read from a descriptor.
#[derive(Debug)]
pub struct Signals(SignalFd);

impl Signals {
    /// Blocks them, for good.
    ///
    /// # Errors
    /// The kernel refuses the mask or the descriptor.
    pub fn block() -> nix::Result<Self> {
        let mut ours: SigSet = STOP.into_iter().chain(PASSED_ON).collect();
        ours.add(Signal::SIGCHLD);
        ours.thread_block()?;
        // Rust's own start, which idle does without, would ignore it. Without either, a reader of stderr that goes away
        // would end the container.
        SigSet::from(Signal::SIGPIPE).thread_block()?;
        SignalFd::with_flags(&ours, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).map(Self)
    }

    /// Sleeps until a signal arrives, `also` has something to read, or the clock reaches `until`; gives the
    /// signals that arrived.
    pub(crate) fn wait(&self, also: Option<BorrowedFd>, until: Option<Instant>) -> nix::Result<SigSet> {
        let timeout = until.map(|at| TimeSpec::from(at.saturating_duration_since(Instant::now())));
        let ours = PollFd::new(self.0.as_fd(), PollFlags::POLLIN);
        let polled = match also {
            Some(other) => ppoll(&mut [ours, PollFd::new(other, PollFlags::POLLIN)], timeout, None),
            None => ppoll(&mut [ours], timeout, None),
        };
        match polled {
            Ok(_) | Err(Errno::EINTR) => self.arrived(),
            Err(error) => Err(error),
        }
    }

    fn arrived(&self) -> nix::Result<SigSet> {
        let mut arrived = SigSet::empty();
        while let Some(info) = self.0.read_signal()? {
            let number = i32::try_from(info.ssi_signo).map_err(|_| Errno::EINVAL)?;
            arrived.add(Signal::try_from(number)?);
        }
        Ok(arrived)
    }
}

/// Whether one of them stops idle.
pub(crate) fn stop_idle(signals: &SigSet) -> bool {
    STOP.into_iter().any(|signal| signals.contains(signal))
}

/// Those that a running command gets as well.
pub(crate) fn for_the_command(signals: &SigSet) -> impl Iterator<Item = Signal> {
    signals.iter().filter(|signal| *signal != Signal::SIGCHLD)
}
