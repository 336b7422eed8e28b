//! What `helm test` runs, against the real LiteLLM.

use std::process::{Command, Output};

use serde_json::Value;
use support::litellm::{KEY, LiteLlm, VERSIONS};
use support::pod::Pod;

use crate::manifest::{find, of};

/// The pod's program, asking this LiteLLM with this key.
fn asks(test: &Value, url: &str, key: &str) -> Output {
    let container = &test["spec"]["containers"][0];
    let words = [&container["command"], &container["args"]].map(|words| words.as_array().unwrap().iter());
    let words: Vec<_> = words.into_iter().flatten().map(|word| word.as_str().unwrap()).collect();
    Command::new(words[0])
        .args(&words[1..])
        // The pod has LiteLLM's proxy, through which the Service is not asked.
        .envs([("LITELLM_URL", url), ("LITELLM_MASTER_KEY", key), ("http_proxy", "http://127.0.0.1:9")])
        .output()
        .unwrap()
}

#[test]
fn helm_test_is_content_where_litellm_answers_and_takes_the_key_and_nowhere_else() {
    let pod = Pod::new();
    pod.rotate_once(&["--init"]).success();
    let litellm = LiteLlm::start(VERSIONS[0], &pod);
    let manifests = of("{}");
    let test = find(&manifests, "Pod", "litellm-test");
    assert_eq!(test["metadata"]["annotations"]["helm.sh/hook"], "test");

    let url = litellm.base_url();
    let url = url.trim_end_matches("/v1");
    let content = asks(test, url, KEY);
    let said =
        String::from_utf8_lossy(&content.stdout).into_owned() + &String::from_utf8_lossy(&content.stderr);
    assert!(content.status.success(), "{said}");
    assert_eq!(said, format!("{url}/health/readiness 200\n{url}/v1/models 200\n"));
    assert!(!asks(test, url, "sk-another").status.success());
    assert!(!asks(test, "http://127.0.0.1:9", KEY).status.success());
}
