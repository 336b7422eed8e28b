//! The pods that the chart renders, run by podman with the real LiteLLM and the real codex in them. Only the internet
//! is a stand-in, on each pod's loopback.

use std::fs;
use std::time::{Duration, Instant};

use fixture::{wait_until, wait_within};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use stand_in::{Behaviour, StandIn};
use support::litellm::LITELLM_START;
use support::podman::{podman, text_of};

use crate::cluster::{Cluster, Container, Network};
use crate::manifest::rendered_from;

const KEY: &str = "sk-installed-1f0c9b";
/// Where the pods find the stand-in.
const OPENAI: u16 = 9009;
const ACCOUNTS: [&str; 3] = ["ann@example.test", "ben@example.test", "cem@example.test"];

/// Who answers, in a reply of the stand-in's.
fn answer_of(email: &str) -> String {
    format!("Hello from {email} (acct-{})", email.split('@').next().unwrap())
}

/// A line of the transcript: `cargo test -p end-to-end --test installed pods -- --nocapture`.
fn tell(line: &str) {
    println!("pod: {line}");
}

/// The chart's values for a cluster without a registry and with a stand-in for the internet.
fn values(more: &str) -> String {
    format!(
        "imageRegistry: localhost
litellm:
  image: {{repository: localhost/codex-podkit-test/litellm, tag: 1.106.2, pullPolicy: Never}}
  extraEnv: [{{name: CHATGPT_API_BASE, value: 'http://127.0.0.1:{OPENAI}/backend-api/codex'}}]
  codexAuthRotator:
    extraEnv: [{{name: CODEX_REFRESH_TOKEN_URL_OVERRIDE, value: 'http://127.0.0.1:{OPENAI}/oauth/token'}}]
{more}"
    )
}

/// What an install applies, which the pod of `helm test` is not.
fn manifests(values: &str) -> String {
    let rendered = rendered_from("template", values);
    rendered.split_inclusive("---\n").filter(|manifest| !manifest.contains("helm.sh/hook: test")).collect()
}

fn notes(values: &str) -> String {
    rendered_from("notes", values)
}

/// The pod of the Deployment litellm, up and ready.
struct Gateway<'a> {
    litellm: Container,
    codex_cli: Container,
    rotator: Container,
    network: Network,
    cluster: &'a Cluster,
    openai: &'a StandIn,
}

impl<'a> Gateway<'a> {
    fn installed(cluster: &'a Cluster, openai: &'a StandIn, values: &str) -> Self {
        let started = Instant::now();
        cluster.play(&manifests(values));
        let [litellm, codex_cli, rotator] =
            ["litellm", "codex-cli", "rotator"].map(|name| Container::of("litellm", name));
        let network = Network::of(&codex_cli);
        network.reaches(openai, OPENAI);
        let gateway = Self { litellm, codex_cli, rotator, network, cluster, openai };
        let running = Instant::now();
        wait_within(LITELLM_START, "LiteLLM is ready", || gateway.get("/health/readiness") == 200);
        tell(&format!(
            "litellm is up: {:.1} s for the containers, of which podman 4.3 waits 20 for nothing, {:.1} s for LiteLLM",
            (running - started).as_secs_f32(),
            running.elapsed().as_secs_f32(),
        ));
        gateway
    }

    fn get(&self, path: &str) -> u16 {
        self.network.inside(|| {
            let response = ureq::get(format!("http://127.0.0.1:4000{path}")).call();
            response.map_or(0, |response| response.status().as_u16())
        })
    }

    /// Asks LiteLLM as an agent does; the status and the whole answer.
    fn ask(&self) -> (u16, String) {
        let question =
            json!({"model": "gpt-5.6-sol", "input": [{"role": "user", "content": "Who are you?"}]});
        self.network.inside(|| {
            let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
            let request = agent.post("http://127.0.0.1:4000/v1/responses");
            let mut answer =
                request.header("Authorization", format!("Bearer {KEY}")).send_json(&question).unwrap();
            (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
        })
    }

    /// `kubectl exec … -c codex-cli -- auth-login N`, the ceremony included.
    fn sign_in(&self, slot: usize, email: &str, command: &str) {
        self.openai.approve_next(email);
        let issuer = format!("http://127.0.0.1:{OPENAI}");
        let login =
            self.codex_cli.exec(&[command, &slot.to_string(), "--", "--experimental_issuer", &issuer]);
        let said = text_of(&login);
        let result = said.lines().last().unwrap_or_default();
        tell(&format!("codex-cli -- {command} {slot}: {result}"));
        assert!(result.starts_with(&format!("account-{slot}: signed in as {email} (")), "{said}");
    }

    /// How often the rotator said so.
    fn rotated(&self, words: &str) -> usize {
        self.rotator.log().lines().filter(|line| line.contains(words)).count()
    }

    /// `accounts --json`, as an operator's script reads it.
    fn accounts(&self) -> Vec<Value> {
        let list = self.codex_cli.exec(&["accounts", "--json"]);
        let list: Value = serde_json::from_str(&text_of(&list)).unwrap();
        list["accounts"].as_array().unwrap().clone()
    }

    /// The slot of the account that serves.
    fn active(&self) -> Value {
        let accounts = self.accounts();
        let active = accounts.iter().find(|account| account["state"] == "active");
        active.map(|account| account["slot"].clone()).unwrap_or_default()
    }

    /// Has the rotator move on, as an operator does from the pod, where no shell is.
    fn move_on_to(&self, slot: usize) {
        let log = self.rotated(&format!("active account-{slot} ("));
        let touch = podman(["exec", self.litellm.name(), "touch", "/chatgpt-live/rotate-now"]).output();
        let _ = text_of(&touch.unwrap());
        wait_until("the rotator moved on", || self.rotated(&format!("active account-{slot} (")) > log);
    }
}

/// An agent beside a LiteLLM that is there, and more of what is to be said of it.
fn agents_values(more: &str) -> String {
    format!(
        "{{litellm: {{enabled: false}}, imageRegistry: localhost, \
         agents: {{ann: {{baseUrl: 'http://127.0.0.1:4000/v1', {more}}}}}}}"
    )
}

/// The agent's pod. Instead of a cluster's Service there is a port on its loopback that leads to LiteLLM.
fn agent(gateway: &Gateway<'_>, more: &str) -> Container {
    gateway.cluster.play(&manifests(&agents_values(more)));
    let agent = Container::of("agent-ann", "agent");
    Network::of(&agent).leads_to(&gateway.network, 4000);
    agent
}

fn ends_at_sigterm(container: &Container) -> Duration {
    let pid = container.pid();
    let told = Instant::now();
    kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
    wait_until("it has ended", || !fs::exists(format!("/proc/{pid}")).unwrap());
    told.elapsed()
}

/// What only its owner may do: nothing here is root, writes beside its mounts, or could gain a right.
fn holds_nothing(container: &Container, mounts: &[&str]) {
    let name = container.name();
    assert_eq!(container.status("Uid"), ["65532"; 4], "{name}");
    assert_eq!(container.status("Gid"), ["65532"; 4], "{name}");
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(container.status(set), ["0000000000000000"], "{name}: {set}");
    }
    assert_eq!(container.status("NoNewPrivs"), ["1"], "{name}");
    assert_eq!(container.status("Seccomp"), ["2"], "{name}: a filter");

    // What podman itself makes for a container: mount points, and names of its user.
    let of_podman = ["/etc", "/etc/passwd", "/etc/group", "/run", "/home"];
    let diff = podman(["diff", name]).output().unwrap();
    let changed = text_of(&diff);
    let foreign: Vec<_> = changed
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(_, path)| path)
        .filter(|path| !of_podman.contains(path) && !mounts.iter().any(|mount| path.starts_with(mount)))
        .collect();
    assert!(foreign.is_empty(), "{name} wrote {foreign:?}");

    let mounted = fs::read_to_string(format!("/proc/{}/mounts", container.pid())).unwrap();
    let root = mounted.lines().find(|line| line.split(' ').nth(1) == Some("/")).unwrap();
    assert!(root.split(' ').nth(3).unwrap().split(',').any(|option| option == "ro"), "{name}: {root}");
}

/// Every token in a file or an environment that LiteLLM's own user can read there; each of the stand-in's is one of
/// these two.
const TOKENS: &str = r"
import os, re
token = re.compile(rb'rt-stand-in-[\w-]+|eyJ[\w-]+\.[\w-]+\.[\w-]*')
found = {}
for top, folders, files in os.walk('/'):
    folders[:] = [f for f in folders if os.path.join(top, f) not in ('/proc', '/sys', '/usr', '/lib')]
    for file in files:
        path = os.path.join(top, file)
        try:
            if os.path.isfile(path):
                for one in token.findall(open(path, 'rb').read()):
                    found[one] = path
        except OSError:
            pass
for process in filter(str.isdigit, os.listdir('/proc')):
    try:
        for one in token.findall(open(f'/proc/{process}/environ', 'rb').read()):
            found[one] = process
    except OSError:
        pass
for one, path in found.items():
    print(path, one.decode())
";

#[test]
fn the_logins_on_a_claim_serve_agents_and_outlive_the_pod() {
    let (cluster, openai) = (Cluster::new(), StandIn::start());
    // A key out of a file tends to end in a line end.
    let with_line_end = format!("{KEY}\r\n");
    cluster.secret("litellm-keys", &[("LITELLM_MASTER_KEY", KEY)]);
    cluster.secret("agent-ann-litellm-key", &[("LITELLM_API_KEY", &with_line_end)]);
    // This podman mounts no Secret that is not there, optional or not.
    cluster.secret("litellm-agent-keys", &[]);
    let values = values("  chatgptAuth: {persistence: {enabled: true}}\n");
    assert!(!notes(&values).contains("WARNING"), "{}", notes(&values));

    let pod = Gateway::installed(&cluster, &openai, &values);
    let init = Container::of("litellm", "published-record").log();
    assert!(init.contains("published a placeholder, so that LiteLLM can start"), "{init}");
    for container in [&pod.litellm, &pod.codex_cli, &pod.rotator] {
        assert_eq!(
            container.inspect("{{.State.Status}} {{.RestartCount}}"),
            "running 0",
            "{}",
            container.name()
        );
    }
    assert_eq!(pod.get("/health/liveliness"), 200, "LiteLLM lives without any account");
    assert_eq!(pod.ask().0, 401, "and says at once that it has none");

    // The test plan of the change that this replaces: sign in to 1, then 2 and 3; see them cycle.
    pod.sign_in(1, ACCOUNTS[0], "auth-login");
    wait_until("account-1 is active", || pod.rotated("active account-1 (") > 0);
    pod.sign_in(2, ACCOUNTS[1], "auth-login");
    pod.sign_in(3, ACCOUNTS[2], "/scripts/auth-login.sh");
    for (slot, email) in [(2, ACCOUNTS[1]), (3, ACCOUNTS[2]), (1, ACCOUNTS[0])] {
        pod.move_on_to(slot);
        assert_eq!(pod.active(), slot);
        let (status, answer) = pod.ask();
        assert!(status == 200 && answer.contains(&answer_of(email)), "{status} {answer}");
        tell(&format!("rotator: active account-{slot}; LiteLLM: {}", answer_of(email)));
    }

    wait_until("LiteLLM has shown that it holds the callback", || {
        pod.codex_cli.exec(&["accounts", "doctor"]).status.success()
    });
    let doctor = text_of(&pod.codex_cli.exec(&["accounts", "doctor"]));
    assert!(doctor.contains("LiteLLM 1.106.2 holds the callback"), "{doctor}");
    tell("codex-cli -- accounts doctor: nothing to do");

    // An agent's first boot: its command is codex itself, and the answer is in its log.
    let command =
        "command: [sh, -c, 'codex exec --skip-git-repo-check \"Who are you?\" </dev/null && exec idle']";
    let ann = agent(&pod, command);
    wait_until("the agent has its answer", || ann.log().contains(&answer_of(ACCOUNTS[0])));
    tell(&format!("agent: {}", answer_of(ACCOUNTS[0])));

    // The account in use hits its cap, and the agent does not see it.
    openai.set(ACCOUNTS[0], Behaviour::Capped);
    let asked = ann.exec(&["agent-entrypoint", "codex", "exec", "--skip-git-repo-check", "Who are you?"]);
    let answer = text_of(&asked);
    assert!(answer.contains(&answer_of(ACCOUNTS[1])), "{answer}");
    let shown = String::from_utf8_lossy(&asked.stderr).to_lowercase();
    assert!(!shown.contains("reconnecting") && !shown.contains("error"), "{shown}");
    wait_until("the rotator says why", || pod.rotated("account-1 capped until ") == 1);
    tell(&format!("agent, while account-1 is refused: {}", answer.trim()));

    // Who may what.
    holds_nothing(&pod.litellm, &["/chatgpt-live", "/etc/litellm", "/tmp"]);
    holds_nothing(&pod.codex_cli, &["/chatgpt-auth", "/chatgpt-live", "/tmp"]);
    holds_nothing(&pod.rotator, &["/chatgpt-auth", "/chatgpt-live"]);
    holds_nothing(&ann, &["/home/agent", "/tmp"]);
    let record = pod.litellm.exec(&["cat", "/chatgpt-live/auth.json"]);
    let record: Value = serde_json::from_str(&text_of(&record)).unwrap();
    let tokens = text_of(&pod.litellm.exec(&["python3", "-c", TOKENS]));
    for line in tokens.lines() {
        let (path, token) = line.split_once(' ').unwrap();
        assert_eq!(path, "/chatgpt-live/auth.json", "LiteLLM can read a token");
        assert!([&record["access_token"], &record["id_token"]].iter().any(|known| *known == token), "{line}");
    }
    assert!(
        tokens.contains(record["access_token"].as_str().unwrap()),
        "the search finds what is there: {tokens}"
    );
    tell(&format!(
        "tokens that LiteLLM can read: {} of the published record, no other",
        tokens.lines().count()
    ));

    // The pod is deleted and comes back; nobody signs in.
    cluster.delete(&manifests(&agents_values(command)));
    cluster.delete(&manifests(&values));
    let pod = Gateway::installed(&cluster, &openai, &values);
    wait_until("an account is active again", || pod.rotated("active account-") > 0);
    let (status, answer) = pod.ask();
    assert!(status == 200 && answer.contains("Hello from "), "{status} {answer}");
    let slots: Vec<_> = pod.accounts().iter().map(|account| account["slot"].clone()).collect();
    assert_eq!(slots, [1, 2, 3]);
    tell("the pod was deleted and came back: all three logins are there");

    // Told to stop, each is gone in under a second. A machine that is busy for a moment is no fault of theirs, so the
    // best of three counts.
    for container in [&pod.rotator, &pod.codex_cli, &pod.litellm] {
        let mut best = Duration::MAX;
        for _ in 0..3 {
            best = best.min(ends_at_sigterm(container));
            if best < Duration::from_secs(1) {
                break;
            }
            wait_until("podman restarted it", || container.inspect("{{.State.Status}}") == "running");
            wait_within(LITELLM_START, "LiteLLM is ready", || pod.get("/health/readiness") == 200);
        }
        tell(&format!("{} ended {} ms after SIGTERM", container.name(), best.as_millis()));
        assert!(best < Duration::from_secs(1), "{} took {best:?}", container.name());
    }
}

#[test]
fn without_a_claim_the_logins_die_with_the_pod_as_the_notes_warn() {
    let (cluster, openai) = (Cluster::new(), StandIn::start());
    cluster.secret("litellm-keys", &[("LITELLM_MASTER_KEY", KEY)]);
    cluster.secret("litellm-agent-keys", &[]);
    let values = values("");
    assert!(notes(&values).contains("WARNING: the logins are lost with the pod."));

    let pod = Gateway::installed(&cluster, &openai, &values);
    pod.sign_in(1, ACCOUNTS[0], "auth-login");
    wait_until("account-1 is active", || pod.rotated("active account-1 (") > 0);
    assert_eq!(pod.ask().0, 200);

    // With a key in no Secret, and while nobody is signed in anywhere, an agent boots all the same.
    cluster.delete(&manifests(&values));
    let pod = Gateway::installed(&cluster, &openai, &values);
    wait_until("the rotator misses them", || pod.rotated("no usable account: ") > 0);
    assert_eq!(pod.ask().0, 401);
    tell("the pod was deleted and came back: the logins are gone, as the notes warned");
    let ann = agent(&pod, "");
    wait_until("the agent has booted", || ann.log().contains("LITELLM_API_KEY is not set"));
    assert_eq!(ann.inspect("{{.State.Status}} {{.RestartCount}}"), "running 0");
    let config = text_of(&ann.exec(&["cat", "/home/agent/.codex/config.toml"]));
    assert!(config.contains("model_provider = \"litellm\""), "{config}");
    tell(&format!("agent without a key: {}", ann.log().trim()));
    assert!(ends_at_sigterm(&ann) < Duration::from_secs(1));
}
