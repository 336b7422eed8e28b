//! The metrics and the alerts, as Prometheus's own tool reads them.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use std::time::SystemTime;

use fixture::wait_until;
use fixture::workspace::{repository, tool};

use crate::manifest::{find, of, refused, rendered, values};
use crate::served::Served;

/// What promtool says to this input, and whether it is content.
fn promtool(args: &[&str], input: &str) -> (bool, String) {
    let mut promtool = Command::new(tool("promtool/promtool"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let Output { status, stdout, stderr } = promtool.wait_with_output().unwrap();
    (status.success(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

#[test]
fn prometheus_reads_the_metrics_and_finds_no_fault_with_their_names() {
    let served = Served::every_state();
    let metrics = served.get("/metrics");
    assert_eq!(promtool(&["check", "metrics"], &metrics), (true, String::new()));
    // The judge judges.
    let faulty = metrics.replace("# HELP codex_volume_readable", "# HELP codex_elsewhere");
    assert!(!promtool(&["check", "metrics"], &faulty).0);
}

#[test]
fn every_metric_is_in_the_docs_and_every_metric_of_the_docs_is_there() {
    let served = Served::every_state();
    let state = served.volume.path().join("rotator_state.json");
    let counters = r#"{"refreshes": {"refreshed": {"expiring": 1}}, "rotations": {"switched": {"tick": 1}}}"#;
    let text = fs::read_to_string(&state).unwrap();
    let at = humantime::format_rfc3339_seconds(SystemTime::now());
    let lanes = r#"[{"lane": 2, "account_id": "acct-eve", "user_id": "user-eve", "slot": 5}]"#;
    let known = format!(
        r#"{{"counters": {counters}, "consumption": {{"300": [["{at}", 40000]]}}, "lanes": {lanes},"#
    );
    let used = r#"{"version": 1, "totals": [{"agent": "ben", "requests": 1}]}"#;
    fs::write(served.volume.path().join("agents-1-1.json"), used).unwrap();
    fs::write(&state, text.replacen('{', &known, 1)).unwrap();
    wait_until("the page shows what was counted", || {
        served.get("/metrics").contains("codex_rotations_total{")
    });
    let metrics = served.get("/metrics");
    let mut there: Vec<_> = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next().map(str::to_owned))
        .collect();
    let docs = fs::read_to_string(repository().join("docs/metrics.md")).unwrap();
    let mut told: Vec<_> = docs
        .lines()
        .filter_map(|line| line.strip_prefix("| `codex_")?.split(['`', '{']).next())
        .map(|name| format!("codex_{name}"))
        .collect();
    there.sort();
    told.sort();
    assert_eq!(there, told);
}

/// The rules as the chart renders them, in a directory with a test of them.
fn rules() -> (tempfile::TempDir, String) {
    let manifests: Vec<serde_json::Value> =
        serde_json::from_str(&rendered("json", &values("everything"))).unwrap();
    let spec = find(&manifests, "PrometheusRule", "litellm-accounts")["spec"].to_string();
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("rules.yaml"), &spec).unwrap();
    (directory, spec)
}

#[test]
fn the_alerts_are_rules_and_go_off_when_they_should() {
    let (directory, _) = rules();
    let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (is_content, said) = promtool(&["check", "rules", &at("rules.yaml")], "");
    assert!(is_content && said.contains("14 rules found"), "{said}");
    fs::copy(repository().join("tests/installed/alerts.yaml"), at("alerts.yaml")).unwrap();
    let (is_content, said) = promtool(&["test", "rules", &at("alerts.yaml")], "");
    assert!(is_content, "{said}");
}

#[test]
fn the_runbook_starts_from_each_alert_and_ends_with_a_command() {
    let (_directory, spec) = rules();
    let rules: serde_json::Value = serde_json::from_str(&spec).unwrap();
    let runbook = fs::read_to_string(repository().join("docs/runbook.md")).unwrap();
    for rule in rules["groups"][0]["rules"].as_array().unwrap() {
        let name = rule["alert"].as_str().unwrap();
        let link = rule["annotations"]["runbook_url"].as_str().unwrap();
        assert!(link.ends_with(&format!("#{}", name.to_lowercase())), "{link}");
        let part = runbook.split(&format!("## {name}\n")).nth(1).unwrap_or_else(|| panic!("no {name}"));
        let part = part.split("\n## ").next().unwrap();
        assert!(part.contains("```sh\nkubectl ") && part.trim_end().ends_with("```"), "{part}");
    }
}

#[test]
fn the_board_is_found_by_grafana_and_asks_what_prometheus_can_answer() {
    let manifests = of("litellm: {accountsPage: {enabled: true, grafanaDashboard: {enabled: true}}}");
    let board = find(&manifests, "ConfigMap", "litellm-accounts-dashboard");
    assert_eq!(board["metadata"]["labels"]["grafana_dashboard"], "1");
    let board: serde_json::Value =
        serde_json::from_str(board["data"]["codex-podkit-accounts.json"].as_str().unwrap()).unwrap();
    let panels = board["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().unwrap());
    let rules: Vec<_> =
        targets.map(|target| serde_json::json!({"record": "a", "expr": target["expr"]})).collect();
    assert!(rules.len() > 10);
    let rules = serde_json::json!({"groups": [{"name": "board", "rules": rules}]}).to_string();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("board.yaml");
    fs::write(&file, rules).unwrap();
    // All of them record under one name, which is only style.
    let (is_content, said) = promtool(&["check", "rules", "--lint=none", file.to_str().unwrap()], "");
    assert!(is_content, "{said}");
}

#[test]
fn metrics_are_asked_for_only_where_they_are_made() {
    let sets = ["serviceMonitor", "prometheusRule", "grafanaDashboard"]
        .map(|what| format!("litellm: {{accountsPage: {{{what}: {{enabled: true}}}}}}"));
    for said in refused(&sets.each_ref().map(String::as_str)) {
        assert!(said.contains("need litellm.accountsPage.enabled: true"), "{said}");
    }
}
