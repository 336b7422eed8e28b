//! From nothing to agents that are answered, as the README goes.

use fixture::{ANN, BEN};
use serde_json::json;
use stand_in::Behaviour;
use support::podman::text_of;

use crate::installed::{Namespace, answer_of};
use crate::node::wait_until;
use crate::shell::Shell;

#[test]
fn from_helm_install_to_an_agents_answer() {
    let cluster = Namespace::new("walk");
    Shell::of(&cluster).types("agent-keys.md", "Add an agent");
    let notes = cluster.install(&json!({
        "litellm": {"chatgptAuth": {"persistence": {"enabled": true}}, "accountsPage": {"enabled": true}},
        "agents": {"ann": {}},
    }));
    assert!(notes.contains("exec -it deploy/litellm -c codex-cli -- auth-login 1"), "{notes}");

    cluster.sign_in(1, ANN);
    cluster.sign_in(2, BEN);
    assert_eq!(cluster.ask("ann"), answer_of(ANN));

    let _ = text_of(&cluster.operator(&["accounts", "use", "2"]));
    cluster.serves(2);
    assert_eq!(cluster.ask("ann"), answer_of(BEN));

    // The account in use hits its cap, and the agent does not see it.
    cluster.set(BEN, Behaviour::Capped);
    assert_eq!(cluster.ask("ann"), answer_of(ANN));
    wait_until("the rotator says why", || cluster.rotator_says("account-2 capped until "));

    let tested = text_of(&cluster.helm("test", &[]));
    assert!(tested.contains("http://litellm:4000/v1/models 200"), "{tested}");
    wait_until("the doctor finds nothing", || cluster.operator(&["accounts", "doctor"]).status.success());
}
