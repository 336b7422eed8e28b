//! What an API server says of the manifests of each set of values, which finds more than their schemas do.

use std::fs;
use std::process::Command;

use fixture::workspace::{repository, tool};
use support::podman::text_of;

use crate::installed::Namespace;

#[test]
fn the_api_server_takes_every_set_of_values() {
    let cluster = Namespace::new("accepted");
    let older = tempfile::tempdir().unwrap();
    let chart = older.path().join("chart");
    let _ = helm(
        "release.py",
        &["older", repository().join("charts/codex-podkit").to_str().unwrap(), chart.to_str().unwrap()],
    );
    for case in fs::read_dir(repository().join("tests/installed/chart")).unwrap() {
        let case = case.unwrap().path();
        let manifests = helm(
            "helm.py",
            &["template", chart.to_str().unwrap(), case.join("values.yaml").to_str().unwrap()],
        );
        // Kinds that are not Kubernetes' own, and the pod of `helm test`, which is judged by what else is in a cluster.
        let others =
            ["apiVersion: monitoring.coreos.com/", "apiVersion: gateway.networking.k8s.io/", "\nkind: Pod\n"];
        let is_own = |manifest: &&str| !others.iter().any(|other| manifest.contains(other));
        let own: Vec<_> = manifests.split("---\n").filter(is_own).collect();
        // Newer than this Kubernetes.
        let own = own.join("---\n").replace("ReadWriteOncePod", "ReadWriteOnce");
        for how in [&["--server-side"][..], &[]] {
            let args = [&["apply", "--dry-run=server", "--validate=true"], how].concat();
            let taken = cluster.fed(&args, &own);
            println!("{}: {} taken", case.display(), text_of(&taken).lines().count());
            let warned = String::from_utf8_lossy(&taken.stderr);
            assert!(warned.is_empty(), "{}: {warned}", case.display());
        }
    }
}

/// What the tests' Helm says.
fn helm(script: &str, args: &[&str]) -> String {
    let helm = repository().join("tests/tools").join(script);
    text_of(&Command::new(tool("chart/bin/python")).arg(helm).args(args).output().unwrap())
}
