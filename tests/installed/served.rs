//! A page that is served for a test, of the volume with every state in it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::fixture;
use crate::workspace::{PATIENCE, shipped};

pub(crate) struct Served {
    process: Child,
    pub(crate) volume: tempfile::TempDir,
    pub(crate) url: String,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Served {
    pub(crate) fn every_state() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let volume = fixture::volume_at(now.try_into().unwrap());
        let sign = format!(r#"{{"at": {now}, "litellm": "1.106.2", "held": true}}"#);
        fs::write(volume.path().join("callback.json"), sign).unwrap();
        let process = Command::new(shipped("accounts-serve"))
            .env_clear()
            .env("CHATGPT_AUTH_DIR", volume.path())
            .args(["--listen", "127.0.0.1:0", "--host", "accounts.test"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Whatever fails from here on, it is ended.
        let mut served = Self { process, volume, url: String::new() };
        let mut line = String::new();
        BufReader::new(served.process.stderr.take().unwrap()).read_line(&mut line).unwrap();
        line.trim().strip_prefix("accounts-serve: listening on ").unwrap().clone_into(&mut served.url);
        served
    }

    pub(crate) fn get(&self, path: &str) -> String {
        let get = ureq::get(format!("{}{path}", self.url)).config().timeout_global(Some(PATIENCE)).build();
        get.call().unwrap().body_mut().read_to_string().unwrap()
    }
}
