//! A page that is served for a test, of the volume with every state in it. As in the chart, `idle` has the digest made.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;

use fixture::workspace::{PATIENCE, shipped};
use fixture::{Running, Volume, claims, now, wait_until};
use serde_json::json;
use tempfile::TempDir;

pub(crate) struct Served {
    process: Running,
    _digest: (Running, TempDir),
    pub(crate) volume: Volume,
    pub(crate) url: String,
}

impl Served {
    pub(crate) fn every_state() -> Self {
        Self::of(Volume::with_every_state(now()))
    }

    /// With what the callback has read of each account's use.
    pub(crate) fn every_state_and_usage() -> Self {
        let volume = Volume::with_every_state(now());
        let logins = (1..=13).map(|slot| volume.json_or_null(&format!("auth-{slot}.json")));
        let readings = logins.zip(1..).filter_map(|(login, slot)| {
            let token = login["tokens"]["access_token"].as_str().filter(|token| token.contains('.'))?;
            let account = &claims(token)["https://api.openai.com/auth"];
            // The second is capped.
            let (five_hours, week) = if slot == 2 { (100, 42) } else { (slot * 29 % 90, slot * 17 % 80 + 5) };
            let headers = json!({
                "x-codex-primary-used-percent": five_hours.to_string(),
                "x-codex-primary-window-minutes": "300",
                "x-codex-primary-reset-at": (now() + 13_200).to_string(),
                "x-codex-secondary-used-percent": week.to_string(),
                "x-codex-secondary-window-minutes": "10080",
                "x-codex-secondary-reset-at": (now() + 86_400 * 3).to_string(),
            });
            let (account_id, user_id) = (&account["chatgpt_account_id"], &account["chatgpt_user_id"]);
            Some(json!({"at": now() - 60 * slot, "account_id": account_id, "user_id": user_id, "headers": headers}))
        });
        let readings: Vec<_> = readings.collect();
        volume.write(".last-pass", "[]");
        volume.write("usage-1.json", json!({"version": 1, "readings": readings}).to_string());
        Self::of(volume)
    }

    fn of(volume: Volume) -> Self {
        let sign = format!(r#"{{"at": {}, "litellm": "1.106.2", "held": true}}"#, now());
        fs::write(volume.file("callback.json"), sign).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let digest = volume
            .command(shipped("idle"))
            .args(["--every", "1m", "--wake-on"])
            .args([&volume.file("rotator_state.json"), Path::new("--"), &shipped("rotate-once")])
            .args([Path::new("--digest"), directory.path()])
            .spawn()
            .unwrap();
        let digest = Running(digest);
        wait_until("there is a digest", || directory.path().join("digest.json").exists());
        let process = volume
            .command(shipped("accounts-serve"))
            .args(["--listen", "127.0.0.1:0", "--host", "accounts.test"])
            .args([Path::new("--digest"), directory.path()])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Whatever fails from here on, it is ended.
        let mut served =
            Self { process: Running(process), _digest: (digest, directory), volume, url: String::new() };
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
