//! `accounts` from the outside: what it prints, what it leaves on the volume, and what it never touches.

#![expect(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

mod doctor;
mod fixture;
mod look;
mod refresh;
mod remove;
mod steer;

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use assert_cmd::Command;
use assert_cmd::cargo::cargo_bin_cmd;
use serde_json::Value;

fn accounts(volume: &Path) -> Command {
    let mut command = cargo_bin_cmd!("accounts");
    command.env_clear().env("CHATGPT_AUTH_DIR", volume);
    command
}

/// The volume with every state in it, now.
fn every_state() -> tempfile::TempDir {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    fixture::volume_at(now.try_into().unwrap())
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The slot whose login is what LiteLLM is served.
fn served(volume: &Path) -> Option<u32> {
    let token = json(&volume.join("auth.json"))["access_token"].clone();
    let holds = |slot: &u32| {
        let master = fs::read(volume.join(format!("auth-{slot}.json"))).unwrap_or_default();
        let master: Value = serde_json::from_slice(&master).unwrap_or_default();
        master["tokens"]["access_token"] == token
    };
    (1..20).find(holds)
}

/// The record of changes.
fn audit(volume: &Path) -> Vec<Value> {
    let text = fs::read_to_string(volume.join("audit.jsonl")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
