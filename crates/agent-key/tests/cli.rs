//! What an operator sees of `agent-key`: manifests on stdout, what was done on stderr, an exit code.

#![expect(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

use assert_cmd::Command;
use assert_cmd::assert::Assert;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use predicates::prelude::*;
use serde_json::{Value, from_slice, json};

/// `agent-key ARGS`, with this on stdin.
fn agent_key(args: &[&str], stdin: &str) -> Assert {
    Command::cargo_bin("agent-key").unwrap().args(args).write_stdin(stdin).assert()
}

/// The Secrets that it prints: that of hashes, and the agent's if it has made a key.
fn printed(assert: &Assert) -> Vec<Value> {
    let list: Value = from_slice(&assert.get_output().stdout).unwrap();
    assert_eq!((&list["apiVersion"], &list["kind"]), (&json!("v1"), &json!("List")));
    list["items"].as_array().unwrap().clone()
}

fn decoded(secret: &Value, name: &str) -> String {
    let base64 = secret["data"][name].as_str().unwrap_or_else(|| panic!("{secret} has no {name}"));
    String::from_utf8(BASE64_STANDARD.decode(base64).unwrap()).unwrap()
}

fn entry(secret: &Value, name: &str) -> Value {
    serde_json::from_str(&decoded(secret, name)).unwrap()
}

#[test]
fn the_first_key_comes_with_a_secret_of_hashes() {
    let made = agent_key(&["ann", "--first", "--models", "gpt-5.6-sol", "--rpm", "60"], "").success();
    let secrets = printed(&made);
    assert_eq!(secrets[0]["metadata"], json!({"name": "litellm-agent-keys"}));
    assert_eq!(secrets[1]["metadata"], json!({"name": "agent-ann-litellm-key"}));
    let key = decoded(&secrets[1], "LITELLM_API_KEY");
    assert!(key.starts_with("sk-") && key.len() == 46, "{key}");
    let entry = entry(&secrets[0], "ann.json");
    assert_eq!((&entry["models"], &entry["rpm"]), (&json!(["gpt-5.6-sol"]), &json!(60)));
    assert!(!decoded(&secrets[0], "ann.json").contains(&key), "LiteLLM gets the hash alone");
    made.stderr("agent-key: made a key for ann, in the Secret agent-ann-litellm-key: gpt-5.6-sol, 60 requests a minute\n");
}

#[test]
fn another_agents_key_leaves_the_others_as_they_are() {
    let first = printed(&agent_key(&["ann", "--first"], "").success());
    let mut known = first[0].clone();
    known["metadata"]["namespace"] = json!("agents");
    known["metadata"]["uid"] = json!("1");
    let second = printed(&agent_key(&["ben"], &known.to_string()).success());
    assert_eq!(second[0]["data"]["ann.json"], first[0]["data"]["ann.json"]);
    assert_eq!(second[0]["metadata"], json!({"name": "litellm-agent-keys", "namespace": "agents"}));
    assert_eq!(second[1]["metadata"]["namespace"], "agents", "both are for one namespace");
}

#[test]
fn a_new_key_leaves_the_old_one_good_for_a_while_and_the_limits_as_they_are() {
    let first = printed(&agent_key(&["ann", "--first", "--tpm", "1000"], "").success());
    let again = agent_key(&["ann", "--keep-old", "2h", "--expires", "90d"], &first[0].to_string()).success();
    let known = entry(&printed(&again)[0], "ann.json");
    let keys = known["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 2);
    assert_eq!(keys[0]["sha256"], entry(&first[0], "ann.json")["keys"][0]["sha256"]);
    assert!(keys[0]["expires"].as_str() < keys[1]["expires"].as_str(), "{known}");
    assert_eq!(known["tpm"], 1000);
    again.stderr(
        predicate::str::is_match(
            "made a key for ann.*: all models, 1000 tokens a minute, until ....-..-..T..:..:..Z\n",
        )
        .unwrap()
        .and(predicate::str::contains("the old key of ann is good until ")),
    );
}

#[test]
fn limits_change_without_a_new_key() {
    let first = printed(&agent_key(&["ann", "--first", "--rpm", "60"], "").success());
    let changed =
        agent_key(&["ann", "--limits-only", "--rpm", "none", "--parallel", "2"], &first[0].to_string());
    let changed =
        changed.success().stderr("agent-key: changed the limits of ann: all models, 2 requests at once\n");
    let secrets = printed(&changed);
    assert_eq!(secrets.len(), 1, "the agent's own Secret is left alone");
    let (before, after) = (entry(&first[0], "ann.json"), entry(&secrets[0], "ann.json"));
    assert_eq!(after, json!({"keys": before["keys"], "parallel": 2}));
    agent_key(&["ben", "--limits-only", "--rpm", "60"], &first[0].to_string())
        .code(78)
        .stdout("")
        .stderr("agent-key: ben has no key yet: leave --limits-only out to make one\n");
}

#[test]
fn without_the_secret_of_hashes_nothing_is_printed_that_would_take_the_other_agents_keys_away() {
    let nothing = agent_key(&["ann"], "\n").code(78).stdout("");
    nothing.stderr(predicate::str::contains(
        "no Secret came in; type: kubectl get secret litellm-agent-keys -o json | agent-key ann | kubectl apply -f -",
    ));
    for (other, why) in [
        ("{half", "what came in is no Secret"),
        (
            r#"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}"#,
            "no Secret but a ConfigMap",
        ),
        (
            r#"{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "data": {"LITELLM_MASTER_KEY": "YQ=="}}"#,
            "the Secret a has LITELLM_MASTER_KEY in it",
        ),
        (
            r#"{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "data": {"ann.json": "e30="}}"#,
            "ann.json in the Secret a makes no sense: missing field `keys`",
        ),
    ] {
        agent_key(&["ann"], other).code(78).stdout("").stderr(predicate::str::contains(why));
    }
}

#[test]
fn what_cannot_be_is_a_wrong_usage() {
    for args in [
        &["Ann"][..],
        &["ann", "--rpm", "0"],
        &["ann", "--expires", "0"],
        &["ann", "--limits-only", "--expires", "9d"],
        &["ann", "--first", "--limits-only"],
    ] {
        agent_key(args, "").code(2).stdout("");
    }
}
