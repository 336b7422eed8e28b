//! `accounts-serve` from the outside: what it answers, and what it never touches.

#![expect(clippy::unwrap_used, reason = "a test ends at what it does not expect")]
#![expect(clippy::float_cmp, reason = "counts and truths are whole numbers")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant, SystemTime};

use assert_cmd::cargo::{cargo_bin, cargo_bin_cmd};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Parser as _;
use fixture::{Running, Volume, now};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use predicates::str::contains;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpSocket;

/// A server that ends with the test, and its digest.
struct Served {
    process: Running,
    address: String,
    digest: TempDir,
}

/// Serves what there is to see of a volume.
fn serve(volume: &Volume, args: &[&str]) -> Served {
    started(Command::new(cargo_bin("accounts-serve")).args(args), digest_of(volume.path(), &[]))
}

/// A directory with the digest of a volume.
fn digest_of(volume: &Path, args: &[&str]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    leave_digest(volume, directory.path(), args);
    directory
}

fn leave_digest(volume: &Path, directory: &Path, args: &[&str]) {
    let (volume, directory) = (volume.to_str().unwrap(), directory.to_str().unwrap());
    let words = [&["rotate-once", "--auth-dir", volume, "--digest", directory], args].concat();
    rotate_once::run(&rotate_once::Args::parse_from(words)).unwrap();
}

fn serve_digest(digest: TempDir) -> Served {
    started(&mut Command::new(cargo_bin("accounts-serve")), digest)
}

fn started(command: &mut Command, digest: TempDir) -> Served {
    let mut process = command
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("ACCOUNTS_LISTEN", "127.0.0.1:0")
        .env("ACCOUNTS_DIGEST_DIR", digest.path())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(process.stderr.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("accounts-serve: listening on http://").unwrap().to_owned();
    Served { process: Running(process), address, digest }
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

/// How long a snapshot is used.
const FRESH: Duration = Duration::from_millis(600);

/// The samples of a scrape by their names and labels.
fn samples(metrics: &str) -> BTreeMap<&str, f64> {
    let lines = metrics.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit_once(' ').unwrap()).map(|(name, n)| (name, n.parse().unwrap())).collect()
}

#[test]
fn the_page_shows_every_account_and_the_command_to_copy_for_each_finding() {
    let (volume, exec) = (every_state(), "kubectl -n llm exec -it deploy/litellm -c {container} --");
    let page = serve(&volume, &["--exec", exec]).get("/");
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
    let page = serve(&volume, &[]).get("/");
    assert!(page.contains("None of these accounts serves."), "{page}");
    assert!(
        page.contains("<code>kubectl exec -it deploy/litellm -c rotator -- rotate-once --init</code>"),
        "{page}"
    );
}

#[test]
fn scripts_get_the_document_that_accounts_prints() {
    let volume = every_state();
    let document: Value = serde_json::from_str(&serve(&volume, &[]).get("/accounts.json")).unwrap();
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
    let metrics = serve_digest(digest_of(volume.path(), &["--interval", "10m"])).get("/metrics");
    let samples = samples(&metrics);
    for (name, value) in [
        ("codex_digest_readable", 1.0),
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
    within("codex_digest_age_seconds", 0.0, 60.0);
}

#[test]
fn a_scrape_has_the_account_of_each_lane_if_there_are_several() {
    let volume = every_state();
    assert!(!serve(&volume, &[]).get("/metrics").contains("codex_lane_slot"));
    let mut state = volume.json("rotator_state.json");
    state["lanes"] = json!([{"lane": 2, "account_id": "acct-eve", "user_id": "user-eve", "slot": 5}]);
    volume.replace("rotator_state.json", state.to_string());
    let metrics = serve(&volume, &[]).get("/metrics");
    let samples = samples(&metrics);
    assert_eq!(samples["codex_lane_slot{lane=\"1\"}"], 1.0, "{metrics}");
    assert_eq!(samples["codex_lane_slot{lane=\"2\"}"], 5.0);
    assert_eq!(samples["codex_account_state{slot=\"5\",state=\"active\"}"], 1.0);
}

#[test]
fn a_scrape_has_what_the_rotator_counted() {
    let volume = Volume::new();
    let counters =
        r#"{"refreshes": {"refreshed": {"expiring": 4}}, "rotations": {"switched": {"capped": 2}}}"#;
    let state = format!(r#"{{"version": 1, "counters": {counters}}}"#);
    fs::write(volume.file("rotator_state.json"), state).unwrap();
    let metrics = serve(&volume, &[]).get("/metrics");
    let samples = samples(&metrics);
    assert_eq!(samples["codex_refreshes_total{result=\"refreshed\",reason=\"expiring\"}"], 4.0);
    assert_eq!(samples["codex_rotations_total{result=\"switched\",reason=\"capped\"}"], 2.0);
}

#[test]
fn what_agents_have_used_is_on_the_page_in_the_metrics_and_in_the_document() {
    let volume = every_state();
    let totals = json!({"version": 1, "totals": [
        {"agent": "ben", "account_id": "acct-ann", "user_id": "user-ann", "requests": 3, "input_tokens": 4000,
            "cached_tokens": 1000, "output_tokens": 50, "refused": 2},
        {"agent": "ben", "account_id": null, "user_id": null, "limited": 7},
        {"agent": null, "account_id": "acct-that-is-gone", "user_id": null, "requests": 1},
        {"agent": "<b>\"\n", "account_id": null, "user_id": null, "limited": 1},
    ]});
    volume.write("agents-1-1.json", totals.to_string());
    let served = serve(&volume, &[]);
    let metrics = served.get("/metrics");
    let samples = samples(&metrics);
    for (name, value) in [
        ("codex_agent_requests_total{agent=\"ben\",slot=\"1\"}", 3.0),
        ("codex_agent_requests_total{agent=\"\",slot=\"\"}", 1.0),
        ("codex_agent_tokens_total{agent=\"ben\",slot=\"1\",kind=\"input\"}", 4000.0),
        ("codex_agent_tokens_total{agent=\"ben\",slot=\"1\",kind=\"cached\"}", 1000.0),
        ("codex_agent_tokens_total{agent=\"ben\",slot=\"1\",kind=\"output\"}", 50.0),
        ("codex_agent_refused_total{agent=\"ben\",slot=\"1\"}", 2.0),
        ("codex_agent_limited_total{agent=\"ben\"}", 7.0),
    ] {
        assert_eq!(samples.get(name), Some(&value), "{name} in {metrics}");
    }
    let page = served.get("/");
    let row = "<tr><th scope=\"row\">ben</th><td>1</td><td>3</td><td>4000</td><td>1000</td><td>50</td><td>2</td><td>0</td></tr>";
    assert!(page.contains(row) && page.contains("(master key)"), "{page}");
    assert!(page.contains("&lt;b&gt;&quot;") && !page.contains("<b>\""), "{page}");
    let document: Value = serde_json::from_str(&served.get("/accounts.json")).unwrap();
    let ben = document["agents"].as_array().unwrap().iter().find(|row| row["slot"] == 1).unwrap();
    assert_eq!((&ben["agent"], &ben["requests"], &ben["limited"]), (&json!("ben"), &json!(3), &json!(0)));
}

#[test]
fn a_rotator_that_does_not_run_is_noticed_also_while_no_account_can_serve() {
    let volume = Volume::new();
    fs::write(volume.file("auth-1.json"), "{half").unwrap();
    let mark = File::create(volume.file(".last-pass")).unwrap();
    mark.set_modified(SystemTime::now() - Duration::from_hours(2)).unwrap();
    let served = serve(&volume, &[]);
    let page = served.get("/");
    assert!(page.contains("the last pass was 2h ago, and one is due every 30m"), "{page}");
    assert_eq!(
        (samples(&served.get("/metrics"))["codex_rotator_last_pass_age_seconds"] / 60.0).floor(),
        120.0
    );
    mark.set_modified(SystemTime::now()).unwrap();
    assert!(!serve(&volume, &[]).get("/").contains("the last pass was 2h ago"));
}

/// Every text in the files of the logins that is a token, a part of one, or says whose it is.
fn secrets(volume: &Volume) -> BTreeSet<String> {
    let mut secrets = BTreeSet::new();
    for name in volume.names().iter().filter(|name| name.starts_with("auth")) {
        let tokens = &volume.json_or_null(name)["tokens"];
        for token in tokens.as_object().into_iter().flatten().filter_map(|(_, token)| token.as_str()) {
            secrets.insert(token.to_owned());
            for part in token.split('.').filter(|part| part.len() > 2) {
                secrets.insert(part.to_owned());
                let claims = URL_SAFE_NO_PAD
                    .decode(part)
                    .ok()
                    .and_then(|it| serde_json::from_slice::<Value>(&it).ok());
                let email = claims.and_then(|claims| Some(claims["email"].as_str()?.to_owned()));
                secrets.extend(email);
            }
        }
    }
    assert!(secrets.len() > 30 && secrets.contains("ann@example.test"), "{secrets:?}");
    secrets
}

#[test]
fn no_piece_of_a_token_is_in_the_digest_or_in_an_answer_and_no_address_unless_asked_for() {
    let volume = every_state();
    // A user without an id is known by the address.
    let mut state = volume.json("rotator_state.json");
    for account in state["accounts"].as_array_mut().unwrap() {
        account["came_from"] = json!({"account_id": "acct-elsewhere", "user_id": "eve@example.test"});
    }
    volume.write("rotator_state.json", state.to_string());
    let secrets = secrets(&volume);
    let whole = |args: &[&str]| {
        let served = serve_digest(digest_of(volume.path(), args));
        let digest = fs::read_to_string(served.digest.path().join("digest.json")).unwrap();
        let answers = ["/", "/view", "/metrics", "/accounts.json"].map(|path| served.get(path));
        answers.into_iter().chain([digest]).collect::<Vec<_>>()
    };
    for text in whole(&[]) {
        assert!(text.contains("…@example.test"), "{text}");
        for secret in &secrets {
            assert!(!text.contains(secret.as_str()), "{secret} is in {text}");
        }
        for shown in ["acct-ann", "acct-elsewhere", "eve@"] {
            assert!(!text.contains(shown), "{shown} is in {text}");
        }
    }
    for text in whole(&["--show-identity"]) {
        assert!(text.contains("ann@example.test"), "{text}");
        for secret in secrets.iter().filter(|secret| !secret.contains('@') && !secret.starts_with("acct-")) {
            assert!(!text.contains(secret.as_str()), "{secret} is in {text}");
        }
    }
}

#[test]
fn serving_opens_no_file_but_the_digest_and_changes_nothing() {
    let volume = every_state();
    let served = serve(&volume, &[]);
    let snapshot = |directory: &Path| -> BTreeMap<_, _> {
        let files = fs::read_dir(directory).unwrap().map(|file| file.unwrap());
        let what = |file: fs::DirEntry| {
            let metadata = file.metadata().unwrap();
            let when = (metadata.mode(), metadata.mtime(), metadata.mtime_nsec(), metadata.ino());
            (file.file_name(), (fs::read(file.path()).unwrap(), when))
        };
        files.map(what).collect()
    };
    let before = snapshot(served.digest.path());
    // What it does not need, it does not miss.
    fs::remove_dir_all(volume.path()).unwrap();
    for path in ["/", "/view", "/metrics", "/accounts.json", "/healthz", "/readyz"] {
        served.get(path);
    }
    assert_eq!(snapshot(served.digest.path()), before);
    assert_eq!(before.len(), 1);
}

/// The findings of a scrape: every kind that is told, and the kinds of which there is one.
fn found(metrics: &str) -> (usize, Vec<String>) {
    let samples = samples(metrics);
    let findings: Vec<_> = samples.iter().filter(|(name, _)| name.starts_with("codex_finding{")).collect();
    let there = findings.iter().filter(|(_, count)| **count > 0.0);
    let ids = there.map(|(name, _)| name.split('"').nth(1).unwrap().to_owned()).collect();
    (findings.len(), ids)
}

#[test]
fn a_volume_that_is_not_there_is_shown_and_fails_neither_probe() {
    let served = serve_digest(digest_of(Path::new("/nonexistent"), &[]));
    assert_eq!((served.get("/healthz"), served.get("/readyz")), ("ok\n".to_owned(), "ok\n".to_owned()));
    assert!(served.get("/").contains("/nonexistent is not a directory"));
    let metrics = served.get("/metrics");
    assert_eq!(samples(&metrics)["codex_digest_readable"], 1.0);
    assert_eq!(samples(&metrics)["codex_volume_readable"], 0.0);
    assert_eq!(found(&metrics), (6, vec!["volume-missing".to_owned()]), "nothing is known of the others");
    let (status, _, why) = served.ask("GET", "/accounts.json");
    assert_eq!(status, 503);
    assert!(why.contains("mount the volume"), "{why}");
}

#[test]
fn a_digest_that_is_missing_or_cannot_be_read_is_a_finding_and_fails_neither_probe() {
    let newer = r#"{"version": 2, "at": "2026-11-27T10:00:00Z", "seen": {}}"#;
    for (content, id, said) in [
        (None, "digest-missing", "digest.json: nothing is known of the accounts"),
        (Some(""), "digest-unreadable", "it is no digest"),
        (Some("{half"), "digest-unreadable", "kubectl logs deploy/litellm -c accounts-digest"),
        (Some(r#"{"version": 1, "seen": {"volume": {}}}"#), "digest-unreadable", "it is no digest"),
        (Some(newer), "digest-unreadable", "run accounts-serve and rotate-once of the same release"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        if let Some(content) = content {
            fs::write(directory.path().join("digest.json"), content).unwrap();
        }
        let served = serve_digest(directory);
        assert_eq!((served.get("/healthz"), served.get("/readyz")), ("ok\n".to_owned(), "ok\n".to_owned()));
        let page = served.get("/");
        assert!(page.contains("Nothing is known of the accounts.") && page.contains(said), "{said}: {page}");
        let metrics = served.get("/metrics");
        assert_eq!(samples(&metrics)["codex_digest_readable"], 0.0);
        assert!(!metrics.contains("codex_volume_readable "), "{metrics}");
        assert_eq!(found(&metrics), (3, vec![id.to_owned()]), "nothing is known of the others");
        assert_eq!(served.ask("GET", "/accounts.json").0, 503);
    }
}

#[test]
fn a_digest_of_a_link_a_pipe_or_too_many_bytes_is_not_read() {
    for make in [
        (|path: &Path| std::os::unix::fs::symlink("/etc/hostname", path).unwrap()) as fn(&Path),
        |path| nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap(),
        |path| File::create(path).unwrap().set_len((16 << 20) + 1).unwrap(),
    ] {
        let directory = tempfile::tempdir().unwrap();
        make(&directory.path().join("digest.json"));
        let served = serve_digest(directory);
        assert_eq!(found(&served.get("/metrics")).1, ["digest-unreadable"]);
    }
}

/// The digest, made so long ago.
fn made_ago(digest: &Path, ago: Duration) {
    let path = digest.join("digest.json");
    let mut document: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let at = humantime::format_rfc3339_millis(SystemTime::now() - ago).to_string();
    document["at"] = json!(at);
    if document["seen"]["volume"].is_object() {
        document["seen"]["volume"]["overview"]["at"] = json!(at);
    }
    fs::write(path, document.to_string()).unwrap();
}

#[test]
fn an_old_digest_is_a_finding_and_says_nothing_of_the_rotator_and_the_callback() {
    let volume = every_state();
    let beat = format!(r#"{{"at": {}, "litellm": "1.106.2", "held": true}}"#, now() - 600);
    fs::write(volume.file("callback.json"), beat).unwrap();
    let served = serve(&volume, &[]);
    assert!(found(&served.get("/metrics")).1.contains(&"callback-late".to_owned()));
    made_ago(served.digest.path(), Duration::from_mins(2));
    sleep(FRESH);
    assert!(!found(&served.get("/metrics")).1.contains(&"digest-late".to_owned()));

    made_ago(served.digest.path(), Duration::from_mins(10));
    sleep(FRESH);
    let metrics = served.get("/metrics");
    let (_, ids) = found(&metrics);
    assert!(ids.contains(&"digest-late".to_owned()) && !ids.contains(&"callback-late".to_owned()), "{ids:?}");
    assert_eq!((samples(&metrics)["codex_digest_age_seconds"] / 60.0).floor(), 10.0);
    let page = served.get("/");
    assert!(
        page.contains("this is how the accounts stood 10m ago: the digest is no longer written"),
        "{page}"
    );
    assert!(page.contains("Account 1 serves"), "what was known is still shown: {page}");

    let unreadable = digest_of(Path::new("/nonexistent"), &[]);
    made_ago(unreadable.path(), Duration::from_mins(10));
    let served = serve_digest(unreadable);
    assert_eq!(found(&served.get("/metrics")).1, ["digest-late"]);
}

#[test]
fn what_goes_on_by_itself_is_judged_when_it_is_looked_at() {
    let volume = every_state();
    let served = serve(&volume, &[]);
    let cooldown = || samples(&served.get("/metrics"))["codex_account_cooldown_seconds{slot=\"2\"}"];
    let before = cooldown();
    sleep(Duration::from_secs(2));
    assert!((1.5..4.0).contains(&(before - cooldown())), "it counts down between two digests");
    let document: Value = serde_json::from_str(&served.get("/accounts.json")).unwrap();
    let made: Value =
        serde_json::from_slice(&fs::read(served.digest.path().join("digest.json")).unwrap()).unwrap();
    assert_eq!(document["at"], made["at"], "that is when the volume was read");
}

#[test]
fn a_digest_with_more_in_it_than_is_known_here_is_read() {
    let volume = every_state();
    let served = serve(&volume, &[]);
    let path = served.digest.path().join("digest.json");
    let mut document: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    document["more"] = json!(1);
    document["seen"]["volume"]["more"] = json!({"a": 1});
    document["seen"]["volume"]["overview"]["rows"][0]["more"] = json!([1]);
    fs::write(&path, document.to_string()).unwrap();
    sleep(FRESH);
    assert!(served.get("/").contains("Account 1 serves"));
}

#[test]
fn accounts_fail_no_probe() {
    let volume = Volume::new();
    let served = serve(&volume, &[]);
    assert!(served.get("/").contains("no account has signed in"));
    assert_eq!(served.get("/readyz"), "ok\n");
}

#[test]
fn only_reading_is_answered_and_each_answer_names_its_content_type() {
    let volume = every_state();
    let served = serve(&volume, &[]);
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
    let served = serve(&volume, &[]);
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

/// Asks again and again while something else goes on, and returns the longest time that an answer took.
fn longest_wait(served: &Served, times: u32) -> Duration {
    let waits = (0..times).map(|_| {
        let begun = Instant::now();
        assert_eq!(served.get("/healthz"), "ok\n");
        let waited = begun.elapsed();
        sleep(Duration::from_millis(50));
        waited
    });
    waits.max().unwrap()
}

/// Held by tests that take the time, so that none of them has only half of the machine.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn ten_thousand_silent_clients_delay_no_other() {
    const CLIENTS: usize = 10_000;
    let _alone = ALONE.lock();
    let served = serve(&every_state(), &[]);
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    assert!(hard > 11_000, "this test opens {CLIENTS} sockets, and `ulimit -Hn` is {hard}: raise it");
    setrlimit(Resource::RLIMIT_NOFILE, hard.min(20_000), hard).unwrap();
    let (longest, silent) = thread::scope(|scope| {
        let silent = scope.spawn(|| {
            let connect = |number: usize| {
                // The kernel's own queue is not what is tried here.
                if number.is_multiple_of(100) {
                    sleep(Duration::from_millis(20));
                }
                served.connect()
            };
            (0..CLIENTS).map(connect).collect::<Vec<_>>()
        });
        let longest = longest_wait(&served, 30);
        (longest, silent.join().unwrap())
    });
    let longest = longest.max(longest_wait(&served, 10));
    assert_eq!(silent.len(), CLIENTS);
    assert!(longest < Duration::from_secs(1), "an answer took {longest:?}");
    assert!(served.files() < 300, "{} files are open", served.files());
    served.get("/");
}

#[test]
fn clients_that_send_a_byte_at_a_time_delay_no_other() {
    let _alone = ALONE.lock();
    let served = serve(&every_state(), &[]);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut slow: Vec<_> = (0..400).map(|_| served.connect()).collect();
            while !is_over.load(Ordering::Relaxed) {
                for client in &mut slow {
                    if client.write_all(b"G").is_err() {
                        *client = served.connect();
                    }
                }
                sleep(Duration::from_millis(20));
            }
        });
        let longest = longest_wait(&served, 40);
        is_over.store(true, Ordering::Relaxed);
        assert!(longest < Duration::from_secs(1), "an answer took {longest:?}");
    });
}

/// A digest of so many accounts that no socket holds the page of them.
fn of_many_accounts() -> TempDir {
    let digest = digest_of(every_state().path(), &[]);
    let path = digest.path().join("digest.json");
    let mut document: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let rows = document["seen"]["volume"]["overview"]["rows"].as_array_mut().unwrap();
    *rows = vec![rows[1].clone(); 10_000];
    fs::write(path, document.to_string()).unwrap();
    digest
}

/// A connection that has asked for the page, and of whose answer the kernel keeps little.
fn asked_for_the_page(served: &Served) -> TcpStream {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let mut stream = runtime.block_on(async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.connect(served.address.parse().unwrap()).await.unwrap().into_std().unwrap()
    });
    stream.set_nonblocking(false).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    stream
}

#[test]
fn clients_that_do_not_read_delay_no_other_and_end_no_answer_that_goes_on() {
    let _alone = ALONE.lock();
    let served = serve_digest(of_many_accounts());
    let whole = served.get("/").len();
    assert!(whole > 5 << 20, "{whole} bytes");
    // The first to ask, and so the oldest.
    let mut patient = asked_for_the_page(&served);
    patient.read_exact(&mut [0]).unwrap();
    let are_there = AtomicBool::new(false);
    thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let (mut read, mut some) = (1, vec![0; 64 << 10]);
            loop {
                match patient.read(&mut some).unwrap() {
                    0 => return read,
                    more => read += more,
                }
                if !are_there.load(Ordering::Relaxed) {
                    sleep(Duration::from_millis(1));
                }
            }
        });
        let deaf = (0..300).map(|_| {
            sleep(Duration::from_millis(3));
            asked_for_the_page(&served)
        });
        let deaf: Vec<_> = deaf.collect();
        assert!(!reading.is_finished(), "it has its answer already, which proves nothing");
        are_there.store(true, Ordering::Relaxed);
        let longest = longest_wait(&served, 10);
        assert!(longest < Duration::from_secs(1), "an answer took {longest:?}");
        let read = reading.join().unwrap();
        assert!(read > whole, "{read} of {whole} bytes and a head");
        drop(deaf);
    });
}

#[test]
fn a_head_that_is_incomplete_after_a_second_is_not_waited_for() {
    let served = serve(&Volume::new(), &[]);
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
    let served = started(&mut limited, digest_of(volume.path(), &[]));
    let _silent: Vec<_> = (0..100).map(|_| served.connect()).collect();
    assert_eq!(served.get("/healthz"), "ok\n");
    assert!(served.get("/").contains("Account 1 serves"));
}

#[test]
fn only_names_that_no_one_outside_can_own_are_answered() {
    let volume = every_state();
    let served = serve(&volume, &["--host", "Accounts.example.test", "--host", "b.test,c.test."]);
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
        let served = started(&mut command, digest_of(Volume::new().path(), &[]));
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
    let mut served = serve(&volume, &[]);
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
