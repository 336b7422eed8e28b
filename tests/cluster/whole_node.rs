//! Tests that have the node to themselves. By the name of this module they come last, so that no other waits for them.

mod figures;
mod reboot;
mod replicas;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A program that does nothing until it is dropped, when it ends and is started anew.
struct Stopped(Pid);

impl Stopped {
    fn new(program: Pid) -> Self {
        kill(program, Signal::SIGSTOP).unwrap();
        Self(program)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        kill(self.0, Signal::SIGKILL).unwrap();
    }
}
