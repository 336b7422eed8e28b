//! A node whose power fails.

use fixture::ANN;
use serde_json::json;
use support::podman::text_of;

use super::Stopped;
use crate::installed::{Namespace, answer_of};
use crate::node::{self, wait_until};
use crate::shell::Shell;

#[test]
fn a_node_that_comes_back_serves_as_before() {
    let cluster = Namespace::on(node::alone(), "reboot");
    Shell::of(&cluster).types("agent-keys.md", "Add an agent");
    cluster.install(&json!({
        "litellm": {"chatgptAuth": {"persistence": {"enabled": true}}},
        "agents": {"ann": {}},
    }));
    cluster.sign_in(1, ANN);
    cluster.says(&["exec", "deploy/agent-ann", "--", "touch", "/home/agent/work"]);

    // Without its kubelet a node still serves.
    let kubelet = Stopped::new(node::process("kubelet"));
    cluster.is_answered_by(ANN);

    // The power fails: every program ends at once, and the kubelet starts anew.
    let tasks = text_of(&node::run(["ctr", "tasks", "list", "--quiet"]).output().unwrap());
    for task in tasks.lines() {
        let _ = node::run(["ctr", "tasks", "kill", "--signal", "SIGKILL", task]).output();
    }
    drop(kubelet);
    cluster.is_answered_by(ANN);
    cluster.is_rolled_out();
    cluster.says(&["exec", "deploy/agent-ann", "--", "ls", "/home/agent/work"]);
    assert_eq!(cluster.ask("ann"), answer_of(ANN));
    wait_until("the doctor finds nothing", || cluster.operator(&["accounts", "doctor"]).status.success());
}
