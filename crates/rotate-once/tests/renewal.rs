//! Renewing logins, against a stand-in that punishes a refresh token used twice.

#![expect(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use assert_cmd::cargo::cargo_bin_cmd;
use serde_json::{Value, json};
use stand_in::{AccountRequest, OauthFault, StandIn};

const ANN: &str = "ann@example.test";
const BEN: &str = "ben@example.test";

/// A volume whose logins the stand-in has issued.
struct Volume {
    openai: StandIn,
    dir: tempfile::TempDir,
}

impl Volume {
    /// With ann in slot 1 and ben in slot 2, whose access tokens live so long.
    fn living(seconds: i64) -> Self {
        let volume = Self { openai: StandIn::start(), dir: tempfile::tempdir().unwrap() };
        for (slot, email) in [(1, ANN), (2, BEN)] {
            let lifetime = Some(seconds);
            volume.openai.account(&AccountRequest {
                email: email.into(),
                token_lifetime_seconds: lifetime,
                ..Default::default()
            });
            let login = volume.openai.sign_in(email).codex_auth_json(volume.openai.url());
            volume.write(&format!("auth-{slot}.json"), &login.to_string());
            // Those that are renewed live long.
            volume.openai.account(&AccountRequest {
                email: email.into(),
                token_lifetime_seconds: Some(864_000),
                ..Default::default()
            });
        }
        volume
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.file(name), content).unwrap();
        fs::set_permissions(self.file(name), Permissions::from_mode(0o600)).unwrap();
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&fs::read(self.file(name)).unwrap()).unwrap()
    }

    fn refresh_token(&self, slot: u32) -> String {
        self.json(&format!("auth-{slot}.json"))["tokens"]["refresh_token"].as_str().unwrap().to_owned()
    }

    fn is_good(&self, slot: u32) -> bool {
        self.openai.refreshable(&self.refresh_token(slot)).good
    }

    fn served(&self) -> Value {
        self.json("auth.json")["account_id"].clone()
    }

    fn refreshes(&self) -> usize {
        self.openai.requests_to("/oauth/token").len()
    }

    /// Runs a pass and gives what it logged, times made equal; fails if a token is in it.
    fn pass(&self, args: &[&str], exit: i32) -> String {
        let mut command = cargo_bin_cmd!("rotate-once");
        command.env_clear().env("CHATGPT_AUTH_DIR", self.dir.path());
        command.env("CODEX_REFRESH_TOKEN_URL_OVERRIDE", self.openai.refresh_url());
        let output = command.args(args).assert().code(exit).get_output().clone();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!said.contains("eyJ") && !said.contains("rt-stand-in"), "a token in the log: {said}");
        let words = said.split_inclusive(' ').map(|word| {
            let is_time = word.len() > 19 && word.as_bytes()[..2] == *b"20" && word.contains('T');
            if is_time {
                word.get(20..).map(|rest| format!("TIME{rest}")).unwrap_or_default()
            } else {
                word.to_owned()
            }
        });
        words.collect()
    }
}

#[test]
fn a_login_near_its_end_is_served_refreshed_stored_and_then_published() {
    let volume = Volume::living(3600);
    let (ann, mut expected) = (volume.refresh_token(1), volume.json("auth-1.json"));
    assert_eq!(
        volume.pass(&[], 0),
        "rotate-once: active account-1 (expires TIME)\nrotate-once: account-1 refreshed (expires TIME)\n\
         rotate-once: active account-1 (expires TIME)\nrotate-once: account-2 refreshed (expires TIME)\n"
    );
    assert!(!volume.openai.refreshable(&ann).good && volume.is_good(1) && volume.is_good(2));
    let renewed = volume.json("auth-1.json");
    for (field, new) in [
        ("access_token", &renewed["tokens"]),
        ("refresh_token", &renewed["tokens"]),
        ("id_token", &renewed["tokens"]),
    ] {
        assert_ne!(expected["tokens"][field], new[field]);
        expected["tokens"][field] = new[field].clone();
    }
    expected["last_refresh"] = renewed["last_refresh"].clone();
    assert_eq!(renewed, expected, "every field that is not a token is kept");
    assert_eq!(volume.json("auth.json")["access_token"], renewed["tokens"]["access_token"]);
    assert!(volume.json("rotator_state.json").get("accounts").is_none());
    let names = fs::read_dir(volume.dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let (grants, names): (Vec<_>, Vec<_>) =
        names.map(|name| name.into_string().unwrap()).partition(|name| name.starts_with(".grant-"));
    assert!(grants.len() == 2 && grants.iter().all(|name| name.contains(".ended")), "{grants:?}");
    assert_eq!(names.len(), 6, "{names:?}");
}

#[test]
fn a_login_far_from_its_end_is_left_alone_until_told_otherwise() {
    let volume = Volume::living(7 * 86_400);
    volume.pass(&[], 0);
    assert_eq!(volume.refreshes(), 0);
    volume.pass(&["--dry-run", "--refresh-before", "8d"], 0);
    volume.pass(&["--init", "--refresh-before", "8d"], 0);
    assert_eq!(volume.refreshes(), 0, "looking and starting renew nothing");
    volume.pass(&["--refresh-before", "8d"], 0);
    assert_eq!(volume.refreshes(), 2);
}

#[test]
fn an_expired_login_is_renewed_and_serves() {
    let volume = Volume::living(-60);
    assert!(volume.pass(&[], 0).contains("active account-1"));
    assert!(volume.is_good(1));
}

#[test]
fn a_refresh_whose_answer_never_came_is_not_repeated_while_the_access_token_lives() {
    for fault in [OauthFault::CloseAfterConsuming, OauthFault::HalfAnswer] {
        let volume = Volume::living(3600);
        volume.openai.oauth_fault(fault);
        let said = volume.pass(&[], 0);
        assert!(said.contains("account-1 may have been refreshed, but no answer came"), "{said}");
        assert!(said.contains("active account-1"), "its access token still lives: {said}");
        assert_eq!(volume.refreshes(), 1, "with the network gone the others do not wait for it");
        volume.openai.oauth_fault(OauthFault::None);
        let said = volume.pass(&[], 0);
        assert!(said.contains("account-2 refreshed") && !said.contains("account-1 refreshed"), "{said}");
        assert_eq!(volume.refreshes(), 2, "nobody asked for account-1 again");
    }
}

#[test]
fn a_dead_grant_is_named_with_the_command_that_mends_it_and_never_asked_about_again() {
    let volume = Volume::living(-60);
    volume.openai.oauth_fault(OauthFault::TerminalCode("app_session_terminated".into()));
    let said = volume.pass(&[], 69);
    assert!(
        said.contains("rotate-once: account-1 needs login: run auth-login 1 (app_session_terminated)\n"),
        "{said}"
    );
    assert_eq!(volume.refreshes(), 2);
    volume.openai.oauth_fault(OauthFault::None);
    volume.pass(&[], 69);
    assert_eq!(volume.refreshes(), 2);
    // A new login has another grant, and needs no pardon.
    volume.write("auth-1.json", &volume.openai.sign_in(ANN).codex_auth_json(volume.openai.url()).to_string());
    assert!(volume.pass(&[], 0).contains("active account-1"));
}

#[test]
fn trouble_before_the_issuer_leaves_a_grant_alone_because_it_may_be_used_up() {
    let volume = Volume::living(3600);
    volume.openai.oauth_fault(OauthFault::Status(503));
    let said = volume.pass(&[], 0);
    assert!(said.contains("account-1 may have been refreshed, but no answer came (HTTP 503"), "{said}");
    assert!(said.contains("active account-1"), "its access token still lives: {said}");
    volume.openai.oauth_fault(OauthFault::None);
    let said = volume.pass(&[], 0);
    assert!(!said.contains("account-1 refreshed"), "{said}");
    assert!(volume.is_good(1) && volume.is_good(2));
}

#[test]
fn an_issuer_that_asks_for_patience_costs_nothing_and_is_not_hammered() {
    let volume = Volume::living(3600);
    volume.openai.oauth_fault(OauthFault::Status(429));
    let said = volume.pass(&[], 0);
    assert!(said.contains("account-1 not refreshed: HTTP 429"), "{said}");
    assert!(said.contains("its refresh token is as good as before"), "{said}");
    let asked = volume.refreshes();
    volume.openai.oauth_fault(OauthFault::None);
    volume.pass(&[], 0);
    assert_eq!(volume.refreshes(), asked, "not again within five minutes");
    assert!(volume.is_good(1) && volume.is_good(2));
}

#[test]
fn a_closed_port_is_no_request() {
    let volume = Volume::living(3600);
    let said = cargo_bin_cmd!("rotate-once")
        .env_clear()
        .env("CHATGPT_AUTH_DIR", volume.dir.path())
        .env("CODEX_REFRESH_TOKEN_URL_OVERRIDE", "http://127.0.0.1:1/oauth/token")
        .assert()
        .success();
    let said = String::from_utf8_lossy(&said.get_output().stderr).into_owned();
    assert!(said.contains("account-1 not refreshed: "), "{said}");
    assert!(said.contains("active account-1"), "{said}");
    assert!(volume.json("rotator_state.json")["accounts"][0].get("unanswered").is_none());
}

#[test]
fn an_issuer_that_hangs_is_not_waited_for_longer_than_a_pod_may_take_to_stop() {
    let volume = Volume::living(3600);
    volume.openai.oauth_fault(OauthFault::DelayMs(60_000));
    let start = std::time::Instant::now();
    let said = volume.pass(&[], 0);
    assert!(said.contains("no answer came (timeout"), "{said}");
    assert!(start.elapsed() < Duration::from_secs(29), "the kubelet's patience");
}

#[test]
fn a_401_refreshes_once_and_then_rests_the_account_without_a_walk_through_the_pool() {
    let volume = Volume::living(864_000);
    volume.pass(&[], 0);
    assert_eq!(volume.served(), "acct-ann");
    let refusal = || {
        let at = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        let login = volume.json("auth-1.json");
        let token = records::Secret::new(login["tokens"]["access_token"].as_str().unwrap()).fingerprint();
        json!({"at": at, "status": 401, "account_id": "acct-ann", "user_id": "user-ann", "token": token})
    };
    let old = volume.json("auth.json")["access_token"].clone();
    let first = refusal().to_string();
    volume.write("rotate-now", &first);
    assert!(volume.pass(&[], 0).contains("account-1 refreshed"));
    assert_eq!(volume.served(), "acct-ann");
    assert_ne!(volume.json("auth.json")["access_token"], old);

    volume.write("rotate-now", &first);
    let said = volume.pass(&[], 0);
    assert!(said.contains("account-1: a 401 of a token that was renewed since: nothing to do"), "{said}");
    assert_eq!(volume.served(), "acct-ann");

    volume.write("rotate-now", &refusal().to_string());
    let said = volume.pass(&[], 0);
    assert!(
        said.contains("account-1 capped until TIME (refused, floor): its access token was refused"),
        "{said}"
    );
    assert_eq!(volume.served(), "acct-ben");
    volume.write("rotate-now", &refusal().to_string());
    volume.pass(&["--policy", "sticky"], 0);
    assert_eq!((volume.served(), volume.refreshes()), (json!("acct-ben"), 1));
}

#[test]
fn tokens_fed_by_the_environment_are_renewed_into_a_slot_of_their_own() {
    let volume = Volume::living(-60);
    let login = volume.json("auth-1.json");
    let token = |name: &str| login["tokens"][name].as_str().unwrap().to_owned();
    for slot in [1, 2] {
        fs::remove_file(volume.file(&format!("auth-{slot}.json"))).unwrap();
    }
    let mut command = cargo_bin_cmd!("rotate-once");
    command.env_clear().env("CHATGPT_AUTH_DIR", volume.dir.path());
    command.env("CODEX_REFRESH_TOKEN_URL_OVERRIDE", volume.openai.refresh_url());
    command.env("OPENAI_CODEX_ACCESS_TOKEN", token("access_token"));
    command.env("OPENAI_CODEX_REFRESH_TOKEN", token("refresh_token"));
    command.assert().success();
    assert!(volume.is_good(1), "the next start finds the newer grant on the volume");
    command.assert().success();
    assert_eq!(volume.refreshes(), 1);
}

#[test]
fn what_the_operator_parked_for_good_is_not_kept_fresh() {
    let volume = Volume::living(3600);
    volume.write(
        "rotator_state.json",
        r#"{"version": 1, "accounts": [{"account_id": "acct-ann", "user_id": "user-ann", "parked": {}}]}"#,
    );
    let said = volume.pass(&[], 0);
    assert!(said.contains("account-2 refreshed") && !said.contains("account-1 refreshed"), "{said}");
}
