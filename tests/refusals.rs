//! Every way to say "no more", and what LiteLLM's callback makes of it: a signal about an account, about one model on
//! it, or none.

use std::fs;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use fixture::{ANN, wait_until};
use serde_json::{Value, json};
use stand_in::{RefusalRequest, UsageRequest, Way, WindowRequest};
use support::litellm::{Conversation, LiteLlm, VERSIONS};
use support::pod::Pod;

/// What is said of a way: the status, the scope, the type, and whether it is known when it ends.
type Told = (u64, &'static str, Option<&'static str>, bool);

const CAP: Option<&str> = Some("usage_limit_reached");

fn ways() -> Vec<(Way, Option<Told>)> {
    vec![
        (Way::UsageLimitReached, Some((429, "account", CAP, true))),
        (Way::HeadersAlone, Some((429, "account", None, false))),
        (Way::NoBody, Some((429, "account", None, false))),
        (Way::Html, Some((429, "account", None, false))),
        (Way::Detail, Some((429, "account", None, false))),
        (Way::MessageOnly, Some((429, "account", None, false))),
        (Way::UsageNotIncluded, Some((429, "account", Some("usage_not_included"), false))),
        (Way::PerMinute, Some((429, "account", Some("tokens"), false))),
        (Way::RateLimited, Some((429, "account", Some("requests"), false))),
        (Way::DeactivatedWorkspace, Some((402, "account", None, false))),
        (Way::ModelNotSupported, Some((400, "model", None, false))),
        (Way::Invalidated, Some((401, "account", Some("invalid_request_error"), false))),
        (Way::Forbidden, Some((403, "account", Some("permission_error"), false))),
        (Way::ResponseFailed, Some((429, "account", CAP, false))),
        (Way::FailedInMidstream, Some((429, "account", CAP, false))),
        (Way::ResponseIncomplete, Some((429, "account", CAP, false))),
        (Way::ErrorEvent, Some((429, "account", CAP, true))),
        (Way::Challenge, None),
        (Way::Broken, None),
    ]
}

/// A pod of one account, and a LiteLLM that does not wait for another.
fn alone(version: &str) -> (Pod, LiteLlm) {
    let pod = Pod::new();
    pod.put_login(1, ANN);
    pod.rotate_once(&[]).success();
    let litellm = LiteLlm::start_with(version, &pod, &[("CHATGPT_FAILOVER_WAIT_SEC", "0")]);
    assert_eq!(litellm.ask().0, 200);
    (pod, litellm)
}

/// Takes each signal as the rotator would, until none has come for so long.
fn signals(pod: &Pod, quiet: Duration) -> Vec<Value> {
    let (mut signals, mut last) = (Vec::new(), Instant::now());
    while last.elapsed() < quiet {
        if let Ok(text) = fs::read_to_string(pod.file("rotate-now")) {
            fs::remove_file(pod.file("rotate-now")).unwrap();
            signals.push(serde_json::from_str(&text).unwrap());
            last = Instant::now();
        }
        thread::sleep(Duration::from_millis(10));
    }
    signals
}

fn each_way_is_told_for_what_it_is(version: &str) {
    let (pod, litellm) = alone(version);
    for (way, told) in ways() {
        for stream in [true, false] {
            // Only once, for an account that is refused for a moment is asked again.
            pod.openai.refuse(RefusalRequest {
                way: way.clone(),
                times: Some(1),
                ..RefusalRequest::default()
            });
            let answer = litellm.answer(stream);
            pod.openai.refuse(RefusalRequest::default());
            let signals = signals(&pod, Duration::from_millis(600));
            let refusals: Vec<_> = signals
                .iter()
                .filter(|signal| signal["status"] != 200 && signal.get("account_id").is_some())
                .map(|signal| {
                    assert_eq!([&signal["account_id"], &signal["model"]], ["acct-ann", "gpt-5.6-sol"]);
                    json!([
                        signal["status"],
                        signal.get("scope").unwrap_or(&json!("account")),
                        signal["type"],
                        signal.get("resets_at").is_some()
                    ])
                })
                .collect();
            let expected: Vec<_> = told.iter().map(|told| json!(told)).collect();
            assert_eq!(refusals, expected, "{way:?}, stream: {stream}: {answer:?}, {signals:?}");
        }
    }
    let mut resets = Vec::new();
    for reset in ["NaN", "Infinity", "-Infinity", "\"soon\"", "1e999", "\"4102444800\"", "4102444800.5", "{}"]
    {
        let request = RefusalRequest {
            way: Way::UsageLimitReached,
            resets_at: Some(reset.to_owned()),
            resets_in_seconds: Some("\"69\"".to_owned()),
            ..RefusalRequest::default()
        };
        pod.openai.refuse(request);
        assert_eq!(litellm.ask_for(true).0, 429);
        let signals = signals(&pod, Duration::from_millis(600));
        assert_eq!(signals[0]["resets_in_seconds"], 69, "{reset}: {signals:?}");
        resets.push(signals[0].get("resets_at").cloned());
    }
    let end = Some(json!(4_102_444_800_i64));
    assert_eq!(resets, [None, None, None, None, None, end.clone(), end, None]);
}

#[test]
fn litellm_1_106_2_tells_each_way_to_say_no_more() {
    each_way_is_told_for_what_it_is(VERSIONS[0]);
}

#[test]
fn litellm_1_109_1_tells_each_way_to_say_no_more() {
    each_way_is_told_for_what_it_is(VERSIONS[1]);
}

#[test]
fn litellm_1_110_2_tells_each_way_to_say_no_more() {
    each_way_is_told_for_what_it_is(VERSIONS[2]);
}

/// A window of five hours that has so much used, and fills by so much with each request.
fn window(used_percent: f64, percent_per_request: f64) -> Vec<WindowRequest> {
    let (used_percent, percent_per_request) = (Some(used_percent), Some(percent_per_request));
    vec![WindowRequest { minutes: 300, used_percent, percent_per_request, resets_in_seconds: None }]
}

fn usage_is_read_before_a_limit_is_met(version: &str) {
    let (pod, litellm) = alone(version);
    let own =
        UsageRequest { email: ANN.to_owned(), windows: Some(window(92.0, 0.4)), ..UsageRequest::default() };
    pod.openai.limit(&own);
    let mut told = Vec::new();
    for number in 0..12 {
        assert_eq!(litellm.ask_for(number % 2 == 0).0, 200);
        told.extend(signals(&pod, Duration::from_millis(100)));
    }
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!([&told[0]["type"], &told[0]["account_id"]], ["usage", "acct-ann"]);
    assert_eq!(told[0]["status"], 200);
    let used = |reading: &Value| -> f64 {
        reading["headers"]["x-codex-primary-used-percent"].as_str().unwrap().parse().unwrap()
    };
    assert!((95.0..96.2).contains(&used(&told[0])), "{told:?}");

    let files: Vec<_> = pod.names().into_iter().filter(|name| name.starts_with("usage-")).collect();
    assert_eq!(files.len(), 1, "one of each worker");
    wait_until("the last reading is within one percent", || {
        let readings = pod.json(&files[0])["readings"].clone();
        let reading = &readings[0];
        (95.4..96.5).contains(&used(reading))
            && reading["account_id"] == "acct-ann"
            && reading["plan_type"] == "plus"
    });
    assert!(!pod.read(&files[0]).contains("eyJ"));

    // A family of limits is one model's.
    let spark = UsageRequest {
        email: ANN.to_owned(),
        family: Some("codex_bengalfox".to_owned()),
        models: Some(vec!["gpt-5.6-sol".to_owned()]),
        windows: Some(window(100.0, 0.0)),
        ..UsageRequest::default()
    };
    pod.openai.limit(&spark);
    assert_eq!(litellm.ask_for(true).0, 429);
    let told = signals(&pod, Duration::from_millis(600));
    assert_eq!([&told[0]["scope"], &told[0]["model"]], ["model", "gpt-5.6-sol"], "{told:?}");
}

#[test]
fn litellm_1_106_2_tells_usage_before_a_limit_is_met() {
    usage_is_read_before_a_limit_is_met(VERSIONS[0]);
}

#[test]
fn litellm_1_109_1_tells_usage_before_a_limit_is_met() {
    usage_is_read_before_a_limit_is_met(VERSIONS[1]);
}

#[test]
fn litellm_1_110_2_tells_usage_before_a_limit_is_met() {
    usage_is_read_before_a_limit_is_met(VERSIONS[2]);
}

fn a_pool_at_its_limit_is_not_asked_in_vain(version: &str) {
    let pod = Pod::new();
    pod.put_login(1, ANN);
    pod.rotate_once(&[]).success();
    let litellm = LiteLlm::start(version, &pod);
    let capped = RefusalRequest {
        way: Way::UsageLimitReached,
        retry_after: Some("59".to_owned()),
        ..RefusalRequest::default()
    };
    pod.openai.refuse(capped);
    let hours = 3 * 3600;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let pool = json!({"version": 1, "usable": 0, "accounts": 5, "back_at": now + hours});
    fs::write(pod.file("pool.json"), pool.to_string()).unwrap();
    let mut quickest = Duration::MAX;
    for number in 0..4 {
        let begun = Instant::now();
        let answer = litellm.answer(number % 2 == 0);
        quickest = quickest.min(begun.elapsed());
        assert_eq!(answer.status, 429);
        let retry_after = answer.retry_after.unwrap_or_default();
        assert!((hours - 60..=hours).contains(&retry_after), "{answer:?}");
        let error: Value = serde_json::from_str(&answer.body).unwrap();
        let message = error["error"]["message"].as_str().unwrap();
        assert!(message.contains("None of the 5 ChatGPT accounts can serve now; the first is back in "));
        assert_eq!(error["error"]["type"], "usage_limit_reached");
    }
    assert!(quickest < Duration::from_secs(1), "{quickest:?}");
    let asked = pod.openai.requests_to("/backend-api/codex/responses").len();
    assert_eq!(asked, 1, "the provider is asked whether it is still so, and then not for a while");

    let Err(said) = Conversation::new(&pod, &litellm).try_to_say("Who are you?") else {
        panic!("codex was served")
    };
    let reason = "hit your usage limit. None of the 5 ChatGPT accounts can serve now; the first is back in ";
    assert!(said.stderr.contains(reason), "{}", said.stderr);
}

#[test]
fn litellm_1_106_2_does_not_ask_a_pool_at_its_limit_in_vain() {
    a_pool_at_its_limit_is_not_asked_in_vain(VERSIONS[0]);
}

#[test]
fn litellm_1_109_1_does_not_ask_a_pool_at_its_limit_in_vain() {
    a_pool_at_its_limit_is_not_asked_in_vain(VERSIONS[1]);
}

#[test]
fn litellm_1_110_2_does_not_ask_a_pool_at_its_limit_in_vain() {
    a_pool_at_its_limit_is_not_asked_in_vain(VERSIONS[2]);
}
