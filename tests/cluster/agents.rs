//! Agents that are parked and woken.

use serde_json::json;

use crate::installed::Namespace;
use crate::node::wait_until;

#[test]
fn an_agent_that_is_parked_and_woken_finds_its_home_as_it_was() {
    let cluster = Namespace::new("agents");
    let ann = |values: serde_json::Value| {
        let defaults = json!({"baseUrl": "http://litellm.elsewhere:4000/v1"});
        json!({"litellm": {"enabled": false}, "agentDefaults": defaults, "agents": {"ann": values}})
    };
    let has_pods = || cluster.says(&["get", "pods", "--output", "name"]).lines().count();
    let replicas = || cluster.says(&["get", "deployment/agent-ann", "--output", "jsonpath={.spec.replicas}"]);

    cluster.install(&ann(json!({})));
    cluster.says(&["exec", "deploy/agent-ann", "--", "touch", "/home/agent/work"]);

    cluster.upgrade(&ann(json!({"replicas": 0})));
    wait_until("its pod is gone", || has_pods() == 0);

    cluster.upgrade(&ann(json!({"replicas": 1})));
    cluster.says(&["exec", "deploy/agent-ann", "--", "ls", "/home/agent/work"]);

    // By hand, and without the value that says how many there are.
    cluster.upgrade(&ann(json!({})));
    cluster.says(&["scale", "deployment/agent-ann", "--replicas", "0"]);
    cluster.upgrade(&ann(json!({"model": "gpt-5.6-sol"})));
    assert_eq!(replicas(), "0", "an upgrade does not undo it");
    cluster.says(&["scale", "deployment/agent-ann", "--replicas", "1"]);
    cluster.is_rolled_out();
    let config = cluster.says(&[
        "exec",
        "deploy/agent-ann",
        "--",
        "cat",
        "/home/agent/work",
        "/home/agent/.codex/config.toml",
    ]);
    assert!(config.contains("model = \"gpt-5.6-sol\""), "{config}");
}
