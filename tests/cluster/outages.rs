//! Pods that are deleted, programs that hang, and volumes that are late.

use std::time::Instant;

use fixture::{ANN, BEN};
use serde_json::json;
use stand_in::Behaviour;

use crate::installed::Namespace;
use crate::node::{self, wait_until};

#[test]
fn a_deleted_pod_comes_back_with_its_logins() {
    let cluster = Namespace::new("deleted");
    cluster.install(&json!({"litellm": {"chatgptAuth": {"persistence": {"enabled": true}}}}));
    cluster.sign_in(1, ANN);
    let deleted = Instant::now();
    cluster.says(&["delete", "pod", "--selector", "app=litellm"]);
    cluster.is_answered_by(ANN);
    println!("answered again {:.1} s after the pod was deleted", deleted.elapsed().as_secs_f32());
    cluster.is_rolled_out();
    assert_eq!(cluster.restarts(), 0);
    wait_until("the doctor finds nothing", || cluster.operator(&["accounts", "doctor"]).status.success());
}

#[test]
fn refused_accounts_are_no_reason_to_restart_and_a_litellm_that_hangs_is_out_of_the_way() {
    let cluster = Namespace::new("probes");
    cluster.install(&json!({}));
    cluster.sign_in(1, ANN);
    cluster.sign_in(2, BEN);
    for email in [ANN, BEN] {
        cluster.set(email, Behaviour::Capped);
    }
    cluster.is_refused(429);
    let is_ready = || {
        cluster.says(&["get", "endpoints", "litellm", "--output", "jsonpath={.subsets[*].addresses[*].ip}"])
    };
    assert!(!is_ready().is_empty());

    cluster.signal_litellm("SIGSTOP");
    wait_until("it is out of the Service", || is_ready().is_empty());
    cluster.signal_litellm("SIGCONT");
    wait_until("it is in the Service", || !is_ready().is_empty());
    assert_eq!(cluster.restarts(), 0);
}

#[test]
fn a_pod_waits_for_a_claim_that_is_late() {
    let cluster = Namespace::new("late");
    let values =
        json!({"litellm": {"chatgptAuth": {"persistence": {"enabled": true, "storageClass": "late"}}}});
    let _ = cluster.release("install", &values);
    wait_until("the pod waits", || cluster.says(&["get", "events"]).contains("FailedScheduling"));
    node::has_volume("late");
    cluster.is_rolled_out();
    assert_eq!(cluster.restarts(), 0);
    cluster.sign_in(1, ANN);
    cluster.is_answered_by(ANN);
}
