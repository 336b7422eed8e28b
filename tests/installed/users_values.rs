//! What a user sets lands where it belongs: once, and instead of what the chart sets.

use std::fs;
use std::process::Command;

use fixture::workspace::shipped;
use serde_json::{Value, json};

use crate::manifest::{containers, find, of, pod};

/// The pod of a Deployment.
fn pod_of<'a>(manifests: &'a [Value], name: &str) -> &'a Value {
    pod(find(manifests, "Deployment", name)).unwrap()
}

/// One of its containers.
fn container<'a>(pod: &'a Value, name: &str) -> &'a Value {
    containers(pod).find(|it| it["name"] == name).unwrap()
}

/// Every value that a variable has there.
fn of_variable<'a>(container: &'a Value, name: &str) -> Vec<&'a str> {
    let env = container["env"].as_array().unwrap().iter();
    env.filter(|it| it["name"] == name).map(|it| it["value"].as_str().unwrap()).collect()
}

#[test]
fn a_variable_that_the_chart_sets_as_well_has_the_users_value_alone() {
    let manifests = of("litellm:
  accountsPage: {enabled: true, extraEnv: [{name: ACCOUNTS_LISTEN, value: ':80'}]}
  codexAuthRotator: {extraEnv: [{name: CODEX_REFRESH_BEFORE_SEC, value: '90'}, {name: CODEX_ROTATION_POLICY, value: weighted}]}
  codexCli: {extraEnv: [{name: CODEX_ROTATION_POLICY, value: round-robin}]}
  extraEnv: [{name: HOME, value: /home/litellm}]
agents: {ann: {extraEnv: [{name: LITELLM_BASE_URL, value: 'http://elsewhere/v1'}]}}");
    let litellm = pod_of(&manifests, "litellm");
    for (name, variable, expected) in [
        ("litellm", "HOME", "/home/litellm"),
        ("codex-cli", "CODEX_REFRESH_BEFORE_SEC", "90"),
        ("codex-cli", "CODEX_ROTATION_POLICY", "round-robin"),
        ("rotator", "CODEX_REFRESH_BEFORE_SEC", "90"),
        ("rotator", "CODEX_ROTATION_POLICY", "weighted"),
        ("published-record", "CODEX_ROTATION_POLICY", "weighted"),
        ("accounts-digest", "CODEX_ROTATION_POLICY", "weighted"),
        ("accounts-page", "ACCOUNTS_LISTEN", ":80"),
    ] {
        assert_eq!(of_variable(container(litellm, name), variable), [expected], "{name}: {variable}");
    }
    let agent = container(pod_of(&manifests, "agent-ann"), "agent");
    assert_eq!(of_variable(agent, "LITELLM_BASE_URL"), ["http://elsewhere/v1"]);
}

#[test]
fn labels_and_annotations_are_merged_and_the_users_win() {
    let manifests = of("commonLabels: {team: platform, app.kubernetes.io/name: ours}
commonAnnotations: {owner: platform}
litellm:
  podLabels: {team: gateway}
  podAnnotations: {kubectl.kubernetes.io/default-container: codex-cli}
  accountsPage: {enabled: true, serviceMonitor: {enabled: true, labels: {app: prometheus}}}
agents: {ann: {}}");
    let metadata = &pod_of(&manifests, "litellm")["metadata"];
    assert_eq!(metadata["labels"]["team"], "gateway");
    assert_eq!(metadata["labels"]["app"], "litellm");
    assert_eq!(metadata["annotations"]["kubectl.kubernetes.io/default-container"], "codex-cli");
    assert_eq!(metadata["annotations"]["owner"], "platform");
    assert_eq!(
        find(&manifests, "ServiceMonitor", "litellm-accounts")["metadata"]["labels"]["app"],
        "prometheus"
    );
    for manifest in &manifests {
        let metadata = &manifest["metadata"];
        assert!(metadata["labels"].get("team").is_some(), "{metadata}");
        assert_eq!(metadata["labels"]["app.kubernetes.io/name"], "ours", "{metadata}");
        assert_eq!(metadata["annotations"]["owner"], "platform", "{metadata}");
        let selector = &manifest["spec"]["selector"]["matchLabels"];
        if let (Some(pod), Some(selector)) = (pod(manifest), selector.as_object()) {
            assert!(
                selector.iter().all(|(label, value)| pod["metadata"]["labels"][label] == *value),
                "{metadata}"
            );
        }
    }
}

#[test]
fn callbacks_of_the_users_join_ours_and_never_replace_it() {
    for (theirs, expected) in [
        ("[langfuse, prometheus]", json!(["rotate_now.handler", "langfuse", "prometheus"])),
        ("langfuse", json!(["rotate_now.handler", "langfuse"])),
        ("[langfuse, rotate_now.handler]", json!(["rotate_now.handler", "langfuse"])),
        ("null", json!(["rotate_now.handler"])),
    ] {
        let manifests = of(&format!("litellm: {{config: {{litellm_settings: {{callbacks: {theirs}}}}}}}"));
        let config = &find(&manifests, "ConfigMap", "litellm-config")["data"]["config.yaml"];
        let config = config.as_str().unwrap();
        let list = config.split("  callbacks:\n").nth(1).unwrap();
        let list: Vec<_> = list.lines().map_while(|line| line.strip_prefix("  - ")).collect();
        assert_eq!(json!(list), expected, "{theirs}");
    }
}

#[test]
fn what_pods_may_have_is_in_the_pod_that_asks_for_it() {
    let wishes = json!({
        "serviceAccountName": "sa",
        "priorityClassName": "high",
        "runtimeClassName": "gvisor",
        "terminationGracePeriodSeconds": 120,
        "hostAliases": [{"ip": "192.0.2.7", "hostnames": ["proxy.test"]}],
        "dnsConfig": {"nameservers": ["192.0.2.8"]},
        "nodeSelector": {"disk": "big"},
        "tolerations": [{"key": "dedicated", "operator": "Exists"}],
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}],
    });
    let (volume, mount) =
        (json!({"name": "ca", "configMap": {"name": "ca"}}), json!({"name": "ca", "mountPath": "/ca"}));
    let (env_from, first) =
        (json!({"secretRef": {"name": "x"}}), json!({"name": "first", "image": "busybox"}));
    let mut asked = wishes.clone();
    asked["extraVolumes"] = json!([volume]);
    asked["extraVolumeMounts"] = json!([mount]);
    asked["envFrom"] = json!([env_from]);
    asked["initContainers"] = json!([first]);

    let with_litellm =
        of(&json!({"litellm": asked, "imagePullSecrets": ["a", {"name": "b"}], "agents": {"ann": {}}})
            .to_string());
    let with_agent = of(&json!({"agents": {"ann": asked}}).to_string());
    for (manifests, deployment, name, other) in
        [(&with_litellm, "litellm", "litellm", "agent-ann"), (&with_agent, "agent-ann", "agent", "litellm")]
    {
        let spec = &pod_of(manifests, deployment)["spec"];
        for (field, value) in wishes.as_object().unwrap() {
            assert_eq!(spec[field], *value, "{deployment}: {field}");
            assert_ne!(pod_of(manifests, other)["spec"][field], *value, "{other}: {field}");
        }
        assert!(spec["volumes"].as_array().unwrap().contains(&volume), "{deployment}");
        assert_eq!(spec["initContainers"].as_array().unwrap().last(), Some(&first), "{deployment}");
        let container = container(pod_of(manifests, deployment), name);
        assert!(container["volumeMounts"].as_array().unwrap().contains(&mount), "{deployment}");
        assert_eq!(container["envFrom"], json!([env_from]), "{deployment}");
    }
    for deployment in ["litellm", "agent-ann"] {
        let secrets = &pod_of(&with_litellm, deployment)["spec"]["imagePullSecrets"];
        assert_eq!(*secrets, json!([{"name": "a"}, {"name": "b"}]), "{deployment}");
    }
}

#[test]
fn an_agent_has_a_token_for_kubernetes_only_where_it_is_to_have_one() {
    let manifests = of("agents: {ann: {serviceAccountName: sa}, ben: {automountServiceAccountToken: true}}");
    let mounts = |name| pod_of(&manifests, name)["spec"]["automountServiceAccountToken"].clone();
    assert_eq!(
        [mounts("litellm"), mounts("agent-ann"), mounts("agent-ben")],
        [false, false, true].map(Value::from)
    );
}

#[test]
fn a_private_ca_reaches_every_program_in_every_pod() {
    let manifests = of("caBundle: {configMap: roots, key: roots.pem}
litellm:
  accountsPage: {enabled: true}
  chatgptAuth: {persistence: {enabled: true}}
  codexAuthRotator: {mode: cronjob}
agents: {ann: {}, ben: {kind: Job}}");
    let pods: Vec<_> = manifests.iter().filter(|it| it["kind"] != "Pod").filter_map(pod).collect();
    assert_eq!(pods.len(), 4, "LiteLLM's, the CronJob's and the agents'");
    for pod in pods {
        let volume = json!({"name": "ca-bundle", "configMap": {"name": "roots"}});
        assert!(pod["spec"]["volumes"].as_array().unwrap().contains(&volume));
        // The page sends no request.
        for container in containers(pod).filter(|it| it["name"] != "accounts-page") {
            let name = &container["name"];
            assert_eq!(of_variable(container, "SSL_CERT_FILE"), ["/etc/ca-bundle/roots.pem"], "{name}");
            let mount = json!({"name": "ca-bundle", "mountPath": "/etc/ca-bundle", "readOnly": true});
            assert!(container["volumeMounts"].as_array().unwrap().contains(&mount), "{name}");
        }
    }
    // Debian's git asks for a variable of its own.
    let agent = container(pod_of(&manifests, "agent-ann"), "agent");
    assert_eq!(of_variable(agent, "GIT_SSL_CAINFO"), ["/etc/ca-bundle/roots.pem"]);
}

#[test]
fn maps_in_an_agents_config_become_tables_of_codexs_configuration() {
    let manifests = of(r#"
agents:
  ann:
    config:
      tools: {web_search: true}
      mcp_servers: {docs: {command: npx, args: ["-y", 'the "docs"'], env: {A: b}, startup_timeout_sec: 1000000, cwd: null}}
      projects: {/home/agent/my work: {trust_level: trusted}}
      features.empty: {}
"#);
    let args = container(pod_of(&manifests, "agent-ann"), "agent")["args"].as_array().unwrap();
    let home = tempfile::tempdir().unwrap();
    let seeded = Command::new(shipped("seed-codex-config"))
        .args(args.iter().map(|it| it.as_str().unwrap()).take_while(|it| *it != "--"))
        .env_clear()
        .env("LITELLM_BASE_URL", "http://litellm:4000/v1")
        .env("CODEX_HOME", home.path())
        .output()
        .unwrap();
    assert!(seeded.status.success(), "{}", String::from_utf8_lossy(&seeded.stderr));
    let config = fs::read_to_string(home.path().join("config.toml")).unwrap();
    for line in [
        "[mcp_servers.docs]",
        "args = [\"-y\", \"the \\\"docs\\\"\"]",
        "command = \"npx\"",
        "startup_timeout_sec = 1000000",
        "[mcp_servers.docs.env]",
        "[projects.\"/home/agent/my work\"]",
        "web_search = true",
    ] {
        assert!(config.lines().any(|it| it == line), "{line} is not in:\n{config}");
    }
    assert!(!config.contains("cwd"), "TOML has no null: {config}");
}

#[test]
fn network_policies_let_in_agents_and_whom_the_user_names_and_nobody_else() {
    let manifests = of("networkPolicy: {enabled: true}
litellm: {accountsPage: {enabled: true}}
agents: {ann: {}}");
    let policy = |manifests: &[Value], name| find(manifests, "NetworkPolicy", name)["spec"].clone();
    let agents = json!({"podSelector": {"matchLabels":
        {"app.kubernetes.io/instance": "podkit", "app.kubernetes.io/component": "agent"}}});
    let litellm = policy(&manifests, "litellm");
    assert_eq!(
        litellm["ingress"],
        json!([{"from": [agents], "ports": [{"port": "http"}]}]),
        "the page is for nobody"
    );
    assert_eq!(litellm["egress"][1], json!({"ports": [{"port": 443, "protocol": "TCP"}]}));
    assert_eq!(policy(&manifests, "agents").get("ingress"), None);
    let labels = &pod_of(&manifests, "agent-ann")["metadata"]["labels"];
    assert_eq!(labels["app.kubernetes.io/component"], "agent");

    let manifests = of("networkPolicy: {enabled: true, litellmFrom: [{podSelector: {}}], accountsPageFrom: [{namespaceSelector: {}}]}
litellm: {accountsPage: {enabled: true}}");
    let ingress = &policy(&manifests, "litellm")["ingress"];
    assert_eq!(ingress[0]["from"][1], json!({"podSelector": {}}));
    assert_eq!(ingress[1], json!({"from": [{"namespaceSelector": {}}], "ports": [{"port": "accounts"}]}));
}

#[test]
fn nothing_leads_in_from_outside_unless_it_is_asked_for() {
    let kinds = ["Ingress", "HTTPRoute", "NetworkPolicy", "PodDisruptionBudget"];
    assert!(of("agents: {ann: {}}").iter().all(|it| !kinds.contains(&it["kind"].as_str().unwrap())));
    let manifests = of("litellm:
  service: {port: 80}
  ingress: {enabled: true, hosts: [a.test]}
  httpRoute: {enabled: true, parentRefs: [{name: gateway}]}
  podDisruptionBudget: {enabled: true}");
    let backend = &find(&manifests, "Ingress", "litellm")["spec"]["rules"][0]["http"]["paths"][0]["backend"];
    assert_eq!(*backend, json!({"service": {"name": "litellm", "port": {"name": "http"}}}));
    let route = &find(&manifests, "HTTPRoute", "litellm")["spec"]["rules"][0];
    assert_eq!(*route, json!({"backendRefs": [{"name": "litellm", "port": 80}]}));
    assert_eq!(find(&manifests, "PodDisruptionBudget", "litellm")["spec"]["maxUnavailable"], 0);
}
