//! Refreshing a login by hand.

use std::fs;

use fixture::{ANN, Pool, fingerprint};
use predicates::prelude::*;
use predicates::str::{contains, starts_with};

use crate::{accounts, audit};

/// A pool with ann in slot 1.
fn signed_in() -> Pool {
    let pool = Pool::new();
    pool.put_login(1, ANN);
    pool
}

/// Leaves the marker of a request that was never answered.
fn leave_unanswered(pool: &Pool) {
    let name = format!(".grant-{}.sent", fingerprint(&pool.refresh_token(1)));
    fs::write(pool.file(&name), r#"{"slot": 1, "since": "2026-01-01T00:00:00Z"}"#).unwrap();
}

#[test]
fn a_healthy_login_can_be_refreshed_and_the_audit_says_so() {
    let pool = signed_in();
    accounts(pool.path())
        .env("CODEX_REFRESH_TOKEN_URL_OVERRIDE", pool.openai.refresh_url())
        .args(["refresh", "1", "--yes"])
        .assert()
        .success()
        .stdout(starts_with("account-1 refreshed (expires ").and(contains("serving: account-1")));
    assert_eq!(pool.openai.requests_to("/oauth/token").len(), 1);
    assert_eq!(audit(&pool)[0]["what"], "refreshed");
}

#[test]
fn without_a_terminal_it_says_what_the_risk_is_and_sends_nothing() {
    let pool = signed_in();
    leave_unanswered(&pool);
    accounts(pool.path()).args(["refresh", "1"]).assert().code(2).stderr(
        contains("there is no terminal to ask on: accounts refresh 1 --yes refreshes account-1").and(
            contains("was never answered: if that used up its refresh token, this ends the login at once"),
        ),
    );
    accounts(pool.path()).assert().success().stdout(contains("ready, refresh unanswered").and(contains(
        "the refresh of account-1 at 2026-01-01T00:00:00Z was never answered: run accounts refresh 1",
    )));
    assert_eq!(pool.openai.requests_to("/oauth/token").len(), 0);
}

#[test]
fn an_unanswered_grant_is_sent_once_more_on_request() {
    let pool = signed_in();
    leave_unanswered(&pool);
    accounts(pool.path())
        .env("CODEX_REFRESH_TOKEN_URL_OVERRIDE", pool.openai.refresh_url())
        .args(["refresh", "1", "--yes"])
        .assert()
        .success()
        .stdout(contains("account-1 refreshed ("));
    accounts(pool.path()).assert().success().stdout(contains("unanswered").not());
}

#[test]
fn a_grant_that_has_ended_is_not_sent_and_the_remedy_is_named() {
    let pool = signed_in();
    pool.openai.oauth_fault(stand_in::OauthFault::TerminalCode("refresh_token_reused".into()));
    let refresh = || {
        let mut command = accounts(pool.path());
        command.env("CODEX_REFRESH_TOKEN_URL_OVERRIDE", pool.openai.refresh_url());
        command.args(["refresh", "1", "--yes"]);
        command
    };
    refresh()
        .assert()
        .code(1)
        .stderr(contains("account-1 needs login: run auth-login 1 (refresh_token_reused)"));
    refresh().assert().code(1).stderr(contains("has ended (refresh_token_reused): run auth-login 1"));
    assert_eq!(pool.openai.requests_to("/oauth/token").len(), 1);
}

#[test]
fn a_removed_login_does_not_serve_wherever_its_tokens_are() {
    let pool = signed_in();
    let master = fs::read(pool.file("auth-1.json")).unwrap();
    let tokens = pool.json("auth-1.json")["tokens"].clone();
    let fed = |command: &mut assert_cmd::Command| {
        command.env("OPENAI_CODEX_ACCESS_TOKEN", tokens["access_token"].as_str().unwrap());
        command.env("OPENAI_CODEX_REFRESH_TOKEN", tokens["refresh_token"].as_str().unwrap());
    };
    let mut remove = accounts(pool.path());
    fed(&mut remove);
    remove
        .args(["remove", "1", "--yes"])
        .assert()
        .success()
        .stdout(contains("is removed; unset OPENAI_CODEX_ACCESS_TOKEN").and(contains("serving:").not()));
    let mut why = accounts(pool.path());
    fed(&mut why);
    why.arg("why").assert().code(69);
    // Brought back by a backup, it is known as removed.
    fs::write(pool.file("auth-1.json"), master).unwrap();
    accounts(pool.path())
        .assert()
        .success()
        .stdout(contains("account-1 needs login: run auth-login 1 (removed"));
}
