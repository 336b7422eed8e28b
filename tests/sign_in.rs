//! `auth-login` around the real codex.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, pipe};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use assert_cmd::Command;
use fixture::{Running, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use predicates::prelude::*;
use predicates::str::{contains, is_match};
use stand_in::DeviceBehaviour;
use support::pod::Pod;

#[test]
fn a_login_is_stored_as_codex_wrote_it_and_leaves_nothing_else() {
    let pod = Pod::new();
    pod.openai.approve_next("ann@example.test");
    Command::from_std(pod.auth_login(&["1"]))
        .assert()
        .success()
        .stdout(
            contains(format!("{}/codex/device", pod.openai.url()))
                .and(is_match(r"\x1b\[94m\w{4}-\w{5}\x1b").unwrap())
                .and(is_match(r"account-1: signed in as ann@example.test \(account acct-ann, plan plus, expires 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ\)\n$").unwrap()),
        )
        .stderr("Successfully logged in\n");

    assert_eq!(pod.names(), [".lock", "auth-1.json", "rotate-now"]);
    assert!(pod.memory_is_empty());
    let mode = fs::metadata(pod.file("auth-1.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    let login = pod.json("auth-1.json");
    assert_eq!(login["auth_mode"], "chatgpt");
    assert_eq!(
        login["tokens"]["oauth_provenance"]["issuer"].as_str().unwrap().trim_end_matches('/'),
        pod.openai.url()
    );
    let refresh_token = login["tokens"]["refresh_token"].as_str().unwrap();
    assert!(pod.openai.refreshable(refresh_token).good);
    assert!(!pod.read("rotate-now").contains("eyJ"), "the signal names the account, not its tokens");
}

#[test]
fn the_link_and_the_code_are_there_while_codex_still_waits_without_a_terminal() {
    let pod = Pod::new();
    let mut login = pod.auth_login(&["1"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut shown = BufReader::new(login.stdout.take().unwrap());
    let mut seen = String::new();
    while !seen.contains("one-time code") {
        assert_ne!(shown.read_line(&mut seen).unwrap(), 0, "{seen}");
    }
    shown.read_line(&mut seen).unwrap();
    let code = pod.openai.waiting_codes().pop().unwrap().user_code;
    assert!(seen.contains(&code), "{seen}");
    assert!(pod.openai.approve(&code, "ann@example.test"));
    shown.read_to_string(&mut seen).unwrap();
    assert!(seen.contains("account-1: signed in as ann@example.test"), "{seen}");
    assert!(login.wait().unwrap().success());
}

#[test]
fn the_same_on_a_terminal() {
    let pod = Pod::new();
    let mut terminal = rexpect::session::spawn_command(pod.auth_login(&["1"]), Some(30_000)).unwrap();
    terminal.exp_string("/codex/device").unwrap();
    terminal.exp_string("one-time code").unwrap();
    wait_until("the code is on show", || !pod.openai.waiting_codes().is_empty());
    let code = pod.openai.waiting_codes().pop().unwrap().user_code;
    terminal.exp_string(&code).unwrap();
    assert!(pod.openai.approve(&code, "ann@example.test"));
    terminal.exp_string("account-1: signed in as ann@example.test").unwrap();
    terminal.exp_eof().unwrap();
}

#[test]
fn control_c_on_a_terminal_leaves_nothing_behind() {
    let pod = Pod::new();
    let mut terminal = rexpect::session::spawn_command(pod.auth_login(&["1"]), Some(30_000)).unwrap();
    terminal.exp_string("one-time code").unwrap();
    terminal.send_control('c').unwrap();
    terminal.exp_string("auth-login: stopped: account-1 is as it was").unwrap();
    terminal.exp_eof().unwrap();
    assert_eq!(pod.names(), [".lock"]);
    assert!(pod.memory_is_empty());
}

#[test]
fn a_login_whose_caller_is_killed_ends_with_codex() {
    let pod = Pod::new();
    pod.put_login(1, "ann@example.test");
    let before = pod.read("auth-1.json");
    let (input, held_open) = pipe().unwrap();
    let caller =
        Running(std::process::Command::new("cat").stdin(Stdio::piped()).stdout(held_open).spawn().unwrap());
    let mut command = pod.auth_login(&["1"]);
    let mut login =
        Running(command.stdin(input).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    wait_until("codex shows a code", || !pod.openai.waiting_codes().is_empty());
    let killed = Instant::now();
    drop(caller);
    assert_eq!(login.0.wait().unwrap().code(), Some(129));
    assert!(killed.elapsed() < Duration::from_secs(5));
    assert_eq!(pod.names(), [".lock", "auth-1.json"]);
    assert_eq!(pod.read("auth-1.json"), before);
    assert!(pod.memory_is_empty());
}

#[test]
fn a_login_is_ended_from_another_container() {
    let pod = Pod::new();
    let mut login = pod.auth_login(&["1"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("codex shows a code", || !pod.openai.waiting_codes().is_empty());
    let mut abort = pod.command("auth-login");
    abort.args(["--abort", "1"]);
    Command::from_std(abort)
        .assert()
        .success()
        .stdout("account-1: the login under way was ended; the slot is as it was\n");
    assert_eq!(login.wait().unwrap().code(), Some(143));
    assert_eq!(pod.names(), [".lock"]);
    assert!(pod.memory_is_empty());
}

#[test]
fn a_script_that_reads_the_link_and_goes_away_has_the_login_stored() {
    let pod = Pod::new();
    let mut login = pod.auth_login(&["1"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut seen = String::new();
    let mut shown = BufReader::new(login.stdout.take().unwrap());
    while !seen.contains("/codex/device") {
        assert_ne!(shown.read_line(&mut seen).unwrap(), 0, "{seen}");
    }
    drop(shown);
    let code = pod.openai.waiting_codes().pop().unwrap().user_code;
    assert!(pod.openai.approve(&code, "ann@example.test"));
    let ended = login.wait_with_output().unwrap();
    assert!(ended.status.success());
    assert!(String::from_utf8(ended.stderr).unwrap().contains("account-1: signed in as ann@example.test"));
    assert_eq!(pod.names(), [".lock", "auth-1.json", "rotate-now"]);
}

#[test]
fn sigterm_while_waiting_leaves_nothing_behind() {
    let pod = Pod::new();
    pod.put_login(1, "ann@example.test");
    let before = pod.read("auth-1.json");
    let mut login = pod.auth_login(&["1"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("codex shows a code", || !pod.openai.waiting_codes().is_empty());
    kill(Pid::from_raw(login.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    assert_eq!(login.wait().unwrap().code(), Some(143));
    assert_eq!(pod.names(), [".lock", "auth-1.json"]);
    assert_eq!(pod.read("auth-1.json"), before);
    assert!(pod.memory_is_empty());
}

#[test]
fn signing_in_again_renews_the_owners_login() {
    let pod = Pod::new();
    pod.put_login(1, "ann@example.test");
    let before = pod.read("auth-1.json");
    pod.sign_in(1, "ann@example.test");
    assert_ne!(pod.read("auth-1.json"), before);
    assert_eq!(pod.names_without_ended_grants(), [".lock", "auth-1.json", "rotate-now"]);
}

#[test]
fn what_a_broken_file_held_is_kept_beside_the_login_that_takes_its_place() {
    let pod = Pod::new();
    pod.write("auth-1.json", "{\"tokens\": {\"refresh_token\": \"the only one\"");
    pod.openai.approve_next("ann@example.test");
    Command::from_std(pod.auth_login(&["1"])).assert().success().stderr(contains(
        "auth-login: account-1 held no login (not JSON (line 1, column 43)): kept as auth-1.json.before-",
    ));
    let kept = pod.names().into_iter().find(|name| name.starts_with("auth-1.json.before-")).unwrap();
    assert!(pod.read(&kept).contains("the only one"));
    assert_eq!(pod.mode(&kept), 0o600);
    assert_eq!(pod.json("auth-1.json")["auth_mode"], "chatgpt");
}

#[test]
fn somebody_elses_slot_is_refused_unless_replaced() {
    let pod = Pod::new();
    pod.put_login(1, "ann@example.test");
    let before = pod.read("auth-1.json");
    pod.openai.approve_next("ben@example.test");
    Command::from_std(pod.auth_login(&["1"])).assert().code(1).stderr(
        "Successfully logged in\nauth-login: account-1 belongs to acct-ann/user-ann, and acct-ben/user-ben signed in: \
         sign in as the owner, choose another slot, or run auth-login --replace 1\n",
    );
    assert_eq!(pod.read("auth-1.json"), before);
    assert!(pod.memory_is_empty());

    pod.openai.approve_next("ben@example.test");
    Command::from_std(pod.auth_login(&["--replace", "1"]))
        .assert()
        .success()
        .stdout(contains("account-1: signed in as ben@example.test"));
    assert_eq!(pod.json("auth-1.json")["tokens"]["account_id"], "acct-ben");
}

#[test]
fn an_account_that_another_slot_holds_is_refused_or_moved() {
    let pod = Pod::new();
    pod.put_login(1, "ann@example.test");
    pod.openai.approve_next("ann@example.test");
    Command::from_std(pod.auth_login(&["2"])).assert().code(1).stderr(contains(
        "acct-ann/user-ann is already signed in as account-1: run auth-login 1 to sign in again there, or auth-login --replace 2 to move it here",
    ));
    assert_eq!(pod.names_without_ended_grants(), [".lock", "auth-1.json"]);

    pod.openai.approve_next("ann@example.test");
    Command::from_std(pod.auth_login(&["--replace", "2"]))
        .assert()
        .success()
        .stderr(contains("account-1 held the same account and was removed"));
    assert_eq!(pod.names_without_ended_grants(), [".lock", "auth-2.json", "rotate-now"]);
}

#[test]
fn two_seats_of_one_workspace_are_two_accounts() {
    let pod = Pod::new();
    for email in ["ann@example.test", "ben@example.test"] {
        let workspace = stand_in::AccountRequest {
            email: email.to_owned(),
            account_id: Some("acct-team".to_owned()),
            ..Default::default()
        };
        pod.openai.account(&workspace);
    }
    pod.sign_in(1, "ann@example.test");
    pod.sign_in(2, "ben@example.test");
    assert_eq!(pod.names(), [".lock", "auth-1.json", "auth-2.json", "rotate-now"]);
}

#[test]
fn two_logins_into_one_slot_do_not_meet() {
    let pod = Pod::new();
    let mut first = pod.auth_login(&["1"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("the first shows its code", || !pod.openai.waiting_codes().is_empty());
    Command::from_std(pod.auth_login(&["1"]))
        .assert()
        .code(75)
        .stdout("")
        .stderr("auth-login: another login into account-1 is under way: finish it, or end it with auth-login --abort 1\n");
    let code = pod.openai.waiting_codes().pop().unwrap().user_code;
    assert!(pod.openai.approve(&code, "ann@example.test"));
    assert!(first.wait().unwrap().success());
}

#[test]
fn each_way_codex_fails_is_one_line_that_says_what_to_do() {
    for (behaviour, exit, says) in [
        (
            DeviceBehaviour::Denied,
            1,
            "device auth failed with status 401 Unauthorized: the sign-in was denied: run auth-login 1 again and \
             allow it in the browser",
        ),
        (
            DeviceBehaviour::TooMany,
            75,
            "device auth failed with status 429 Too Many Requests: too many codes were asked for: wait half an \
             hour, because each attempt prolongs the lock",
        ),
        (
            DeviceBehaviour::NoCodes,
            75,
            "device code request failed with status 429 Too Many Requests: too many codes were asked for: wait \
             half an hour, because each attempt prolongs the lock",
        ),
        (
            DeviceBehaviour::Challenged,
            1,
            "device code request failed with status 403 Forbidden: the issuer does not let this pod's address \
             through (403): use another egress or proxy, then run auth-login 1 again",
        ),
        (
            DeviceBehaviour::Broken,
            75,
            "device auth failed with status 500 Internal Server Error: the server has failed: wait a minute, \
             then run auth-login 1 again",
        ),
    ] {
        let pod = Pod::new();
        pod.openai.device(behaviour);
        Command::from_std(pod.auth_login(&["1"]))
            .assert()
            .code(exit)
            .stderr(format!("auth-login: codex login failed: {says}\n"));
        assert_eq!(pod.names(), [".lock"]);
        assert!(pod.memory_is_empty());
    }
}

#[test]
fn a_dead_network_says_where_it_was_going() {
    let pod = Pod::new();
    let mut command = pod.command("auth-login");
    command.args(["1", "--", "--experimental_issuer", "http://127.0.0.1:1"]);
    Command::from_std(command).assert().code(75).stderr(
        "auth-login: codex login failed: error sending request for url \
         (http://127.0.0.1:1/api/accounts/deviceauth/usercode): no answer: check the network, HTTPS_PROXY and \
         SSL_CERT_FILE, then run auth-login 1 again\n",
    );
    assert!(pod.memory_is_empty());
}

#[test]
fn codex_saying_it_logged_in_is_not_enough() {
    let pod = Pod::new();
    pod.openai.approve_next("ann@example.test");
    let mut command = pod.auth_login(&["1"]);
    command.args(["-c", r#"cli_auth_credentials_store="ephemeral""#]);
    Command::from_std(command)
        .assert()
        .code(1)
        .stderr(contains("codex said it logged in, but wrote no auth.json"));
    assert_eq!(pod.names(), [".lock"]);
}

#[test]
fn bad_surroundings_are_found_before_anybody_opens_a_browser() {
    let pod = Pod::new();
    fs::create_dir(pod.file("auth-1.json")).unwrap();
    let user = nix::unistd::geteuid();
    // No mode keeps root out of a directory, but nobody can write in /proc.
    for (volume, exit, says) in [
        (
            "/nonexistent".into(),
            78,
            "/nonexistent is not a directory: mount the volume there, or set CHATGPT_AUTH_DIR and CHATGPT_LIVE_DIR".into(),
        ),
        (
            "/proc".into(),
            73,
            format!("cannot write /proc/.login-1.lock as user {user}: No such file or directory (os error 2)"),
        ),
        (
            pod.path().to_owned(),
            78,
            format!("{}: not a regular file: run accounts remove 1 first", pod.file("auth-1.json").display()),
        ),
    ] {
        let mut command = pod.auth_login(&["1"]);
        command.env("CHATGPT_AUTH_DIR", volume);
        Command::from_std(command).assert().code(exit).stdout("").stderr(format!("auth-login: {says}\n"));
    }
    assert!(pod.openai.requests().is_empty(), "nobody was asked for a code in vain");
}

#[test]
fn signing_in_again_ends_what_was_held_against_the_account() {
    let pod = Pod::new();
    pod.put_login(1, "ann@example.test");
    let cooldown = r#"{"until": "2099-01-01T00:00:00Z", "kind": "usage_cap", "source": "resets_at"}"#;
    let account = format!(r#"{{"account_id": "acct-ann", "user_id": "user-ann", "cooldown": {cooldown}}}"#);
    fs::write(pod.file("rotator_state.json"), format!(r#"{{"version": 1, "accounts": [{account}]}}"#))
        .unwrap();
    pod.rotate_once(&["--dry-run"]).success().stdout(contains("all are cooling down"));
    pod.sign_in(1, "ann@example.test");
    pod.rotate_once(&["--dry-run"]).success().stdout(contains("the only usable one"));
}
