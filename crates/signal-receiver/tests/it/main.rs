//! `signal-receiver` from the outside: what a replica may leave for the rotator, and what is dropped.

#![expect(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use assert_cmd::cargo::{cargo_bin, cargo_bin_cmd};
use fixture::{Running, Volume, fingerprint, wait_until};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

/// A receiver on a directory with the records of Ann and Ben; it ends with the test.
struct Receiver {
    volume: Volume,
    address: String,
    _process: Running,
}

impl Receiver {
    fn start() -> Self {
        let volume = Volume::new();
        for (lane, account) in [(1, "ann"), (2, "ben")] {
            publish(&volume, lane, account);
        }
        let mut command = Command::new(cargo_bin("signal-receiver"));
        command.args(["--listen", "127.0.0.1:0"]).env("CHATGPT_LIVE_DIR", volume.path());
        let mut process = Running(command.stderr(Stdio::piped()).spawn().unwrap());
        let mut line = String::new();
        BufReader::new(process.0.stderr.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("signal-receiver: listening on http://").unwrap().to_owned();
        Self { volume, address, _process: process }
    }

    /// Posts a document that is signed with a token, and returns the status.
    fn post(&self, path: &str, document: &Value, token: &str) -> u16 {
        let body = document.to_string();
        let mac = Hmac::<Sha256>::new_from_slice(token.as_bytes()).unwrap();
        let digest = mac.chain_update(&body).finalize().into_bytes();
        let signature = digest.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
        self.send(path, &format!("codex-signature: {signature}\r\n"), &body)
    }

    fn send(&self, path: &str, headers: &str, body: &str) -> u16 {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let length = body.len();
        let head =
            format!("POST {path} HTTP/1.1\r\nhost: signals\r\ncontent-length: {length}\r\n{headers}\r\n");
        // A server that refuses may close before it has read all.
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// Takes the signal, as the rotator does, once it is there.
    fn take(&self) -> Value {
        wait_until("a signal is left", || self.volume.file("rotate-now").exists());
        let signal = self.volume.json("rotate-now");
        std::fs::remove_file(self.volume.file("rotate-now")).unwrap();
        signal
    }
}

fn publish(volume: &Volume, lane: u8, account: &str) {
    let record = json!({"access_token": format!("at-{account}"), "account_id": account, "expires_at": 4_102_444_800_i64});
    volume.replace(&format!("lane-{lane}.json"), record.to_string());
}

fn refused(account: &str) -> Value {
    json!({"at": 1, "status": 429, "account_id": account, "token": fingerprint(&format!("at-{account}"))})
}

#[test]
fn a_signal_of_a_replica_is_left_for_the_rotator_as_it_is() {
    let receiver = Receiver::start();
    assert_eq!(receiver.post("/signal", &refused("ann"), "at-ann"), 202);
    assert_eq!(receiver.take(), refused("ann"));
}

#[test]
fn signals_about_several_accounts_wait_for_each_other() {
    let receiver = Receiver::start();
    assert_eq!(receiver.post("/signal", &refused("ann"), "at-ann"), 202);
    assert_eq!(receiver.post("/signal", &refused("ben"), "at-ben"), 202);
    assert_eq!([receiver.take(), receiver.take()], [refused("ann"), refused("ben")]);
}

#[test]
fn who_has_no_record_of_an_account_can_say_nothing_of_it() {
    let receiver = Receiver::start();
    assert_eq!(receiver.post("/signal", &refused("ben"), "at-ann"), 403);
    assert_eq!(receiver.post("/signal", &refused("cem"), "at-cem"), 403);
    assert_eq!(receiver.send("/signal", "", &refused("ann").to_string()), 403);
    assert_eq!(receiver.send("/signal", "codex-signature: x\r\n", &refused("ann").to_string()), 403);
    sleep(Duration::from_millis(100));
    assert!(!receiver.volume.file("rotate-now").exists());
    publish(&receiver.volume, 2, "cem");
    sleep(Duration::from_millis(200));
    assert_eq!(receiver.post("/signal", &refused("ben"), "at-ben"), 403, "it serves no longer");
    assert_eq!(receiver.post("/signal", &refused("cem"), "at-cem"), 202);
    assert_eq!(receiver.take(), refused("cem"));
}

#[test]
fn a_replica_that_complains_all_the_time_is_heard_once_in_a_second() {
    let receiver = Receiver::start();
    assert_eq!(receiver.post("/signal", &refused("ann"), "at-ann"), 202);
    assert_eq!(receiver.post("/signal", &refused("ann"), "at-ann"), 429);
    receiver.take();
    sleep(Duration::from_millis(1100));
    assert_eq!(receiver.post("/signal", &refused("ann"), "at-ann"), 202);
}

#[test]
fn what_is_too_large_or_no_signal_is_refused() {
    let receiver = Receiver::start();
    let mut large = refused("ann");
    large["message"] = "x".repeat(5000).into();
    assert_eq!(receiver.post("/signal", &large, "at-ann"), 413);
    assert_eq!(receiver.post("/signal", &json!([]), "at-ann"), 400);
    assert_eq!(receiver.post("/elsewhere", &refused("ann"), "at-ann"), 404);
    assert!(!receiver.volume.file("rotate-now").exists());
}

#[test]
fn the_heartbeat_of_a_replica_is_where_the_doctor_looks_for_one() {
    let receiver = Receiver::start();
    let heartbeat = json!({"at": 1, "pid": 1, "litellm": "1.109.1", "held": true, "worker": "1-a"});
    assert_eq!(receiver.post("/heartbeat", &heartbeat, "at-ben"), 202);
    assert_eq!(receiver.volume.json("callbacks.json")["heartbeats"][0]["litellm"], "1.109.1");
    assert_eq!(receiver.post("/heartbeat", &heartbeat, "at-cem"), 403);
}

#[test]
fn what_an_account_has_used_is_where_the_rotator_looks_and_only_its_record_can_say_it() {
    let receiver = Receiver::start();
    let reading = |account: &str| json!({"at": 1, "account_id": account, "headers": {"x-codex-primary-used-percent": "42"}});
    assert_eq!(receiver.post("/usage", &reading("ben"), "at-ann"), 403);
    assert_eq!(receiver.post("/usage", &reading("ann"), "at-ann"), 202);
    assert_eq!(receiver.post("/usage", &reading("ben"), "at-ben"), 202);
    let readings = receiver.volume.json("usage-replicas.json")["readings"].clone();
    let accounts: Vec<_> =
        readings.as_array().unwrap().iter().map(|reading| &reading["account_id"]).collect();
    assert_eq!(accounts, ["ben", "ann"]);
}

#[test]
fn what_agents_have_used_is_added_up_once_and_more_than_a_signal_may_hold() {
    let receiver = Receiver::start();
    let more = |worker: &str, number: u64| {
        let total =
            |agent: usize| json!({"agent": format!("agent-{agent}"), "account_id": "cem", "requests": 1});
        json!({"worker": worker, "number": number, "totals": (0..100).map(total).collect::<Vec<_>>()})
    };
    assert_eq!(receiver.post("/agents", &more("1-a", 1), "at-ann"), 202);
    assert_eq!(receiver.post("/agents", &more("1-a", 1), "at-ben"), 202);
    let requests = || receiver.volume.json("agents-replicas.json")["totals"][0]["requests"].clone();
    assert_eq!(requests(), 1);
    sleep(Duration::from_millis(1100));
    assert_eq!(receiver.post("/agents", &more("1-b", 1), "at-ann"), 202);
    assert_eq!(requests(), 2);
    assert_eq!(receiver.post("/agents", &more("1-b", 2), "at-cem"), 403);
    std::fs::rename(receiver.volume.file("agents-replicas.json"), receiver.volume.file("aside")).unwrap();
    std::fs::create_dir_all(receiver.volume.file("agents-replicas.json/x")).unwrap();
    sleep(Duration::from_millis(1100));
    assert_eq!(
        receiver.post("/agents", &more("1-b", 2), "at-ann"),
        503,
        "it cannot be written, and comes again"
    );
}

#[test]
fn without_its_directory_it_says_so() {
    let said = "signal-receiver: /nonexistent is not a directory: mount the volume there, or set CHATGPT_AUTH_DIR and \
                CHATGPT_LIVE_DIR\n";
    cargo_bin_cmd!("signal-receiver").args(["--live-dir", "/nonexistent"]).assert().code(78).stderr(said);
}
