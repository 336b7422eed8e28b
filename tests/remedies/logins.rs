//! How states of logins and of grants are made. Most need a person at the browser in the end, whom the stand-in knows.

use std::os::unix::fs::symlink;
use std::time::{Duration, SystemTime};

use fixture::{ANN, BEN};
use serde_json::json;
use stand_in::{OauthFault, OauthFaultRequest};

use super::patient::Patient;
use super::slots::broken_in;

/// An access token that is refreshed by the next pass, and serves meanwhile.
const SOON: i64 = 3600;

/// Ann's login in slot 1; she is at the browser, should she be asked.
pub(crate) fn good(it: &mut Patient) {
    it.put_login(1, ANN);
    it.openai.approve_next(ANN);
}

pub(crate) fn expired(it: &mut Patient) {
    good(it);
    it.end_access_token(1);
}

pub(crate) fn without_refresh_token(it: &mut Patient) {
    expired(it);
    let mut login = it.json("auth-1.json");
    login["tokens"].as_object_mut().unwrap().remove("refresh_token");
    it.write("auth-1.json", login.to_string());
}

/// Ben is at the browser.
pub(crate) fn capped(it: &mut Patient) {
    it.put_login(1, ANN);
    it.know("ann", &json!({"cooldown": {"until": "2099-01-01T00:00:00Z"}}));
    it.openai.approve_next(BEN);
}

/// Ann has a tenth left, and used a twentieth in the last hour; Ben is at the browser.
pub(crate) fn nearly_used_up(it: &mut Patient) {
    it.put_login(1, ANN);
    let reset = humantime::format_rfc3339_seconds(SystemTime::now() + Duration::from_hours(4)).to_string();
    let window = json!({"minutes": 300, "used_percent": 90.0, "resets_at": reset});
    let at = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    it.know("ann", &json!({"usage": {"at": at, "windows": [window]}}));
    it.remember("consumption", json!({"300": [[at, 50]]}));
    it.openai.approve_next(BEN);
}

/// A slot of each kind; the commands that are named begin with Ann's sign-in to slot 1.
pub(crate) fn exhausted(it: &mut Patient) {
    without_refresh_token(it);
    broken_in(it, 2, "{");
    symlink("/nonexistent", it.file("auth-3.json")).unwrap();
    it.put_login(4, BEN);
    it.know("ben", &json!({"parked": {"reason": "on holiday"}}));
    it.put_login(5, "eve@example.test");
    it.put_login(6, "eve@example.test");
    it.put_login(7, "dan@example.test");
    let came_from = json!({"account_id": "acct-cat", "user_id": "user-cat"});
    it.know("dan", &json!({"came_from": came_from}));
    it.know("eve", &json!({"came_from": came_from}));
}

pub(crate) fn parked_alone(it: &mut Patient) {
    without_refresh_token(it);
    it.put_login(2, BEN);
    it.type_in("accounts park 2");
}

/// The issuer answers the next refresh so, and a pass asks for it.
pub(crate) fn refresh_meets(it: &Patient, fault: OauthFault) {
    it.put_login_for(1, ANN, SOON);
    it.openai.oauth_fault_for(OauthFaultRequest { fault, email: None, times: Some(1) });
    it.said("rotate-once");
    assert_eq!(it.refreshes(), 1);
}

pub(crate) fn ended_and_serving(it: &mut Patient) {
    refresh_meets(it, OauthFault::TerminalCode("app_session_terminated".to_owned()));
    it.openai.approve_next(ANN);
}

pub(crate) fn ended(it: &mut Patient) {
    ended_and_serving(it);
    it.end_access_token(1);
}

pub(crate) fn back_from_a_backup(it: &mut Patient) {
    good(it);
    let backup = it.read("auth-1.json");
    it.type_in("accounts remove 1");
    assert!(!it.file("auth-1.json").exists());
    it.write("auth-1.json", backup);
}

pub(crate) fn answer_lost(it: &mut Patient) {
    refresh_meets(it, OauthFault::CloseAfterConsuming);
    it.openai.approve_next(ANN);
}

pub(crate) fn refused_for_two_days(it: &mut Patient) {
    good(it);
    it.know("ann", &json!({"refresh_refused": {"code": "invalid_client", "since": "2026-01-01T00:00:00Z"}}));
}

/// Ann's login was refreshed, and the issuer answered with Eve's tokens.
pub(crate) fn other_account(it: &mut Patient, who_signs_in: &str) {
    it.put_login_for(1, ANN, SOON);
    let is = |account: &str, user: &str| {
        it.account(ANN, |ann| {
            (ann.account_id, ann.user_id) = (Some(account.to_owned()), Some(user.to_owned()));
        });
    };
    is("acct-eve", "user-eve");
    it.said("rotate-once");
    assert_eq!(it.refreshes(), 1);
    is("acct-ann", "user-ann");
    it.openai.approve_next(who_signs_in);
}

pub(crate) fn twice(it: &mut Patient) {
    it.put_login(1, ANN);
    it.put_login(2, ANN);
}

/// The signature is another one, and everything else as it was.
pub(crate) fn token_unknown(it: &mut Patient) {
    good(it);
    let mut login = it.json("auth-1.json");
    let token = it.token(1, "access_token");
    let (unsigned, _) = token.rsplit_once('.').unwrap();
    login["tokens"]["access_token"] = format!("{unsigned}.c2ln").into();
    it.write("auth-1.json", login.to_string());
}
