//! What codex says on its standard error: passed on, but for the reason of its failure.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use crate::text::plain;

/// How codex begins what it says last when it fails; releases before 0.152 go on with `with device code`.
const FAILED: &str = "Error logging in";

/// The most of a line that is held in memory, and of the reason that is kept.
const LONGEST: u64 = 4 << 10;

/// How long the reason is waited for when codex has ended, and a process of its own still has its standard error.
const PATIENCE: Duration = Duration::from_secs(1);

/// The reason of codex's failure, as it comes.
pub(crate) struct LastWord(Receiver<String>);

impl LastWord {
    /// Passes codex's errors on as they come, without what a terminal obeys. The reason of its failure and all that
    /// follows it is held back, to be said with what to do.
    pub(crate) fn listen(errors: impl Read + Send + 'static, to: impl Write + Send + 'static) -> Self {
        let (tell, heard) = channel();
        std::thread::spawn(move || pass_on(errors, to, &tell));
        Self(heard)
    }

    /// What it is, if codex gave one. Called when codex has ended.
    pub(crate) fn heard(self) -> Option<String> {
        let give_up = Instant::now() + PATIENCE;
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

fn pass_on(errors: impl Read, mut to: impl Write, tell: &Sender<String>) {
    let mut errors = BufReader::new(errors);
    let mut is_reason = false;
    let mut line = Vec::new();
    // A line that is longer than that is taken in parts: codex must not block on a full pipe.
    while errors.by_ref().take(LONGEST).read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
        let said = String::from_utf8_lossy(&line);
        let reason = if is_reason { Some(&*said) } else { reason_in(&said) };
        if let Some(reason) = reason {
            is_reason = true;
            let _ = tell.send(reason.to_owned());
        } else {
            // Where it is closed there is nobody to tell.
            let _ = to.write_all(shown(&said).as_bytes());
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

    fn heard(errors: &'static str) -> Option<String> {
        LastWord::listen(errors.as_bytes(), std::io::sink()).heard()
    }

    #[test]
    fn the_reason_is_heard_in_the_wording_of_each_release() {
        let reason = "device auth failed with status 401 Unauthorized";
        for said in [
            "Error logging in: device auth failed with status 401 Unauthorized\n",
            "WARNING: harmless\nError logging in with device code: device auth failed with status 401 Unauthorized",
            "\u{1b}[31mError logging in: device auth failed with status 401 Unauthorized\r\n",
        ] {
            assert_eq!(heard(said).as_deref(), Some(reason), "{said}");
        }
    }

    #[test]
    fn a_reason_of_many_lines_is_one() {
        assert_eq!(heard("Error logging in: 403: <html>\n<p>\n").as_deref(), Some("403: <html>\n<p>"));
    }

    #[test]
    fn without_a_failure_there_is_no_reason() {
        for said in ["", "Successfully logged in\n", "Error logging in", "Error logging in: \n"] {
            assert_eq!(heard(said), None, "{said}");
        }
    }

    #[test]
    fn a_long_line_is_passed_on_whole() {
        let (tell, _heard) = channel();
        let long = "x".repeat(100_000) + "\n";
        let mut passed_on = Vec::new();
        pass_on(long.as_bytes(), &mut passed_on, &tell);
        assert_eq!(passed_on, long.as_bytes());
    }

    #[test]
    fn what_is_passed_on_keeps_its_line_end_and_loses_its_colours() {
        assert_eq!(shown("\u{1b}[33mWARNING\u{1b}[0m: x\r\n"), "WARNING: x\n");
        assert_eq!(shown("no end"), "no end");
    }
}
