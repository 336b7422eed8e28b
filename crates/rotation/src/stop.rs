//! Holding SIGTERM and similar signals back while an answer of the issuer is on its way: what was issued must be stored.

use std::sync::OnceLock;

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// Holds the signals back, in this thread and in threads that it starts, until the value is dropped. A signal that has come
/// by then takes effect.
#[derive(Debug)]
pub struct HeldSignals {
    before: Option<SigSet>,
    held: Option<SignalFd>,
    received: OnceLock<Signal>,
}

impl HeldSignals {
    /// Holds the signals back from here on.
    #[must_use]
    pub fn hold() -> Self {
        let stop: SigSet =
            [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT].into_iter().collect();
        let before = stop.thread_swap_mask(SigmaskHow::SIG_BLOCK).ok();
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        let held = SignalFd::with_flags(&stop, flags).ok();
        Self { before, held, received: OnceLock::new() }
    }

    /// Whether a signal has come: nothing more should be begun.
    #[must_use]
    pub fn is_asked_to_stop(&self) -> bool {
        let read = self.held.as_ref().and_then(|held| held.read_signal().ok().flatten());
        let signal = read.and_then(|info| Signal::try_from(i32::try_from(info.ssi_signo).ok()?).ok());
        if let Some(signal) = signal {
            let _ = self.received.set(signal);
        }
        self.received.get().is_some()
    }
}

impl Drop for HeldSignals {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = before.thread_set_mask();
        }
        if let Some(signal) = self.received.get() {
            let _ = nix::sys::signal::raise(*signal);
        }
    }
}
