//! The doctor at a real volume; what it thinks of each fact is tested beside its judgement.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::{contains, is_empty};
use serde_json::{Value, json};
use stand_in::StandIn;

use crate::accounts;

/// A volume in use: two accounts, one of them published, and a LiteLLM that has just given a sign of life.
fn in_use(openai: &StandIn) -> tempfile::TempDir {
    let volume = tempfile::tempdir().unwrap();
    for (slot, email) in [(1, "ann@example.test"), (2, "bob@example.test")] {
        let path = volume.path().join(format!("auth-{slot}.json"));
        fs::write(&path, openai.sign_in(email).codex_auth_json(openai.url()).to_string()).unwrap();
        Command::new("chmod").arg("600").arg(path).assert().success();
    }
    accounts(volume.path()).args(["use", "1"]).assert().success();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let sign = json!({"at": now, "pid": 7, "litellm": "1.106.2", "held": true});
    fs::write(volume.path().join("callback.json"), sign.to_string()).unwrap();
    volume
}

/// Any program will do: the doctor looks for codex and does not run it.
fn doctor(volume: &Path, args: &[&str]) -> Command {
    let mut command = accounts(volume);
    command.env("CODEX_BIN", "/bin/sh").arg("doctor").args(args);
    command
}

fn names(volume: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(volume).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_volume_in_use_has_no_findings_nothing_is_left_behind_and_nobody_is_asked() {
    let openai = StandIn::start();
    let volume = in_use(&openai);
    let (before, asked) = (names(volume.path()), openai.requests().len());
    doctor(volume.path(), &[])
        .env("CHATGPT_API_BASE", openai.api_base())
        .assert()
        .success()
        .stdout(contains("ok       slots     2 of 2 can serve now\n").and(contains("FINDING").not()))
        .stderr(is_empty());
    assert_eq!(names(volume.path()), before);
    assert_eq!(openai.requests().len(), asked);
}

#[test]
fn findings_end_with_1_and_a_script_reads_what_to_do() {
    let openai = StandIn::start();
    let volume = in_use(&openai);
    fs::write(volume.path().join("auth-2.json"), "{half").unwrap();
    Command::new("chmod").arg("644").arg(volume.path().join("auth-2.json")).assert().success();
    let assert = doctor(volume.path(), &["--json"]).assert().code(1).stderr("accounts: 2 findings\n");
    let document: Value = serde_json::from_slice(&assert.get_output().stdout).unwrap();
    assert_eq!((&document["version"], &document["findings"]), (&json!(1), &json!(2)));
    let path = volume.path().join("auth-2.json").display().to_string();
    let findings: Vec<_> =
        document["checks"].as_array().unwrap().iter().filter(|c| c["ok"] == false).collect();
    assert_eq!(
        findings,
        [
            &json!({"about": "slots", "ok": false, "said": "account-2 is broken: not JSON (line 1, column 2)",
                "remedy": "auth-login 2"}),
            &json!({"about": "slots", "ok": false, "said": format!("others can read {path}"),
                "remedy": format!("chmod 600 {path}")}),
        ]
    );
}

#[test]
fn a_volume_that_is_not_there_or_held_by_somebody_is_a_finding() {
    doctor(Path::new("/nonexistent"), &[])
        .assert()
        .code(1)
        .stdout(contains("/nonexistent is not a directory"));
    let openai = StandIn::start();
    let volume = in_use(&openai);
    let lock = File::create(volume.path().join(".lock")).unwrap();
    lock.lock().unwrap();
    doctor(volume.path(), &[]).assert().code(1).stdout(
        contains("FINDING  volume    another process has held").and(contains("ok       slots     2 of 2")),
    );
}

#[test]
fn a_mounted_secret_and_a_link_in_place_of_a_login_are_noticed() {
    let openai = StandIn::start();
    let volume = in_use(&openai);
    symlink("..2026_11_24", volume.path().join("..data")).unwrap();
    symlink("auth-2.json", volume.path().join("auth-3.json")).unwrap();
    doctor(volume.path(), &[]).assert().code(1).stdout(
        contains("is a Secret or a ConfigMap")
            .and(contains("account-3 is broken: a symbolic link, not a regular file\n"))
            .and(contains("do        accounts remove 3\n")),
    );
}

#[test]
fn a_probe_asks_about_each_token_once_and_never_renews_one() {
    let openai = StandIn::start();
    let volume = in_use(&openai);
    let probe = || {
        let mut command = doctor(volume.path(), &["--probe"]);
        command
            .env("CHATGPT_API_BASE", openai.api_base())
            .env("CODEX_REFRESH_TOKEN_URL_OVERRIDE", openai.refresh_url());
        command
    };
    probe().assert().success().stdout(
        contains("ok       provider  account-1 is taken (5h ")
            .and(contains("ok       provider  account-2 is taken")),
    );
    assert_eq!(openai.requests_to("/backend-api/wham/usage").len(), 2);
    // A token that this provider never gave.
    let login = StandIn::start().sign_in("bob@example.test").codex_auth_json(openai.url());
    fs::write(volume.path().join("auth-2.json"), login.to_string()).unwrap();
    probe()
        .assert()
        .code(1)
        .stdout(contains("account-2 is refused (").and(contains("\n         do        auth-login 2\n")));
    assert_eq!(openai.requests_to("/oauth/token"), []);
    doctor(volume.path(), &["--probe"])
        .env("CHATGPT_API_BASE", "http://127.0.0.1:1/backend-api/codex")
        .assert()
        .code(1)
        .stdout(contains("nobody can say whether account-1 is taken ("));
}
