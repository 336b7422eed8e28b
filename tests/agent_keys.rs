//! A key for each agent: `agent-key` makes it, `LiteLLM` knows its hash, on each version that is proven.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fixture::wait_until;
use serde_json::{Value, json};
use stand_in::Behaviour;
use support::litellm::{Answer, Conversation, KEY, LiteLlm, VERSIONS};
use support::pod::Pod;
use tempfile::TempDir;

use crate::pages::page;

/// The Secrets as the cluster has them, and the directory in which `LiteLLM` sees that of hashes.
struct Cluster<'a> {
    pod: &'a Pod,
    hashes: Option<Value>,
    mounted: TempDir,
}

impl<'a> Cluster<'a> {
    fn new(pod: &'a Pod) -> Self {
        Self { pod, hashes: None, mounted: tempfile::tempdir().unwrap() }
    }

    /// `kubectl get secret … | agent-key ARGS | kubectl apply -f -`; gives the key.
    fn agent_key(&mut self, args: &[&str]) -> String {
        let mut agent_key = assert_cmd::Command::from_std(self.pod.command("agent-key"));
        agent_key.args(args);
        match &self.hashes {
            Some(secret) => agent_key.write_stdin(secret.to_string()),
            None => agent_key.arg("--first"),
        };
        let printed: Value =
            serde_json::from_slice(&agent_key.assert().success().get_output().stdout).unwrap();
        self.mounts(printed["items"][0].clone());
        decoded(&printed["items"][1]["data"]["LITELLM_API_KEY"])
    }

    /// `kubectl patch` that takes an agent's file out of the Secret of hashes.
    fn revoke(&mut self, agent: &str) {
        let mut hashes = self.hashes.clone().unwrap();
        hashes["data"].as_object_mut().unwrap().remove(&format!("{agent}.json")).unwrap();
        self.mounts(hashes);
    }

    /// As kubelet does it: a directory of the new files, to which a link is moved.
    fn mounts(&mut self, hashes: Value) {
        let root = self.mounted.path();
        let new = format!("..{}", fs::read_dir(root).unwrap().count());
        fs::create_dir(root.join(&new)).unwrap();
        let files = hashes["data"].as_object().unwrap();
        for (name, content) in files {
            fs::write(root.join(&new).join(name), decoded(content)).unwrap();
        }
        std::os::unix::fs::symlink(&new, root.join("..link")).unwrap();
        fs::rename(root.join("..link"), root.join("..data")).unwrap();
        for name in files.keys().filter(|name| root.join(name).symlink_metadata().is_err()) {
            std::os::unix::fs::symlink(Path::new("..data").join(name), root.join(name)).unwrap();
        }
        for entry in fs::read_dir(root).unwrap().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            if !name.starts_with("..") && !files.contains_key(&name) {
                fs::remove_file(entry.path()).unwrap();
            }
        }
        self.hashes = Some(hashes);
    }

    fn start(&self, version: &str) -> LiteLlm {
        LiteLlm::start_with_agent_keys(version, self.pod, self.mounted.path())
    }
}

fn decoded(base64: &Value) -> String {
    let bytes = BASE64_STANDARD.decode(base64.as_str().unwrap_or_default()).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// The message of an error in the form that all of `LiteLLM`'s errors have.
fn message(answer: &Answer) -> String {
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(body["error"]["code"], json!(answer.status.to_string()), "{body}");
    body["error"]["message"].as_str().unwrap().to_owned()
}

fn accounts(pod: &Pod) -> Value {
    let listed = pod.command("accounts").args(["list", "--json"]).output().unwrap();
    serde_json::from_slice(&listed.stdout).unwrap()
}

fn signed_in() -> Pod {
    let pod = Pod::new();
    pod.put_login(1, "ann@example.test");
    pod.rotate_once(&[]).success();
    pod
}

fn each_agent_has_a_key_of_its_own(version: &str) {
    let pod = signed_in();
    let mut cluster = Cluster::new(&pod);
    let ann = cluster.agent_key(&["ann"]);
    let mut litellm = cluster.start(version);
    assert_eq!(litellm.answer_to(&ann, true).status, 200);

    // Another agent, limited, without a restart.
    let ben = cluster.agent_key(&["ben", "--rpm", "2"]);
    wait_until("LiteLLM knows ben", || litellm.get(&ben, "/v1/models").status == 200);
    let statuses = [1, 2, 3, 4].map(|_| litellm.answer_to(&ben, true));
    let limited =
        statuses.iter().find(|answer| answer.status == 429).unwrap_or_else(|| panic!("{statuses:?}"));
    assert!(message(limited).contains("agent ben. Limit type: requests. Current limit: 2"), "{limited:?}");
    assert!(limited.retry_after.is_some_and(|seconds| (1..=60).contains(&seconds)), "{limited:?}");
    assert_eq!(litellm.answer_to(&ann, true).status, 200, "the other agent is not limited");

    // A new key while the old one is in use.
    let new = cluster.agent_key(&["ann"]);
    wait_until("LiteLLM knows the new key", || litellm.answer_to(&new, false).status == 200);
    assert_eq!(litellm.answer_to(&ann, false).status, 200, "the old one is good for a while");

    // One is revoked while it works.
    cluster.revoke("ann");
    let revoked = Instant::now();
    wait_until("ann is refused", || litellm.answer_to(&ann, true).status == 401);
    assert!(revoked.elapsed() < Duration::from_secs(3), "{:?}", revoked.elapsed());
    assert_eq!(
        message(&litellm.answer_to(&new, true)),
        "Authentication Error: this key is not known, or was revoked."
    );
    assert_eq!(message(&litellm.answer_to("sk-guessed", false)), message(&litellm.answer_to(&ann, false)));

    // The operator's key does all, and nothing of this has to do with an account.
    assert_eq!(litellm.answer(true).status, 200);
    assert!(!pod.file("rotate-now").exists(), "{}", pod.read("rotate-now"));
    assert_eq!(accounts(&pod)["accounts"][0]["state"], "active");
    wait_until("it is known who has used what", || {
        let agents = accounts(&pod)["agents"].clone();
        let of = |agent: &str, slot: Value, field: &str| {
            let rows = agents.as_array().unwrap();
            let row = rows.iter().find(|row| row["agent"] == agent && row["slot"] == slot);
            row.is_some_and(|row| row[field].as_u64() > Some(0))
        };
        of("ann", json!(1), "input_tokens")
            && of("ben", json!(1), "requests")
            && of("ben", json!(null), "limited")
            && of("", json!(1), "output_tokens")
    });
    assert!(litellm.is_running());
    for key in [&ann, &new, &ben] {
        assert!(!litellm.log().contains(key.as_str()), "no key is in the log");
    }
}

#[test]
fn litellm_1_106_2_knows_each_agent_by_its_key() {
    each_agent_has_a_key_of_its_own(VERSIONS[0]);
}

#[test]
fn litellm_1_109_1_knows_each_agent_by_its_key() {
    each_agent_has_a_key_of_its_own(VERSIONS[1]);
}

#[test]
fn litellm_1_110_2_knows_each_agent_by_its_key() {
    each_agent_has_a_key_of_its_own(VERSIONS[2]);
}

fn an_agent_is_held_to_its_limits_and_to_what_the_page_says(version: &str) {
    let pod = signed_in();
    let mut cluster = Cluster::new(&pod);
    let models = cluster.agent_key(&["models", "--models", "gpt-5.4,gpt-5.6-nova"]);
    let tokens = cluster.agent_key(&["tokens", "--tpm", "1"]);
    let parallel = cluster.agent_key(&["parallel", "--parallel", "1"]);
    let ending = cluster.agent_key(&["ending", "--expires", "1s"]);
    let page = cluster.agent_key(&["page"]);
    let litellm = cluster.start(version);
    holds_to_the_page(&litellm, &page);

    let refused = litellm.answer_to(&models, false);
    assert_eq!(refused.status, 403, "{refused:?}");
    assert!(message(&refused).contains("'gpt-5.6-sol' is not available for this API key"), "{refused:?}");
    let by_the_back_door = json!({"model": "gpt-5.4", "fallbacks": ["gpt-5.6-sol"], "input": "Who are you?"});
    let refused = litellm.post(&models, "/v1/responses", &by_the_back_door);
    assert_eq!(refused.status, 403, "{refused:?}");

    let statuses = [1, 2, 3, 4].map(|_| litellm.answer_to(&tokens, true));
    let limited =
        statuses.iter().find(|answer| answer.status == 429).unwrap_or_else(|| panic!("{statuses:?}"));
    assert!(message(limited).contains("agent tokens. Limit type: tokens. Current limit: 1"), "{limited:?}");
    assert!(limited.retry_after.is_some(), "{limited:?}");

    assert!(!pod.file("rotate-now").exists(), "{}", pod.read("rotate-now"));

    // The only account is refused, so the callback holds each request until another one might be published.
    pod.openai.set("ann@example.test", Behaviour::Capped);
    let answers = std::thread::scope(|scope| {
        let asking = [1, 2, 3, 4].map(|_| scope.spawn(|| litellm.answer_to(&parallel, true)));
        asking.map(|answer| answer.join().unwrap())
    });
    let is_limited =
        |answer: &&Answer| message(answer).contains("agent parallel. Limit type: max_parallel_requests");
    assert_eq!(answers.iter().filter(is_limited).count(), 3, "{answers:?}");

    let expired = litellm.answer_to(&ending, true);
    assert_eq!(expired.status, 401);
    assert_eq!(message(&expired), "Authentication Error: this key of the agent ending has expired.");
}

#[test]
fn litellm_1_106_2_holds_an_agent_to_its_limits_and_to_what_the_page_says() {
    an_agent_is_held_to_its_limits_and_to_what_the_page_says(VERSIONS[0]);
}

#[test]
fn litellm_1_109_1_holds_an_agent_to_its_limits_and_to_what_the_page_says() {
    an_agent_is_held_to_its_limits_and_to_what_the_page_says(VERSIONS[1]);
}

#[test]
fn litellm_1_110_2_holds_an_agent_to_its_limits_and_to_what_the_page_says() {
    an_agent_is_held_to_its_limits_and_to_what_the_page_says(VERSIONS[2]);
}

#[test]
fn codex_works_with_its_agents_key_and_says_why_it_does_not_with_a_revoked_one() {
    let pod = signed_in();
    let mut cluster = Cluster::new(&pod);
    let ann = cluster.agent_key(&["ann"]);
    let litellm = cluster.start(VERSIONS[0]);
    let mut conversation = Conversation::with_key(&pod, &litellm, &ann);
    assert_eq!(conversation.say("Who are you?").stdout, "Hello from ann@example.test (acct-ann)");
    cluster.revoke("ann");
    wait_until("ann is refused", || litellm.get(&ann, "/v1/models").status == 401);
    let Err(said) = conversation.try_to_say("And now?") else { panic!("the key is revoked") };
    assert!(said.stderr.contains("401") && said.stderr.contains("was revoked"), "{}", said.stderr);
}

/// What the page says of the two keys: a method, a path, and whether an agent's key is enough.
fn routes_of_the_page() -> Vec<(String, String, bool)> {
    let page = page("docs/agent-keys.md");
    let rows = page.rows().filter(|row| row.len() == 3);
    let routes = rows.filter_map(|row| {
        let (method, path) = row[0].trim_matches('`').split_once(" /")?;
        Some((method.to_owned(), format!("/{path}"), row[2] == "yes"))
    });
    routes.collect()
}

fn holds_to_the_page(litellm: &LiteLlm, agents_key: &str) {
    let routes = routes_of_the_page();
    assert!(routes.len() > 10, "{routes:?}");
    for (method, path, is_allowed) in routes {
        let message_of = json!([{"role": "user", "content": "Who are you?"}]);
        let body = json!({"model": "gpt-5.6-sol", "input": message_of, "messages": message_of,
            "call_type": "responses", "request_body": {}});
        let ask = |key: &str| match method.as_str() {
            "GET" => litellm.get(key, &path),
            _ => litellm.post(key, &path, &body),
        };
        let (agents, operators) = (ask(agents_key), ask(KEY));
        let what = format!("{method} {path}: {agents:?}, {operators:?}");
        assert!(![401, 403, 404].contains(&operators.status), "{what}");
        if is_allowed {
            assert_eq!((agents.status, operators.status), (200, 200), "{what}");
        } else {
            assert_eq!(agents.status, 403, "{what}");
            let why = format!("The agent page may not {method} '{path}': that needs the operator's key.");
            assert_eq!(message(&agents), why);
        }
        assert_eq!(ask("sk-guessed").status, 401, "{what}");
    }
}
