//! Who may do what at the API server.

use serde_json::json;

use crate::installed::Namespace;

/// What docs/operator.md gives to operators.
fn role() -> &'static str {
    let page = include_str!("../../docs/operator.md");
    page.split("```yaml\n")
        .find(|block| block.starts_with("kind: Role\n"))
        .unwrap()
        .split("```")
        .next()
        .unwrap()
}

#[test]
fn a_pod_has_no_rights_and_an_operator_only_those_for_their_work() {
    let cluster = Namespace::new("rights");
    cluster.install(&json!({"agents": {"ann": {"persistence": {"enabled": false}}}}));
    for pod in ["litellm", "agent-ann"] {
        let token = cluster
            .kubectl(&["exec", &format!("deploy/{pod}"), "--", "ls", "/var/run/secrets"])
            .output()
            .unwrap();
        assert!(!token.status.success(), "{pod} holds a token for the API server");
    }

    cluster.apply(role());
    let as_operator = |args: &[&str]| {
        let output = cluster
            .kubectl(&[&["--as", "cem", "--as-group", "codex-operators"], args].concat())
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (works, said) =
        as_operator(&["exec", "deploy/litellm", "--container", "codex-cli", "--", "accounts"]);
    assert!(works, "{said}");
    for args in [
        &["get", "secrets"][..],
        &["delete", "pod", "--selector", "app=litellm"],
        &["create", "configmap", "x"],
        &["exec", "deploy/agent-ann", "--namespace", "default", "--", "true"],
    ] {
        let (works, said) = as_operator(args);
        assert!(!works && said.contains("forbidden"), "{args:?}: {said}");
    }
}
