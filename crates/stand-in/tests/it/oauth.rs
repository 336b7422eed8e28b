//! The tokens: what is used up, what ends with it, and what faults leave behind.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use stand_in::{OauthFault, OauthFaultRequest, StandIn};

use crate::client::{ANN, BEN, ask, json_of, post, refresh, try_refresh};

#[test]
fn a_refresh_token_used_twice_ends_its_login_and_no_other() {
    let stand_in = StandIn::start();
    let (first, other) = (stand_in.sign_in(ANN), stand_in.sign_in(ANN));
    let second = json_of(&mut refresh(&stand_in, &first.refresh_token));
    let second_refresh = second["refresh_token"].as_str().unwrap();
    assert_ne!(second_refresh, first.refresh_token);
    assert_eq!(ask(&stand_in, second["access_token"].as_str().unwrap(), "acct-ann").status(), 200);
    assert!(stand_in.refreshable(second_refresh).good);
    assert_eq!(stand_in.refreshable(&first.refresh_token).why, "spent");

    let mut second_use = refresh(&stand_in, &first.refresh_token);
    assert_eq!(second_use.status(), 401);
    assert_eq!(json_of(&mut second_use)["error"]["code"], "refresh_token_reused");

    assert_eq!(stand_in.refreshable(second_refresh).why, "ended: refresh_token_reused");
    let mut dead = refresh(&stand_in, second_refresh);
    assert_eq!(dead.status(), 401);
    assert_eq!(json_of(&mut dead)["error"]["code"], "refresh_token_invalidated");
    for access_token in [&first.access_token, second["access_token"].as_str().unwrap()] {
        let mut refused = ask(&stand_in, access_token, "acct-ann");
        assert_eq!(refused.status(), 401);
        assert_eq!(json_of(&mut refused)["error"]["code"], "token_invalidated");
    }
    assert_eq!(ask(&stand_in, &other.access_token, "acct-ann").status(), 200);
    assert!(stand_in.refreshable(&other.refresh_token).good);
}

#[test]
fn revoking_either_token_ends_the_login() {
    let stand_in = StandIn::start();
    let tokens = stand_in.sign_in(ANN);
    let url = format!("{}/oauth/revoke", stand_in.url());
    assert_eq!(post(&url, &json!({"token": tokens.access_token})).status(), 200);
    assert_eq!(ask(&stand_in, &tokens.access_token, "acct-ann").status(), 401);
    let mut refused = refresh(&stand_in, &tokens.refresh_token);
    assert_eq!(json_of(&mut refused)["error"]["code"], "token_revoked");
}

#[test]
fn an_unknown_refresh_token_is_an_invalid_grant() {
    let stand_in = StandIn::start();
    let mut refused = refresh(&stand_in, "rt-from-somewhere-else");
    assert_eq!(refused.status(), 400);
    assert_eq!(json_of(&mut refused)["error"], "invalid_grant");
}

#[test]
fn faults_that_use_nothing_up_leave_the_grant_good() {
    let stand_in = StandIn::start();
    let tokens = stand_in.sign_in(ANN);
    stand_in.oauth_fault(OauthFault::Status(503));
    assert_eq!(refresh(&stand_in, &tokens.refresh_token).status(), 503);
    stand_in.oauth_fault(OauthFault::CloseBeforeAnswer);
    assert!(try_refresh(&stand_in, &tokens.refresh_token).is_err());
    assert!(stand_in.refreshable(&tokens.refresh_token).good);
    assert_eq!(stand_in.requests().last().unwrap().status, None);

    stand_in.oauth_fault(OauthFault::None);
    assert_eq!(refresh(&stand_in, &tokens.refresh_token).status(), 200);
}

#[test]
fn faults_after_the_grant_lose_the_new_refresh_token() {
    for fault in [OauthFault::CloseAfterConsuming, OauthFault::HalfAnswer] {
        let stand_in = StandIn::start();
        let tokens = stand_in.sign_in(ANN);
        stand_in.oauth_fault(fault.clone());
        let body = try_refresh(&stand_in, &tokens.refresh_token)
            .and_then(|mut answer| answer.body_mut().read_to_string());
        assert!(body.is_err(), "{fault:?} gave {body:?}");
        assert_eq!(stand_in.refreshable(&tokens.refresh_token).why, "spent", "{fault:?}");
        let login = &stand_in.grants()[0].logins[0];
        assert!(login.refreshable && !login.delivered, "{fault:?} gave {login:?}");
    }
}

#[test]
fn a_terminal_answer_is_final_for_that_login_only() {
    let stand_in = StandIn::start();
    let (ann, ben) = (stand_in.sign_in(ANN), stand_in.sign_in(BEN));
    stand_in.oauth_fault_for(OauthFaultRequest {
        fault: OauthFault::TerminalCode("app_session_terminated".to_owned()),
        email: Some(ANN.to_owned()),
        times: Some(1),
    });
    for _ in 0..2 {
        let mut refused = refresh(&stand_in, &ann.refresh_token);
        assert_eq!(refused.status(), 401);
        assert_eq!(json_of(&mut refused)["error"]["code"], "app_session_terminated");
    }
    assert_eq!(refresh(&stand_in, &ben.refresh_token).status(), 200);
    assert_eq!(ask(&stand_in, &ann.access_token, "acct-ann").status(), 200, "its access token lives on");
}

#[test]
fn a_late_answer_comes_late() {
    let stand_in = StandIn::start();
    let tokens = stand_in.sign_in(ANN);
    stand_in.oauth_fault(OauthFault::DelayMs(300));
    let asked = Instant::now();
    assert_eq!(refresh(&stand_in, &tokens.refresh_token).status(), 200);
    assert!(asked.elapsed() >= Duration::from_millis(300));
}

#[test]
fn two_hundred_refreshes_at_once_let_one_through() {
    let stand_in = StandIn::start();
    let tokens = stand_in.sign_in(ANN);
    let statuses: Vec<u16> = thread::scope(|scope| {
        let one = || scope.spawn(|| refresh(&stand_in, &tokens.refresh_token).status().as_u16());
        let threads: Vec<_> = (0..200).map(|_| one()).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1);
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 199);
}
