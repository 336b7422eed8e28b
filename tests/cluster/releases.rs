//! Releases that follow each other, and what happens to the logins.

use fixture::ANN;
use serde_json::json;
use support::podman::text_of;

use crate::installed::Namespace;
use crate::node::wait_until;

#[test]
fn the_logins_go_with_the_pod_without_a_claim_and_outlive_all_else_with_one() {
    let cluster = Namespace::new("releases");
    let with_claim =
        |enabled: bool| json!({"litellm": {"chatgptAuth": {"persistence": {"enabled": enabled}}}});

    let notes = cluster.install(&with_claim(false));
    assert!(notes.contains("WARNING: the logins are lost with the pod."), "{notes}");
    cluster.sign_in(1, ANN);
    cluster.is_answered_by(ANN);

    // The login is lost, as the notes have warned.
    let notes = cluster.upgrade(&with_claim(true));
    assert!(!notes.contains("WARNING"), "{notes}");
    cluster.is_refused(401);
    cluster.sign_in(1, ANN);
    cluster.is_answered_by(ANN);

    // It stays on the claim, which is not mounted.
    cluster.upgrade(&with_claim(false));
    cluster.is_refused(401);

    let _ = text_of(&cluster.helm("rollback", &["2"]));
    cluster.is_rolled_out();
    cluster.is_answered_by(ANN);

    let _ = text_of(&cluster.helm("uninstall", &[]));
    wait_until("its pod is gone", || cluster.says(&["get", "pods", "--output", "name"]).is_empty());
    cluster.install(&with_claim(true));
    cluster.is_answered_by(ANN);
}
