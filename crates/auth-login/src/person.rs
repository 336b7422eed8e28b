//! Is the person who has to approve the login still there?
//!
//! The one place that says what counts as gone. What a process in a container can see of its other end is little:
//!
//! | what is seen | what it means |
//! |---|---|
//! | a terminal on any of the three streams hangs up | the person is gone |
//! | standard input, a pipe or a socket, is closed at its other end | the person is gone: so ends `kubectl exec -i` without `-t`, also when it is killed |
//! | standard output and standard error both lost their readers | the person is gone |
//! | only one of these two lost its reader | nothing: `auth-login 1 \| head -n 1` is a script that has read the link |
//! | both did, and they are one pipe | nothing: `auth-login 1 2>&1 \| head -n 1` |
//! | a stream is a file or `/dev/null`, or was closed from the start | nothing: that is how scripts run it |
//!
//! A killed `kubectl exec -t` cannot be seen from inside: the container's runtime keeps the terminal open and goes on
//! reading it. Asking the terminal itself would write to it, and would take a person who has stopped its output in
//! order to copy the code for one who is gone. For this there is `auth-login --abort`.

use std::io::{IsTerminal as _, stderr, stdin, stdout};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{SFlag, fstat};

/// A container's runtime connects standard input a moment after it started the process, so that an empty one ends a
/// little later than elsewhere.
const CONNECTING: Duration = Duration::from_secs(1);

/// The person at the other end of the three standard streams, as long as they last.
#[derive(Debug)]
pub(crate) struct Person {
    input: OtherEnd,
    output: OtherEnd,
    errors: OtherEnd,
    /// Whether output and errors are one pipe.
    is_one_pipe: bool,
    /// Until when an input that ends is one that was empty.
    connecting_until: Instant,
}

/// What is at the other end of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OtherEnd {
    /// A terminal.
    Terminal,
    /// A process, behind a pipe or a socket.
    Process,
    /// Nothing that could go away, or that has not gone away before we looked.
    Nothing,
}

impl Person {
    /// Looks who is there. What has gone away already does not count later.
    pub(crate) fn meet() -> Self {
        // Only a runtime that is outside starts us as nobody's child.
        let is_of_runtime = nix::unistd::getppid().as_raw() == 0;
        let connecting = if is_of_runtime { CONNECTING } else { Duration::ZERO };
        Self {
            input: OtherEnd::of(stdin().as_fd(), has_ended),
            output: OtherEnd::of(stdout().as_fd(), has_hung_up),
            errors: OtherEnd::of(stderr().as_fd(), has_hung_up),
            is_one_pipe: is_same(stdout().as_fd(), stderr().as_fd()),
            connecting_until: Instant::now() + connecting,
        }
    }

    /// Whether the person has gone since they were met.
    pub(crate) fn is_gone(&mut self) -> bool {
        let input = self.input != OtherEnd::Nothing && has_ended(stdin().as_fd());
        if input && self.input == OtherEnd::Process && Instant::now() < self.connecting_until {
            self.input = OtherEnd::Nothing;
            return false;
        }
        let output = self.output != OtherEnd::Nothing && has_hung_up(stdout().as_fd());
        let errors = self.errors != OtherEnd::Nothing && has_hung_up(stderr().as_fd());
        let terminal = [(output, self.output), (errors, self.errors)].contains(&(true, OtherEnd::Terminal));
        terminal || input || (output && errors && !self.is_one_pipe)
    }
}

impl OtherEnd {
    fn of(stream: BorrowedFd<'_>, is_closed: fn(BorrowedFd<'_>) -> bool) -> Self {
        if is_closed(stream) {
            Self::Nothing
        } else if stream.is_terminal() {
            Self::Terminal
        } else if is_pipe_or_socket(stream) {
            Self::Process
        } else {
            Self::Nothing
        }
    }
}

fn is_pipe_or_socket(stream: BorrowedFd<'_>) -> bool {
    fstat(stream).is_ok_and(|stat| {
        let kind = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
        kind == SFlag::S_IFIFO || kind == SFlag::S_IFSOCK
    })
}

fn is_same(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> bool {
    match (fstat(one), fstat(other)) {
        (Ok(one), Ok(other)) => (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino),
        _ => false,
    }
}

/// Whether the other end is closed, found without reading or writing. Of pipes and terminals the kernel says so
/// unasked.
fn has_hung_up(stream: BorrowedFd<'_>) -> bool {
    is_reported(stream, PollFlags::empty())
}

/// The same for an input: a socket's other end may have stopped writing, and still read.
fn has_ended(input: BorrowedFd<'_>) -> bool {
    is_reported(input, PollFlags::from_bits_retain(libc::POLLRDHUP))
}

fn is_reported(stream: BorrowedFd<'_>, what: PollFlags) -> bool {
    poll(&mut [PollFd::new(stream, what)], PollTimeout::ZERO).is_ok_and(|answers| answers > 0)
}
