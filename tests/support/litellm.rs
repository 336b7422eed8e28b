//! A real LiteLLM that reads the published record.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use fixture::workspace::{repository, tool};
use fixture::{Running, wait_within};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::pod::{Pod, codex};

/// The version that is used by default and the oldest that is proven, and the newer ones.
pub const VERSIONS: [&str; 3] = ["1.106.2", "1.109.1", "1.110.2"];

/// How long it may take to start: several seconds of computing, on machines that are busy with other tests.
pub const LITELLM_START: Duration = Duration::from_mins(3);

/// The model of the documented configuration.
const MODEL: &str = "gpt-5.6-sol";

/// Another model, for which the provider has a limit of its own.
pub const SPARK: &str = "gpt-5.3-codex-spark";

/// Its master key, with which an agent asks that has no key of its own.
pub const KEY: &str = "sk-end-to-end";

/// One that runs until it is dropped.
pub struct LiteLlm {
    process: Running,
    url: String,
    home: TempDir,
}

impl LiteLlm {
    /// Starts with the documented configuration and callback; the published record must be there already.
    #[must_use]
    pub fn start(version: &str, pod: &Pod) -> Self {
        Self::start_with(version, pod, &[])
    }

    /// The same, with more in its environment.
    #[must_use]
    pub fn start_with(version: &str, pod: &Pod, environment: &[(&str, &str)]) -> Self {
        Self::start_configured(version, pod, environment, |config| config)
    }

    /// The same as [`LiteLlm::start`], with a second model, [`SPARK`].
    #[must_use]
    pub fn start_with_two_models(version: &str, pod: &Pod) -> Self {
        Self::start_configured(version, pod, &[], |config| {
            let begin = config.find("  - model_name:").unwrap();
            let end = config.find("\nlitellm_settings:").unwrap();
            let second = config[begin..end].replace(MODEL, SPARK);
            format!("{}{second}{}", &config[..end], &config[end..])
        })
    }

    /// With the configuration that the chart makes for so many lanes, whose records must be there already.
    #[must_use]
    pub fn start_with_lanes(version: &str, pod: &Pod, lanes: u8) -> Self {
        let live = format!("{}/", pod.path().display());
        Self::start_configured(version, pod, &[], |_| {
            config_for_lanes(version, lanes).replace("/chatgpt-live/", &live)
        })
    }

    /// The same in a pod of its own, which has the records in this directory and signals to this address.
    #[must_use]
    pub fn start_as_replica(version: &str, records: &Path, pod: &Pod, lanes: u8, signal_url: &str) -> Self {
        let environment = [
            ("CHATGPT_TOKEN_DIR", records.to_str().unwrap()),
            ("CODEX_SIGNAL_URL", signal_url),
            ("CODEX_LANES_DELAY_SEC", "90"),
        ];
        let live = format!("{}/", records.display());
        Self::start_configured(version, pod, &environment, |_| {
            config_for_lanes(version, lanes).replace("/chatgpt-live/", &live)
        })
    }

    /// The same as [`LiteLlm::start`], with a key for each agent, known from this directory, as the chart has it.
    #[must_use]
    pub fn start_with_agent_keys(version: &str, pod: &Pod, keys: &Path) -> Self {
        let environment = [("LITELLM_AGENT_KEYS_DIR", keys.to_str().unwrap())];
        Self::start_configured(version, pod, &environment, |config| {
            with_settings(config, &of_the_chart("agent-keys.yaml"))
        })
    }

    fn start_configured(
        version: &str,
        pod: &Pod,
        environment: &[(&str, &str)],
        configure: impl FnOnce(String) -> String,
    ) -> Self {
        let home = tempfile::tempdir().unwrap();
        for file in ["rotate_now.py", "agent_keys.py"] {
            fs::write(home.path().join(file), of_the_chart(file)).unwrap();
        }
        fs::write(home.path().join("config.yaml"), configure(of_the_chart("config.yaml"))).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let log = File::create(home.path().join("log")).unwrap();
        let mut command = Command::new(tool(&format!("litellm-{version}/bin/litellm")));
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", home.path())
            .env("LITELLM_LOCAL_MODEL_COST_MAP", "True")
            .env("LITELLM_MASTER_KEY", KEY)
            .env("CHATGPT_TOKEN_DIR", pod.path())
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
        wait_within(LITELLM_START, "LiteLLM is alive", || litellm.is_alive());
        litellm
    }

    /// Where an agent finds it.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("{}/v1", self.url)
    }

    /// Asks without a stream, and gives the status and the whole answer.
    #[must_use]
    pub fn ask(&self) -> (u16, String) {
        self.ask_for(false)
    }

    /// Asks as an agent does, for a stream, or without one.
    #[must_use]
    pub fn ask_for(&self, stream: bool) -> (u16, String) {
        let answer = self.answer(stream);
        (answer.status, answer.body)
    }

    /// The same, and when it says that it is worth asking again.
    #[must_use]
    pub fn answer(&self, stream: bool) -> Answer {
        self.answer_of(MODEL, stream)
    }

    /// The same from this model.
    #[must_use]
    pub fn answer_of(&self, model: &str, stream: bool) -> Answer {
        self.post(KEY, "/v1/responses", &question(model, stream))
    }

    /// The same in this session.
    #[must_use]
    pub fn answer_in(&self, session: &str, stream: bool) -> Answer {
        let request =
            client().post(format!("{}/responses", self.base_url())).header("x-litellm-session-id", session);
        let request = request.header("Authorization", format!("Bearer {KEY}"));
        Answer::of(request.send_json(question(MODEL, stream)).unwrap())
    }

    /// The same, to the holder of this key.
    #[must_use]
    pub fn answer_to(&self, key: &str, stream: bool) -> Answer {
        self.post(key, "/v1/responses", &question(MODEL, stream))
    }

    /// What the holder of this key is answered when it sends this.
    #[must_use]
    pub fn post(&self, key: &str, path: &str, body: &Value) -> Answer {
        let request = client().post(format!("{}{path}", self.url));
        Answer::of(request.header("Authorization", format!("Bearer {key}")).send_json(body).unwrap())
    }

    /// What the holder of this key is answered when it looks there.
    #[must_use]
    pub fn get(&self, key: &str, path: &str) -> Answer {
        let request = client().get(format!("{}{path}", self.url));
        Answer::of(request.header("Authorization", format!("Bearer {key}")).call().unwrap())
    }

    /// All it wrote.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.home.path().join("log")).unwrap()
    }

    /// Whether the process that was started still runs.
    #[must_use]
    pub fn is_running(&mut self) -> bool {
        self.process.0.try_wait().unwrap().is_none()
    }

    /// Whether it answers its liveness probe.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        ureq::get(format!("{}/health/liveliness", self.url)).call().is_ok()
    }
}

fn client() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).build().into()
}

fn of_the_chart(file: &str) -> String {
    fs::read_to_string(repository().join("charts/codex-podkit/files").join(file)).unwrap()
}

/// The configuration with more settings in its sections.
fn with_settings(config: String, more: &str) -> String {
    let sections = more.split("\n\n").filter_map(|section| section.split_once(":\n"));
    sections.fold(config, |config, (name, settings)| {
        let heading = format!("\n{name}:\n");
        assert!(config.contains(&heading), "config.yaml has a section {name}");
        config.replace(&heading, &format!("{heading}{}\n", settings.trim_end()))
    })
}

fn question(model: &str, stream: bool) -> Value {
    let input = json!([{"role": "user", "content": "Who are you?"}]);
    json!({"model": model, "stream": stream, "input": input})
}

/// What the chart makes of LiteLLM's configuration.
fn config_for_lanes(version: &str, lanes: u8) -> String {
    let mut values = tempfile::NamedTempFile::new().unwrap();
    writeln!(values, "litellm: {{lanes: {lanes}, image: {{tag: {version}}}, agentKeys: {{enabled: false}}}}")
        .unwrap();
    let helm = Command::new(tool("chart/bin/python"))
        .arg(repository().join("tests/tools/helm.py"))
        .args([
            "json".as_ref(),
            repository().join("charts/codex-podkit").as_os_str(),
            values.path().as_os_str(),
        ])
        .output()
        .unwrap();
    assert!(helm.status.success(), "{}", String::from_utf8_lossy(&helm.stderr));
    let manifests: Vec<Value> = serde_json::from_slice(&helm.stdout).unwrap();
    let mut configs = manifests.iter().filter_map(|manifest| manifest["data"]["config.yaml"].as_str());
    configs.next().unwrap().to_owned()
}

/// What an agent is answered.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The header `Retry-After`, in seconds.
    pub retry_after: Option<u64>,
    /// The whole body.
    pub body: String,
}

impl Answer {
    fn of(mut response: ureq::http::Response<ureq::Body>) -> Self {
        let retry_after =
            response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
        let body = response.body_mut().read_to_string().unwrap();
        Self { status: response.status().as_u16(), retry_after, body }
    }
}

/// What the real codex says, and what it shows beside it.
pub struct Said {
    /// Its answer.
    pub stdout: String,
    /// All else.
    pub stderr: String,
}

/// Runs the real codex in a home that `seed-codex-config` made; it must succeed.
#[must_use]
pub fn codex_exec(pod: &Pod, litellm: &LiteLlm) -> Said {
    Conversation::new(pod, litellm).say("Who are you?")
}

/// A thread of the real codex, which `codex exec` begins and `codex exec resume` goes on with.
pub struct Conversation<'a> {
    pod: &'a Pod,
    litellm: &'a LiteLlm,
    key: String,
    home: TempDir,
    has_begun: bool,
}

impl<'a> Conversation<'a> {
    /// One in a home of its own.
    #[must_use]
    pub fn new(pod: &'a Pod, litellm: &'a LiteLlm) -> Self {
        Self::with_key(pod, litellm, KEY)
    }

    /// The same, with the key of an agent.
    #[must_use]
    pub fn with_key(pod: &'a Pod, litellm: &'a LiteLlm, key: &str) -> Self {
        Self { pod, litellm, key: key.to_owned(), home: tempfile::tempdir().unwrap(), has_begun: false }
    }

    /// One turn; codex must succeed.
    #[must_use]
    pub fn say(&mut self, prompt: &str) -> Said {
        let said = self.try_to_say(prompt);
        said.unwrap_or_else(|said| panic!("codex has failed: {}{}", said.stdout, said.stderr))
    }

    /// One turn, in which codex may fail.
    ///
    /// # Errors
    /// When it does, with what it says.
    pub fn try_to_say(&mut self, prompt: &str) -> Result<Said, Said> {
        let mut seed = self.pod.command("seed-codex-config");
        seed.env("HOME", self.home.path())
            .env("LITELLM_BASE_URL", self.litellm.base_url())
            .env("LITELLM_API_KEY", format!("{}\n", self.key))
            .current_dir(self.home.path())
            .arg("--")
            .arg(codex())
            .arg("exec");
        let resume: &[&str] = if self.has_begun { &["resume", "--last"] } else { &[] };
        seed.args(resume).args(["--skip-git-repo-check", prompt]);
        let output = seed.stdin(Stdio::null()).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        let said = Said { stdout: text(&output.stdout), stderr: text(&output.stderr) };
        self.has_begun |= output.status.success();
        if output.status.success() { Ok(said) } else { Err(said) }
    }
}
