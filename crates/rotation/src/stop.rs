//! Keeping SIGTERM and its like waiting while an answer of the issuer is on its way: what was issued must be stored.

use std::sync::OnceLock;

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// The signals are held, in this thread and those that it starts, until the value is dropped. One that came meanwhile
/// does its work then.
#[derive(Debug)]
pub struct HeldSignals {
    before: Option<SigSet>,
    waiting: Option<SignalFd>,
    came: OnceLock<Signal>,
}

impl HeldSignals {
    /// Holds them from here on.
    #[must_use]
    pub fn hold() -> Self {
        let stop: SigSet =
            [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT].into_iter().collect();
        let before = stop.thread_swap_mask(SigmaskHow::SIG_BLOCK).ok();
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        let waiting = SignalFd::with_flags(&stop, flags).ok();
        Self { before, waiting, came: OnceLock::new() }
    }

    /// Whether one came: nothing more is to be begun.
    #[must_use]
    pub fn is_asked_to_stop(&self) -> bool {
        let read = self.waiting.as_ref().and_then(|waiting| waiting.read_signal().ok().flatten());
        let signal = read.and_then(|info| Signal::try_from(i32::try_from(info.ssi_signo).ok()?).ok());
        if let Some(signal) = signal {
            let _ = self.came.set(signal);
        }
        self.came.get().is_some()
    }
}

impl Drop for HeldSignals {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = before.thread_set_mask();
        }
        if let Some(signal) = self.came.get() {
            let _ = nix::sys::signal::raise(*signal);
        }
    }
}
