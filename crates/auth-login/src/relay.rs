//! codex's standard output, passed on where it is no terminal: codex ends in the middle of a login when the reader of
//! its words goes away, and a script that has read the link is such a reader.

use std::io::{Read, Write};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// How long the rest is waited for when codex has ended, and a process of its own still has its standard output.
const PATIENCE: Duration = Duration::from_secs(1);

/// What passes it on.
pub(crate) struct Relay(Receiver<()>);

impl Relay {
    /// Passes on what comes, as it comes. Without a reader it is still taken, so that codex can go on.
    pub(crate) fn start(mut from: impl Read + Send + 'static, mut to: impl Write + Send + 'static) -> Self {
        let (done, ended) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = from.read(&mut bytes) {
                let _ = to.write_all(&bytes[..read]).and_then(|()| to.flush());
            }
            done.send(())
        });
        Self(ended)
    }

    /// Waits for the rest. Called when codex has ended.
    pub(crate) fn finish(self) {
        let _ = self.0.recv_timeout(PATIENCE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_it_is_taken_also_when_nobody_reads_it() {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        Relay::start(std::io::repeat(b'x').take(1 << 20), writer).finish();
        let (mut reader, writer) = std::io::pipe().unwrap();
        Relay::start(&b"the link\nthe code\n"[..], writer).finish();
        let mut passed_on = String::new();
        reader.read_to_string(&mut passed_on).unwrap();
        assert_eq!(passed_on, "the link\nthe code\n");
    }
}
