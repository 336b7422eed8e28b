//! A page that is served for a test, of the volume with every state in it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use fixture::workspace::{PATIENCE, shipped};
use fixture::{Running, Volume, now};

pub(crate) struct Served {
    process: Running,
    pub(crate) volume: Volume,
    pub(crate) url: String,
}

impl Served {
    pub(crate) fn every_state() -> Self {
        let volume = Volume::with_every_state(now());
        let sign = format!(r#"{{"at": {}, "litellm": "1.106.2", "held": true}}"#, now());
        fs::write(volume.file("callback.json"), sign).unwrap();
        let process = volume
            .command(shipped("accounts-serve"))
            .args(["--listen", "127.0.0.1:0", "--host", "accounts.test"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Whatever fails from here on, it is ended.
        let mut served = Self { process: Running(process), volume, url: String::new() };
        let mut line = String::new();
        BufReader::new(served.process.0.stderr.take().unwrap()).read_line(&mut line).unwrap();
        line.trim().strip_prefix("accounts-serve: listening on ").unwrap().clone_into(&mut served.url);
        served
    }

    pub(crate) fn get(&self, path: &str) -> String {
        let get = ureq::get(format!("{}{path}", self.url)).config().timeout_global(Some(PATIENCE)).build();
        get.call().unwrap().body_mut().read_to_string().unwrap()
    }
}
