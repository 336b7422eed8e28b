//! The chart, installed by Helm into a namespace of its own.

use std::io::Write as _;
use std::net::TcpListener;
use std::ops::Deref;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::RwLockReadGuard;
use std::time::Duration;
use std::{fs, thread};

use fixture::workspace::{repository, tool};
use rexpect::session::{PtySession, spawn_command};
use serde_json::{Value, json};
use stand_in::StandIn;
use support::podman::text_of;

use crate::node::{self, LOOPBACK, inside, kubectl, wait_until};

/// LiteLLM's master key.
pub(crate) const KEY: &str = "sk-cluster-5e2d7a";

/// How long a person at a terminal waits for a line, in milliseconds.
const PATIENCE: u64 = 120_000;

/// A Kubernetes namespace with OpenAI's stand-in in reach of its pods; it goes with the test unless that fails.
pub(crate) struct Namespace<Node = RwLockReadGuard<'static, ()>> {
    name: String,
    openai: StandIn,
    /// Where pods find the stand-in.
    url: String,
    _node: Node,
}

impl Namespace {
    /// One in which the keys are, and nothing else.
    pub(crate) fn new(name: &str) -> Self {
        Self::on(node::shared(), name)
    }
}

impl<Node> Namespace<Node> {
    /// The same, with the node in this way.
    pub(crate) fn on(node: Node, name: &str) -> Self {
        let openai = StandIn::start();
        let listener = inside(|| TcpListener::bind("127.0.0.1:0").unwrap());
        let url = format!("http://{LOOPBACK}:{}", listener.local_addr().unwrap().port());
        openai.serve_also_on(listener);
        // Of a run before that failed.
        let _ = kubectl(["delete", "namespace", name, "--ignore-not-found"]).output().unwrap();
        let _ = text_of(&kubectl(["create", "namespace", name]).output().unwrap());
        let namespace = Self { name: name.to_owned(), openai, url, _node: node };
        let master = format!("--from-literal=LITELLM_MASTER_KEY={KEY}");
        namespace.says(&["create", "secret", "generic", "litellm-keys", &master]);
        namespace
    }

    /// The chart's values for a cluster without a registry and with a stand-in for the internet, and more of them.
    fn values(&self, more: &Value) -> Value {
        let mut values = json!({
            "imageRegistry": "localhost",
            "litellm": {
                "image": {"repository": "localhost/codex-podkit-test/litellm", "tag": "1.106.2"},
                "extraEnv": [{"name": "CHATGPT_API_BASE", "value": format!("{}/backend-api/codex", self.url)}],
                "codexAuthRotator": {"extraEnv": [
                    {"name": "CODEX_REFRESH_TOKEN_URL_OVERRIDE", "value": format!("{}/oauth/token", self.url)},
                ]},
            },
        });
        merge(&mut values, more);
        values
    }

    /// What Helm says to one of its verbs, whatever it comes to.
    pub(crate) fn helm(&self, verb: &str, arguments: &[&str]) -> Output {
        let (python, helm) = (tool("chart/bin/python"), repository().join("tests/tools/release.py"));
        node::run([python.to_str().unwrap(), helm.to_str().unwrap(), verb])
            .args(arguments)
            .env("NAMESPACE", &self.name)
            .output()
            .unwrap()
    }

    /// `helm install` or `helm upgrade` with these values, whatever becomes of the pods; its notes.
    pub(crate) fn release(&self, verb: &str, values: &Value) -> String {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("values.yaml");
        fs::write(&file, self.values(values).to_string()).unwrap();
        let chart = repository().join("charts/codex-podkit");
        text_of(&self.helm(verb, &[chart.to_str().unwrap(), file.to_str().unwrap()]))
    }

    /// `helm install`, until every pod is there.
    pub(crate) fn install(&self, values: &Value) -> String {
        let notes = self.release("install", values);
        self.is_rolled_out();
        notes
    }

    /// `helm install` where each of these has a login from the first slot on, until every pod is there. LiteLLM's replicas
    /// start once there are records to follow.
    pub(crate) fn install_with_followers(&self, values: &Value, emails: impl IntoIterator<Item: AsRef<str>>) {
        let _ = self.release("install", values);
        self.has_pods("statefulset/codex-accounts");
        self.put_logins(emails);
        self.is_rolled_out();
    }

    /// `helm upgrade`, until every pod is there.
    pub(crate) fn upgrade(&self, values: &Value) -> String {
        let notes = self.release("upgrade", values);
        self.is_rolled_out();
        notes
    }

    /// Waits until every Deployment and `StatefulSet` has the pods that it should have.
    pub(crate) fn is_rolled_out(&self) {
        for workload in self.says(&["get", "deployments,statefulsets", "--output", "name"]).lines() {
            self.has_pods(workload);
        }
    }

    /// Waits until a Deployment or a `StatefulSet` has the pods that it should have.
    fn has_pods(&self, workload: &str) {
        self.says(&["rollout", "status", workload, "--timeout", "180s"]);
    }

    /// `kubectl` in this namespace.
    pub(crate) fn kubectl(&self, args: &[&str]) -> Command {
        kubectl(["--namespace", &self.name].into_iter().chain(args.iter().copied()))
    }

    /// What `kubectl` says; it must succeed.
    pub(crate) fn says(&self, args: &[&str]) -> String {
        text_of(&self.kubectl(args).output().unwrap())
    }

    /// What `kubectl` says, given something on standard input.
    pub(crate) fn fed(&self, args: &[&str], input: &str) -> Output {
        let mut kubectl = self.kubectl(args);
        kubectl.args(["--filename", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut kubectl = kubectl.spawn().unwrap();
        kubectl.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        kubectl.wait_with_output().unwrap()
    }

    /// `kubectl apply`.
    pub(crate) fn apply(&self, manifests: &str) {
        let _ = text_of(&self.fed(&["apply"], manifests));
    }

    /// `kubectl exec` into the container where the operator works.
    pub(crate) fn operator(&self, command: &[&str]) -> Output {
        let mut exec = self.kubectl(&["exec", &self.owner(), "--container", "codex-cli", "--"]);
        exec.args(command).output().unwrap()
    }

    /// The pod with the logins, which is LiteLLM's if that has one pod only.
    pub(crate) fn owner(&self) -> String {
        let owner = ["get", "statefulset/codex-accounts", "--ignore-not-found", "--output", "name"];
        let owner = self.says(&owner);
        if owner.is_empty() { "deploy/litellm".to_owned() } else { owner.trim().to_owned() }
    }

    /// A command on a terminal in one of the pods.
    pub(crate) fn terminal(&self, container: &[&str], command: &[&str]) -> PtySession {
        let mut exec = self.kubectl(&["exec", "--stdin", "--tty"]);
        exec.args(container).arg("--").args(command);
        spawn_command(exec, Some(PATIENCE)).unwrap()
    }

    /// `kubectl codex login N`, up to where the person opens a browser.
    pub(crate) fn login(&self, slot: u32) -> PtySession {
        let plugin = repository().join("scripts/kubectl-codex");
        let mut login = node::run([plugin.to_str().unwrap(), "--namespace", &self.name, "login"]);
        login.args([&slot.to_string(), "--", "--experimental_issuer", &self.url]);
        let mut terminal = spawn_command(login, Some(PATIENCE)).unwrap();
        terminal.exp_string("one-time code").unwrap();
        terminal
    }

    /// Signs an account in, at a terminal and in a browser, and waits for the rotator to see it.
    pub(crate) fn sign_in(&self, slot: u32, email: &str) {
        self.sign_in_unseen(slot, email);
        wait_until("the rotator has seen it", || self.rotator_says("active account-"));
    }

    /// The same where no rotator is.
    pub(crate) fn sign_in_unseen(&self, slot: u32, email: &str) {
        let mut terminal = self.login(slot);
        wait_until("the code is on show", || !self.openai.waiting_codes().is_empty());
        let code = self.openai.waiting_codes().pop().unwrap().user_code;
        terminal.exp_string(&code).unwrap();
        assert!(self.openai.approve(&code, email));
        terminal.exp_string(&format!("account-{slot}: signed in as {email}")).unwrap();
        terminal.exp_eof().unwrap();
    }

    /// How often containers have been started again, all taken together.
    pub(crate) fn restarts(&self) -> u32 {
        let path = "jsonpath={.items[*].status.containerStatuses[*].restartCount}";
        let counts = self.says(&["get", "pods", "--output", path]);
        counts.split_whitespace().map(|count| count.parse::<u32>().unwrap()).sum()
    }

    /// Sends a signal to the first process of LiteLLM's container.
    pub(crate) fn signal_litellm(&self, signal: &str) {
        let path = "jsonpath={.items[0].status.containerStatuses[?(@.name=='litellm')].containerID}";
        let id = self.says(&["get", "pods", "--selector", "app=litellm", "--output", path]);
        let _ = text_of(&node::signal_container(&id, signal));
    }

    /// Waits until LiteLLM answers with this account.
    pub(crate) fn is_answered_by(&self, email: &str) {
        wait_until("LiteLLM answers", || self.litellm_answers_to(KEY) == (200, answer_of(email)));
    }

    /// Waits until LiteLLM refuses with this status.
    pub(crate) fn is_refused(&self, status: u16) {
        wait_until("LiteLLM refuses", || self.litellm_answers_to(KEY).0 == status);
    }

    /// Asks LiteLLM at its Service as an agent does: the status, 0 if nobody answers, and who answers.
    pub(crate) fn litellm_answers_to(&self, key: &str) -> (u16, String) {
        let ip = self.service_ip();
        let question =
            json!({"model": "gpt-5.6-sol", "input": [{"role": "user", "content": "Who are you?"}]});
        inside(|| {
            let agent: ureq::Agent = ureq::Agent::config_builder()
                .http_status_as_error(false)
                .timeout_global(Some(Duration::from_mins(1)))
                .build()
                .into();
            let request = agent.post(format!("http://{ip}:4000/v1/responses"));
            match request.header("Authorization", format!("Bearer {key}")).send_json(&question) {
                Ok(mut answer) => {
                    let body = answer.body_mut().read_to_string().unwrap_or_default();
                    let text = body.split('"').find(|text| text.starts_with("Hello from "));
                    (answer.status().as_u16(), text.unwrap_or_default().to_owned())
                }
                Err(_) => (0, String::new()),
            }
        })
    }

    /// Where LiteLLM's Service is.
    pub(crate) fn service_ip(&self) -> String {
        self.says(&["get", "service", "litellm", "--output", "jsonpath={.spec.clusterIP}"])
    }

    /// Puts a login into each slot from the first on, as a restored backup does, and has the rotator look at them.
    pub(crate) fn put_logins(&self, emails: impl IntoIterator<Item: AsRef<str>>) {
        for (slot, email) in (1..).zip(emails) {
            self.put_login(slot, email.as_ref());
        }
        self.says(&["exec", &self.owner(), "--container", "rotator", "--", "rotate-once"]);
    }

    fn put_login(&self, slot: u32, email: &str) {
        let login = self.openai.sign_in(email).codex_auth_json(&self.url);
        let file = self.volume("litellm-chatgpt-auth").join(format!("auth-{slot}.json"));
        fs::write(&file, login.to_string()).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        chown(&file, Some(65532), Some(65532)).unwrap();
    }

    /// Waits until the account in this slot serves.
    pub(crate) fn serves(&self, slot: u32) {
        wait_until("the account serves", || self.active() == slot);
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Where a claim's files are.
    pub(crate) fn volume(&self, claim: &str) -> PathBuf {
        let volume =
            self.says(&["get", "persistentvolumeclaim", claim, "--output", "jsonpath={.spec.volumeName}"]);
        repository().join("target/cluster/volumes").join(volume.strip_prefix("volume-").unwrap())
    }

    /// Whether the rotator has logged this.
    pub(crate) fn rotator_says(&self, words: &str) -> bool {
        self.says(&["logs", &self.owner(), "--container", "rotator"]).contains(words)
    }

    /// The slot of the account that serves.
    pub(crate) fn active(&self) -> Value {
        let list: Value = serde_json::from_str(&text_of(&self.operator(&["accounts", "--json"]))).unwrap();
        let accounts = list["accounts"].as_array().unwrap();
        accounts
            .iter()
            .find(|account| account["state"] == "active")
            .map(|a| a["slot"].clone())
            .unwrap_or_default()
    }

    /// An agent's codex is asked who it is; it must answer, and shows no trouble.
    pub(crate) fn ask(&self, agent: &str) -> String {
        let deployment = format!("deploy/agent-{agent}");
        let codex = ["agent-entrypoint", "codex", "exec", "--skip-git-repo-check", "Who are you?"];
        let asked = self.kubectl(&["exec", &deployment, "--"]).args(codex).output().unwrap();
        let answer = text_of(&asked);
        let shown = String::from_utf8_lossy(&asked.stderr).to_lowercase();
        assert!(!shown.contains("reconnecting") && !shown.contains("error"), "{shown}");
        answer.trim().to_owned()
    }
}

impl<Node> Deref for Namespace<Node> {
    type Target = StandIn;

    fn deref(&self) -> &StandIn {
        &self.openai
    }
}

impl<Node> Drop for Namespace<Node> {
    fn drop(&mut self) {
        if thread::panicking() {
            for args in [&["get", "pods", "--output", "wide"][..], &["get", "events"]] {
                let output = self.kubectl(args).output().unwrap();
                eprintln!("{}", String::from_utf8_lossy(&output.stdout));
            }
        } else {
            let _ = kubectl(["delete", "namespace", &self.name, "--wait=false"]).output();
        }
    }
}

/// Who answers, in a reply of the stand-in's.
pub(crate) fn answer_of(email: &str) -> String {
    format!("Hello from {email} (acct-{})", email.split('@').next().unwrap())
}

/// Puts more values over some, key by key; lists are joined.
fn merge(values: &mut Value, more: &Value) {
    match (values, more) {
        (Value::Object(values), Value::Object(more)) => {
            for (key, value) in more {
                merge(values.entry(key).or_insert(Value::Null), value);
            }
        }
        (Value::Array(values), Value::Array(more)) => values.extend(more.iter().cloned()),
        (value, more) => *value = more.clone(),
    }
}
