//! `accounts-serve` from the outside: what it answers, and what it never touches.

#![expect(clippy::unwrap_used, reason = "a test ends at what it does not expect")]
#![expect(clippy::float_cmp, reason = "counts and truths are whole numbers")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use assert_cmd::cargo::{cargo_bin, cargo_bin_cmd};
use fixture::{Running, Volume, now};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use predicates::str::contains;
use serde_json::Value;

/// A server that ends with the test.
struct Served {
    process: Running,
    address: String,
}

fn serve(volume: &Path, args: &[&str]) -> Served {
    started(Command::new(cargo_bin("accounts-serve")).args(args), volume)
}

fn started(command: &mut Command, volume: &Path) -> Served {
    let mut process = command
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("ACCOUNTS_LISTEN", "127.0.0.1:0")
        .env("CHATGPT_AUTH_DIR", volume)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(process.stderr.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("accounts-serve: listening on http://").unwrap().to_owned();
    Served { process: Running(process), address }
}

impl Served {
    fn ask(&self, method: &str, path: &str) -> (u16, String, String) {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let url = format!("http://{}{path}", self.address);
        let request = ureq::http::Request::builder().method(method).uri(url).body(()).unwrap();
        let mut answer = agent.run(request).unwrap();
        let content_type = answer.headers()["content-type"].to_str().unwrap().to_owned();
        (answer.status().as_u16(), content_type, answer.body_mut().read_to_string().unwrap())
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.address).unwrap()
    }

    /// The whole answer to a request that is sent as it is.
    fn raw(&self, request: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.process.0.id())).unwrap().count()
    }

    fn get(&self, path: &str) -> String {
        let (status, _, body) = self.ask("GET", path);
        assert_eq!(status, 200, "{path}: {body}");
        body
    }
}

/// The volume with every state in it, now.
fn every_state() -> Volume {
    Volume::with_every_state(now())
}

/// The samples of a scrape by their names and labels.
fn samples(metrics: &str) -> BTreeMap<&str, f64> {
    let lines = metrics.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit_once(' ').unwrap()).map(|(name, n)| (name, n.parse().unwrap())).collect()
}

#[test]
fn the_page_shows_every_account_and_the_command_to_copy_for_each_finding() {
    let (volume, exec) = (every_state(), "kubectl -n llm exec -it deploy/litellm -c {container} --");
    let page = serve(volume.path(), &["--exec", exec]).get("/");
    for shown in [
        "Account 1 serves: <b>a…@example.test</b>",
        "account-3 needs login: run auth-login 3 (refresh_token_reused)",
        "<code>kubectl -n llm exec -it deploy/litellm -c codex-cli -- auth-login 3</code>",
        "<code>kubectl -n llm exec -it deploy/litellm -c codex-cli -- accounts remove 7</code>",
        "account-4 parked: kept for the release",
        "<span class=\"state\">refresh due</span>",
        "value=\"615\" aria-label=\"7d window\"",
    ] {
        assert!(page.contains(shown), "no {shown} in {page}");
    }
    assert_eq!(page.matches("<tr class=").count(), 12);
}

#[test]
fn a_record_that_is_gone_is_restored_in_the_rotators_container() {
    let volume = every_state();
    fs::remove_file(volume.file("auth.json")).unwrap();
    let page = serve(volume.path(), &[]).get("/");
    assert!(page.contains("None of these accounts serves."), "{page}");
    assert!(
        page.contains("<code>kubectl exec -it deploy/litellm -c rotator -- rotate-once --init</code>"),
        "{page}"
    );
}

#[test]
fn scripts_get_the_document_that_accounts_prints() {
    let volume = every_state();
    let document: Value = serde_json::from_str(&serve(volume.path(), &[]).get("/accounts.json")).unwrap();
    assert_eq!((&document["version"], &document["active"]), (&1.into(), &1.into()));
    assert_eq!(document["accounts"][2]["state"], "needs_login");
}

#[test]
fn a_scrape_has_the_active_account_each_state_the_times_and_the_usage() {
    let volume = every_state();
    fs::write(
        volume.file("callback.json"),
        format!(r#"{{"at": {}, "litellm": "1.106.2", "held": true}}"#, now()),
    )
    .unwrap();
    let metrics = serve(volume.path(), &["--interval", "10m"]).get("/metrics");
    let samples = samples(&metrics);
    for (name, value) in [
        ("codex_volume_readable", 1.0),
        ("codex_active_slot", 1.0),
        ("codex_accounts_slots", 12.0),
        ("codex_accounts_usable", 5.0),
        ("codex_account_needs_login{slot=\"3\"}", 1.0),
        ("codex_account_needs_login{slot=\"11\"}", 1.0),
        ("codex_account_refresh_unanswered{slot=\"13\"}", 1.0),
        ("codex_account_refresh_unanswered{slot=\"1\"}", 0.0),
        ("codex_account_state{slot=\"1\",state=\"active\"}", 1.0),
        ("codex_account_state{slot=\"1\",state=\"capped\"}", 0.0),
        ("codex_account_state{slot=\"2\",state=\"capped\"}", 1.0),
        ("codex_account_state{slot=\"3\",state=\"needs_login\"}", 1.0),
        ("codex_account_info{slot=\"2\",identity=\"b…@example.test\",plan=\"pro\"}", 1.0),
        ("codex_account_pinned{slot=\"2\"}", 1.0),
        ("codex_account_cooldown_seconds{slot=\"1\"}", 0.0),
        ("codex_account_usage_ratio{slot=\"2\",window=\"7d\"}", 0.42),
        ("codex_rotator_interval_seconds", 600.0),
        ("codex_callback_held", 1.0),
    ] {
        assert_eq!(samples.get(name), Some(&value), "{name} in {metrics}");
    }
    let within = |name: &str, low: f64, high: f64| {
        let value = samples[name];
        assert!((low..=high).contains(&value), "{name} is {value}");
    };
    within("codex_account_cooldown_seconds{slot=\"2\"}", 3.0 * 3600.0, 3.0 * 3600.0 + 2400.0);
    within("codex_account_token_expiry_seconds{slot=\"8\"}", -3600.0, -2400.0);
    within("codex_rotator_last_pass_age_seconds", 0.0, 600.0);
    within("codex_callback_age_seconds", 0.0, 600.0);
}

#[test]
fn a_scrape_has_what_the_rotator_counted() {
    let volume = Volume::new();
    let counters =
        r#"{"refreshes": {"refreshed": {"expiring": 4}}, "rotations": {"switched": {"capped": 2}}}"#;
    let state = format!(r#"{{"version": 1, "counters": {counters}}}"#);
    fs::write(volume.file("rotator_state.json"), state).unwrap();
    let metrics = serve(volume.path(), &[]).get("/metrics");
    let samples = samples(&metrics);
    assert_eq!(samples["codex_refreshes_total{result=\"refreshed\",reason=\"expiring\"}"], 4.0);
    assert_eq!(samples["codex_rotations_total{result=\"switched\",reason=\"capped\"}"], 2.0);
}

#[test]
fn a_rotator_that_does_not_run_is_noticed_also_while_no_account_can_serve() {
    let volume = Volume::new();
    fs::write(volume.file("auth-1.json"), "{half").unwrap();
    let mark = File::create(volume.file(".last-pass")).unwrap();
    mark.set_modified(SystemTime::now() - Duration::from_hours(2)).unwrap();
    let served = serve(volume.path(), &[]);
    let page = served.get("/");
    assert!(page.contains("the last pass was 2h ago, and one is due every 30m"), "{page}");
    assert_eq!(
        (samples(&served.get("/metrics"))["codex_rotator_last_pass_age_seconds"] / 60.0).floor(),
        120.0
    );
    mark.set_modified(SystemTime::now()).unwrap();
    assert!(!serve(volume.path(), &[]).get("/").contains("the last pass was 2h ago"));
}

#[test]
fn nothing_shows_a_token_and_whole_addresses_are_shown_only_on_request() {
    let volume = every_state();
    let paths = ["/", "/view", "/metrics", "/accounts.json"];
    let (masked, in_full) = (serve(volume.path(), &[]), serve(volume.path(), &["--show-identity"]));
    for path in paths {
        let (masked, in_full) = (masked.get(path), in_full.get(path));
        for text in [&masked, &in_full] {
            assert!(
                text.contains("example.test") && !text.contains("rt-") && !text.contains("e30."),
                "{text}"
            );
        }
        assert!(!masked.contains("ann@") && !masked.contains("acct-"), "{masked}");
        assert!(in_full.contains("ann@example.test"), "{in_full}");
    }
}

#[test]
fn looking_changes_nothing_and_waits_for_no_lock() {
    let volume = every_state();
    let lock = File::create(volume.file(".lock")).unwrap();
    lock.lock().unwrap();
    fs::write(volume.file("rotate-now"), "").unwrap();
    let snapshot = || -> BTreeMap<_, _> {
        let files = fs::read_dir(volume.path()).unwrap().map(|file| file.unwrap());
        let what = |file: fs::DirEntry| {
            let metadata = file.metadata().unwrap();
            let when = (metadata.mode(), metadata.mtime(), metadata.mtime_nsec(), metadata.ino());
            (file.file_name(), (fs::read(file.path()).unwrap(), when))
        };
        files.map(what).collect()
    };
    let before = snapshot();
    let served = serve(volume.path(), &[]);
    for path in ["/", "/view", "/metrics", "/accounts.json", "/healthz", "/readyz"] {
        served.get(path);
    }
    assert_eq!(snapshot(), before);
}

#[test]
fn a_volume_that_is_not_there_is_shown_and_fails_neither_probe() {
    let served = serve(Path::new("/nonexistent"), &[]);
    assert_eq!((served.get("/healthz"), served.get("/readyz")), ("ok\n".to_owned(), "ok\n".to_owned()));
    assert!(served.get("/").contains("/nonexistent is not a directory"));
    let metrics = served.get("/metrics");
    let samples = samples(&metrics);
    assert_eq!(samples["codex_volume_readable"], 0.0);
    let findings: Vec<_> = samples.iter().filter(|(name, _)| name.starts_with("codex_finding{")).collect();
    let there = |id: &str| findings.iter().any(|(name, value)| name.contains(id) && **value == 1.0);
    assert!(findings.len() == 3 && there("volume-missing"), "nothing is known of the others: {findings:?}");
    let (status, _, why) = served.ask("GET", "/accounts.json");
    assert_eq!(status, 503);
    assert!(why.contains("mount the volume"), "{why}");
}

#[test]
fn accounts_fail_no_probe() {
    let volume = Volume::new();
    let served = serve(volume.path(), &[]);
    assert!(served.get("/").contains("no account has signed in"));
    assert_eq!(served.get("/readyz"), "ok\n");
}

#[test]
fn only_reading_is_answered_and_each_answer_names_its_content_type() {
    let volume = every_state();
    let served = serve(volume.path(), &[]);
    for (path, expected) in [
        ("/", "text/html; charset=utf-8"),
        ("/page.js", "text/javascript; charset=utf-8"),
        ("/page.css", "text/css; charset=utf-8"),
        ("/metrics", "text/plain; version=0.0.4; charset=utf-8"),
        ("/accounts.json", "application/json"),
    ] {
        let (status, content_type, body) = served.ask("GET", path);
        assert_eq!((status, content_type.as_str()), (200, expected));
        assert!(!body.is_empty());
        assert_eq!(served.ask("HEAD", path).2, "");
    }
    assert_eq!(served.ask("DELETE", "/").0, 405);
    assert_eq!(served.ask("GET", "/auth-1.json").0, 404);
    assert_eq!(served.ask("GET", "/../rotator_state.json").0, 404);
}

#[test]
fn clients_that_send_nothing_or_too_much_delay_no_other() {
    let volume = every_state();
    let served = serve(volume.path(), &[]);
    let silent: Vec<_> = (0..600).map(|_| served.connect()).collect();
    let mut talkative = served.connect();
    let _ = talkative.write_all(format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(1 << 20)).as_bytes());
    let mut answer = Vec::new();
    let _ = talkative.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    let begun = Instant::now();
    assert_eq!((served.get("/healthz"), served.get("/readyz")), ("ok\n".to_owned(), "ok\n".to_owned()));
    assert!(begun.elapsed() < Duration::from_secs(1), "answered after {:?}", begun.elapsed());
    served.get("/");
    assert!(served.files() < 300, "{} files are open", served.files());
    drop(silent);
}

#[test]
fn a_head_that_is_incomplete_after_a_second_is_not_waited_for() {
    let served = serve(Volume::new().path(), &[]);
    for head in ["", "GET / HTTP/1.1\r\nHost: local"] {
        let begun = Instant::now();
        assert_eq!(served.raw(head), "");
        let elapsed = begun.elapsed();
        assert!(
            (Duration::from_millis(900)..Duration::from_secs(4)).contains(&elapsed),
            "{head}: {elapsed:?}"
        );
    }
    let begun = Instant::now();
    let mut slow = served.connect();
    while slow.write_all(b"G").is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(4), "one byte after another is waited for");
        sleep(Duration::from_millis(100));
    }
}

#[test]
fn with_a_low_limit_of_open_files_it_goes_on_serving() {
    let volume = every_state();
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -n 24; exec \"$0\""]).arg(cargo_bin("accounts-serve"));
    let served = started(&mut limited, volume.path());
    let _silent: Vec<_> = (0..100).map(|_| served.connect()).collect();
    assert_eq!(served.get("/healthz"), "ok\n");
    assert!(served.get("/").contains("Account 1 serves"));
}

#[test]
fn only_names_that_no_one_outside_can_own_are_answered() {
    let volume = every_state();
    let served = serve(volume.path(), &["--host", "Accounts.example.test", "--host", "b.test,c.test."]);
    let status = |path: &str, host: &str| {
        let answer = served.raw(&format!("GET {path} HTTP/1.1\r\n{host}\r\n"));
        answer.split(' ').nth(1).unwrap_or_default().to_owned()
    };
    for host in [
        "127.0.0.1:9095",
        "[::1]:9095",
        "localhost:9095",
        "litellm-accounts",
        "litellm-accounts.llm.svc:9095",
        "accounts.example.test",
        "b.test",
        "c.test",
    ] {
        assert_eq!(status("/accounts.json", &format!("Host: {host}\r\n")), "200", "{host}");
    }
    for path in ["/", "/view", "/metrics", "/accounts.json", "/healthz", "/page.js", "http://localhost/"] {
        assert_eq!(status(path, "Host: evil.example\r\n"), "421", "{path}");
    }
    assert_eq!(status("http://evil.example/", "Host: localhost\r\n"), "421");
    assert_eq!(status("/", ""), "400");
    assert_eq!(status("/", "Host: localhost\r\nHost: localhost\r\n"), "400");
    let refused = served.raw("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    let (_, body) = refused.split_once("\r\n\r\n").unwrap();
    assert_eq!(
        body,
        "not served under this name: start accounts-serve with --host NAME, or put it into ACCOUNTS_HOSTS\n"
    );
    assert!(
        served.raw("GET /healthz HTTP/1.0\r\n\r\n").starts_with("HTTP/1.0 200"),
        "no browser speaks HTTP/1.0"
    );
}

#[test]
fn names_may_come_from_the_environment_and_an_empty_variable_has_none() {
    for (names, status) in [("a.test, b.test", "200"), ("", "421")] {
        let mut command = Command::new("env");
        command.arg(format!("ACCOUNTS_HOSTS={names}")).arg(cargo_bin("accounts-serve"));
        let served = started(&mut command, Volume::new().path());
        let answer = served.raw("GET /healthz HTTP/1.1\r\nHost: b.test\r\n\r\n");
        assert_eq!(answer.split(' ').nth(1), Some(status), "{names}");
    }
}

#[test]
fn an_invalid_setting_is_wrong_usage() {
    for (arguments, message) in [
        (
            ["--host", "https://a.test"],
            "expected a name without scheme and port, such as accounts.example.com, not 'https://a.test'",
        ),
        (["--host", "a.test:443"], "expected a name without scheme and port"),
        (["--listen", "9095"], "expected an address such as 127.0.0.1:9095"),
        (["--interval", "18446744073709551615"], "at most 10 years"),
    ] {
        let mut command = cargo_bin_cmd!("accounts-serve");
        command.env_clear().args(arguments).assert().code(2).stderr(contains(message));
    }
}

#[test]
fn a_stdout_that_cannot_be_written_causes_no_panic() {
    for argument in ["--help", "--version"] {
        let (reader, closed) = std::io::pipe().unwrap();
        drop(reader);
        let full = File::options().write(true).open("/dev/full").unwrap();
        for stdout in [Stdio::from(closed), Stdio::from(full)] {
            let mut command = Command::new(cargo_bin("accounts-serve"));
            let output = command.arg(argument).stdout(stdout).output().unwrap();
            assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
        }
    }
}

#[test]
fn sigterm_ends_it_in_spite_of_open_connections() {
    let volume = every_state();
    let mut served = serve(volume.path(), &[]);
    let _silent = TcpStream::connect(&served.address).unwrap();
    served.get("/");
    kill(Pid::from_raw(served.process.0.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    assert!(served.process.0.wait().unwrap().success());
}

#[test]
fn an_address_that_is_taken_is_reported() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    cargo_bin_cmd!("accounts-serve")
        .env_clear()
        .args(["--listen", &address])
        .assert()
        .code(78)
        .stderr(contains(format!("accounts-serve: cannot listen on {address}: ")));
}
