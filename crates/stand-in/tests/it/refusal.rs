//! Every way to say "no more", word for word.

use serde_json::{Value, json};
use stand_in::{Place, RefusalRequest, StandIn, Tokens, Way};
use ureq::Body;
use ureq::http::Response;

use crate::client::{ANN, BEN, agent, ask, ask_for, header, json_of, last_event};

const SOL: &str = "gpt-5.6-sol";

fn refused(way: Way) -> (StandIn, Tokens, Response<Body>) {
    let stand_in = StandIn::start();
    let ann = stand_in.sign_in(ANN);
    stand_in.refuse(RefusalRequest { way, email: Some(ANN.to_owned()), ..RefusalRequest::default() });
    let answer = ask_for(&stand_in, &ann, SOL);
    (stand_in, ann, answer)
}

fn text(response: &mut Response<Body>) -> String {
    response.body_mut().read_to_string().unwrap()
}

#[test]
fn each_way_has_its_status_and_its_body() {
    let too_many = |error: Value| (429, json!({"error": error}).to_string());
    let unsupported = "The 'gpt-5.6-sol' model is not supported when using Codex with a ChatGPT account.";
    let per_minute = "Rate limit reached for gpt-5.6-sol on tokens per min (TPM): Limit 30000, Used 29400, Requested 1200. Please try again in 1.2s.";
    let ways = [
        (Way::HeadersAlone, (429, String::new())),
        (Way::NoBody, (429, String::new())),
        (Way::Html, (429, "<html><head><title>429 Too Many Requests</title></head></html>".to_owned())),
        (Way::Detail, (429, json!({"detail": "Rate limit exceeded"}).to_string())),
        (Way::MessageOnly, too_many(json!({"message": "Rate limit exceeded"}))),
        (
            Way::UsageNotIncluded,
            too_many(
                json!({"type": "usage_not_included", "message": "Your plan does not include usage of Codex.", "plan_type": "plus"}),
            ),
        ),
        (
            Way::PerMinute,
            too_many(json!({"message": per_minute, "type": "tokens", "code": "rate_limit_exceeded"})),
        ),
        (Way::DeactivatedWorkspace, (402, json!({"detail": {"code": "deactivated_workspace"}}).to_string())),
        (Way::ModelNotSupported, (400, json!({"detail": unsupported}).to_string())),
        (
            Way::Verbatim { status: 529, content_type: "text/plain".to_owned(), body: "busy".to_owned() },
            (529, "busy".to_owned()),
        ),
    ];
    for (way, expected) in ways {
        let (stand_in, _, mut answer) = refused(way.clone());
        assert_eq!((answer.status().as_u16(), text(&mut answer)), expected, "{way:?}");
        let full = header(&answer, "x-codex-primary-used-percent");
        assert_eq!(full, (way == Way::HeadersAlone).then_some("100.0"), "{way:?}");
        let logged = stand_in.requests().pop().unwrap();
        assert!(logged.error.is_some() && logged.turn.unwrap().refusal.is_some(), "{way:?}");
    }
}

#[test]
fn a_usage_limit_tells_its_reset_in_any_form() {
    let (stand_in, ann, mut plain) = refused(Way::UsageLimitReached);
    let error = json_of(&mut plain)["error"].clone();
    assert_eq!(header(&plain, "x-codex-primary-reset-at"), Some(error["resets_at"].to_string().as_str()));
    assert_eq!(header(&plain, "retry-after"), None);
    for told in ["69", "69.5", "\"69\"", "NaN", "-Infinity", "null", "[]"] {
        stand_in.refuse(RefusalRequest {
            way: Way::UsageLimitReached,
            email: Some(ANN.to_owned()),
            resets_at: Some(String::new()),
            resets_in_seconds: Some(told.to_owned()),
            retry_after: Some("59".to_owned()),
            headers: Some(false),
            ..RefusalRequest::default()
        });
        let mut answer = ask_for(&stand_in, &ann, SOL);
        assert_eq!(header(&answer, "x-codex-primary-reset-at"), None);
        assert_eq!(header(&answer, "retry-after"), Some("59"));
        let expected = format!(
            "{{\"error\":{{\"type\":\"usage_limit_reached\",\"message\":\"The usage limit has been reached\",\"plan_type\":\"plus\",\"resets_in_seconds\":{told}}}}}"
        );
        assert_eq!(text(&mut answer), expected);
    }
}

#[test]
fn a_cap_comes_in_the_stream_in_four_ways() {
    let ways = [
        (Way::ResponseFailed, "failed", false),
        (Way::FailedInMidstream, "failed", true),
        (Way::ResponseIncomplete, "incomplete", false),
    ];
    for (way, status, words) in ways {
        let (_stand_in, _, mut answer) = refused(way.clone());
        assert_eq!(answer.status(), 200, "{way:?}");
        assert_eq!(header(&answer, "x-codex-primary-used-percent"), Some("12.0"), "{way:?}");
        let stream = text(&mut answer);
        assert_eq!(stream.contains("response.output_text.delta"), words, "{way:?}");
        let last = stream.lines().filter_map(|line| line.strip_prefix("data: ")).next_back().unwrap();
        let last: Value = serde_json::from_str(last).unwrap();
        assert_eq!(last["type"], format!("response.{status}"));
        assert_eq!(last["response"]["status"], status);
        assert_eq!(last["response"]["error"]["message"], "The usage limit has been reached");
    }
    let (_stand_in, _, mut answer) = refused(Way::ErrorEvent);
    assert_eq!(answer.status(), 200);
    let event: Value = serde_json::from_str(&last_event(&mut answer)).unwrap();
    assert_eq!([&event["type"], &event["status_code"]], [&json!("error"), &json!(429)]);
    assert_eq!(event["error"]["type"], "usage_limit_reached");
    assert_eq!(event["headers"]["X-Codex-Primary-Used-Percent"], "100.0");
    assert_eq!(event["headers"]["X-Codex-Primary-Reset-At"], event["error"]["resets_at"].to_string());
}

#[test]
fn the_narrowest_refusal_is_met_and_a_counted_one_ends() {
    let stand_in = StandIn::start();
    let (ann, ben) = (stand_in.sign_in(ANN), stand_in.sign_in(BEN));
    let refuse = |way, email: Option<&str>, model: Option<&str>, times| {
        stand_in.refuse(RefusalRequest {
            way,
            email: email.map(str::to_owned),
            model: model.map(str::to_owned),
            times,
            ..RefusalRequest::default()
        });
    };
    refuse(Way::NoBody, None, None, None);
    refuse(Way::DeactivatedWorkspace, Some(ANN), None, None);
    refuse(Way::ModelNotSupported, Some(ANN), Some(SOL), Some(2));
    let status = |tokens, model| ask_for(&stand_in, tokens, model).status().as_u16();
    assert_eq!([status(&ann, SOL), status(&ann, SOL), status(&ann, SOL)], [400, 400, 402]);
    assert_eq!([status(&ann, "gpt-5.4"), status(&ben, SOL)], [402, 429]);
    refuse(Way::None, Some(ANN), None, None);
    assert_eq!(status(&ann, SOL), 429);
    refuse(Way::None, None, None, None);
    assert_eq!([status(&ann, SOL), status(&ben, SOL)], [200, 200]);
}

#[test]
fn a_challenge_is_met_at_the_address_before_the_bearer_is_looked_at() {
    let stand_in = StandIn::start();
    stand_in.refuse(RefusalRequest {
        way: Way::Challenge,
        place: Place::Everywhere,
        ..RefusalRequest::default()
    });
    let mut answer = ask(&stand_in, "no token", "acct-ann");
    assert_eq!(answer.status(), 403);
    assert_eq!(header(&answer, "cf-mitigated"), Some("challenge"));
    assert!(header(&answer, "content-type").unwrap().starts_with("text/html"));
    let page = text(&mut answer);
    assert!(page.len() > 55_000, "as large as the provider's: {}", page.len());
    assert_eq!(stand_in.requests()[0].error.as_deref(), Some("challenge"));
}

#[test]
fn scripts_refuse_and_limit_over_http() {
    let stand_in = StandIn::start();
    let ann = stand_in.sign_in(ANN);
    let control = |verb: &str, body: Value| {
        let mut answer =
            agent().post(format!("{}/_control/{verb}", stand_in.url())).send_json(&body).unwrap();
        assert_eq!(answer.status(), 200, "{verb}");
        json_of(&mut answer)
    };
    let verbatim = json!({"status": 418, "content_type": "text/plain", "body": "tea"});
    control("refusal", json!({"way": {"verbatim": verbatim}, "email": ANN, "times": 1}));
    assert_eq!(ask_for(&stand_in, &ann, SOL).status(), 418);
    control("refusal", json!({"way": "error_event", "model": SOL}));
    assert!(last_event(&mut ask_for(&stand_in, &ann, SOL)).contains("usage_limit_reached"));
    control("refusal", json!({"way": "none", "model": SOL}));
    control("reasoning", json!({"lenient": true}));
    let week = json!({"email": ANN, "windows": [{"minutes": 10080, "percent_per_request": 5}]});
    assert_eq!(control("usage", week)["windows"][0]["used_percent"], 42.0);
    assert_eq!(ask_for(&stand_in, &ann, SOL).status(), 200);
    let usages = json_of(&mut agent().get(format!("{}/_control/usage", stand_in.url())).call().unwrap());
    assert_eq!(usages[ANN]["windows"][0]["used_percent"], 47.0);
}
