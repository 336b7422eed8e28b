//! The chart, as Helm renders it and Kubernetes would take it.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::process::Command;

use fixture::workspace::{repository, tool};
use serde_json::{Value, json};

use crate::manifest::{containers, find, helm_of, names, of, pod, rendered, values};

/// Containers and Secrets of the user's own, with which the user does as they wish.
const USERS: [&str; 4] = ["warm", "clone", "ann", "langfuse"];

const CASES: [&str; 8] =
    ["defaults", "claim", "cronjob", "replicas", "followed", "agents", "only-agents", "everything"];

fn manifests(case: &str) -> Vec<Value> {
    serde_json::from_str(&rendered("json", &values(case))).unwrap()
}

fn is_the_users(named: &Value) -> bool {
    named["name"].as_str().is_some_and(|name| USERS.contains(&name))
}

/// Every container of ours of every set of values, by a name that a failure can show.
fn every_container() -> BTreeMap<String, (Value, Value)> {
    let mut all = BTreeMap::new();
    for case in CASES {
        for manifest in manifests(case) {
            let Some(pod) = pod(&manifest) else { continue };
            for container in containers(pod).filter(|it| !is_the_users(it)) {
                let name = format!("{case}: {} {}", manifest["metadata"]["name"], container["name"]);
                all.insert(name, (pod.clone(), container.clone()));
            }
        }
    }
    all
}

/// What a reviewer reads: without the callback, which lies beside the chart's templates, and its checksum.
fn for_reviewers(manifests: &str) -> String {
    let mut text = String::new();
    for manifest in manifests.split_inclusive("\n---\n") {
        match manifest.split_once("\n  # LiteLLM looks for callbacks") {
            Some((config, _)) => {
                text += &[config, "\n  # … and files/rotate_now.py, agent_keys.py\n---\n"].concat();
            }
            None => text += manifest,
        }
    }
    let without_checksum = |line: &str| match line.split_once("checksum/config: ") {
        Some((indent, _)) => [indent, "checksum/config: …\n"].concat(),
        None => [line, "\n"].concat(),
    };
    text.lines().map(without_checksum).collect()
}

#[test]
fn eight_sets_of_values_render_as_their_reviewers_saw_them() {
    for case in CASES {
        let texts = [
            ("manifests.yaml", for_reviewers(&rendered("template", &values(case)))),
            ("notes.txt", rendered("notes", &values(case))),
        ];
        for (name, now) in texts {
            let file = values(case).with_file_name(name);
            if env::var_os("UPDATE_SNAPSHOTS").is_some() {
                fs::write(&file, &now).unwrap();
            }
            let then = fs::read_to_string(&file).unwrap_or_default();
            assert!(
                now == then,
                "{} is not what the chart renders: run this test with UPDATE_SNAPSHOTS=1 and read the difference",
                file.display()
            );
        }
    }
}

#[test]
fn kubernetes_1_30_and_the_newest_take_every_manifest() {
    let schemas = tool("chart/lib/python3.11/site-packages/kubernetes_validate/kubernetes-json-schema");
    let version = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().unwrap();
        let mut numbers = name.trim_start_matches('v').split(['.', '-']).map_while(|n| n.parse::<u32>().ok());
        Some((numbers.next()?, numbers.next()?, numbers.next()?))
    };
    let newest = fs::read_dir(schemas).unwrap().filter_map(|entry| version(entry.unwrap())).max().unwrap();
    assert!(newest >= (1, 37, 0), "{newest:?}");
    let newest = format!("{}.{}.{}", newest.0, newest.1, newest.2);

    for case in CASES {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("manifests.yaml");
        // Kinds that are not Kubernetes' own: the Prometheus Operator's are read in monitoring.rs.
        let rendered = rendered("template", &values(case));
        let ours = rendered.split_inclusive("\n---\n").filter(|m| {
            !m.contains("apiVersion: monitoring.coreos.com/")
                && !m.contains("apiVersion: gateway.networking.k8s.io/")
        });
        fs::write(&file, ours.collect::<String>()).unwrap();
        for version in ["1.30.0", &newest] {
            let validate = Command::new(tool("chart/bin/kubernetes-validate"))
                .args(["--strict", "--kubernetes-version", version])
                .arg(&file)
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&validate.stdout) + String::from_utf8_lossy(&validate.stderr);
            assert!(
                validate.status.success() && !said.contains("FAILURE"),
                "{case}, Kubernetes {version}: {said}"
            );
        }
    }
}

#[test]
fn helm_lint_finds_nothing_but_that_there_is_no_icon() {
    for case in CASES {
        assert_eq!(rendered("lint", &values(case)).trim(), "1 Chart.yaml: icon is recommended");
    }
}

#[test]
fn helm_shows_the_page_of_the_packaged_chart() {
    let page = fs::read_to_string(repository().join("charts/codex-podkit/README.md")).unwrap();
    assert_eq!(rendered("readme", &values("defaults")), page);
}

#[test]
fn every_container_keeps_to_the_restricted_profile() {
    for (name, (pod, container)) in every_container() {
        let (of_pod, own) = (&pod["spec"]["securityContext"], &container["securityContext"]);
        assert_eq!(of_pod["runAsNonRoot"], true, "{name}");
        assert_eq!(of_pod["seccompProfile"]["type"], "RuntimeDefault", "{name}");
        assert_eq!(own["allowPrivilegeEscalation"], false, "{name}");
        assert_eq!(own["capabilities"], json!({"drop": ["ALL"]}), "{name}");
        assert_ne!(own["runAsUser"], 0, "{name}");
        assert_eq!(pod["spec"]["automountServiceAccountToken"], false, "{name}");
        if !name.starts_with("everything") {
            assert_eq!(of_pod["runAsUser"], 65532, "{name}");
            assert_eq!(own["readOnlyRootFilesystem"], true, "{name}");
        }
    }
}

#[test]
fn litellm_sees_the_published_record_and_the_signal_and_no_login() {
    for (name, (_, container)) in every_container().into_iter().filter(|(_, (_, c))| c["name"] == "litellm") {
        let mounts = container["volumeMounts"].as_array().unwrap();
        let is_logins = |mount: &Value| mount["name"].as_str().unwrap().starts_with("chatgpt-auth");
        let masters = |mount: &&Value| is_logins(mount) && mount["subPath"] != "live";
        assert_eq!(mounts.iter().find(masters), None, "{name}");
        assert!(mounts.iter().any(|mount| mount["mountPath"] == "/chatgpt-live"), "{name}");
    }
}

#[test]
fn what_idles_is_a_container_and_only_what_ends_comes_before() {
    let manifests = manifests("claim");
    let spec = &find(&manifests, "Deployment", "litellm")["spec"]["template"]["spec"];
    assert_eq!(names(&spec["initContainers"]), ["published-record"]);
    assert_eq!(spec["initContainers"][0]["command"], json!(["rotate-once", "--init"]));
    assert_eq!(names(&spec["containers"]), ["litellm", "codex-cli", "rotator"]);
}

#[test]
fn turning_persistence_on_or_off_changes_no_strategy() {
    for (persistence, claims) in
        [("{}", 0), ("{enabled: false}", 0), ("{enabled: true}", 1), ("{existingClaim: ours}", 0)]
    {
        let manifests = of(&format!("litellm: {{chatgptAuth: {{persistence: {persistence}}}}}"));
        let strategy = &find(&manifests, "Deployment", "litellm")["spec"]["strategy"];
        // The null is for a release whose strategy Kubernetes filled in.
        assert_eq!(*strategy, json!({"type": "Recreate", "rollingUpdate": null}), "{persistence}");
        let there = manifests.iter().filter(|m| m["kind"] == "PersistentVolumeClaim");
        assert_eq!(there.count(), claims, "{persistence}");
    }
}

#[test]
fn every_claim_outlives_an_uninstall_and_a_prune() {
    for case in CASES {
        for claim in manifests(case).iter().filter(|m| m["kind"] == "PersistentVolumeClaim") {
            let annotations = &claim["metadata"]["annotations"];
            assert_eq!(annotations["helm.sh/resource-policy"], "keep");
            assert_eq!(annotations["argocd.argoproj.io/sync-options"], "Prune=false,Delete=false");
            assert_eq!(annotations["kustomize.toolkit.fluxcd.io/prune"], "disabled");
        }
    }
}

/// The variables of a Deployment's container, as text.
fn variables(manifests: &[Value], container: &str) -> BTreeMap<String, String> {
    let spec = &find(manifests, "Deployment", "litellm")["spec"]["template"]["spec"];
    let it = spec["containers"].as_array().unwrap().iter().find(|it| it["name"] == container).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    it["env"].as_array().unwrap().iter().map(|it| (text(&it["name"]), text(&it["value"]))).collect()
}

#[test]
fn the_page_sends_nobody_to_a_container_or_a_cronjob_that_is_not_there() {
    const OPERATOR: &str = "kubectl -n agents exec -it deploy/litellm -c codex-cli --";
    const SIDECAR: &str = "kubectl -n agents exec deploy/litellm -c rotator -- rotate-once";
    const JOB: &str =
        "kubectl -n agents create job --from=cronjob/litellm-rotator \"rotate-once-$$(date +%s)\"";
    for (values, exec, rotate) in [
        ("codexAuthRotator: {}", OPERATOR, SIDECAR),
        ("codexCli: {enabled: false}", "", SIDECAR),
        ("codexAuthRotator: {mode: cronjob}", OPERATOR, JOB),
        ("codexAuthRotator: {enabled: false}", OPERATOR, "rotate-once"),
        ("codexCli: {enabled: false}, codexAuthRotator: {enabled: false}", "", "rotate-once"),
    ] {
        let manifests = of(&format!(
            "litellm: {{accountsPage: {{enabled: true}}, chatgptAuth: {{persistence: {{enabled: true}}}}, {values}}}"
        ));
        let variables = variables(&manifests, "accounts-page");
        assert_eq!([&variables["ACCOUNTS_EXEC"], &variables["ACCOUNTS_ROTATE"]], [exec, rotate], "{values}");
        let spec = &find(&manifests, "Deployment", "litellm")["spec"]["template"]["spec"];
        let is_there = |container| names(&spec["containers"]).contains(&container);
        assert_eq!(is_there("codex-cli"), exec == OPERATOR, "{values}");
        assert_eq!(is_there("rotator"), rotate == SIDECAR, "{values}");
        assert_eq!(manifests.iter().any(|it| it["kind"] == "CronJob"), rotate == JOB, "{values}");
    }
}

#[test]
fn whoever_looks_at_the_accounts_knows_how_often_the_rotator_runs() {
    for (rotator, interval) in [
        ("interval: 1h", "1h"),
        ("mode: cronjob", "10m"),
        ("mode: cronjob, schedule: '*/5  * * * *'", "5m"),
        ("mode: cronjob, schedule: '17 * * * *'", "1h"),
        ("mode: cronjob, schedule: '0 */6 * * *'", "6h"),
        // What cannot be told from the schedule is said beside it.
        ("mode: cronjob, schedule: '0 8-18 * * 1-5', interval: 62h", "62h"),
        ("mode: cronjob, schedule: '*/10 8-18 * * *', interval: 14h", "14h"),
        ("mode: cronjob, schedule: '*/90 * * * *', interval: 1h", "1h"),
    ] {
        let manifests = of(&format!(
            "litellm: {{accountsPage: {{enabled: true}}, chatgptAuth: {{persistence: {{enabled: true}}}}, \
             codexAuthRotator: {{{rotator}}}}}"
        ));
        for container in ["accounts-digest", "codex-cli"] {
            let said = &variables(&manifests, container)["CODEX_ROTATION_INTERVAL_SEC"];
            assert_eq!(said, interval, "{rotator}, {container}");
        }
    }
}

#[test]
fn tokens_from_a_secret_are_where_somebody_looks_at_the_accounts_and_nowhere_else() {
    let manifests = of("litellm: {accountsPage: {enabled: true}, chatgptAuth: {tokensSecret: tokens}}");
    let pod = pod(find(&manifests, "Deployment", "litellm")).unwrap();
    let has_them = |container: &&Value| {
        container["envFrom"] == json!([{"secretRef": {"name": "tokens", "optional": true}}])
    };
    let with: Vec<_> = containers(pod).filter(has_them).map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(with, ["published-record", "codex-cli", "rotator", "accounts-digest"]);
}

#[test]
fn the_container_that_answers_strangers_mounts_what_it_shows_and_nothing_else() {
    for values in [
        "accountsPage: {enabled: true}",
        "accountsPage: {enabled: true, showIdentity: true}, chatgptAuth: {tokensSecret: tokens}",
        "accountsPage: {enabled: true}, chatgptAuth: {persistence: {enabled: true}}, codexAuthRotator: {mode: cronjob}",
        "accountsPage: {enabled: true}, codexAuthRotator: {enabled: false}, codexCli: {enabled: false}",
    ] {
        let manifests = of(&format!("litellm: {{{values}}}"));
        let pod = pod(find(&manifests, "Deployment", "litellm")).unwrap();
        let container = |name: &str| containers(pod).find(|it| it["name"] == name).unwrap();
        let page = container("accounts-page");
        let digest = json!([{"name": "accounts-digest", "mountPath": "/accounts-digest", "readOnly": true}]);
        assert_eq!(page["volumeMounts"], digest, "{values}");
        assert_eq!(page["envFrom"], Value::Null, "{values}");
        assert_eq!(page["args"], Value::Null, "{values}");
        let volumes = pod["spec"]["volumes"].as_array().unwrap();
        let volume = volumes.iter().find(|it| it["name"] == "accounts-digest").unwrap();
        assert_eq!(volume["emptyDir"]["medium"], "Memory", "{values}");
        let writer = container("accounts-digest");
        let mounts = writer["volumeMounts"].as_array().unwrap();
        let written: Vec<_> =
            mounts.iter().filter(|it| it["readOnly"] != true).map(|it| &it["name"]).collect();
        assert_eq!(written, ["accounts-digest"], "{values}");
        assert_eq!(writer["ports"], Value::Null, "{values}");
        let args = writer["args"].as_array().unwrap();
        assert_eq!(args.contains(&"--show-identity".into()), values.contains("showIdentity"), "{values}");
    }
}

#[test]
fn the_page_is_served_under_its_services_name_and_those_that_are_given() {
    for (hosts, expected) in [("[]", ""), ("[a.test, b.test]", ",a.test,b.test")] {
        let manifests = of(&format!("litellm: {{accountsPage: {{enabled: true, hosts: {hosts}}}}}"));
        let said = &variables(&manifests, "accounts-page")["ACCOUNTS_HOSTS"];
        assert_eq!(said, &format!("litellm-accounts.agents{expected}"));
    }
}

#[test]
fn probes_ask_whether_litellm_answers_and_nothing_of_accounts() {
    for (name, (_, container)) in every_container() {
        let paths = ["startupProbe", "livenessProbe", "readinessProbe"].map(|probe| container[probe].clone());
        if container["name"] == "litellm" {
            let paths = paths.map(|probe| probe["httpGet"]["path"].clone());
            assert_eq!(paths, ["/health/liveliness", "/health/liveliness", "/health/readiness"], "{name}");
        } else if container["name"] == "accounts-page" || container["name"] == "signal-receiver" {
            // Which says nothing of accounts; and that the page is not ready must not take LiteLLM out of service.
            let paths = paths.map(|probe| probe["httpGet"]["path"].clone());
            assert_eq!(paths, [Value::Null, "/healthz".into(), Value::Null], "{name}");
        } else {
            assert!(paths.iter().all(Value::is_null), "{name}");
        }
    }
}

#[test]
fn no_pod_waits_for_a_secret_that_is_not_there() {
    for (name, (_, container)) in every_container() {
        let env = container["env"].as_array().into_iter().flatten().map(|v| &v["valueFrom"]["secretKeyRef"]);
        let from = container["envFrom"].as_array().into_iter().flatten().map(|v| &v["secretRef"]);
        let ours = env.chain(from).filter(|secret| !secret.is_null() && !is_the_users(secret));
        for secret in ours {
            assert_eq!(secret["optional"], true, "{name}: {secret}");
        }
    }
}

#[test]
fn where_events_are_posted_is_a_secret_that_only_the_rotator_gets() {
    for (name, (_, container)) in every_container() {
        let mut env = container["env"].as_array().into_iter().flatten();
        let webhook = env.find(|variable| variable["name"] == "CODEX_EVENT_WEBHOOK");
        let is_rotator =
            container["image"].to_string().contains("/rotator:") && container["name"] != "accounts-digest";
        let is_told = name.starts_with("everything") && is_rotator;
        let secret = json!({"name": "pager", "key": "codex", "optional": true});
        let expected = is_told.then_some(&secret);
        assert_eq!(webhook.map(|variable| &variable["valueFrom"]["secretKeyRef"]), expected, "{name}");
    }
}

#[test]
fn litellm_gets_its_configuration_and_callback_as_they_are_proven() {
    let manifests = of("litellm: {agentKeys: {enabled: false}}");
    let data = &find(&manifests, "ConfigMap", "litellm-config")["data"];
    for file in ["config.yaml", "rotate_now.py"] {
        let proven = fs::read_to_string(repository().join("charts/codex-podkit/files").join(file)).unwrap();
        assert_eq!(data[file].as_str().unwrap().trim(), proven.trim(), "{file}");
    }
}

#[test]
fn each_lane_is_a_deployment_of_every_chatgpt_model_and_of_no_other() {
    let manifests = of("litellm:
  lanes: 2
  image: {tag: 1.109.1}
  config:
    router_settings: {optional_pre_call_checks: [prompt_caching]}
    model_list:
      - {model_name: sol, litellm_params: {model: chatgpt/sol}}
      - {model_name: nova, litellm_params: {model: chatgpt/nova}, model_info: {mode: responses}}
      - {model_name: mine, litellm_params: {model: chatgpt/sol, chatgpt_auth_file: /elsewhere/auth.json}}
      - {model_name: other, litellm_params: {model: openai/other}}");
    let config = find(&manifests, "ConfigMap", "litellm-config")["data"]["config.yaml"].as_str().unwrap();
    for words in [
        "id: lane-1-sol",
        "id: lane-2-sol",
        "id: lane-2-nova\n    mode: responses",
        "chatgpt_auth_file: /chatgpt-live/lane-2.json\n    model: chatgpt/nova",
        "chatgpt_auth_file: /elsewhere/auth.json",
        "- prompt_caching\n  - session_affinity",
    ] {
        assert!(config.contains(words), "{words} is not in {config}");
    }
    let count = |words: &str| config.matches(words).count();
    assert_eq!([count("model_name"), count("lane-1.json"), count("model_name: other")], [6, 2, 1]);
    for container in ["codex-cli", "rotator"] {
        assert_eq!(variables(&manifests, container)["CODEX_LANES"], "2");
    }
}

#[test]
fn several_lanes_are_taken_with_a_litellm_that_reads_them_or_whose_version_no_one_can_tell() {
    for tag in ["1.109.0", "v1.110.2-stable", "2.0.0", "main-latest"] {
        let _ = of(&format!("litellm: {{lanes: 2, image: {{tag: {tag}}}}}"));
    }
}

#[test]
fn a_version_with_build_metadata_makes_labels_that_kubernetes_takes() {
    let copy = tempfile::tempdir().unwrap();
    let ours = repository().join("charts/codex-podkit");
    let cp = Command::new("cp").arg("-r").arg(&ours).arg(copy.path()).status().unwrap();
    assert!(cp.success());
    let chart = copy.path().join("codex-podkit");
    let about = fs::read_to_string(chart.join("Chart.yaml")).unwrap();
    // As Flux makes it of a GitRepository.
    let long = "0.1.0+9414ed9678d19414ed9678d19414ed9678d19414ed9678d1.9414ed9678d1";
    fs::write(chart.join("Chart.yaml"), about.replace("ersion: 0.1.0\n", &format!("ersion: {long}\n")))
        .unwrap();

    let rendered = helm_of(&chart, "json", &values("defaults"));
    let manifests: Vec<Value> = serde_json::from_slice(&rendered.stdout).unwrap();
    let labels = &find(&manifests, "Deployment", "litellm")["metadata"]["labels"];
    assert_eq!(labels["app.kubernetes.io/version"], long.replace('+', "_")[..63]);
    assert_eq!(labels["helm.sh/chart"], "codex-podkit-0.1.0_9414ed9678d19414ed9678d19414ed9678d19414ed96");
}

#[test]
fn the_chart_and_the_workspace_are_one_release() {
    let chart = fs::read_to_string(repository().join("charts/codex-podkit/Chart.yaml")).unwrap();
    for key in ["version: ", "appVersion: "] {
        let version = chart.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        assert_eq!(version, env!("CARGO_PKG_VERSION"));
    }
}
