//! Values that cannot work are refused before anything is installed, each with one sentence.

use std::collections::BTreeMap;

use crate::manifest::{refused, rendered_from};

#[test]
fn what_is_misspelt_or_cannot_work_is_refused_with_what_to_do() {
    let cases = [
        ("litellm: {codexAuthRotatr: {enabled: false}}", "'codexAuthRotatr' not allowed"),
        ("litellm: {codexAuthRotator: {mode: daemon}}", "/litellm/codexAuthRotator/mode"),
        ("agents: {ann: {replicas: -1}}", "/agents/ann"),
        ("agents: {ann: {git: null}}", "'/agents/ann/git': got null, want object"),
        (
            "litellm: {codexAuthRotator: {mode: cronjob}}",
            "litellm.codexAuthRotator.mode: cronjob needs litellm.chatgptAuth.persistence.enabled: true",
        ),
        (
            "litellm: {codexAuthRotator: {mode: cronjob}, chatgptAuth: {persistence: {enabled: true, accessMode: ReadWriteOncePod}}}",
            "cronjob needs litellm.chatgptAuth.persistence.accessMode: ReadWriteOnce, as two pods have the claim",
        ),
        (
            "{litellm: {enabled: false}, agents: {ann: {}}}",
            "agents.ann.baseUrl is needed where litellm.enabled is false: the URL of your LiteLLM",
        ),
        (
            "litellm: {ingress: {enabled: true}}",
            "litellm.ingress.hosts needs a name, as in [litellm.example.com]",
        ),
        (
            "litellm: {httpRoute: {enabled: true}}",
            "litellm.httpRoute.parentRefs needs a Gateway, as in [{name: gateway}]",
        ),
        (
            "litellm: {podLabels: {app: gateway}}",
            "litellm.podLabels: app is a label by which the chart's pods are found, and cannot be set",
        ),
        (
            "agents: {ann: {podLabels: {app.kubernetes.io/instance: x}}}",
            "agents.ann.podLabels: app.kubernetes.io/instance is a label by which the chart's pods are found",
        ),
        (
            "litellm: {lanes: 2}",
            "litellm.lanes: 2 needs LiteLLM 1.109 or later, as 1.106.2 reads one record for all deployments: set litellm.image.tag",
        ),
        (
            "litellm: {lanes: 16, image: {tag: v1.108.14}}",
            "litellm.lanes: 16 needs LiteLLM 1.109 or later, as v1.108.14",
        ),
        ("litellm: {lanes: 17, image: {tag: 1.110.2}}", "lanes"),
    ];
    for ((values, why), said) in cases.iter().zip(refused(&cases.map(|(values, _)| values))) {
        assert!(said.contains(why), "{values}: {said}");
    }
}

#[test]
fn a_text_of_the_wrong_form_is_quoted_with_the_right_one() {
    let duration = "is not a duration: write 30m, 1h30m, 90s or plain seconds";
    let name = "is not a name in Kubernetes, which has lower-case letters, digits, - and . only";
    let image = "is not the name of an image or a registry, which is a host and a path without https://";
    let cases = [
        (
            "litellm: {codexAuthRotator: {interval: soon}}",
            "litellm.codexAuthRotator.interval: \"soon\"",
            duration,
        ),
        (
            "litellm: {codexAuthRotator: {usagePoll: 5 min}}",
            "litellm.codexAuthRotator.usagePoll: \"5 min\"",
            duration,
        ),
        (
            "litellm: {codexAuthRotator: {schedule: every 10 minutes}}",
            "litellm.codexAuthRotator.schedule: \"every 10 minutes\"",
            "is not a schedule of a CronJob: write five fields, as in \"*/10 * * * *\"",
        ),
        ("imageRegistry: 'https://reg.test'", "imageRegistry: \"https://reg.test\"", image),
        ("agentDefaults: {image: {repository: a b}}", "agentDefaults.image.repository: \"a b\"", image),
        (
            "litellm: {chatgptAuth: {persistence: {existingClaim: My_Claim}}}",
            "existingClaim: \"My_Claim\"",
            name,
        ),
        (
            "litellm: {chatgptAuth: {tokensSecret: My Secret}}",
            "litellm.chatgptAuth.tokensSecret: \"My Secret\"",
            name,
        ),
        (
            "litellm: {codexAuthRotator: {eventWebhookSecret: {name: 'https://hook.test/x'}}}",
            "litellm.codexAuthRotator.eventWebhookSecret.name: \"https://hook.test/x\"",
            name,
        ),
        ("agents: {ann: {keySecret: {name: Ann}}}", "agents.ann.keySecret.name: \"Ann\"", name),
        (
            "agents: {Ann_1: {}}",
            "agents.Ann_1",
            "an agent's name has at most 50 lower-case letters, digits and -",
        ),
        (
            "agents: {ann: {baseUrl: 'litellm:4000'}}",
            "agents.ann.baseUrl: \"litellm:4000\"",
            "is not the URL of a LiteLLM",
        ),
        ("agents: {ann: {persistence: {size: 10 GB}}}", "size: \"10 GB\"", "is not a size: write 1Gi"),
        (
            "litellm: {accountsPage: {hosts: ['https://a.test']}}",
            "litellm.accountsPage.hosts: \"https://a.test\"",
            "is not the name of a host: write it without https:// and without a path",
        ),
    ];
    for ((_, at, why), said) in cases.iter().zip(refused(&cases.map(|(values, ..)| values))) {
        let line = said.lines().find(|line| line.contains(at)).unwrap_or_else(|| panic!("{at}: {said}"));
        assert!(line.contains(why), "{line}");
    }
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let said = refused(&["{imageRegistry: 'https://x', agents: {Ann: {baseUrl: x}}}"]);
    assert_eq!(said[0].lines().count(), 4, "a line of Helm's, and one for each: {said:?}");
}

#[test]
fn a_rotator_that_would_not_start_is_refused_and_whatever_number_is_taken_is_written_out() {
    let values = |key: &str, value| format!("litellm: {{codexAuthRotator: {{{key}: {value}}}}}");
    for (key, values_of, why) in [
        (
            "interval",
            &["0", "0m", "0s", "315576001", "4000d"][..],
            "at least once in ten years and at most once in a second",
        ),
        ("usagePoll", &["10s", "299", "4m59s"], "the provider is asked at most every 5m"),
    ] {
        let sets: Vec<_> = values_of.iter().map(|value| values(key, value)).collect();
        for said in refused(&sets.iter().map(String::as_str).collect::<Vec<_>>()) {
            assert!(said.contains(why), "{said}");
        }
    }
    let rendered =
        rendered_from("template", "litellm: {codexAuthRotator: {interval: 1000000, usagePoll: 5m}}");
    assert!(rendered.contains("value: \"1000000\"") && !rendered.contains("1e+06"), "{rendered}");
}

#[test]
fn a_null_for_any_value_of_the_charts_is_refused_by_its_name() {
    let said = rendered_from("nulls", "agents: {ann: {}}");
    let said: BTreeMap<String, String> = serde_json::from_str(&said).unwrap();
    assert!(said.len() > 150, "{said:?}");
    for (value, error) in said {
        // Helm's own way to take a default back, in maps that are handed on as they are.
        let handed_on =
            [".resources.", "agentDefaults.config.", ".labels."].iter().any(|map| value.contains(map));
        let key = value.rsplit('.').next().unwrap();
        let named = error.contains(&format!("missing property '{key}'"));
        assert!(if handed_on { error.is_empty() } else { named }, "{value}: {error}");
    }
}
