//! codex's standard output, passed on if it is not a terminal: codex would end in the middle of a login when its reader
//! goes away, such as a script that has read the link.

use std::io::{Read, Write};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// How long the rest is waited for when codex has ended, but a child of it still has its standard output.
const END_WAIT: Duration = Duration::from_secs(1);

/// The thread that passes the bytes on, known by the end of it.
pub(crate) struct StdoutRelay(Receiver<()>);

impl StdoutRelay {
    /// Passes bytes on as they come. Without a reader they are still read, so that codex can go on.
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

    /// Waits for the rest. To be called when codex has ended.
    pub(crate) fn finish(self) {
        let _ = self.0.recv_timeout(END_WAIT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_it_is_read_also_when_its_reader_is_gone() {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        StdoutRelay::start(std::io::repeat(b'x').take(1 << 20), writer).finish();
        let (mut reader, writer) = std::io::pipe().unwrap();
        StdoutRelay::start(&b"the link\nthe code\n"[..], writer).finish();
        let mut passed_on = String::new();
        reader.read_to_string(&mut passed_on).unwrap();
        assert_eq!(passed_on, "the link\nthe code\n");
    }
}
