//! The rotator as a `CronJob`.

use fixture::ANN;
use serde_json::json;

use crate::installed::Namespace;

#[test]
fn the_pod_of_the_cronjob_publishes_for_litellm() {
    let cluster = Namespace::new("cronjob");
    cluster.install(&json!({"litellm": {
        "chatgptAuth": {"persistence": {"enabled": true}},
        "codexAuthRotator": {"mode": "cronjob", "schedule": "0 0 1 1 *", "interval": "30m"},
    }}));
    cluster.sign_in_unseen(1, ANN);
    cluster.is_refused(401);

    cluster.says(&["create", "job", "now", "--from", "cronjob/litellm-rotator"]);
    cluster.says(&["wait", "--for=condition=complete", "job/now", "--timeout=60s"]);
    let log = cluster.says(&["logs", "job/now"]);
    assert!(log.contains("active account-1 ("), "{log}");
    cluster.is_answered_by(ANN);
}
