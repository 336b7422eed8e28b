//! The connection to the person who has to approve the login: the three standard streams, as far as a process in a
//! container can see their other ends.
//!
//! | what is seen | what it means |
//! |---|---|
//! | a terminal on any of the three streams hangs up | the connection is gone |
//! | standard input, a pipe or a socket, is closed at its other end | the connection is gone: so ends `kubectl exec -i` without `-t`, even if it is killed |
//! | standard output and standard error both lost their readers | the connection is gone |
//! | only one of these two lost its reader | nothing: `auth-login 1 \| head -n 1` is a script that has read the link |
//! | both did, and they are one pipe | nothing: `auth-login 1 2>&1 \| head -n 1` |
//! | a stream is a file or `/dev/null`, or was closed from the start | nothing: that is how scripts run it |
//!
//! A killed `kubectl exec -t` cannot be seen from inside: the container's runtime keeps the terminal open and goes on
//! reading it. To ask the terminal would mean to write to it, and a person who has stopped its output in order to copy
//! the code would seem to be gone. For this there is `auth-login --abort`.

use std::io::{IsTerminal as _, stderr, stdin, stdout};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{SFlag, fstat};

/// How long standard input may take to be connected: a container's runtime does so a moment after it started the
/// process, so that an empty one ends a little later than elsewhere.
const CONNECTING: Duration = Duration::from_secs(1);

/// The three standard streams, and what was at their other ends at first.
#[derive(Debug)]
pub(crate) struct Connection {
    input: OtherEnd,
    output: OtherEnd,
    errors: OtherEnd,
    /// Whether output and errors are one pipe.
    is_one_pipe: bool,
    /// Until then an input that ends counts as one that was empty from the start.
    connecting_until: Instant,
}

/// What is at the other end of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OtherEnd {
    /// A terminal.
    Terminal,
    /// A process, behind a pipe or a socket.
    Process,
    /// Nothing that could go away, or it was gone from the start.
    Nothing,
}

impl Connection {
    /// The connection as it is now. A stream that is closed already does not count later.
    pub(crate) fn new() -> Self {
        // Only a process that a runtime starts from outside the container has no parent in it.
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

    /// Whether the person has gone since then.
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

/// Whether the other end is closed, found without reading or writing. For pipes and terminals the kernel reports it
/// even if no event is asked for.
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
