//! The stand-in as a process of its own, as scripts use it.
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use assert_cmd::cargo::{cargo_bin, cargo_bin_cmd};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::client::agent;

#[test]
fn refuses_to_listen_beyond_this_machine() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:80"] {
        let refused =
            cargo_bin_cmd!("stand-in").env_clear().args(["--listen", address]).assert().code(2).stdout("");
        let stderr = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
        assert!(stderr.contains("not a loopback address; use 127.0.0.1"), "{stderr}");
    }
}

#[test]
fn ends_at_once_on_sigterm_and_sigint() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut process = Process::start(&[]);
        // An answer still under way must not hold it back.
        process.control("oauth_fault", &json!({"fault": {"delay_ms": 60_000}}));
        let url = format!("{}/oauth/token", process.url);
        let pending =
            std::thread::spawn(move || agent().post(url).send_json(json!({"grant_type": "x"})).is_err());
        process.await_request();
        let asked = Instant::now();
        assert_eq!(process.end(signal), Some(0), "{signal}");
        assert!(asked.elapsed() < Duration::from_secs(5), "{signal}");
        assert!(pending.join().unwrap());
    }
}

#[test]
fn approves_in_order_and_then_repeats_the_last() {
    let mut process = Process::start(&["--approve", "ann@example.test,ben@example.test"]);
    let served: Vec<Value> = (0..3).map(|_| process.device_login()).collect();
    assert_eq!(served, ["ann@example.test", "ben@example.test", "ben@example.test"]);
    process.end(Signal::SIGTERM);
}

#[test]
fn a_person_approves_on_the_page() {
    let mut process = Process::start(&[]);
    let page =
        agent().get(format!("{}/codex/device", process.url)).call().unwrap().body_mut().read_to_string();
    assert!(page.unwrap().contains("<form method=post action=/_control/approve>"));
    let code = process.post("/api/accounts/deviceauth/usercode", &json!({"client_id": "app"}));
    let user_code = code["user_code"].as_str().unwrap();
    let approve = format!("{}/_control/approve", process.url);
    let mut typed = agent()
        .post(&approve)
        .send_form([("user_code", "AAAA-00000"), ("email", "ann@example.test")])
        .unwrap();
    assert_eq!(typed.status(), 404);
    assert!(typed.body_mut().read_to_string().unwrap().contains("No login waits for the code AAAA-00000."));
    let lower = user_code.to_lowercase();
    let mut typed = agent()
        .post(&approve)
        .send_form([("user_code", lower.as_str()), ("email", "ann@example.test")])
        .unwrap();
    assert_eq!(typed.status(), 200);
    assert!(typed.body_mut().read_to_string().unwrap().contains("ann@example.test is signed in."));
    assert_eq!(process.control_get("codes"), json!([]));
    process.end(Signal::SIGTERM);
}

#[test]
fn is_controlled_over_http_and_logs_no_token() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("requests.jsonl");
    let mut process = Process::start(&["--log", log.to_str().unwrap()]);

    let account = json!({"email": "ann@example.test", "account_id": "acct-team", "behaviour": "capped", "resets_in_seconds": 60});
    let account = process.control("account", &account);
    assert_eq!(account["account_id"], "acct-team");
    assert_eq!(account["behaviour"], "capped");
    let tokens = process.control("sign_in", &json!({"email": "ann@example.test"}));
    let good = process.control("refreshable", &json!({"refresh_token": tokens["refresh_token"]}));
    assert_eq!(good, json!({"good": true, "why": "live"}));
    let refresh =
        json!({"client_id": "app", "grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]});
    process.post("/oauth/token", &refresh);
    process.post("/oauth/token", &refresh);
    let bearer = format!("Bearer {}", tokens["access_token"].as_str().unwrap());
    let request =
        agent().post(format!("{}/backend-api/codex/responses", process.url)).header("authorization", bearer);
    let mut refused =
        request.header("user-agent", "codex_cli_rs/0.169.0").send_json(json!({"stream": true})).unwrap();
    assert_eq!(refused.status(), 401);
    let _: Value = refused.body_mut().read_json().unwrap();

    let ended = json!({"login": 0, "refreshable": false, "access": false, "ended": "refresh_token_reused", "refreshes": 1, "delivered": true});
    assert_eq!(process.control_get("grants"), json!([{"email": "ann@example.test", "logins": [ended]}]));
    let requests = process.control_get("requests");
    let told: Vec<Value> = requests
        .as_array()
        .unwrap()
        .iter()
        .map(|it| json!([it["path"], it["status"], it["account"], it["error"]]))
        .collect();
    assert_eq!(
        told,
        [
            json!(["/oauth/token", 200, "ann@example.test", null]),
            json!(["/oauth/token", 401, "ann@example.test", "refresh_token_reused"]),
            json!(["/backend-api/codex/responses", 401, "ann@example.test", "token_invalidated"]),
        ]
    );
    assert_eq!(requests[2]["user_agent"], "codex_cli_rs/0.169.0");

    process.end(Signal::SIGTERM);
    let logged = std::fs::read_to_string(log).unwrap();
    let lines: Vec<Value> = logged.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(json!(lines), requests);
    for key in ["access_token", "id_token", "refresh_token"] {
        assert!(!logged.contains(tokens[key].as_str().unwrap()), "{key}");
    }
    assert!(!logged.contains("eyJ") && !logged.contains("rt-stand-in-"), "{logged}");
}

struct Process {
    child: Child,
    url: String,
}

impl Process {
    fn start(args: &[&str]) -> Self {
        let mut command = Command::new(cargo_bin!("stand-in"));
        let mut child = command.args(args).env_clear().stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim_end().strip_prefix("stand-in: listening on ").unwrap().to_owned();
        Self { child, url }
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let url = format!("{}{path}", self.url);
        agent().post(url).send_json(body).unwrap().body_mut().read_json().unwrap()
    }

    fn control(&self, verb: &str, body: &Value) -> Value {
        self.post(&format!("/_control/{verb}"), body)
    }

    fn control_get(&self, what: &str) -> Value {
        agent().get(format!("{}/_control/{what}", self.url)).call().unwrap().body_mut().read_json().unwrap()
    }

    fn await_request(&self) {
        let begun = Instant::now();
        while self.control_get("requests") == json!([]) {
            assert!(begun.elapsed() < Duration::from_secs(20), "the request never arrived");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Who a device login signs in.
    fn device_login(&self) -> Value {
        let code = self.post("/api/accounts/deviceauth/usercode", &json!({"client_id": "app"}));
        let pending = self.post("/api/accounts/deviceauth/token", &code);
        assert_eq!(pending["error"]["code"], "authorization_pending");
        self.post("/api/accounts/deviceauth/token", &code);
        self.control_get("requests").as_array().unwrap().last().unwrap()["account"].clone()
    }

    fn end(&mut self, signal: Signal) -> Option<i32> {
        let id = i32::try_from(self.child.id()).unwrap();
        kill(Pid::from_raw(id), signal).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
