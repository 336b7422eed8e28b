//! A real LiteLLM that reads the published record, on each version that is proven.

use std::fs::{self, File};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use serde_json::json;
use tempfile::TempDir;

use crate::pod::{Pod, Running, repository, tool, wait_until};

/// The version that is used by default, and the oldest and the newest that are proven.
pub(crate) const VERSIONS: [&str; 3] = ["1.106.2", "1.88.1", "1.109.1"];

pub(crate) const KEY: &str = "sk-end-to-end";

pub(crate) struct LiteLlm {
    process: Running,
    url: String,
    home: TempDir,
}

impl LiteLlm {
    /// Starts with the documented configuration and callback; the published record must be there already.
    pub(crate) fn start(version: &str, pod: &Pod) -> Self {
        Self::start_with(version, pod, &[])
    }

    /// The same, with more in its environment.
    pub(crate) fn start_with(version: &str, pod: &Pod, environment: &[(&str, &str)]) -> Self {
        let home = tempfile::tempdir().unwrap();
        for file in ["config.yaml", "rotate_now.py"] {
            fs::copy(repository().join("charts/codex-podkit/files").join(file), home.path().join(file))
                .unwrap();
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let log = File::create(home.path().join("log")).unwrap();
        let mut command = Command::new(tool(&format!("litellm-{version}/bin/litellm")));
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", home.path())
            .env("LITELLM_LOCAL_MODEL_COST_MAP", "True")
            .env("LITELLM_MASTER_KEY", KEY)
            .env("CHATGPT_TOKEN_DIR", pod.volume())
            .env("CHATGPT_API_BASE", pod.openai.api_base())
            .envs(environment.iter().copied())
            .arg("--config")
            .arg(home.path().join("config.yaml"))
            .args(["--host", "127.0.0.1", "--port", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        let process = Running(command.spawn().unwrap());
        let litellm = Self { process, url: format!("http://127.0.0.1:{port}"), home };
        wait_until("LiteLLM is alive", || {
            ureq::get(format!("{}/health/liveliness", litellm.url)).call().is_ok()
        });
        litellm
    }

    pub(crate) fn base_url(&self) -> String {
        format!("{}/v1", self.url)
    }

    /// Asks without a stream, and gives the status and the whole answer.
    pub(crate) fn ask(&self) -> (u16, String) {
        self.ask_for(false)
    }

    /// Asks as an agent does, for a stream, or without one.
    pub(crate) fn ask_for(&self, stream: bool) -> (u16, String) {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let input = json!([{"role": "user", "content": "Who are you?"}]);
        let question = json!({"model": "gpt-5.6-sol", "stream": stream, "input": input});
        let mut answer = agent
            .post(format!("{}/responses", self.base_url()))
            .header("Authorization", format!("Bearer {KEY}"))
            .send_json(question)
            .unwrap();
        (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.home.path().join("log")).unwrap()
    }

    fn is_running(&mut self) -> bool {
        self.process.0.try_wait().unwrap().is_none()
    }
}

/// What the real codex says, and what it shows beside it.
pub(crate) struct Said {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the real codex in a home that `seed-codex-config` made; it must succeed.
pub(crate) fn codex_exec(pod: &Pod, litellm: &LiteLlm) -> Said {
    let home = tempfile::tempdir().unwrap();
    let mut codex = pod.command("seed-codex-config");
    codex
        .env("HOME", home.path())
        .env("LITELLM_BASE_URL", litellm.base_url())
        .env("LITELLM_API_KEY", format!("{KEY}\n"))
        .current_dir(home.path())
        .arg("--")
        .arg(crate::pod::codex())
        .args(["exec", "--skip-git-repo-check", "Who are you?"]);
    let answer = assert_cmd::Command::from_std(codex).assert().success();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    Said { stdout: text(&answer.get_output().stdout), stderr: text(&answer.get_output().stderr) }
}

fn each_account_answers_and_litellm_is_not_restarted(version: &str) {
    let pod = Pod::new();
    pod.rotate_once(&["--init"]).success();
    let mut litellm = LiteLlm::start(version, &pod);
    assert_eq!(litellm.ask().0, 401, "the placeholder is good for nothing but starting");
    let _ = fs::remove_file(pod.file("rotate-now"));
    let holds = format!("ok       callback  LiteLLM {version} holds the callback\n");
    wait_until("the doctor hears of the callback", || {
        let said = pod.command("accounts").arg("doctor").output().unwrap();
        String::from_utf8(said.stdout).unwrap().contains(&holds)
    });

    pod.sign_in(1, "ann@example.test");
    pod.sign_in(2, "ben@example.test");
    for (slot, who) in
        [(1, "Hello from ann@example.test (acct-ann)"), (2, "Hello from ben@example.test (acct-ben)")]
    {
        pod.rotate_once(&["--to", &slot.to_string()]).success();
        let published = pod.read("auth.json");
        assert_eq!(codex_exec(&pod, &litellm).stdout, who);
        assert!(litellm.ask().1.contains(who));
        assert_eq!(pod.read("auth.json"), published, "LiteLLM has no reason to write");
    }
    assert!(litellm.is_running());
    assert!(!pod.openai.requests().iter().any(stand_in::Request::mixes_accounts));
    assert!(pod.openai.requests().iter().all(|request| request.grant.as_deref() != Some("refresh_token")));
    assert!(!litellm.log().contains("device code"), "{}", litellm.log());
}

#[test]
fn litellm_1_106_2_serves_each_account_in_turn() {
    each_account_answers_and_litellm_is_not_restarted(VERSIONS[0]);
}

#[test]
fn litellm_1_88_1_serves_each_account_in_turn() {
    each_account_answers_and_litellm_is_not_restarted(VERSIONS[1]);
}

#[test]
fn litellm_1_109_1_serves_each_account_in_turn() {
    each_account_answers_and_litellm_is_not_restarted(VERSIONS[2]);
}

#[test]
fn a_record_whose_account_is_gone_is_a_plain_401_and_hangs_nobody() {
    let pod = Pod::new();
    pod.put_login(1, "ann@example.test");
    pod.rotate_once(&[]).success();
    let litellm = LiteLlm::start(VERSIONS[1], &pod);
    assert_eq!(litellm.ask().0, 200);
    pod.openai.set("ann@example.test", stand_in::Behaviour::Invalidated);
    let (status, body) = litellm.ask();
    assert_eq!(status, 401, "{body}");
    let error: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert!(error["error"]["message"].as_str().unwrap().contains("invalidated"), "{body}");
    assert!(ureq::get(format!("{}/health/liveliness", litellm.url)).call().is_ok());
}
