//! Removing: what has to be confirmed, which account serves afterwards, and what the issuer is asked.

use std::fs;

use assert_cmd::cargo::cargo_bin;
use fixture::{ANN, Pool, Volume};
use predicates::prelude::*;
use predicates::str::contains;
use rexpect::session::PtySession;
use stand_in::StandIn;

use crate::{accounts, audit, every_state};

#[test]
fn without_a_terminal_or_a_yes_nothing_is_removed() {
    let volume = every_state();
    accounts(volume.path()).args(["remove", "1"]).assert().code(2).stderr(
        "accounts: there is no terminal to ask on: accounts remove 1 --yes removes account-1 (a…@example.test)\n",
    );
    assert!(volume.file("auth-1.json").exists() && audit(&volume).is_empty());
}

fn on_a_terminal(volume: &Volume) -> PtySession {
    let mut command = volume.command(cargo_bin("accounts"));
    command.args(["remove", "10"]);
    let mut session = rexpect::session::spawn_command(command, Some(60_000)).unwrap();
    session.exp_string("@example.test)? Only a new sign-in brings it back.").unwrap();
    session
}

#[test]
fn on_a_terminal_it_asks_and_only_a_yes_is_one() {
    let volume = every_state();
    let mut session = on_a_terminal(&volume);
    session.send_line("").unwrap();
    session.exp_string("nothing was removed: account-10 is as it was").unwrap();
    session.exp_eof().unwrap();
    assert!(volume.file("auth-10.json").exists());
    let mut session = on_a_terminal(&volume);
    session.send_line("y").unwrap();
    session.exp_string("is removed").unwrap();
    session.exp_eof().unwrap();
    assert!(!volume.file("auth-10.json").exists());
}

#[test]
fn another_account_serves_before_the_active_one_goes_and_no_request_is_sent() {
    let (volume, openai) = (every_state(), StandIn::start());
    // Otherwise the account would go on with its older login.
    fs::remove_file(volume.file("auth-7.json")).unwrap();
    accounts(volume.path())
        .env("CODEX_REFRESH_TOKEN_URL_OVERRIDE", openai.refresh_url())
        .env("CODEX_REVOKE_TOKEN_URL_OVERRIDE", format!("{}/oauth/revoke", openai.url()))
        .args(["remove", "1", "--yes"])
        .assert()
        .success()
        .stdout("account-1 (a…@example.test) is removed\nserving: account-5 (e…@example.test)\n");
    assert_eq!(volume.served_slot(), Some(5));
    assert!(!volume.file("auth-1.json").exists());
    let state = volume.read("rotator_state.json");
    assert!(!state.contains("acct-ann"), "nothing is left to surprise a later sign-in: {state}");
    assert_eq!(audit(&volume).last().unwrap()["what"], "removed");
    assert_eq!(openai.requests(), []);
}

#[test]
fn one_of_two_logins_of_an_account_goes_and_the_account_serves_on() {
    let volume = every_state();
    accounts(volume.path()).args(["remove", "7", "--yes"]).assert().success();
    assert_eq!(volume.served_slot(), Some(1));
    accounts(volume.path()).assert().stdout(contains("same account").not());
}

#[test]
fn a_broken_file_can_be_removed() {
    let volume = every_state();
    accounts(volume.path())
        .args(["remove", "6", "--yes"])
        .assert()
        .success()
        .stdout(contains("account-6 (not JSON (line 1, column 29)) is removed\n"));
    assert!(!volume.file("auth-6.json").exists());
    accounts(volume.path())
        .args(["remove", "6", "--yes"])
        .assert()
        .code(1)
        .stderr(contains("no auth-6.json"));
}

fn pool_of_ann() -> Pool {
    let pool = Pool::new();
    pool.put_login(1, ANN);
    accounts(pool.path()).args(["use", "1"]).assert().success();
    pool
}

#[test]
fn the_token_of_the_last_account_does_not_stay_published_when_it_is_removed() {
    let pool = pool_of_ann();
    accounts(pool.path())
        .args(["remove", "1", "--yes"])
        .assert()
        .success()
        .stdout(contains("no usable account: no auth-N.json in "));
    assert_eq!(pool.json("auth.json")["access_token"], "placeholder");
}

#[test]
fn with_revoke_the_issuer_ends_the_login_first() {
    let pool = pool_of_ann();
    let refresh_token = pool.refresh_token(1);
    assert!(pool.openai.refreshable(&refresh_token).good);
    accounts(pool.path())
        .env("CODEX_REVOKE_TOKEN_URL_OVERRIDE", format!("{}/oauth/revoke", pool.openai.url()))
        .args(["remove", "1", "--yes", "--revoke"])
        .assert()
        .success();
    assert_eq!(pool.openai.refreshable(&refresh_token).why, "ended: token_revoked");
    let what: Vec<_> = audit(&pool).iter().map(|entry| entry["what"].clone()).collect();
    assert_eq!(what, ["used", "revoked", "removed"]);
}

#[test]
fn a_login_that_the_issuer_did_not_revoke_stays_and_is_parked() {
    let pool = pool_of_ann();
    let refresh_token = pool.refresh_token(1);
    accounts(pool.path())
        .env("CODEX_REVOKE_TOKEN_URL_OVERRIDE", format!("{}/nowhere", pool.openai.url()))
        .args(["remove", "1", "--yes", "--revoke"])
        .assert()
        .code(75)
        .stderr(contains(
            "account-1 was not removed, because the issuer did not revoke it (HTTP 404): it is parked",
        ));
    assert!(pool.openai.refreshable(&refresh_token).good && pool.file("auth-1.json").exists());
    accounts(pool.path()).assert().stdout(contains("account-1 parked: being removed\n"));
    accounts(pool.path()).args(["unpark", "1"]).assert().success();
    assert_eq!(pool.served_slot(), Some(1));
}
