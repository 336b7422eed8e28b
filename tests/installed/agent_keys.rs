//! How the chart gives each agent a key of its own, and `LiteLLM` the hashes of all.

use serde_json::{Value, json};

use crate::manifest::{find, names, of};

fn litellms_config(manifests: &[Value]) -> &Value {
    &find(manifests, "ConfigMap", "litellm-config")["data"]
}

/// From which Secret an agent has its key.
fn key_of<'a>(manifests: &'a [Value], agent: &str) -> &'a Value {
    let agent = &find(manifests, "Deployment", agent)["spec"]["template"]["spec"]["containers"][0];
    let variables = agent["env"].as_array().unwrap();
    &variables.iter().find(|it| it["name"] == "LITELLM_API_KEY").unwrap()["valueFrom"]["secretKeyRef"]
}

#[test]
fn each_agent_has_its_key_from_a_secret_of_its_own_and_boots_without_it() {
    let manifests = of("agents: {ann: {}, ben: {keySecret: {name: bens, key: KEY}}}");
    let ann = json!({"name": "agent-ann-litellm-key", "key": "LITELLM_API_KEY", "optional": true});
    assert_eq!(key_of(&manifests, "agent-ann"), &ann);
    assert_eq!(key_of(&manifests, "agent-ben"), &json!({"name": "bens", "key": "KEY", "optional": true}));
}

#[test]
fn agents_may_go_on_with_one_key() {
    let manifests = of("{agents: {ann: {}, ben: {}}, agentDefaults: {keySecret: {name: litellm-keys}}}");
    for agent in ["agent-ann", "agent-ben"] {
        assert_eq!(key_of(&manifests, agent)["name"], "litellm-keys");
    }
}

#[test]
fn litellm_has_the_hashes_as_a_directory_that_changes_and_no_agents_key() {
    let manifests = of("agents: {ann: {}}");
    let spec = &find(&manifests, "Deployment", "litellm")["spec"]["template"]["spec"];
    let litellm = &spec["containers"][0];
    let mount = json!({"name": "agent-keys", "mountPath": "/etc/litellm-agent-keys", "readOnly": true});
    assert!(
        litellm["volumeMounts"].as_array().unwrap().contains(&mount),
        "without a subPath, which never changes"
    );
    let volume =
        json!({"name": "agent-keys", "secret": {"secretName": "litellm-agent-keys", "optional": true}});
    assert!(spec["volumes"].as_array().unwrap().contains(&volume));
    assert!(!spec.to_string().contains("LITELLM_API_KEY"));
    assert!(!manifests.iter().any(|it| it["kind"] == "Secret"), "the chart makes no keys");
}

#[test]
fn the_check_of_keys_is_beside_the_configuration_and_in_it() {
    let manifests = of("litellm: {config: {litellm_settings: {drop_params: true}}}");
    let config = litellms_config(&manifests);
    assert!(config["agent_keys.py"].as_str().unwrap().contains("async def check("));
    for manifests in [of("{}"), manifests.clone()] {
        let yaml = litellms_config(&manifests)["config.yaml"].as_str().unwrap();
        for setting in [
            "custom_auth: agent_keys.check",
            "custom_auth_run_common_checks: true",
            "enable_post_custom_auth_checks: true",
            "master_key: os.environ/LITELLM_MASTER_KEY",
        ] {
            assert!(yaml.contains(&format!("\n  {setting}\n")), "{setting} is not in {yaml}");
        }
    }
}

#[test]
fn with_a_database_litellm_checks_keys_itself() {
    let manifests = of("litellm: {agentKeys: {enabled: false}}");
    let config = litellms_config(&manifests);
    assert_eq!(config["agent_keys.py"], Value::Null);
    assert!(!config["config.yaml"].as_str().unwrap().contains("custom_auth"));
    let spec = &find(&manifests, "Deployment", "litellm")["spec"]["template"]["spec"];
    assert!(!names(&spec["volumes"]).contains(&"agent-keys"));
}
