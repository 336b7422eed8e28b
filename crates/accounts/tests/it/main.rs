//! `accounts` from the outside: what it prints, what it leaves on the volume, and what it never touches.

#![expect(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

mod doctor;
mod look;
mod refresh;
mod remove;
mod steer;

use std::path::Path;

use assert_cmd::Command;
use assert_cmd::cargo::cargo_bin_cmd;
use fixture::{Volume, now};
use serde_json::Value;

fn accounts(volume: &Path) -> Command {
    let mut command = cargo_bin_cmd!("accounts");
    command.env_clear().env("CHATGPT_AUTH_DIR", volume);
    command
}

/// The volume with every state in it, now.
fn every_state() -> Volume {
    Volume::with_every_state(now())
}

/// The record of changes.
fn audit(volume: &Volume) -> Vec<Value> {
    let text = String::from_utf8(volume.bytes("audit.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
