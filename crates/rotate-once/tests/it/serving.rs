//! Serving comes first: what happens while the issuer is slow, and what a refresh that fails leaves behind.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt as _;
use std::thread;
use std::time::Duration;

use auth_volume::Layout;
use fixture::http::{Request, answer};
use fixture::{ANN, BEN, LONG, now, wait_within};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use stand_in::OauthFault;

use crate::scene::{SOON, Scene, said};

fn capped() -> Value {
    json!({"status": 429, "type": "usage_limit_reached", "resets_at": now() + 3600})
}

#[test]
fn a_signal_is_acted_on_while_the_issuer_is_waited_for() {
    let pool = Scene::new();
    pool.put_login_for(1, ANN, 3600);
    pool.put_login_for(2, BEN, LONG);
    pool.openai.oauth_fault(OauthFault::DelayMs(4000));
    let mut pass = pool.waiting_for_the_issuer();
    assert_eq!(pool.served(), "acct-ann", "published before it is refreshed");
    pool.refuse(1, &capped());
    wait_within(SOON, "the other account serves", || pool.served() == "acct-ben");
    assert!(pass.try_wait().unwrap().is_none(), "the issuer still has not answered");
    pool.signal("");
    wait_within(SOON, "the signal is taken", || !pool.file("rotate-now").exists());
    let said = said(pass);
    assert!(said.contains("account-1 capped until ") && said.contains("account-1 refreshed ("), "{said}");
    assert!(pool.is_good(1));
    assert_eq!(pool.refreshes(), 1);
}

#[test]
fn no_lock_is_held_while_the_issuer_is_waited_for_and_what_was_changed_meanwhile_stays() {
    let pool = Scene::new();
    pool.put_login_for(1, ANN, 3600);
    pool.openai.oauth_fault(OauthFault::DelayMs(2000));
    let pass = pool.waiting_for_the_issuer();
    let volume = auth_volume::Volume::open(Layout::new(pool.path().to_owned(), None)).unwrap();
    let locked = volume.lock_within(Duration::from_millis(200)).unwrap();
    let mut state = volume.stored_state().unwrap().state;
    let account = volume.master("1".parse().unwrap()).login.unwrap().account;
    state.accounts.entry(account).or_default().parked = Some(records::state::Parked::default());
    locked.store_state(&state).unwrap();
    drop(locked);
    let said = said(pass);
    assert!(said.contains("account-1 refreshed"), "{said}");
    assert!(pool.json("rotator_state.json")["accounts"][0]["parked"].is_object());
}

#[test]
fn a_refused_account_has_its_new_token_within_a_moment_and_no_other_takes_over() {
    let pool = Scene::new();
    pool.put_login_for(1, ANN, LONG);
    pool.put_login_for(2, BEN, LONG);
    pool.pass(&[]);
    pool.refuse(1, &json!({"status": 401}));
    let said = pool.pass(&[]);
    assert!(said.contains("account-1 refreshed") && !said.contains("account-2"), "{said}");
    assert_eq!(pool.served(), "acct-ann");
}

#[test]
fn another_account_takes_over_from_a_refused_one_when_the_issuer_is_slow() {
    let pool = Scene::new();
    pool.put_login_for(1, ANN, LONG);
    pool.put_login_for(2, BEN, LONG);
    pool.pass(&[]);
    pool.openai.oauth_fault(OauthFault::DelayMs(3000));
    pool.refuse(1, &json!({"status": 401}));
    let mut pass = pool.waiting_for_the_issuer();
    wait_within(SOON, "the other account serves", || pool.served() == "acct-ben");
    assert!(pass.try_wait().unwrap().is_none());
    assert!(said(pass).contains("account-1 refreshed"));
    assert!(pool.json("rotator_state.json")["accounts"][0].get("cooldown").is_none(), "it may serve again");
}

#[test]
fn a_pass_that_is_stopped_stores_the_answer_that_is_on_its_way() {
    let pool = Scene::new();
    pool.put_login_for(1, ANN, 3600);
    pool.put_login_for(2, BEN, 3600);
    pool.openai.oauth_fault(OauthFault::DelayMs(1500));
    let pass = pool.waiting_for_the_issuer();
    kill(Pid::from_raw(pass.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    let output = pass.wait_with_output().unwrap();
    assert_eq!(output.status.signal(), Some(Signal::SIGTERM as i32));
    assert!(pool.is_good(1) && pool.is_good(2));
    assert_eq!(pool.refreshes(), 1, "nothing more was begun");
}

#[test]
fn a_login_made_while_its_predecessor_is_refreshed_is_the_one_that_stays() {
    let pool = Scene::new();
    pool.put_login_for(1, ANN, 3600);
    pool.openai.oauth_fault(OauthFault::DelayMs(1500));
    let pass = pool.waiting_for_the_issuer();
    pool.openai.oauth_fault(OauthFault::None);
    pool.put_login_for(1, ANN, LONG + 3600);
    let new = pool.refresh_token(1);
    let said = said(pass);
    assert!(
        said.contains("account-1 was refreshed, but has a newer login by now: the refreshed one is kept in"),
        "{said}"
    );
    assert_eq!(pool.refresh_token(1), new);
    assert!(pool.names().iter().any(|name| name.starts_with("auth-1.json.before-")));
}

#[test]
fn a_used_grant_that_a_backup_brings_back_is_known_and_never_sent_again() {
    let pool = Scene::new();
    pool.put_login_for(1, ANN, 3600);
    let backup = pool.read("auth-1.json");
    assert!(pool.pass(&[]).contains("account-1 refreshed"));
    pool.write("auth-1.json", backup);
    fs::remove_file(pool.file("rotator_state.json")).unwrap();
    let said = pool.pass(&["--refresh-before", "20d"]);
    assert!(said.contains("active account-1"), "its access token lives: {said}");
    assert_eq!(pool.refreshes(), 1);
    let plan = pool.command().args(["--to", "1", "--json"]).output().unwrap();
    assert!(plan.status.success());
    // The same grant in another slot is used up as well.
    fs::rename(pool.file("auth-1.json"), pool.file("auth-7.json")).unwrap();
    pool.pass(&["--refresh-before", "20d"]);
    assert_eq!(pool.refreshes(), 1);
}

#[test]
fn a_grant_that_has_ended_serves_until_its_access_token_ends_also_after_the_record_was_lost() {
    let pool = Scene::new();
    pool.put_login_for(1, ANN, 80_000);
    pool.openai.oauth_fault(OauthFault::TerminalCode("refresh_token_expired".into()));
    let said = pool.pass(&[]);
    assert!(said.contains("account-1 needs login: run auth-login 1 (refresh_token_expired)"), "{said}");
    fs::remove_file(pool.file("auth.json")).unwrap();
    pool.pass(&["--init"]);
    assert_eq!(pool.served(), "acct-ann");
    fs::remove_file(pool.file("rotator_state.json")).unwrap();
    pool.pass(&[]);
    assert_eq!(pool.refreshes(), 1, "also without the state it is known that it has ended");
}

#[test]
fn a_park_follows_a_login_into_another_workspace_and_another_person_rests() {
    let pool = Scene::new();
    pool.put_login_for(1, ANN, 3600);
    pool.put_login_for(2, BEN, LONG);
    let parked = json!({"until": "2099-01-01T00:00:00Z", "reason": "legal hold"});
    let state = json!({"version": 1, "accounts": [
        {"account_id": "acct-ann", "user_id": "user-ann", "parked": parked}]});
    pool.write("rotator_state.json", state.to_string());
    pool.account(ANN, |account| account.account_id = Some("acct-other".into()));
    let said = pool.pass(&[]);
    assert!(said.contains("account-1 is now acct-other/user-ann, and was acct-ann/user-ann"), "{said}");
    let state = pool.json("rotator_state.json");
    let accounts = state["accounts"].as_array().unwrap();
    let moved = accounts.iter().find(|account| account["account_id"] == "acct-other").unwrap();
    assert_eq!(moved["parked"]["reason"], "legal hold");
    assert!(!accounts.iter().any(|account| account["account_id"] == "acct-ann"));
}

#[test]
fn a_refresh_token_without_an_access_token_is_kept() {
    let mut pool = Scene::new();
    pool.put_login_for(1, ANN, 3600);
    let access = pool.json("auth-1.json")["tokens"]["access_token"].clone();
    pool.url = issuer_that_answers("200 OK", r#"{"refresh_token": "rt-new"}"#);
    pool.pass(&[]);
    assert_eq!(pool.refresh_token(1), "rt-new");
    assert_eq!(pool.json("auth-1.json")["tokens"]["access_token"], access);
}

#[test]
fn the_answer_of_a_gateway_is_not_taken_for_the_issuers() {
    for status in [
        "408 Request Timeout",
        "499 Closed",
        "502 Bad Gateway",
        "504 Gateway Timeout",
        "403 Forbidden",
        "429 Too Many Requests",
    ] {
        let mut pool = Scene::new();
        pool.put_login_for(1, ANN, 3600);
        pool.url = issuer_that_answers(status, "<html>no</html>");
        let said = pool.pass(&[]);
        assert!(
            said.contains("account-1 may have been refreshed, but no answer came (HTTP "),
            "{status}: {said}"
        );
        fs::remove_file(pool.file("rotator_state.json")).unwrap();
        pool.url = pool.openai.refresh_url();
        pool.pass(&[]);
        assert_eq!(pool.refreshes(), 0, "{status}: its access token lives");
    }
}

/// An issuer that answers every request alike, and its URL.
fn issuer_that_answers(status: &'static str, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/oauth/token", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            // All of it: a connection that is closed with something unread is reset.
            if Request::read(&mut connection).is_ok() {
                let _ = connection.write_all(answer(status, "text/plain", body).as_bytes());
            }
        }
    });
    url
}

#[test]
fn a_second_login_of_the_environment_stays_when_the_first_was_refreshed() {
    let pool = Scene::new();
    let mut command = pool.command();
    for (number, email, seconds) in [(1, ANN, 3600), (2, BEN, LONG)] {
        pool.lifetime(email, seconds);
        let login = pool.login(email);
        pool.lifetime(email, LONG);
        for (name, token) in [("ACCESS", "access_token"), ("REFRESH", "refresh_token")] {
            let value = login["tokens"][token].as_str().unwrap();
            command.env(format!("OPENAI_CODEX_{name}_TOKEN_{number}"), value);
        }
    }
    assert!(command.status().unwrap().success());
    assert!(pool.file("auth-1.json").exists() && !pool.file("auth-2.json").exists());
    command.args(["--policy", "round-robin"]);
    let mut served = [(); 2].map(|()| {
        assert!(command.status().unwrap().success());
        pool.served()
    });
    served.sort();
    assert_eq!(served, ["acct-ann", "acct-ben"]);
}

#[test]
fn a_refresh_that_the_issuer_refuses_for_a_day_is_a_finding_whatever_it_says() {
    for body in [r#"{"error": {"code": "odd"}}"#, r#"{"error": {"message": "no"}}"#] {
        let mut pool = Scene::new();
        pool.put_login_for(1, ANN, 3600);
        pool.url = issuer_that_answers("400 Bad Request", body);
        assert!(pool.pass(&[]).contains("its refresh token is as good as before"));
        let mut state = pool.json("rotator_state.json");
        state["accounts"][0]["refresh_refused"]["since"] = "2026-01-01T00:00:00Z".into();
        state["accounts"][0]["refresh_failed"] = "2026-01-01T00:00:00Z".into();
        pool.write("rotator_state.json", state.to_string());
        let logged = pool.command().args(["--on-event", "cat"]).output().unwrap();
        let logged = String::from_utf8(logged.stderr).unwrap();
        assert!(
            logged.contains("was notified of refresh-failing: the issuer has refused to refresh account-1"),
            "{logged}"
        );
        assert!(logged.contains("since 2026-01-01T00:00:00Z: run auth-login 1"), "{logged}");
    }
}
