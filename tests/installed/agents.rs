//! Agents as the chart renders them: parked, running once, and untouched by what does not concern them.

use std::fs;

use fixture::workspace::repository;
use serde_json::{Value, json};

use crate::manifest::{find, of, rendered, values};

/// The manifests of the set of values with agents of every kind.
fn manifests() -> Vec<Value> {
    serde_json::from_str(&rendered("json", &values("agents"))).unwrap()
}

#[test]
fn a_parked_agent_stays_parked_and_one_that_says_nothing_keeps_the_clusters_figure() {
    let manifests = manifests();
    let replicas = |name: &str| find(&manifests, "Deployment", name)["spec"].get("replicas").cloned();
    assert_eq!(replicas("agent-ben"), Some(json!(0)));
    assert_eq!(replicas("agent-ann"), None);
    assert_eq!(replicas("agent-cem"), Some(json!(1)));
    for name in ["agent-ann", "agent-ben", "agent-cem"] {
        assert_eq!(find(&manifests, "Deployment", name)["spec"]["strategy"]["type"], "Recreate");
    }
}

#[test]
fn a_parked_agent_has_no_claim_that_would_wait_for_a_pod() {
    let claims = |agents: &str| -> Vec<String> {
        let manifests = of(&format!("agents: {agents}"));
        let claims = manifests.iter().filter(|m| m["kind"] == "PersistentVolumeClaim");
        claims.map(|m| m["metadata"]["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(claims("{ann: {}, ben: {replicas: 0}}"), ["agent-ann-home"]);
    assert_eq!(claims("{ann: {}, ben: {replicas: 1}}"), ["agent-ann-home", "agent-ben-home"]);
}

#[test]
fn an_agent_that_runs_once_is_a_job_of_another_name_when_it_changes() {
    let job = |more: &str| {
        let manifests = of(&format!("agents: {{ann: {{kind: Job, command: [codex, exec, hello], {more}}}}}"));
        assert!(!manifests.iter().any(|m| m["metadata"]["name"] == "agent-ann"));
        manifests.into_iter().find(|m| m["kind"] == "Job").unwrap()
    };
    let first = job("");
    assert_eq!(first["spec"]["backoffLimit"], 0);
    assert_eq!(first["spec"]["template"]["spec"]["restartPolicy"], "Never");
    assert_eq!(first, job(""), "so that an upgrade does not run it again");
    assert_ne!(first["metadata"]["name"], job("model: gpt-5.6-sol")["metadata"]["name"]);
    assert_eq!(job("replicas: 0")["spec"]["suspend"], true);
}

#[test]
fn the_longest_name_of_an_agent_is_short_enough_for_its_job() {
    let manifests = of(&format!("agents: {{{}: {{kind: Job}}}}", "a".repeat(50)));
    let job = manifests.iter().find(|m| m["kind"] == "Job").unwrap();
    assert_eq!(job["metadata"]["name"].as_str().unwrap().len(), 63);
}

#[test]
fn an_upgrade_of_the_chart_restarts_no_agent() {
    let manifests = manifests();
    let labels =
        find(&manifests, "Deployment", "agent-ann")["spec"]["template"]["metadata"]["labels"].clone();
    let version = fs::read_to_string(repository().join("charts/codex-podkit/Chart.yaml")).unwrap();
    let version = version.lines().find_map(|line| line.strip_prefix("version: ")).unwrap();
    assert!(!labels.to_string().contains(version), "{labels}");
}
