//! LiteLLM in pods of their own: each has the records of the lanes as the kubelet mounts a Secret, late and read-only, and
//! signals over HTTP.

use std::cell::Cell;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use fixture::{ANN, BEN, CEM, DAN, Running, wait_until, wait_within};
use serde_json::Value;
use stand_in::Behaviour;
use support::litellm::{LiteLlm, VERSIONS};
use support::pod::Pod;
use tempfile::TempDir;

/// The mount of the Secret in a replica, whose files are links, as the kubelet makes them.
struct Mount(TempDir);

impl Mount {
    fn of(pod: &Pod) -> Self {
        let mount = Self(tempfile::tempdir().unwrap());
        mount.update(pod);
        for name in ["auth.json", "lane-1.json", "lane-2.json", "lane-3.json"] {
            symlink(format!("..data/{name}"), mount.0.path().join(name)).unwrap();
        }
        mount
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Brings what is in the lanes now, all at once.
    fn update(&self, pod: &Pod) {
        let next = tempfile::Builder::new().prefix("..").tempdir_in(self.path()).unwrap().keep();
        for lane in 1..=3 {
            let name = format!("lane-{lane}.json");
            let mut record = pod.json(&name);
            record.as_object_mut().unwrap().remove("id_token");
            fs::write(next.join(&name), record.to_string()).unwrap();
        }
        fs::copy(next.join("lane-1.json"), next.join("auth.json")).unwrap();
        let link = self.path().join("..data_tmp");
        symlink(next.file_name().unwrap(), &link).unwrap();
        fs::rename(link, self.path().join("..data")).unwrap();
    }

    /// All that is in it, by name.
    fn names(&self) -> Vec<String> {
        fixture::names(self.path()).into_iter().filter(|name| !name.starts_with("..")).collect()
    }
}

/// The program that takes the signals, and where.
fn signal_receiver(pod: &Pod) -> (Running, String) {
    let mut command = pod.command("signal-receiver");
    command.args(["--listen", "127.0.0.1:0", "--live-dir"]).arg(pod.path());
    let mut process = Running(command.stderr(Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(process.0.stderr.take().unwrap()).read_line(&mut line).unwrap();
    let url = line.trim().strip_prefix("signal-receiver: listening on ").unwrap().to_owned();
    (process, url)
}

fn who_is_in(pod: &Pod, lane: u8) -> Value {
    pod.json(&format!("lane-{lane}.json"))["account_id"].clone()
}

/// How often an account was asked since the requests before.
fn asked(pod: &Pod, account: &str, before: usize) -> usize {
    let requests = pod.openai.requests();
    requests[before..].iter().filter(|request| request.account_id.as_deref() == Some(account)).count()
}

fn a_cap_costs_no_answer_on_any_replica(version: &str) {
    let pod = Pod::new();
    for (slot, email) in (1..).zip([ANN, BEN, CEM, DAN]) {
        pod.put_login(slot, email);
    }
    let _sidecar = pod.sidecar_with(&[("CODEX_LANES", "3")]);
    wait_until("the lanes have accounts", || pod.names().contains(&"lane-3.json".to_owned()));
    let (_receiver, url) = signal_receiver(&pod);
    let mounts = [Mount::of(&pod), Mount::of(&pod)];
    let replicas =
        mounts.each_ref().map(|mount| LiteLlm::start_as_replica(version, mount.path(), &pod, 3, &url));
    let served = Cell::new(0);
    let all_are_served = || {
        for number in 0..8 {
            for replica in &replicas {
                let answer = replica.answer_in(&format!("session-{number}"), number % 2 == 0);
                assert_eq!(answer.status, 200, "{}", answer.body);
                served.set(served.get() + 1);
            }
        }
    };
    all_are_served();
    wait_until("the doctor finds the heartbeats of both", || {
        let heartbeats = pod.json_or_null("callbacks.json")["heartbeats"].clone();
        heartbeats.as_array().is_some_and(|all| all.len() == 2 && all.iter().all(|beat| beat["held"] == true))
    });
    wait_until("the owner knows what the accounts have used", || {
        let accounts = looked(&pod)["accounts"].clone();
        let used = accounts.as_array().unwrap().iter().filter(|account| account["usage"].is_object());
        used.count() == 3
    });

    pod.openai.set(BEN, Behaviour::Capped);
    let before = pod.openai.requests().len();
    all_are_served();
    wait_until("the signal has arrived", || who_is_in(&pod, 2) == "acct-dan");
    all_are_served();
    assert!(asked(&pod, "acct-ben", before) <= 2, "each replica asks it once, though it is still mounted");
    assert_eq!(asked(&pod, "acct-dan", before), 0, "it is not mounted yet");

    for mount in &mounts {
        mount.update(&pod);
    }
    all_are_served();
    assert!(asked(&pod, "acct-dan", before) > 0, "the lane has it now");
    for mount in &mounts {
        assert_eq!(
            mount.names(),
            ["auth.json", "lane-1.json", "lane-2.json", "lane-3.json"],
            "nothing is left there"
        );
    }
    // Each replica sends it when something was used, and then each minute.
    wait_within(Duration::from_secs(100), "what was used is counted, and once", || {
        let agents = looked(&pod)["agents"].clone();
        let requests = agents.as_array().unwrap().iter().map(|row| row["requests"].as_u64().unwrap());
        requests.sum::<u64>() == served.get()
    });
}

/// What a script sees of the accounts.
fn looked(pod: &Pod) -> Value {
    serde_json::from_slice(&pod.command("accounts").arg("--json").output().unwrap().stdout).unwrap()
}

#[test]
fn a_cap_costs_no_answer_on_any_replica_with_1_109_1() {
    a_cap_costs_no_answer_on_any_replica(VERSIONS[1]);
}

#[test]
fn a_cap_costs_no_answer_on_any_replica_with_1_110_2() {
    a_cap_costs_no_answer_on_any_replica(VERSIONS[2]);
}
