//! A real LiteLLM that reads the published record, on each version that is proven.

use std::fs;

use fixture::wait_until;
use support::litellm::{LiteLlm, VERSIONS, codex_exec};
use support::pod::Pod;

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
fn litellm_1_109_1_serves_each_account_in_turn() {
    each_account_answers_and_litellm_is_not_restarted(VERSIONS[1]);
}

#[test]
fn litellm_1_110_2_serves_each_account_in_turn() {
    each_account_answers_and_litellm_is_not_restarted(VERSIONS[2]);
}

#[test]
fn a_record_whose_account_is_gone_is_a_plain_401_and_hangs_nobody() {
    let pod = Pod::new();
    pod.put_login(1, "ann@example.test");
    pod.rotate_once(&[]).success();
    let litellm = LiteLlm::start(VERSIONS[0], &pod);
    assert_eq!(litellm.ask().0, 200);
    pod.openai.set("ann@example.test", stand_in::Behaviour::Invalidated);
    let (status, body) = litellm.ask();
    assert_eq!(status, 401, "{body}");
    let error: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert!(error["error"]["message"].as_str().unwrap().contains("invalidated"), "{body}");
    assert!(litellm.is_alive());
}
