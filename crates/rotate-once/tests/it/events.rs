//! Notifying a command and a webhook of conditions: once, in bounded time, and without a secret.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::ops::Deref;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use assert_cmd::cargo::cargo_bin;
use fixture::http::Request;
use fixture::{ANN, BEN, Pool, now};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::{Value, json};
use stand_in::OauthFault;

/// The path of a webhook's URL, which must be seen nowhere.
const PATH: &str = "/services/T0/sEcReT";

/// A pool to which ann and ben have signed in, and the scripts that its events are sent to.
struct Watched {
    pool: Pool,
    scripts: tempfile::TempDir,
}

impl Deref for Watched {
    type Target = Pool;

    fn deref(&self) -> &Pool {
        &self.pool
    }
}

impl Watched {
    fn new() -> Self {
        let pool = Self { pool: Pool::new(), scripts: tempfile::tempdir().unwrap() };
        pool.put_login(1, ANN);
        pool.put_login(2, BEN);
        pool
    }

    /// The provider refuses the account's token, and the issuer ends its grant.
    fn loses_its_login(&self, name: &str) {
        self.openai.oauth_fault(OauthFault::TerminalCode("refresh_token_reused".into()));
        self.refused(name, &json!({"status": 401}));
    }

    fn is_capped(&self, name: &str) {
        let reset = now() + 3600;
        self.refused(name, &json!({"status": 429, "type": "usage_limit_reached", "resets_at": reset}));
    }

    fn refused(&self, name: &str, refusal: &Value) {
        let is_whose = |slot: &u32| self.token(*slot, "account_id") == format!("acct-{name}");
        self.refuse((1..=2).find(is_whose).unwrap(), refusal);
        let _ = self.command().output().unwrap();
        self.openai.oauth_fault(OauthFault::None);
    }

    /// A limit that is lifted before its time.
    fn is_lifted(&self) {
        let mut state = self.json("rotator_state.json");
        state.as_object_mut().unwrap().remove("accounts");
        self.write("rotator_state.json", state.to_string());
    }

    /// Lets the pause after a failure pass.
    fn after_the_pause(&self) {
        let mut notified = self.json("events.json");
        for receiver in ["command", "webhook"] {
            notified[receiver].as_object_mut().unwrap().remove("not_before");
        }
        self.write("events.json", notified.to_string());
    }

    /// A pass without receivers, unless a test adds them.
    fn command(&self) -> assert_cmd::Command {
        let mut command = assert_cmd::Command::from_std(self.started());
        command.timeout(Duration::from_mins(1));
        command
    }

    /// The same, to be started and watched.
    fn started(&self) -> std::process::Command {
        let mut command = self.pool.command(cargo_bin("rotate-once"));
        command.env("PATH", std::env::var("PATH").unwrap());
        command
    }

    /// A receiver that runs this script for each event; `$DIR` is the script's directory.
    fn script(&self, script: &str) -> String {
        let path = self.scripts.path().join("script");
        fs::write(&path, format!("DIR={}\n{script}\n", self.scripts.path().display())).unwrap();
        // Not a program of its own: one that another test has open while it forks cannot be run.
        format!("sh {}", path.display())
    }

    /// What the script has written into this file.
    fn written(&self, name: &str) -> String {
        fs::read_to_string(self.scripts.path().join(name)).unwrap_or_default()
    }

    /// The events that the script has received.
    fn events(&self) -> Vec<Value> {
        self.written("events").lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Keeps each event.
const KEEP: &str = "cat >> $DIR/events";

/// The kind of each event, and its slot.
fn kinds(events: &[Value]) -> Vec<(&str, Option<u64>)> {
    events.iter().map(|event| (event["event"].as_str().unwrap(), event["slot"].as_u64())).collect()
}

/// A webhook that answers with the status it is given; with 0 it does not answer.
struct Receiver {
    port: u16,
    status: Arc<AtomicU16>,
    events: Arc<Mutex<Vec<Value>>>,
    /// Where its redirects lead.
    elsewhere: Arc<Mutex<String>>,
}

impl Receiver {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let receiver = Self {
            port: listener.local_addr().unwrap().port(),
            status: Arc::new(AtomicU16::new(200)),
            events: Arc::default(),
            elsewhere: Arc::default(),
        };
        let (status, events, elsewhere) =
            (Arc::clone(&receiver.status), Arc::clone(&receiver.events), Arc::clone(&receiver.elsewhere));
        thread::spawn(move || {
            let mut silent = Vec::new();
            for mut connection in listener.incoming().flatten() {
                match status.load(Ordering::SeqCst) {
                    0 => silent.push(connection),
                    status => {
                        let location = elsewhere.lock().unwrap().clone();
                        if let Ok(event) = answer(&mut connection, status, &location) {
                            events.lock().unwrap().push(event);
                        }
                    }
                }
            }
        });
        receiver
    }

    fn answers(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    fn host(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn url(&self) -> String {
        self.host() + PATH
    }

    fn events(&self) -> Vec<Value> {
        self.events.lock().unwrap().clone()
    }
}

fn answer(connection: &mut TcpStream, status: u16, location: &str) -> io::Result<Value> {
    let Request { head, body } = Request::read(connection)?;
    let head = head.to_ascii_lowercase();
    assert!(head.starts_with(&format!("post {}", PATH.to_ascii_lowercase())), "{head}");
    assert!(head.contains("content-type: application/json"), "{head}");
    assert!(head.contains("content-length: "), "{head}");
    let answer = format!(
        "HTTP/1.1 {status} x\r\nlocation: {location}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    connection.write_all(answer.as_bytes())?;
    serde_json::from_slice(&body).map_err(io::Error::other)
}

#[test]
fn a_lost_login_is_sent_once_over_many_passes_and_once_more_when_it_is_back() {
    let pool = Watched::new();
    let script = pool.script(&format!("{KEEP}; echo $CODEX_EVENT >> $DIR/kinds"));
    let pass = || pool.command().args(["--on-event", &script]).assert().success();
    pass();
    assert_eq!(pool.events(), [] as [Value; 0]);
    assert!(!pool.file("events.json").exists(), "there was nothing to remember");
    pool.loses_its_login("ben");
    pass().stderr(contains(
        "rotate-once: command sh was notified of needs-login: account-2 (b…@example.test) needs login: run auth-login 2 (refresh_token_reused)\n",
    ));
    for _ in 0..3 {
        pass().stderr(contains("notified").not());
    }
    let [event] = &pool.events()[..] else { panic!("{:?}", pool.events()) };
    let since = event["since"].clone();
    let mut expected = json!({
        "version": 1, "event": "needs-login", "recovered_from": null,
        "text": "account-2 (b…@example.test) needs login: run auth-login 2 (refresh_token_reused)",
        "command": "auth-login 2", "slot": 2, "identity": "b…@example.test", "state": "needs_login",
        "why": "refresh_token_reused", "back_at": null, "usable": 1, "slots": 2,
    });
    expected["since"] = since;
    for field in ["id", "at"] {
        expected[field] = event[field].clone();
    }
    assert_eq!(*event, expected);
    let id = event["id"].as_str().unwrap();
    assert!(id.starts_with("needs-login-2-"), "{id}");

    pool.put_login(2, BEN);
    for _ in 0..2 {
        pass();
    }
    let [_, over] = &pool.events()[..] else { panic!("{:?}", pool.events()) };
    assert_eq!((&over["event"], &over["recovered_from"]), (&json!("recovered"), &json!("needs-login")));
    assert_eq!((&over["id"], &over["command"], &over["usable"]), (&event["id"], &Value::Null, &json!(2)));
    let text = over["text"].as_str().unwrap();
    assert!(text.starts_with("account-2 (b…@example.test) no longer needs a login: it is "), "{text}");
    assert_eq!(pool.written("kinds"), "needs-login\nrecovered\n");
}

#[test]
fn a_pool_of_which_all_are_capped_is_sent_with_the_time_at_which_the_first_comes_back() {
    let (pool, receiver) = (Watched::new(), Receiver::start());
    let pass = || pool.command().args(["--webhook", &receiver.url()]).assert().success();
    pool.is_capped("ann");
    pass();
    assert_eq!(receiver.events(), [] as [Value; 0], "ben can serve");
    pool.is_capped("ben");
    for _ in 0..3 {
        pass();
    }
    let [event] = &receiver.events()[..] else { panic!("{:?}", receiver.events()) };
    assert_eq!(
        (&event["event"], &event["state"], &event["usable"]),
        (&json!("pool-exhausted"), &json!("capped"), &json!(0))
    );
    let back = event["back_at"].as_str().unwrap();
    let text = event["text"].as_str().unwrap();
    assert!(
        text.starts_with(&format!(
            "no account can serve: account-1 (a…@example.test) comes back first, {}",
            &back[..19]
        )),
        "{text}"
    );
    pool.is_lifted();
    for _ in 0..2 {
        pass();
    }
    assert_eq!(kinds(&receiver.events()), [("pool-exhausted", None), ("recovered", None)]);
    assert_eq!(receiver.events()[1]["text"], "2 of 2 accounts can serve again");
    // A pool that flaps makes no storm.
    for _ in 0..3 {
        pool.is_capped("ann");
        pool.is_capped("ben");
        pass();
        pool.is_lifted();
        pass();
    }
    assert_eq!(receiver.events().len(), 2);
}

#[test]
fn a_pool_in_which_no_account_is_left_is_sent_whatever_the_pass_ends_with() {
    let (pool, receiver) = (Watched::new(), Receiver::start());
    pool.loses_its_login("ann");
    pool.loses_its_login("ben");
    let mut pass = pool.command();
    pass.args(["--webhook", &receiver.url()]).assert().code(69);
    assert_eq!(
        kinds(&receiver.events()),
        [("pool-exhausted", None), ("needs-login", Some(1)), ("needs-login", Some(2))]
    );
    assert_eq!(
        receiver.events()[0]["text"],
        "no account can serve: agents are refused until one can: run accounts why"
    );
    // Another account signs in to one slot, and the other is emptied.
    fs::remove_file(pool.file("auth-1.json")).unwrap();
    pool.put_login(2, "cid@example.test");
    pass.assert().success();
    let over = &receiver.events()[3..];
    assert_eq!(kinds(over), [("recovered", None), ("recovered", Some(1)), ("recovered", Some(2))]);
    assert_eq!(over[1]["text"], "account-1 (a…@example.test) no longer needs a login: it is in no slot");
}

#[test]
fn before_the_first_sign_in_nothing_is_sent() {
    let (pool, receiver) = (Watched::new(), Receiver::start());
    for slot in [1, 2] {
        fs::remove_file(pool.file(&format!("auth-{slot}.json"))).unwrap();
    }
    pool.command().args(["--webhook", &receiver.url()]).assert().code(69);
    assert_eq!(receiver.events(), [] as [Value; 0]);
}

#[test]
fn a_webhook_that_was_down_is_notified_once_by_a_later_pass() {
    let (pool, receiver) = (Watched::new(), Receiver::start());
    let pass = || pool.command().args(["--webhook", &receiver.url()]).assert().success();
    pool.loses_its_login("ben");
    receiver.answers(500);
    let not_notified = format!(
        "rotate-once: webhook {} was not notified of needs-login: HTTP 500; tried again in ",
        receiver.host()
    );
    pass().stderr(contains(format!("{not_notified}1m at the earliest\n")));
    assert_eq!(receiver.events().len(), 2, "once more within the pass");
    pass().stderr(contains("notified").not());
    assert_eq!(receiver.events().len(), 2, "a pause is kept");
    pool.after_the_pause();
    pass().stderr(contains(format!("{not_notified}2m at the earliest\n")));
    receiver.answers(200);
    pool.after_the_pause();
    pass().stderr(contains("was notified of needs-login"));
    pass().stderr(contains("notified").not());
    let events = receiver.events();
    assert_eq!(events.len(), 5);
    assert!(
        events.iter().all(|event| event["id"] == events[0]["id"]),
        "each try has the same id: {events:?}"
    );
}

#[test]
fn a_new_receiver_gets_what_holds_and_each_has_its_own_ledger() {
    let (pool, first, second) = (Watched::new(), Receiver::start(), Receiver::start());
    let script = pool.script(KEEP);
    pool.loses_its_login("ben");
    first.answers(404);
    for receiver in [&first, &second] {
        for _ in 0..2 {
            pool.command().args(["--on-event", &script, "--webhook", &receiver.url()]).assert().success();
        }
    }
    assert_eq!((pool.events().len(), first.events().len(), second.events().len()), (1, 2, 1));
}

#[test]
fn a_redirect_is_not_followed() {
    let (pool, receiver, other) = (Watched::new(), Receiver::start(), Receiver::start());
    pool.loses_its_login("ben");
    for status in [301, 302, 307, 308] {
        receiver.answers(status);
        *receiver.elsewhere.lock().unwrap() = other.url();
        pool.command()
            .args(["--webhook", &receiver.url()])
            .assert()
            .success()
            .stderr(contains(format!("was not notified of needs-login: HTTP {status}; ")));
        pool.after_the_pause();
    }
    assert_eq!(other.events(), [] as [Value; 0]);
}

#[test]
fn a_command_that_fails_is_missing_or_prints_too_much_is_one_line_and_changes_no_exit_code() {
    let pool = Watched::new();
    pool.loses_its_login("ben");
    let spews =
        "i=0; while [ $i -lt 20000 ]; do echo 'a long line that no one reads'; i=$((i+1)); done; exit 4";
    for (script, why) in [
        ("echo first; echo 'cannot reach the pager' >&2; exit 3", "exited with 3: cannot reach the pager; "),
        ("kill -9 $$", "was killed by SIGKILL; "),
        (spews, "exited with 4: a long line that no one reads; "),
    ] {
        let script = pool.script(script);
        let assert = pool.command().args(["--on-event", &script]).assert().success();
        let said = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
        let lines: Vec<_> = said.lines().collect();
        assert_eq!(lines.len(), 3, "the lost login, the active account, and the command: {said}");
        assert!(
            lines[2].starts_with(&format!("rotate-once: command sh was not notified of needs-login: {why}")),
            "{said}"
        );
        pool.after_the_pause();
    }
    for command in ["/nonexistent", "/etc/passwd"] {
        let why = format!("rotate-once: command {command} was not notified of needs-login: cannot be run: ");
        pool.command().args(["--on-event", command]).assert().success().stderr(contains(why));
    }
    for url in ["https:/half", "sEcReT", "ftp://host/sEcReT"] {
        pool.command().args(["--webhook", url]).assert().success().stderr(
            contains("the webhook is not notified: expected a URL such as ").and(contains("sEcReT").not()),
        );
    }
    pool.command()
        .env("SSL_CERT_FILE", "/nonexistent.pem")
        .env("CODEX_EVENT_WEBHOOK", "https://127.0.0.1:1/sEcReT")
        .assert()
        .success()
        .stderr(contains("the webhook is not notified: SSL_CERT_FILE /nonexistent.pem cannot be read: "));
}

#[test]
fn receivers_that_hang_delay_no_record_and_are_ended_with_all_they_started() {
    let (pool, receiver) = (Watched::new(), Receiver::start());
    pool.loses_its_login("ann");
    receiver.answers(0);
    let script = pool.script("sleep 600 & echo $! $$ > $DIR/pids; sleep 600");
    let begun = Instant::now();
    let mut pass = pool
        .started()
        .args(["--on-event", &script, "--webhook", &receiver.url(), "--to", "2"])
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    wait_for(&pool.scripts.path().join("pids"));
    assert_eq!(pool.served(), "acct-ben", "before any receiver is notified");
    // Another rotator does not wait, and does not notify a second time.
    let (mut other, alone) = (pool.command(), Instant::now());
    other.args(["--on-event", &script]).assert().success().stderr(contains("notified").not());
    assert!(alone.elapsed() < Duration::from_secs(4), "{:?}", alone.elapsed());
    let mut said = String::new();
    pass.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(pass.wait().unwrap().success());
    assert!(begun.elapsed() < Duration::from_secs(25), "{:?}", begun.elapsed());
    assert!(
        said.contains("command sh was not notified of needs-login: was ended, because it took too long; "),
        "{said}"
    );
    assert!(
        said.contains(&format!("webhook {} was not notified of needs-login: ", receiver.host())),
        "{said}"
    );
    are_gone(&pids(&pool));
}

#[test]
fn a_signal_does_not_wait_for_a_receiver_that_hangs() {
    let (pool, receiver) = (Watched::new(), Receiver::start());
    pool.loses_its_login("ann");
    receiver.answers(0);
    let signal = pool.file("rotate-now");
    let script = pool.script(&format!("touch {}; sleep 600", signal.display()));
    let begun = Instant::now();
    let assert =
        pool.command().args(["--on-event", &script, "--webhook", &receiver.url()]).assert().success();
    let said =
        "command sh was not notified of needs-login: was ended, because a signal waits for the rotator; ";
    assert.stderr(contains(said).and(contains("webhook").not()));
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    fs::remove_file(&signal).expect("it is for the next pass");

    let calls = {
        let signal = signal.clone();
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(500));
            fs::write(signal, "").unwrap();
        })
    };
    let begun = Instant::now();
    let assert = pool.command().args(["--webhook", &receiver.url()]).assert().success();
    calls.join().unwrap();
    assert.stderr(contains(
        "was not notified of needs-login: given up, because a signal waits for the rotator; ",
    ));
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
}

#[test]
fn sigterm_ends_it_at_once_and_the_command_with_all_it_started() {
    let pool = Watched::new();
    pool.loses_its_login("ann");
    let script = pool.script("trap '' TERM; sleep 600 & echo $! $$ > $DIR/pids; sleep 600");
    let mut pass = pool.started().args(["--on-event", &script]).spawn().unwrap();
    wait_for(&pool.scripts.path().join("pids"));
    let stopped = Instant::now();
    kill(Pid::from_raw(pass.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    let status = pass.wait().unwrap();
    assert!(stopped.elapsed() < Duration::from_secs(2), "{:?}", stopped.elapsed());
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&status),
        Some(15),
        "as if there were no command"
    );
    are_gone(&pids(&pool));
}

#[test]
fn what_a_command_leaves_running_ends_with_it() {
    let pool = Watched::new();
    pool.loses_its_login("ben");
    let script = pool.script(&format!("{KEEP}; sleep 600 & echo $! $$ > $DIR/pids"));
    pool.command()
        .args(["--on-event", &script])
        .assert()
        .success()
        .stderr(contains("was notified of needs-login"));
    assert_eq!(pool.events().len(), 1);
    are_gone(&pids(&pool));
}

#[test]
fn two_rotators_at_once_notify_once() {
    let pool = Watched::new();
    let script = pool.script(&format!("{KEEP}; sleep 0.3"));
    for (name, email) in [("ann", ANN), ("ben", BEN)] {
        pool.loses_its_login(name);
        let mut pass = pool.started();
        pass.args(["--on-event", &script]);
        let passes: Vec<_> = (0..4).map(|_| pass.spawn().unwrap()).collect();
        for mut pass in passes {
            assert!(pass.wait().unwrap().success());
        }
        pool.put_login(if name == "ann" { 1 } else { 2 }, email);
    }
    pool.command().args(["--on-event", &script]).assert().success();
    let sent = pool.events().iter().filter(|event| event["event"] == "needs-login").count();
    assert_eq!(sent, 2, "{:?}", pool.events());
}

#[test]
fn a_pass_that_is_killed_before_it_remembers_leads_to_a_second_event_at_most() {
    let pool = Watched::new();
    pool.loses_its_login("ben");
    let script = pool.script(&format!("{KEEP}; mkdir $DIR/once && kill -9 $PPID; true"));
    let pass = || pool.command().args(["--on-event", &script, "--to", "1"]).assert();
    pass().interrupted();
    assert_eq!(pool.served(), "acct-ann");
    pass().success();
    assert_eq!(pool.events().len(), 1, "not at once: it may have been the receiver's fault");
    pool.after_the_pause();
    for _ in 0..3 {
        pass().success();
    }
    let events = pool.events();
    assert_eq!(events.len(), 2);
    assert_eq!(events[0]["id"], events[1]["id"], "so that the receiver recognizes it");
}

#[test]
fn nothing_that_is_sent_logged_or_kept_has_a_token_a_whole_address_or_the_webhooks_secret_in_it() {
    let (pool, receiver) = (Watched::new(), Receiver::start());
    let script = pool.script(&format!("{KEEP}; env >> $DIR/env; echo \"$0 $*\" >> $DIR/env"));
    pool.loses_its_login("ann");
    pool.loses_its_login("ben");
    pool.write("auth-3.json", "{\"access_token\": \"eyJhalf");
    let mut said = String::new();
    let mut pass = |args: &[&str]| {
        let mut command = pool.command();
        command
            .env("CODEX_EVENT_COMMAND", &script)
            .env("CODEX_EVENT_WEBHOOK", receiver.url() + "\n")
            .env("OPENAI_CODEX_ACCESS_TOKEN", "eyJaccess")
            .env("OPENAI_CODEX_REFRESH_TOKEN_2", "rt-stand-in")
            .env("KEPT", "as it is");
        let output = command.args(args).output().unwrap();
        said += &(String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap());
    };
    pass(&["--dry-run"]);
    pass(&["--dry-run", "--json"]);
    pass(&["--help"]);
    pass(&[]);
    pool.put_login(1, ANN);
    pass(&[]);
    receiver.answers(500);
    pool.put_login(2, BEN);
    pass(&["--json"]);
    let memory = fs::read_to_string(pool.file("events.json")).unwrap();
    assert_eq!(fs::metadata(pool.file("events.json")).unwrap().permissions().mode() & 0o777, 0o600);
    let environment = pool.written("env");
    assert!(
        environment.contains("KEPT=as it is") && environment.contains("CODEX_EVENT=recovered"),
        "{environment}"
    );
    assert!(pool.events().len() > 4 && receiver.events().len() > 4);
    let texts = [pool.written("events"), environment, json!(receiver.events()).to_string(), said, memory];
    for text in texts {
        for secret in ["eyJ", "rt-", "ann@", "ben@", "sEcReT", "T0/"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}

#[test]
fn a_dry_run_prints_what_would_be_sent_and_neither_it_nor_the_init_container_sends() {
    let (pool, receiver) = (Watched::new(), Receiver::start());
    pool.loses_its_login("ben");
    let with = |args: &[&str]| {
        let mut command = pool.command();
        command.args(["--webhook", &receiver.url()]).args(args);
        command.assert().success()
    };
    let text = "account-2 (b…@example.test) needs login: run auth-login 2 (refresh_token_reused)";
    with(&["--dry-run"])
        .stdout(contains(format!("would notify webhook {} of needs-login: {text}\n", receiver.host())));
    let assert = with(&["--dry-run", "--json"]);
    let document: Value = serde_json::from_slice(&assert.get_output().stdout).unwrap();
    assert_eq!(document["events"][0]["text"], text);
    with(&["--init"]);
    assert_eq!(receiver.events(), [] as [Value; 0]);
    assert!(!pool.file("events.json").exists() && !pool.file(".events.lock").exists());
    receiver.answers(500);
    with(&[]);
    with(&["--dry-run"]).stdout(contains(format!("would notify webhook {} (not before ", receiver.host())));
    receiver.answers(200);
    pool.after_the_pause();
    with(&[]);
    with(&["--dry-run"]).stdout(contains("would notify").not());
}

#[test]
fn a_broken_file_of_events_is_begun_anew_and_one_of_a_later_release_is_left_alone() {
    let pool = Watched::new();
    let script = pool.script(KEEP);
    pool.loses_its_login("ben");
    let pass = || pool.command().args(["--on-event", &script]).assert().success();
    let later = r#"{"version": 2, "command": []}"#;
    pool.write("events.json", later);
    pass().stderr(
        contains("no receiver is notified of events: ").and(contains("events.json is of a later release")),
    );
    assert_eq!(
        (fs::read_to_string(pool.file("events.json")).unwrap(), pool.events().len()),
        (later.to_owned(), 0)
    );
    for (sent, broken) in ["{half", r#"{"version": 1, "command": 7}"#, ""].into_iter().enumerate() {
        pool.write("events.json", broken);
        pass();
        pass();
        assert_eq!(pool.events().len(), sent + 1, "{broken}");
    }
}

#[test]
fn if_it_cannot_be_remembered_nothing_is_sent() {
    let pool = Watched::new();
    let script = pool.script(KEEP);
    pool.loses_its_login("ben");
    // A file cannot replace a directory.
    fs::create_dir_all(pool.file("events.json/x")).unwrap();
    for _ in 0..2 {
        pool.command()
            .args(["--on-event", &script])
            .assert()
            .success()
            .stderr(contains("no receiver is notified of events: cannot write "));
    }
    assert_eq!(pool.events(), [] as [Value; 0], "each pass would send it again");
}

#[test]
fn variables_that_are_set_to_nothing_count_as_not_set() {
    let pool = Watched::new();
    pool.loses_its_login("ben");
    let pass =
        pool.command().envs([("CODEX_EVENT_COMMAND", " "), ("CODEX_EVENT_WEBHOOK", "\n")]).assert().success();
    pass.stderr(contains("notified").not());
    assert!(!pool.file(".events.lock").exists());
}

#[test]
fn an_event_is_as_the_docs_show_it() {
    let (pool, receiver) = (Watched::new(), Receiver::start());
    pool.loses_its_login("ben");
    pool.command().args(["--webhook", &receiver.url()]).assert().success();
    let fields = |event: &Value| event.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let sent = fields(&receiver.events()[0]);
    let docs = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/events.md")).unwrap();
    let shown = docs.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
    assert_eq!(fields(&serde_json::from_str(shown).unwrap()), sent);
    let rows = docs.split("| field | holds |").nth(1).unwrap().split("\n\n").next().unwrap();
    let names = rows.lines().filter_map(|row| row.strip_prefix("| ")?.split('|').next());
    let mut explained: Vec<_> =
        names.flat_map(|name| name.split('`').skip(1).step_by(2).map(str::to_owned)).collect();
    explained.sort();
    assert_eq!(explained, sent);
}

fn wait_for(path: &Path) {
    let begun = Instant::now();
    while fs::read_to_string(path).unwrap_or_default().trim().is_empty() {
        assert!(begun.elapsed() < Duration::from_mins(1), "no {}", path.display());
        thread::sleep(Duration::from_millis(5));
    }
}

fn pids(pool: &Watched) -> Vec<Pid> {
    let text = pool.written("pids");
    text.split_whitespace().map(|pid| Pid::from_raw(pid.parse().unwrap())).collect()
}

/// Waits until they are gone: they were killed, and the kernel may take a moment.
fn are_gone(pids: &[Pid]) {
    let begun = Instant::now();
    while pids.iter().any(|pid| lives(*pid)) {
        assert!(begun.elapsed() < Duration::from_secs(2), "{pids:?}");
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(pids.len(), 2);
}

/// A zombie that its new parent has not reaped yet does not count.
fn lives(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with(['Z', 'X']))
}
