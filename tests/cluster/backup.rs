//! The commands of docs/backup.md and docs/agent-keys.md, typed as they stand there.

use std::fs;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use fixture::{ANN, BEN};
use serde_json::json;
use support::podman::text_of;

use crate::installed::{KEY, Namespace, answer_of};
use crate::node::wait_until;
use crate::shell::{Shell, block};

#[test]
fn a_restored_login_goes_on_and_one_that_was_refreshed_since_says_so() {
    let cluster = Namespace::new("backup");
    let shell = Shell::of(&cluster);
    cluster.install(&json!({"litellm": {"chatgptAuth": {"persistence": {"enabled": true}}}}));
    cluster.sign_in(1, ANN);
    cluster.sign_in(2, BEN);

    let pod = block("backup.md", "Save the logins", "yaml").replace("registry.example.com/team", "localhost");
    fs::write(shell.directory().join("logins.yaml"), pod).unwrap();
    shell.types("backup.md", "Save the logins");
    let _ = text_of(&cluster.operator(&["accounts", "refresh", "2", "--yes"]));

    let volume = cluster.volume("litellm-chatgpt-auth");
    for master in ["auth-1.json", "auth-2.json"] {
        fs::remove_file(volume.join(master)).unwrap();
    }
    let asked = cluster.requests_to("/oauth/token").len();
    let listed = shell.types("backup.md", "Restore the logins");
    assert!(listed.contains("account-2 needs login: run auth-login 2 (refresh_token_used"), "{listed}");
    assert!(!listed.contains("account-1 needs login"), "{listed}");
    cluster.is_answered_by(ANN);
    assert_eq!(cluster.requests_to("/oauth/token").len(), asked, "a used grant was sent");
    cluster.sign_in(2, BEN);
}

#[test]
fn keys_change_while_an_agent_works() {
    let cluster = Namespace::new("keys");
    let shell = Shell::of(&cluster);
    shell.types("agent-keys.md", "Add an agent");
    cluster.install(&json!({
        "litellm": {"chatgptAuth": {"persistence": {"enabled": true}}},
        "agents": {"ann": {}},
    }));
    cluster.sign_in(1, ANN);
    cluster.says(&["exec", "deploy/agent-ann", "--", "touch", "/home/agent/work"]);
    let pods = || cluster.says(&["get", "pods", "--selector", "app=agent-ann", "--output", "name"]);
    let pod = pods();
    assert_eq!(cluster.ask("ann"), answer_of(ANN));

    shell.types("backup.md", "Change the master key");
    cluster.is_refused(401);
    assert_eq!(cluster.ask("ann"), answer_of(ANN));
    assert_eq!(pods(), pod, "the agent was not restarted");

    shell.types("agent-keys.md", "Replace a key");
    cluster.is_rolled_out();
    assert_eq!(cluster.ask("ann"), answer_of(ANN));

    shell.types("backup.md", "Change a PAT");
    let script = "printf 'url=https://github.com/team/code\n\n' | git credential fill; ls /home/agent/work";
    let filled = cluster.says(&["exec", "deploy/agent-ann", "--", "sh", "-c", script]);
    assert!(filled.contains("password=github_pat_new"), "{filled}");
    assert!(filled.contains("/home/agent/work"), "{filled}");

    let path = "jsonpath={.data.LITELLM_API_KEY}";
    let key = cluster.says(&["get", "secret", "agent-ann-litellm-key", "--output", path]);
    let key = String::from_utf8(BASE64_STANDARD.decode(key).unwrap()).unwrap();
    assert_ne!(key, KEY);
    assert_eq!(cluster.litellm_answers_to(&key), (200, answer_of(ANN)));
    shell.types("agent-keys.md", "Revoke a key");
    wait_until("the key is no longer good", || cluster.litellm_answers_to(&key).0 == 401);
}
