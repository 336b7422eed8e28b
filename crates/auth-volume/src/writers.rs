//! The file in which the rotators that make passes are noted, so that two at once on one volume are noticed.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use durable_file::private_file::PrivateFile;
use records::writer::Writer;

use crate::{Volume, clock};

/// How many writers are remembered.
const REMEMBERED: usize = 8;

impl Volume {
    /// The rotators that made the last passes; none if the file cannot be read.
    #[must_use]
    pub fn writers(&self) -> Vec<Writer> {
        let file = PrivateFile::read(&self.layout().last_pass());
        file.ok().and_then(|file| serde_json::from_slice(&file.content).ok()).unwrap_or_default()
    }
}

/// Adds this process to the writers in the file, or updates it there.
pub(crate) fn add(mark: &File, lock: &str) -> io::Result<()> {
    let now = clock::now();
    let mut content = vec![0; 1 << 14];
    let read = mark.read_at(&mut content, 0)?;
    let mut writers: Vec<Writer> = serde_json::from_slice(&content[..read]).unwrap_or_default();
    let host = nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned();
    let known = writers.iter().position(|writer| writer.host == host && writer.lock == lock);
    let first = known.map_or(now, |at| writers.remove(at).first.min(now));
    writers.insert(0, Writer { host, lock: lock.to_owned(), first, last: now });
    writers.truncate(REMEMBERED);
    let bytes = serde_json::to_vec(&writers).map_err(io::Error::other)?;
    mark.write_all_at(&bytes, 0)?;
    mark.set_len(bytes.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_writer_is_in_the_file_once() {
        let mark = tempfile::tempfile().unwrap();
        for _ in 0..3 {
            add(&mark, "1:2").unwrap();
        }
        add(&mark, "1:3").unwrap();
        let mut content = String::new();
        std::io::Seek::rewind(&mut &mark).unwrap();
        std::io::Read::read_to_string(&mut &mark, &mut content).unwrap();
        let writers: Vec<Writer> = serde_json::from_str(&content).unwrap();
        assert_eq!(writers.iter().map(|writer| writer.lock.as_str()).collect::<Vec<_>>(), ["1:3", "1:2"]);
    }
}
