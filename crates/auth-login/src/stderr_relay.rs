//! codex's standard error, passed on except for the reason of a failure.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use crate::text::plain;

/// The start of the last line that codex prints when it fails; before 0.152 it goes on with `with device code`.
const FAILED: &str = "Error logging in";

/// The most of a line that is held in memory, and the most of the reason.
const LONGEST: u64 = 4 << 10;

/// How long the reason is waited for when codex has ended, but a child of it still has its standard error.
const END_WAIT: Duration = Duration::from_secs(1);

/// The thread that passes the lines on, and the reason as it arrives.
pub(crate) struct StderrRelay(Receiver<String>);

impl StderrRelay {
    /// Passes lines on as they come, without control sequences. The reason of a failure and all that follows it are
    /// held back, to be printed with the remedy.
    pub(crate) fn start(stderr: impl Read + Send + 'static, to: impl Write + Send + 'static) -> Self {
        let (reason, received) = channel();
        std::thread::spawn(move || pass_on(stderr, to, &reason));
        Self(received)
    }

    /// The reason, if codex printed one. To be called when codex has ended.
    pub(crate) fn reason(self) -> Option<String> {
        let give_up = Instant::now() + END_WAIT;
        let left = || give_up.saturating_duration_since(Instant::now());
        let mut reason = String::new();
        while let Ok(part) = self.0.recv_timeout(left()) {
            if (reason.len() as u64) < LONGEST {
                reason.push_str(&part);
            }
        }
        Some(reason.trim().to_owned()).filter(|reason| !reason.is_empty())
    }
}

fn pass_on(stderr: impl Read, mut to: impl Write, reason: &Sender<String>) {
    let mut stderr = BufReader::new(stderr);
    let mut is_reason = false;
    let mut line = Vec::new();
    // A longer line is read in parts, because codex must not block on a full pipe.
    while stderr.by_ref().take(LONGEST).read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
        let text = String::from_utf8_lossy(&line);
        let part = if is_reason { Some(&*text) } else { reason_in(&text) };
        if let Some(part) = part {
            is_reason = true;
            let _ = reason.send(part.to_owned());
        } else {
            // A reader that is gone is not an error: codex goes on.
            let _ = to.write_all(shown(&text).as_bytes());
        }
        line.clear();
    }
}

fn reason_in(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once(FAILED)?;
    rest.split_once(": ").map(|(_, reason)| reason)
}

/// A line as it may be passed on.
fn shown(line: &str) -> String {
    match line.strip_suffix('\n') {
        Some(line) => plain(line.trim_end_matches('\r')) + "\n",
        None => plain(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason_of(stderr: &'static str) -> Option<String> {
        StderrRelay::start(stderr.as_bytes(), std::io::sink()).reason()
    }

    #[test]
    fn the_reason_is_found_in_the_wording_of_each_release() {
        let reason = "device auth failed with status 401 Unauthorized";
        for stderr in [
            "Error logging in: device auth failed with status 401 Unauthorized\n",
            "WARNING: harmless\nError logging in with device code: device auth failed with status 401 Unauthorized",
            "\u{1b}[31mError logging in: device auth failed with status 401 Unauthorized\r\n",
        ] {
            assert_eq!(reason_of(stderr).as_deref(), Some(reason), "{stderr}");
        }
    }

    #[test]
    fn a_reason_of_many_lines_is_one() {
        assert_eq!(reason_of("Error logging in: 403: <html>\n<p>\n").as_deref(), Some("403: <html>\n<p>"));
    }

    #[test]
    fn without_a_failure_there_is_no_reason() {
        for stderr in ["", "Successfully logged in\n", "Error logging in", "Error logging in: \n"] {
            assert_eq!(reason_of(stderr), None, "{stderr}");
        }
    }

    #[test]
    fn a_long_line_is_passed_on_whole() {
        let (reason, _received) = channel();
        let long = "x".repeat(100_000) + "\n";
        let mut passed_on = Vec::new();
        pass_on(long.as_bytes(), &mut passed_on, &reason);
        assert_eq!(passed_on, long.as_bytes());
    }

    #[test]
    fn what_is_passed_on_keeps_its_line_end_and_loses_its_colours() {
        assert_eq!(shown("\u{1b}[33mWARNING\u{1b}[0m: x\r\n"), "WARNING: x\n");
        assert_eq!(shown("no end"), "no end");
    }
}
