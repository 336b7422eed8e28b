//! Replicas that follow the Secret of the lanes, and that mount it again.

use fixture::{ANN, BEN, CEM};
use serde_json::{Value, json};
use support::podman::text_of;

use crate::installed::Namespace;
use crate::node::wait_until;

/// The account in the second lane of each replica, as LiteLLM's container has it.
fn second_lane(cluster: &Namespace) -> Vec<Value> {
    let pods = cluster.says(&["get", "pods", "--selector", "app=litellm", "--output", "name"]);
    let account = |pod: &str| {
        let cat = ["exec", pod, "--container", "litellm", "--", "cat", "/chatgpt-live/lane-2.json"];
        let record = cluster.kubectl(&cat).output().unwrap().stdout;
        serde_json::from_slice::<Value>(&record).unwrap_or_default()["account_id"].clone()
    };
    pods.lines().map(account).collect()
}

#[test]
fn replicas_that_follow_have_each_new_record_and_litellm_has_no_token() {
    let cluster = Namespace::new("following");
    let values = |follows: bool| {
        json!({"litellm": {
            "image": {"tag": "1.109.1"}, "lanes": 2, "replicas": 2, "follower": {"enabled": follows},
            "chatgptAuth": {"persistence": {"enabled": true}},
        }})
    };
    cluster.install_with_followers(&values(true), [ANN, BEN, CEM]);
    wait_until("both replicas have the account", || second_lane(&cluster) == ["acct-ben"; 2]);
    let _ = text_of(&cluster.operator(&["accounts", "park", "2"]));
    wait_until("both have the next one", || second_lane(&cluster) == ["acct-cem"; 2]);

    let token = ["ls", "/var/run/secrets/kubernetes.io"];
    let token =
        cluster.kubectl(&["exec", "deploy/litellm", "--container", "litellm", "--"]).args(token).output();
    assert!(!token.unwrap().status.success());
    let account = format!("system:serviceaccount:{}:litellm", cluster.name());
    for (verb, what, may) in [
        ("list", "secrets/codex-lanes", true),
        ("watch", "secrets/codex-lanes", true),
        ("patch", "secrets/codex-lanes", false),
        ("list", "secrets", false),
        ("list", "secrets/litellm-keys", false),
    ] {
        let asked = cluster.kubectl(&["auth", "can-i", verb, what, "--as", &account]).output().unwrap();
        assert_eq!(asked.status.success(), may, "{verb} {what}");
    }

    // The account that the followers had goes with them.
    cluster.upgrade(&values(false));
    wait_until("both mount what they had", || second_lane(&cluster) == ["acct-cem"; 2]);
}
