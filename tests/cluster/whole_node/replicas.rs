//! From one pod to several replicas and back, with agents at work, and all that can happen in between.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};
use std::{env, fs};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use fixture::workspace::repository;
use fixture::{ANN, BEN, CEM, DAN, EVE};
use serde_json::{Value, json};
use stand_in::{Behaviour, OauthFault};
use support::podman::text_of;

use super::Stopped;
use crate::installed::Namespace;
use crate::load::Load;
use crate::node::{self, wait_until};
use crate::shell::Shell;

/// What all refresh tokens of the stand-in begin with.
const REFRESH_TOKEN: &str = "rt-stand-in-";

/// How long after a replica was killed a connection may still be sent to it.
const NOTICED: Duration = Duration::from_secs(15);

/// How many turns agents are answered at least, in all, and how long the issuer is away; and with `REPLICAS_IN_FULL=1`.
const SHORT: (usize, Duration) = (2_000, Duration::ZERO);
const FULL: (usize, Duration) = (10_000, Duration::from_mins(10));

impl<Node> Namespace<Node> {
    /// The accounts in the lanes, as the Secret has them.
    pub(crate) fn lanes(&self) -> Vec<String> {
        let secret: Value =
            serde_json::from_str(&self.says(&["get", "secret", "codex-lanes", "--output", "json"])).unwrap();
        let records = secret["data"].as_object().into_iter().flatten().map(|(_, record)| decoded(record));
        let account = |record: String| {
            let record: Value = serde_json::from_str(&record).unwrap();
            record["account_id"].as_str().unwrap().to_owned()
        };
        records.map(account).collect()
    }

    /// Waits until no lane in the Secret has the account that was just capped.
    fn moves_on_from(&self, email: &str) {
        let began = Instant::now();
        wait_until("its lane has another account", || !self.lanes().contains(&account_of(email)));
        println!(
            "{email} was capped, and {:.1} s later its lane had another one",
            began.elapsed().as_secs_f32()
        );
    }

    /// Ends every program of a pod at once, as if its node had failed.
    fn kills(&self, pod: &str) {
        let path = "jsonpath={.status.containerStatuses[*].containerID}";
        for id in self.says(&["get", "pod", pod, "--output", path]).split_whitespace() {
            let _ = node::signal_container(id, "SIGKILL");
        }
    }

    /// The owner's pod is killed while it waits for the issuer's answer to a refresh of this account.
    fn kills_the_owner_in_a_refresh(&self, slot: u32) {
        let asked = || self.requests_to("/oauth/token").len();
        let before = asked();
        self.oauth_fault(OauthFault::DelayMs(20_000));
        let mut refresh = self.kubectl(&["exec", "codex-accounts-0", "--container", "codex-cli", "--"]);
        refresh.args(["accounts", "refresh", &slot.to_string(), "--yes"]);
        let mut refresh = refresh.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_until("the issuer is asked", || asked() > before);
        self.kills("codex-accounts-0");
        self.oauth_fault(OauthFault::None);
        let _ = refresh.wait().unwrap();
        self.is_rolled_out();
    }

    /// Kubernetes' API is away for a minute, and this happens meanwhile.
    fn is_without_the_api(&self, happens: impl FnOnce()) {
        {
            let _api = Stopped::new(node::process("kube-apiserver"));
            happens();
            thread::sleep(Duration::from_mins(1));
        }
        wait_until("the API answers again", || {
            self.kubectl(&["get", "--raw", "/readyz"]).output().unwrap().status.success()
        });
    }

    /// The claim is restored from what it was before, and the operator sees to it.
    fn is_restored_from(&self, snapshot: &Path) {
        let volume = self.volume("litellm-chatgpt-auth");
        self.says(&["scale", "statefulset/codex-accounts", "--replicas", "0"]);
        self.says(&["wait", "--for=delete", "pod/codex-accounts-0", "--timeout", "2m"]);
        for entry in fs::read_dir(&volume).unwrap() {
            let path = entry.unwrap().path();
            let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        }
        copy(snapshot, &volume);
        self.says(&["scale", "statefulset/codex-accounts", "--replicas", "1"]);
        self.is_rolled_out();
        wait_until("lane-mirror stops", || self.mirror_says("was the volume restored from a backup?"));
        let refused = self.operator(&["accounts", "refresh", "1", "--yes"]);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(said.contains("account-1 not refreshed: the volume was restored from a backup"), "{said}");
        self.sign_in(1, ANN);
        let take_over = ["--container", "lane-mirror", "--", "lane-mirror", "--take-over"];
        self.says(&[&["exec", "codex-accounts-0"], &take_over[..]].concat());
    }

    /// What the operator's `accounts` shows.
    fn accounts(&self) -> String {
        String::from_utf8_lossy(&self.operator(&["accounts"]).stdout).into_owned()
    }

    fn mirror_says(&self, words: &str) -> bool {
        self.says(&["logs", "codex-accounts-0", "--container", "lane-mirror"]).contains(words)
    }
}

/// Whose account of the stand-in's it is.
pub(super) fn email_of(account: &str) -> String {
    format!("{}@example.test", account.strip_prefix("acct-").unwrap())
}

fn account_of(email: &str) -> String {
    format!("acct-{}", email.strip_suffix("@example.test").unwrap())
}

fn decoded(value: &Value) -> String {
    String::from_utf8(BASE64_STANDARD.decode(value.as_str().unwrap()).unwrap()).unwrap()
}

/// Every string of a document, and what it holds if it is base64.
fn strings(value: &Value, found: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => {
            found(text);
            if let Ok(Ok(inner)) = BASE64_STANDARD.decode(text).map(String::from_utf8) {
                found(&inner);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| strings(item, found)),
        Value::Object(members) => members.values().for_each(|member| strings(member, found)),
        _ => {}
    }
}

/// How many strings of these documents were searched; none may have a refresh token.
fn without_refresh_tokens(documents: impl IntoIterator<Item = Value>) -> usize {
    let mut searched = 0;
    for document in documents {
        strings(&document, &mut |text| {
            searched += 1;
            assert!(!text.contains(REFRESH_TOKEN), "{text}");
        });
    }
    searched
}

/// Every object in Kubernetes' API.
fn all_objects() -> Vec<Value> {
    let kinds =
        text_of(&node::kubectl(["api-resources", "--verbs", "list", "--output", "name"]).output().unwrap());
    let kinds: BTreeSet<_> = kinds.lines().collect();
    let list = |kind: &&str| {
        let args = ["get", kind, "--all-namespaces", "--output", "json"];
        serde_json::from_slice(&node::kubectl(args).output().unwrap().stdout).unwrap()
    };
    kinds.iter().map(list).collect()
}

/// Every request that has changed something, since the cluster was started.
fn audited() -> Vec<Value> {
    let log = fs::read_to_string(repository().join("target/cluster/log/audit")).unwrap();
    log.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn copy(from: &Path, to: &Path) {
    let copied = std::process::Command::new("cp").arg("--archive").arg(from.join(".")).arg(to).status();
    assert!(copied.unwrap().success());
}

#[test]
fn one_pod_becomes_three_replicas_which_outlive_everything_and_become_one_again() {
    let (turns, away) = if env::var_os("REPLICAS_IN_FULL").is_some() { FULL } else { SHORT };
    let cluster = Namespace::on(node::alone(), "replicas");
    let shell = Shell::of(&cluster);
    shell.types("agent-keys.md", "Add an agent");
    cluster.install(&json!({
        "litellm": {"chatgptAuth": {"persistence": {"enabled": true}}},
        "agents": {"ann": {}},
    }));
    cluster.put_logins([ANN, BEN, CEM, DAN, EVE]);
    cluster.is_answered_by(ANN);
    let agents = Load::on(&cluster);
    agents.goes_on(200);

    println!("{}", shell.types("scale.md", "From one pod to several"));
    assert_eq!(cluster.lanes().len(), 3);
    agents.goes_on(200);
    let snapshot = tempfile::tempdir().unwrap();
    copy(&cluster.volume("litellm-chatgpt-auth"), snapshot.path());

    let capped = email_of(cluster.lanes().last().unwrap());
    cluster.set(&capped, Behaviour::Capped);
    cluster.moves_on_from(&capped);
    agents.goes_on(200);

    let killed = Instant::now();
    cluster.signal_litellm("SIGKILL");
    agents.goes_on(200);
    cluster.is_rolled_out();

    cluster.kills_the_owner_in_a_refresh(1);
    agents.goes_on(200);
    println!("{}", cluster.accounts());

    let also_capped = email_of(cluster.lanes().last().unwrap());
    cluster.is_without_the_api(|| cluster.set(&also_capped, Behaviour::Capped));
    cluster.moves_on_from(&also_capped);
    agents.goes_on(200);

    // An issuer that answers nothing good.
    cluster.oauth_fault(OauthFault::Status(503));
    let refused = cluster.operator(&["accounts", "refresh", "2", "--yes"]);
    assert!(!refused.status.success());
    thread::sleep(away);
    agents.goes_on(200);
    cluster.oauth_fault(OauthFault::None);
    for email in [&capped, &also_capped] {
        cluster.set(email, Behaviour::Ok);
    }

    cluster.is_restored_from(snapshot.path());
    agents.goes_on(200);
    assert!(cluster.ask("ann").starts_with("Hello from "));

    while agents.answered() < turns {
        agents.goes_on(100);
    }
    println!("{}", shell.types("scale.md", "Back to one pod"));
    agents.goes_on(200);

    let work = agents.ends();
    let at = |part: usize| work.took[work.took.len() * part / 100];
    println!(
        "{} turns answered, {} failed, {} connections broke; median {:?}, 99 % {:?}",
        work.took.len(),
        work.failed.len(),
        work.broken.len(),
        at(50),
        at(99)
    );
    assert_eq!(work.failed, [""; 0]);
    let is_of_the_kill = |at: &&Instant| (killed..killed + NOTICED).contains(*at);
    assert_eq!(
        work.broken.iter().filter(|at| !is_of_the_kill(at)).count(),
        0,
        "killed at {killed:?}: {:?}",
        work.broken
    );
    let sent_twice = cluster.requests_to("/oauth/token").iter().filter(|it| it.sent_before > Some(0)).count();
    assert_eq!(sent_twice, 0);
    let (objects, requests) = (without_refresh_tokens(all_objects()), without_refresh_tokens(audited()));
    println!(
        "no refresh token in {objects} strings of all objects, nor in {requests} of all requests that changed one"
    );
}
