//! What Helm makes of the chart and a set of values.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use fixture::workspace::{repository, tool};
use serde_json::Value;

/// One of the sets of values under `tests/installed/chart`, by its folder's name.
pub(crate) fn values(case: &str) -> PathBuf {
    repository().join("tests/installed/chart").join(case).join("values.yaml")
}

/// What the tests' Helm says to one of its verbs, whatever it comes to.
pub(crate) fn helm(verb: &str, values: &Path) -> Output {
    helm_of(&repository().join("charts/codex-podkit"), verb, values)
}

/// The same of a chart that is elsewhere.
pub(crate) fn helm_of(chart: &Path, verb: &str, values: &Path) -> Output {
    Command::new(tool("chart/bin/python"))
        .arg(repository().join("tests/tools/helm.py"))
        .arg(verb)
        .arg(chart)
        .arg(values)
        .output()
        .unwrap()
}

/// The same of a verb that succeeds.
pub(crate) fn rendered(verb: &str, values: &Path) -> String {
    let output = helm(verb, values);
    assert!(output.status.success(), "{}: {}", values.display(), String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The same with values given as text.
pub(crate) fn rendered_from(verb: &str, values: &str) -> String {
    in_a_file(values, |file| rendered(verb, file))
}

/// The error of each set of values, all of which are refused.
pub(crate) fn refused(sets: &[&str]) -> Vec<String> {
    let said: Vec<String> = serde_json::from_str(&rendered_from("errors", &sets.join("\n---\n"))).unwrap();
    assert_eq!(said.len(), sets.len());
    for (values, error) in sets.iter().zip(&said) {
        assert!(!error.is_empty(), "these values are taken:\n{values}");
    }
    said
}

/// The manifests of a set of values given as text.
pub(crate) fn of(values: &str) -> Vec<Value> {
    serde_json::from_str(&rendered_from("json", values)).unwrap()
}

fn in_a_file<T>(values: &str, act: impl FnOnce(&Path) -> T) -> T {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("values.yaml");
    fs::write(&file, values).unwrap();
    act(&file)
}

/// The manifest of this kind and name.
pub(crate) fn find<'a>(manifests: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let is_it = |m: &&Value| m["kind"] == kind && m["metadata"]["name"] == name;
    manifests.iter().find(is_it).unwrap_or_else(|| panic!("no {kind} {name}"))
}

/// The pod that a manifest makes, or is.
pub(crate) fn pod(manifest: &Value) -> Option<&Value> {
    match manifest["kind"].as_str()? {
        "Deployment" | "Job" | "StatefulSet" => Some(&manifest["spec"]["template"]),
        "CronJob" => Some(&manifest["spec"]["jobTemplate"]["spec"]["template"]),
        "Pod" => Some(manifest),
        _ => None,
    }
}

/// A pod's containers, those that run before the others included.
pub(crate) fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    ["initContainers", "containers"].into_iter().filter_map(|kind| pod["spec"][kind].as_array()).flatten()
}

/// The names in one of a manifest's lists.
pub(crate) fn names(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().map(|item| item["name"].as_str().unwrap()).collect()
}
