//! Refreshing a login by hand.

use std::fs;

use predicates::prelude::*;
use predicates::str::{contains, starts_with};
use stand_in::StandIn;

use crate::{accounts, audit, json};

/// A volume with ann in slot 1, and the stand-in that issued her login.
fn signed_in() -> (tempfile::TempDir, StandIn) {
    let (volume, openai) = (tempfile::tempdir().unwrap(), StandIn::start());
    let login = openai.sign_in("ann@example.test").codex_auth_json(openai.url());
    fs::write(volume.path().join("auth-1.json"), login.to_string()).unwrap();
    (volume, openai)
}

/// As a request leaves it whose answer never came.
fn leave_unanswered(volume: &tempfile::TempDir) {
    let token =
        json(&volume.path().join("auth-1.json"))["tokens"]["refresh_token"].as_str().unwrap().to_owned();
    let name = format!(".grant-{}.asked", records::Secret::new(&token).fingerprint());
    fs::write(volume.path().join(name), r#"{"slot": 1, "since": "2026-01-01T00:00:00Z"}"#).unwrap();
}

#[test]
fn a_healthy_login_can_be_refreshed_and_that_is_written_down() {
    let (volume, openai) = signed_in();
    accounts(volume.path())
        .env("CODEX_REFRESH_TOKEN_URL_OVERRIDE", openai.refresh_url())
        .args(["refresh", "1", "--yes"])
        .assert()
        .success()
        .stdout(starts_with("account-1 refreshed (expires ").and(contains("serving: account-1")));
    assert_eq!(openai.requests_to("/oauth/token").len(), 1);
    assert_eq!(audit(volume.path())[0]["what"], "refreshed");
}

#[test]
fn without_a_terminal_it_says_what_it_risks_and_sends_nothing() {
    let (volume, openai) = signed_in();
    leave_unanswered(&volume);
    accounts(volume.path()).args(["refresh", "1"]).assert().code(2).stderr(
        contains("there is no terminal to ask on: accounts refresh 1 --yes refreshes account-1")
            .and(contains("was never answered: if it was used up then, this ends the login at once")),
    );
    accounts(volume.path()).assert().success().stdout(contains("ready, refresh unanswered").and(contains(
        "the refresh of account-1 at 2026-01-01T00:00:00Z was never answered: run accounts refresh 1",
    )));
    assert_eq!(openai.requests_to("/oauth/token").len(), 0);
}

#[test]
fn an_unanswered_grant_is_sent_once_more_by_a_person_who_says_so() {
    let (volume, openai) = signed_in();
    leave_unanswered(&volume);
    accounts(volume.path())
        .env("CODEX_REFRESH_TOKEN_URL_OVERRIDE", openai.refresh_url())
        .args(["refresh", "1", "--yes"])
        .assert()
        .success()
        .stdout(contains("account-1 refreshed ("));
    accounts(volume.path()).assert().success().stdout(contains("unanswered").not());
}

#[test]
fn a_grant_that_has_ended_is_not_sent_and_the_remedy_is_named() {
    let (volume, openai) = signed_in();
    openai.oauth_fault(stand_in::OauthFault::TerminalCode("refresh_token_reused".into()));
    let refresh = || {
        let mut command = accounts(volume.path());
        command.env("CODEX_REFRESH_TOKEN_URL_OVERRIDE", openai.refresh_url());
        command.args(["refresh", "1", "--yes"]);
        command
    };
    refresh()
        .assert()
        .code(1)
        .stderr(contains("account-1 needs login: run auth-login 1 (refresh_token_reused)"));
    refresh().assert().code(1).stderr(contains("has ended (refresh_token_reused): run auth-login 1"));
    assert_eq!(openai.requests_to("/oauth/token").len(), 1);
}

#[test]
fn a_removed_login_serves_no_more_wherever_its_tokens_are() {
    let (volume, openai) = signed_in();
    let master = fs::read(volume.path().join("auth-1.json")).unwrap();
    let tokens = json(&volume.path().join("auth-1.json"))["tokens"].clone();
    let fed = |command: &mut assert_cmd::Command| {
        command.env("OPENAI_CODEX_ACCESS_TOKEN", tokens["access_token"].as_str().unwrap());
        command.env("OPENAI_CODEX_REFRESH_TOKEN", tokens["refresh_token"].as_str().unwrap());
    };
    let mut remove = accounts(volume.path());
    fed(&mut remove);
    remove
        .args(["remove", "1", "--yes"])
        .assert()
        .success()
        .stdout(contains("is removed; unset OPENAI_CODEX_ACCESS_TOKEN").and(contains("serving:").not()));
    let mut why = accounts(volume.path());
    fed(&mut why);
    why.arg("why").assert().code(69);
    // Brought back by a backup, it is known as removed.
    fs::write(volume.path().join("auth-1.json"), master).unwrap();
    accounts(volume.path())
        .assert()
        .success()
        .stdout(contains("account-1 needs login: run auth-login 1 (removed"));
    drop(openai);
}
