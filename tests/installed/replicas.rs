//! Several replicas: who has the logins, who has a right to what, and what cannot work.

use serde_json::{Value, json};

use crate::manifest::{containers, find, names, of, pod, refused};

const MANY: &str =
    "image: {tag: 1.109.1}, lanes: 3, replicas: 3, chatgptAuth: {persistence: {enabled: true}}";

const FOLLOWED: &str = ", follower: {enabled: true}";

/// The chart's manifests with three replicas and more values of LiteLLM's.
fn many(more: &str) -> Vec<Value> {
    of(&format!("litellm: {{{MANY}, accountsPage: {{enabled: true}}{more}}}"))
}

fn volume<'a>(pod: &'a Value, name: &str) -> &'a Value {
    pod["spec"]["volumes"].as_array().unwrap().iter().find(|volume| volume["name"] == name).unwrap()
}

fn has(container: &Value, mount: &str) -> bool {
    names(&container["volumeMounts"]).contains(&mount)
}

fn variable<'a>(container: &'a Value, name: &str) -> &'a Value {
    let env = container["env"].as_array().unwrap();
    &env.iter().find(|it| it["name"] == name).unwrap()["value"]
}

#[test]
fn the_logins_are_in_a_pod_of_their_own_and_the_replicas_have_records_only() {
    let manifests = many("");
    let litellm = find(&manifests, "Deployment", "litellm");
    assert_eq!(
        (&litellm["spec"]["replicas"], &litellm["spec"]["strategy"]["type"]),
        (&json!(3), &json!("RollingUpdate"))
    );
    let replica = pod(litellm).unwrap();
    assert_eq!(names(&replica["spec"]["containers"]), ["litellm"]);
    assert_eq!(names(&replica["spec"]["initContainers"]), [""; 0]);
    assert_eq!(names(&replica["spec"]["volumes"]), ["codex-lanes", "config", "litellm-tmp", "agent-keys"]);
    assert_eq!(replica["spec"]["automountServiceAccountToken"], false);
    let owner = find(&manifests, "StatefulSet", "codex-accounts");
    assert_eq!(owner["spec"]["replicas"], 1);
    let owner = pod(owner).unwrap();
    assert_eq!(
        names(&owner["spec"]["containers"]),
        ["codex-cli", "rotator", "accounts-digest", "accounts-page", "lane-mirror", "signal-receiver"]
    );
    let claim = &volume(owner, "chatgpt-auth")["persistentVolumeClaim"]["claimName"];
    assert_eq!(claim, "litellm-chatgpt-auth", "the logins stay where they are");
}

#[test]
fn a_replica_starts_when_the_secret_has_all_that_litellm_reads() {
    let manifests = many("");
    let replica = pod(find(&manifests, "Deployment", "litellm")).unwrap();
    let secret = &volume(replica, "codex-lanes")["secret"];
    // So that LiteLLM can read a new record before the kubelet has given it to the pod's group.
    assert_eq!((&secret["secretName"], &secret["defaultMode"]), (&json!("codex-lanes"), &json!(0o444)));
    assert_eq!(secret["optional"], Value::Null);
    let item = |key: &str, path: &str| json!({"key": key, "path": path});
    let items = json!([
        item("lane-1.json", "auth.json"),
        item("lane-1.json", "lane-1.json"),
        item("lane-2.json", "lane-2.json"),
        item("lane-3.json", "lane-3.json")
    ]);
    assert_eq!(secret["items"], items);
    let made = find(&manifests, "Secret", "codex-lanes");
    assert_eq!((&made["data"], &made["stringData"]), (&Value::Null, &Value::Null));
    assert_eq!(made["metadata"]["annotations"]["helm.sh/resource-policy"], "keep");
}

#[test]
fn one_container_may_read_and_write_one_secret_and_no_other_has_a_right() {
    let manifests = many("");
    let rules = json!([{
        "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["codex-lanes"], "verbs": ["get", "patch"]
    }]);
    assert_eq!(find(&manifests, "Role", "codex-accounts")["rules"], rules);
    assert_eq!(find(&manifests, "RoleBinding", "codex-accounts")["subjects"][0]["name"], "codex-accounts");
    let owner = pod(find(&manifests, "StatefulSet", "codex-accounts")).unwrap();
    assert_eq!(owner["spec"]["serviceAccountName"], "codex-accounts");
    let with_token = containers(owner).filter(|it| has(it, "api-token")).map(|it| &it["name"]);
    assert_eq!(with_token.collect::<Vec<_>>(), ["volume-check", "lane-mirror"]);
    let without_logins = containers(owner).filter(|it| !has(it, "chatgpt-auth")).map(|it| &it["name"]);
    assert_eq!(without_logins.collect::<Vec<_>>(), ["accounts-page", "signal-receiver"]);
}

#[test]
fn the_replicas_signal_to_the_service_of_the_pod_with_the_logins() {
    let manifests = many("");
    let replica = pod(find(&manifests, "Deployment", "litellm")).unwrap();
    let litellm = containers(replica).next().unwrap();
    assert_eq!(variable(litellm, "CODEX_SIGNAL_URL"), "http://codex-accounts.agents:9096");
    assert_eq!(variable(litellm, "CODEX_LANES_DELAY_SEC"), "90");
    let service = &find(&manifests, "Service", "codex-accounts")["spec"];
    assert_eq!(
        (&service["ports"][0]["port"], &service["selector"]["app"]),
        (&json!(9096), &json!("codex-accounts"))
    );
    assert_eq!(find(&manifests, "Service", "litellm-accounts")["spec"]["selector"]["app"], "codex-accounts");
}

#[test]
fn the_replicas_reach_the_receiver_alone_and_only_its_pod_reaches_kubernetes_api() {
    let manifests = of(&format!("networkPolicy: {{enabled: true}}\nlitellm: {{{MANY}}}"));
    let policy = |name: &str| &find(&manifests, "NetworkPolicy", name)["spec"];
    let app = |selector: &Value| selector["podSelector"]["matchLabels"]["app"].clone();
    let port = |number: u16| json!([{"port": number, "protocol": "TCP"}]);
    let signals = policy("codex-signals");
    assert_eq!((app(signals), &signals["policyTypes"]), (json!("litellm"), &json!(["Egress"])));
    assert_eq!(app(&signals["egress"][0]["to"][0]), "codex-accounts");
    assert_eq!(signals["egress"][0]["ports"], port(9096));
    let owner = policy("codex-accounts");
    assert_eq!(app(owner), "codex-accounts");
    assert_eq!(app(&owner["ingress"][0]["from"][0]), "litellm");
    assert_eq!(owner["ingress"][0]["ports"], json!([{"port": "signals"}]));
    assert_eq!(owner["egress"], json!([{"ports": port(6443)}]));
    assert_eq!(signals["egress"].as_array().unwrap().len(), 1);
    let all = policy("litellm").to_string();
    assert!(!all.contains("6443") && !all.contains("9096") && !all.contains("signals"), "{all}");
    let followed = of(&format!("networkPolicy: {{enabled: true}}\nlitellm: {{{MANY}{FOLLOWED}}}"));
    let signals = &find(&followed, "NetworkPolicy", "codex-signals")["spec"];
    assert_eq!(signals["egress"][1], json!({"ports": port(6443)}), "and where lane-follower runs");
}

#[test]
fn who_is_told_what_to_type_is_sent_to_the_pod_with_the_logins() {
    let manifests = many("");
    let owner = pod(find(&manifests, "StatefulSet", "codex-accounts")).unwrap();
    let page = containers(owner).find(|it| it["name"] == "accounts-page").unwrap();
    let env = page["env"].to_string();
    assert!(env.contains("kubectl -n agents exec -it sts/codex-accounts -c codex-cli --"), "{env}");
    assert!(env.contains("kubectl -n agents exec sts/codex-accounts -c rotator -- rotate-once"), "{env}");
}

#[test]
fn a_replica_that_follows_has_its_records_in_memory_before_litellm_starts() {
    let manifests = many(FOLLOWED);
    let replica = pod(find(&manifests, "Deployment", "litellm")).unwrap();
    assert_eq!(names(&replica["spec"]["initContainers"]), ["lane-records"]);
    assert_eq!(names(&replica["spec"]["containers"]), ["litellm", "lane-follower"]);
    let command = |index: usize| containers(replica).nth(index).unwrap()["command"].clone();
    assert_eq!(command(0), json!(["lane-follower", "--lanes", "3", "--once"]));
    assert_eq!(command(2), json!(["lane-follower", "--lanes", "3"]));
    assert_eq!(volume(replica, "chatgpt-live")["emptyDir"]["medium"], "Memory");
    assert!(!names(&replica["spec"]["volumes"]).contains(&"codex-lanes"));
    let litellm = containers(replica).nth(1).unwrap();
    let live =
        litellm["volumeMounts"].as_array().unwrap().iter().find(|it| it["mountPath"] == "/chatgpt-live");
    assert_eq!(live, Some(&json!({"name": "chatgpt-live", "mountPath": "/chatgpt-live", "readOnly": true})));
    assert_eq!(variable(litellm, "CODEX_LANES_DELAY_SEC"), "5");
}

#[test]
fn of_a_replica_that_follows_litellms_container_has_no_token_and_the_others_may_read_one_secret() {
    let manifests = many(FOLLOWED);
    let rules = json!([{
        "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["codex-lanes"], "verbs": ["list", "watch"]
    }]);
    assert_eq!(find(&manifests, "Role", "litellm")["rules"], rules);
    assert_eq!(find(&manifests, "ServiceAccount", "litellm")["automountServiceAccountToken"], false);
    let replica = pod(find(&manifests, "Deployment", "litellm")).unwrap();
    assert_eq!(replica["spec"]["serviceAccountName"], "litellm");
    assert_eq!(replica["spec"]["automountServiceAccountToken"], false);
    let with_token = containers(replica).filter(|it| has(it, "api-token")).map(|it| &it["name"]);
    assert_eq!(with_token.collect::<Vec<_>>(), ["lane-records", "lane-follower"]);
}

#[test]
fn a_service_account_of_the_users_own_gets_the_right_and_none_is_made() {
    for (given, account) in [("", "litellm"), (", serviceAccountName: ours", "ours")] {
        let manifests = many(&format!("{FOLLOWED}{given}"));
        let replica = pod(find(&manifests, "Deployment", "litellm")).unwrap();
        assert_eq!(replica["spec"]["serviceAccountName"], account);
        let bound = json!([{"kind": "ServiceAccount", "name": account, "namespace": "agents"}]);
        assert_eq!(find(&manifests, "RoleBinding", "litellm")["subjects"], bound);
        let made = manifests.iter().filter(|it| it["kind"] == "ServiceAccount");
        let names: Vec<_> =
            made.map(|it| &it["metadata"]["name"]).filter(|name| *name != "codex-accounts").collect();
        assert_eq!(names.len(), usize::from(given.is_empty()), "{names:?}");
    }
}

#[test]
fn a_replica_that_follows_no_more_is_told_to_leave_the_account_that_goes() {
    for (given, account) in [("", "default"), (", serviceAccountName: ours", "ours")] {
        let manifests = many(given);
        let replica = pod(find(&manifests, "Deployment", "litellm")).unwrap();
        assert_eq!(replica["spec"]["serviceAccountName"], account);
        assert!(!containers(replica).any(|it| has(it, "api-token")));
    }
}

#[test]
fn no_request_is_lost_when_pods_come_and_go() {
    let manifests = many("");
    let litellm = find(&manifests, "Deployment", "litellm");
    assert_eq!(
        litellm["spec"]["strategy"]["rollingUpdate"],
        json!({"maxUnavailable": 0, "maxSurge": 1}),
        "the one pod of before goes on until a replica answers"
    );
    let replica = &pod(litellm).unwrap()["spec"];
    assert_eq!(replica["terminationGracePeriodSeconds"], 300);
    assert_eq!(replica["containers"][0]["lifecycle"]["preStop"]["exec"]["command"], json!(["sleep", "5"]));
    let owner = &pod(find(&manifests, "StatefulSet", "codex-accounts")).unwrap()["spec"];
    let near = &owner["affinity"]["podAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"][0];
    assert_eq!(near["podAffinityTerm"]["labelSelector"]["matchLabels"]["app"], "litellm");
    let set = many(", terminationGracePeriodSeconds: 60");
    let replica = pod(find(&set, "Deployment", "litellm")).unwrap();
    assert_eq!(replica["spec"]["terminationGracePeriodSeconds"], 60);
}

#[test]
fn an_autoscaler_sets_the_number_from_the_given_one_on() {
    let manifests = many(", autoscaling: {enabled: true, maxReplicas: 9}");
    assert_eq!(find(&manifests, "Deployment", "litellm")["spec"]["replicas"], Value::Null);
    let spec = &find(&manifests, "HorizontalPodAutoscaler", "litellm")["spec"];
    assert_eq!((&spec["minReplicas"], &spec["maxReplicas"]), (&json!(3), &json!(9)));
    assert_eq!(
        spec["scaleTargetRef"],
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "litellm"})
    );
}

#[test]
fn of_several_replicas_one_is_drained_at_a_time() {
    let manifests = many(", podDisruptionBudget: {enabled: true}");
    assert_eq!(find(&manifests, "PodDisruptionBudget", "litellm")["spec"]["maxUnavailable"], 1);
}

#[test]
fn with_one_replica_there_is_none_of_it() {
    let manifests = of("networkPolicy: {enabled: true}\nlitellm: {accountsPage: {enabled: true}}");
    let policies = manifests.iter().filter(|manifest| manifest["kind"] == "NetworkPolicy");
    assert_eq!(policies.map(|policy| &policy["metadata"]["name"]).collect::<Vec<_>>(), ["litellm"]);
    for kind in ["StatefulSet", "Secret", "ServiceAccount", "Role", "RoleBinding", "HorizontalPodAutoscaler"]
    {
        assert!(!manifests.iter().any(|manifest| manifest["kind"] == kind), "{kind}");
    }
}

#[test]
fn what_several_replicas_cannot_work_without_is_said() {
    let with = |values: &str| format!("litellm: {{replicas: 2, {values}}}");
    let (claim, new) = ("chatgptAuth: {persistence: {enabled: true}}", "image: {tag: 1.109.1}");
    let cases = [
        (with(&format!("lanes: 2, {new}")), "needs litellm.chatgptAuth.persistence.enabled: true"),
        (
            with(&format!("replicasShareOneLane: true, {claim}")),
            "needs LiteLLM 1.109 or later, as 1.106.2 reads one",
        ),
        (
            with(&format!("{claim}, {new}")),
            "litellm.replicas: 2 with litellm.lanes: 1 has all replicas on one account: set litellm.lanes, or \
             litellm.replicasShareOneLane: true if that is meant",
        ),
        (
            with(&format!("lanes: 2, {claim}, {new}, codexAuthRotator: {{mode: cronjob}}")),
            "needs litellm.codexAuthRotator with mode: sidecar",
        ),
        (
            with(&format!("lanes: 2, {claim}, {new}, autoscaling: {{enabled: true, maxReplicas: 1}}")),
            "litellm.autoscaling.maxReplicas is below litellm.replicas",
        ),
        (
            format!("litellm: {{lanes: 2, {claim}, {new}{FOLLOWED}}}"),
            "litellm.follower.enabled needs several replicas, as one pod has its records at once: set litellm.replicas",
        ),
    ];
    let sets: Vec<_> = cases.iter().map(|(values, _)| values.as_str()).collect();
    for ((values, why), said) in cases.iter().zip(refused(&sets)) {
        assert!(said.contains(why), "{values}: {said}");
    }
    let meant = of(&with(&format!("replicasShareOneLane: true, {claim}, {new}")));
    assert_eq!(find(&meant, "Deployment", "litellm")["spec"]["replicas"], 2);
}
