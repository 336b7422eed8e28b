//! Refreshing logins, against a stand-in that ends a grant whose refresh token is used twice.

use std::fs;
use std::time::Duration;

use fixture::{ANN, CEM, LONG};
use serde_json::json;
use stand_in::OauthFault;

use crate::scene::Scene;

#[test]
fn a_login_near_its_end_is_served_refreshed_stored_and_then_published() {
    let volume = Scene::living(3600);
    let (ann, mut expected) = (volume.refresh_token(1), volume.json("auth-1.json"));
    assert_eq!(
        volume.pass_to(0, &[]),
        "rotate-once: active account-1 (expires TIME)\nrotate-once: account-1 refreshed (expires TIME)\n\
         rotate-once: active account-1 (expires TIME)\nrotate-once: account-2 refreshed (expires TIME)\n"
    );
    assert!(!volume.openai.refreshable(&ann).good && volume.is_good(1) && volume.is_good(2));
    let refreshed = volume.json("auth-1.json");
    for (field, new) in [
        ("access_token", &refreshed["tokens"]),
        ("refresh_token", &refreshed["tokens"]),
        ("id_token", &refreshed["tokens"]),
    ] {
        assert_ne!(expected["tokens"][field], new[field]);
        expected["tokens"][field] = new[field].clone();
    }
    expected["last_refresh"] = refreshed["last_refresh"].clone();
    assert_eq!(refreshed, expected, "every field that is not a token is kept");
    assert_eq!(volume.json("auth.json")["access_token"], refreshed["tokens"]["access_token"]);
    assert!(volume.json("rotator_state.json").get("accounts").is_none());
    let (grants, names): (Vec<_>, Vec<_>) =
        volume.names().into_iter().partition(|name| name.starts_with(".grant-"));
    assert!(grants.len() == 2 && grants.iter().all(|name| name.contains(".ended")), "{grants:?}");
    assert_eq!(names.len(), 7, "{names:?}");
}

#[test]
fn a_login_far_from_its_end_is_left_alone_unless_the_flag_says_otherwise() {
    let volume = Scene::living(7 * 86_400);
    volume.pass_to(0, &[]);
    assert_eq!(volume.refreshes(), 0);
    volume.pass_to(0, &["--dry-run", "--refresh-before", "8d"]);
    volume.pass_to(0, &["--init", "--refresh-before", "8d"]);
    assert_eq!(volume.refreshes(), 0, "neither a dry run nor the init container refreshes");
    volume.pass_to(0, &["--refresh-before", "8d"]);
    assert_eq!(volume.refreshes(), 2);
}

#[test]
fn on_a_volume_that_was_restored_from_a_backup_no_refresh_token_is_sent() {
    let volume = Scene::living(3600);
    volume.write(".restored", "");
    let said = volume.pass_to(0, &[]);
    assert!(said.contains("active account-1"), "it serves on: {said}");
    let not_sent = "account-1 not refreshed: the volume was restored from a backup: sign in again what accounts says, then \
                    run lane-mirror --take-over; its refresh token was not sent";
    assert!(said.contains(not_sent), "{said}");
    assert_eq!(volume.refreshes(), 0);
}

#[test]
fn an_expired_login_is_refreshed_and_serves() {
    let volume = Scene::living(-60);
    assert!(volume.pass_to(0, &[]).contains("active account-1"));
    assert!(volume.is_good(1));
}

#[test]
fn a_refresh_whose_answer_never_came_is_not_repeated_while_the_access_token_lives() {
    for fault in [OauthFault::CloseAfterConsuming, OauthFault::HalfAnswer] {
        let volume = Scene::living(3600);
        volume.openai.oauth_fault(fault);
        let said = volume.pass_to(0, &[]);
        assert!(said.contains("account-1 may have been refreshed, but no answer came"), "{said}");
        assert!(said.contains("active account-1"), "its access token still lives: {said}");
        assert_eq!(volume.refreshes(), 1, "with the network gone the others do not wait for it");
        volume.openai.oauth_fault(OauthFault::None);
        volume.end_pause();
        let said = volume.pass_to(0, &[]);
        assert!(said.contains("account-2 refreshed") && !said.contains("account-1 refreshed"), "{said}");
        assert_eq!(volume.refreshes(), 2, "account-1 was not sent again");
    }
}

#[test]
fn for_ten_minutes_after_a_refresh_without_an_answer_only_logins_that_end_by_then_are_refreshed() {
    let volume = Scene::living(3600);
    volume.openai.oauth_fault(OauthFault::CloseAfterConsuming);
    volume.pass(&[]);
    volume.openai.oauth_fault(OauthFault::None);
    volume.put_login_for(3, CEM, 300);
    let said = volume.pass_to(0, &[]);
    assert!(said.contains("account-3 refreshed") && !said.contains("account-2 refreshed"), "{said}");
    volume.end_pause();
    assert!(volume.pass_to(0, &[]).contains("account-2 refreshed"));
}

#[test]
fn a_marker_that_cannot_be_read_holds_up_no_other_login() {
    let volume = Scene::living(3600);
    volume.openai.oauth_fault(OauthFault::CloseAfterConsuming);
    volume.pass(&[]);
    volume.openai.oauth_fault(OauthFault::None);
    let marker = volume.names().into_iter().find(|name| name.contains(".sent")).unwrap();
    volume.write(&marker, "garbage");
    let said = volume.pass_to(0, &[]);
    assert!(said.contains("account-2 refreshed") && !said.contains("account-1 refreshed"), "{said}");
}

#[test]
fn a_grant_that_has_ended_is_named_with_its_remedy_and_never_sent_again() {
    let volume = Scene::living(-60);
    volume.openai.oauth_fault(OauthFault::TerminalCode("app_session_terminated".into()));
    let said = volume.pass_to(69, &[]);
    assert!(
        said.contains("rotate-once: account-1 needs login: run auth-login 1 (app_session_terminated)\n"),
        "{said}"
    );
    assert_eq!(volume.refreshes(), 2);
    volume.openai.oauth_fault(OauthFault::None);
    volume.pass_to(69, &[]);
    assert_eq!(volume.refreshes(), 2);
    // A new login has another grant, so nothing has to be lifted.
    volume.put_login(1, ANN);
    assert!(volume.pass_to(0, &[]).contains("active account-1"));
}

#[test]
fn an_error_of_a_gateway_leaves_a_grant_alone_because_it_may_be_used_up() {
    let volume = Scene::living(3600);
    volume.openai.oauth_fault(OauthFault::Status(503));
    let said = volume.pass_to(0, &[]);
    assert!(said.contains("account-1 may have been refreshed, but no answer came (HTTP 503"), "{said}");
    assert!(said.contains("active account-1"), "its access token still lives: {said}");
    volume.openai.oauth_fault(OauthFault::None);
    let said = volume.pass_to(0, &[]);
    assert!(!said.contains("account-1 refreshed"), "{said}");
    assert!(volume.is_good(1) && volume.is_good(2));
}

#[test]
fn an_issuer_that_answers_429_uses_up_no_grant_and_is_left_alone_for_a_while() {
    let volume = Scene::living(3600);
    volume.openai.oauth_fault(OauthFault::Status(429));
    let said = volume.pass_to(0, &[]);
    assert!(said.contains("account-1 not refreshed: HTTP 429"), "{said}");
    assert!(said.contains("its refresh token is as good as before"), "{said}");
    let asked = volume.refreshes();
    volume.openai.oauth_fault(OauthFault::None);
    volume.pass_to(0, &[]);
    assert_eq!(volume.refreshes(), asked, "not again within five minutes");
    assert!(volume.is_good(1) && volume.is_good(2));
}

#[test]
fn a_closed_port_is_no_request() {
    let mut volume = Scene::living(3600);
    volume.url = "http://127.0.0.1:1/oauth/token".to_owned();
    let said = volume.pass_to(0, &[]);
    assert!(said.contains("account-1 not refreshed: "), "{said}");
    assert!(said.contains("active account-1"), "{said}");
    assert!(volume.json("rotator_state.json")["accounts"][0].get("unanswered").is_none());
}

#[test]
fn an_issuer_that_hangs_is_not_waited_for_longer_than_a_pod_may_take_to_stop() {
    let volume = Scene::living(3600);
    volume.openai.oauth_fault(OauthFault::DelayMs(60_000));
    let start = std::time::Instant::now();
    let said = volume.pass_to(0, &[]);
    assert!(said.contains("no answer came (timeout"), "{said}");
    assert!(start.elapsed() < Duration::from_secs(29), "a pod's grace period");
}

#[test]
fn a_401_refreshes_once_and_then_only_that_account_gets_a_cooldown() {
    let volume = Scene::living(LONG);
    volume.pass_to(0, &[]);
    assert_eq!(volume.served(), "acct-ann");
    let refusal = || volume.refusal(1, &json!({"status": 401}));
    let old = volume.json("auth.json")["access_token"].clone();
    let first = refusal().to_string();
    volume.signal(&first);
    assert!(volume.pass_to(0, &[]).contains("account-1 refreshed"));
    assert_eq!(volume.served(), "acct-ann");
    assert_ne!(volume.json("auth.json")["access_token"], old);

    volume.signal(&first);
    let said = volume.pass_to(0, &[]);
    assert!(
        said.contains("account-1: a 401 of a token that has been refreshed since: nothing to do"),
        "{said}"
    );
    assert_eq!(volume.served(), "acct-ann");

    volume.signal(&refusal().to_string());
    let said = volume.pass_to(0, &[]);
    assert!(
        said.contains("account-1 capped until TIME (refused, floor): its access token was refused"),
        "{said}"
    );
    assert_eq!(volume.served(), "acct-ben");
    volume.signal(&refusal().to_string());
    volume.pass_to(0, &["--policy", "sticky"]);
    assert_eq!((volume.served().as_str(), volume.refreshes()), ("acct-ben", 1));
}

#[test]
fn tokens_from_the_environment_are_refreshed_into_a_slot_of_their_own() {
    let volume = Scene::living(-60);
    let [access, refresh] = ["access_token", "refresh_token"].map(|name| volume.token(1, name));
    for slot in [1, 2] {
        fs::remove_file(volume.file(&format!("auth-{slot}.json"))).unwrap();
    }
    let mut command = volume.command();
    command.env("OPENAI_CODEX_ACCESS_TOKEN", access);
    command.env("OPENAI_CODEX_REFRESH_TOKEN", refresh);
    assert!(command.status().unwrap().success());
    assert!(volume.is_good(1), "the next start finds the newer grant on the volume");
    assert!(command.status().unwrap().success());
    assert_eq!(volume.refreshes(), 1);
}

#[test]
fn an_account_that_is_parked_without_an_end_is_not_refreshed() {
    let volume = Scene::living(3600);
    volume.write(
        "rotator_state.json",
        r#"{"version": 1, "accounts": [{"account_id": "acct-ann", "user_id": "user-ann", "parked": {}}]}"#,
    );
    let said = volume.pass_to(0, &[]);
    assert!(said.contains("account-2 refreshed") && !said.contains("account-1 refreshed"), "{said}");
}
