//! The backend: who is answered, and how a cap looks.

use serde_json::{Value, json};
use stand_in::{AccountRequest, Behaviour, StandIn, Tokens};

use crate::client::{ANN, BEN, agent, ask, claims, json_of, refresh};

#[test]
fn an_answer_names_the_account_that_served() {
    let stand_in = StandIn::start();
    let tokens = stand_in.sign_in(ANN);
    let mut answer = ask(&stand_in, &tokens.access_token, "acct-ann");
    assert_eq!(answer.headers()["x-codex-primary-used-percent"], "12.0");
    let events = answer.body_mut().read_to_string().unwrap();
    let kinds: Vec<&str> = events.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!(kinds.first(), Some(&"response.created"));
    assert_eq!(kinds.last(), Some(&"response.completed"));
    let last = events.lines().filter_map(|line| line.strip_prefix("data: ")).next_back().unwrap();
    let last: Value = serde_json::from_str(last).unwrap();
    assert_eq!(last["response"]["output"][0]["content"][0]["text"], "Hello from ann@example.test (acct-ann)");
    assert_eq!(last["response"]["usage"]["total_tokens"], 18);
}

#[test]
fn a_capped_account_says_until_when_in_body_and_headers_and_then_answers_again() {
    let stand_in = StandIn::start();
    let tokens = stand_in.sign_in(ANN);
    let capped = |seconds| AccountRequest {
        email: ANN.to_owned(),
        behaviour: Some(Behaviour::Capped),
        resets_in_seconds: Some(seconds),
        ..AccountRequest::default()
    };
    let resets_at = stand_in.account(&capped(600)).resets_at;
    let mut refused = ask(&stand_in, &tokens.access_token, "acct-ann");
    assert_eq!(refused.status(), 429);
    let headers = refused.headers().clone();
    assert_eq!(headers["x-codex-primary-used-percent"], "100.0");
    assert_eq!(headers["x-codex-primary-window-minutes"], "300");
    assert_eq!(headers["x-codex-primary-reset-at"].to_str().unwrap(), resets_at.to_string());
    assert!(headers.contains_key("x-codex-primary-reset-after-seconds"));
    assert_eq!(headers["x-codex-secondary-window-minutes"], "10080");
    assert_eq!(headers["x-codex-plan-type"], "plus");
    let error = &json_of(&mut refused)["error"];
    assert_eq!(error["type"], "usage_limit_reached");
    assert_eq!(error["plan_type"], "plus");
    assert_eq!(error["resets_at"], resets_at);
    assert!((595..=600).contains(&error["resets_in_seconds"].as_i64().unwrap()));

    stand_in.account(&capped(0));
    assert_eq!(ask(&stand_in, &tokens.access_token, "acct-ann").status(), 200, "its reset has passed");
}

#[test]
fn each_behaviour_has_its_answer() {
    let stand_in = StandIn::start();
    let tokens = stand_in.sign_in(ANN);
    let answers = [
        (Behaviour::RateLimited, 429, "rate_limit_exceeded"),
        (Behaviour::Invalidated, 401, "token_invalidated"),
        (Behaviour::Forbidden, 403, "forbidden"),
        (Behaviour::Broken, 500, "server_error"),
    ];
    for (behaviour, status, code) in answers {
        stand_in.set(ANN, behaviour);
        let mut answer = ask(&stand_in, &tokens.access_token, "acct-ann");
        assert_eq!(answer.status(), status, "{behaviour:?}");
        assert!(!answer.headers().contains_key("x-codex-primary-reset-at"), "{behaviour:?}");
        assert_eq!(json_of(&mut answer)["error"]["code"], code, "{behaviour:?}");
    }
    stand_in.set(ANN, Behaviour::CappedInStream);
    let mut answer = ask(&stand_in, &tokens.access_token, "acct-ann");
    assert_eq!(answer.status(), 200);
    assert!(answer.body_mut().read_to_string().unwrap().contains("event: response.failed\n"));
}

#[test]
fn a_bearer_is_refused_beside_another_account_and_the_log_tells() {
    let stand_in = StandIn::start();
    let (ann, ben) = (stand_in.sign_in(ANN), stand_in.sign_in(BEN));
    assert_eq!(ask(&stand_in, &ann.access_token, "acct-ben").status(), 401);
    assert_eq!(ask(&stand_in, &ben.access_token, "acct-ben").status(), 200);
    let mixed: Vec<_> = stand_in.requests().into_iter().filter(stand_in::Request::mixes_accounts).collect();
    assert_eq!(mixed.len(), 1);
    assert_eq!(mixed[0].account.as_deref(), Some(ANN));
    assert_eq!(mixed[0].account_id.as_deref(), Some("acct-ben"));
}

#[test]
fn an_expired_token_is_refused_until_it_is_refreshed() {
    let stand_in = StandIn::start();
    let lifetime = |seconds| AccountRequest {
        email: ANN.to_owned(),
        token_lifetime_seconds: Some(seconds),
        ..AccountRequest::default()
    };
    stand_in.account(&lifetime(-1));
    let old = stand_in.sign_in(ANN);
    let mut refused = ask(&stand_in, &old.access_token, "acct-ann");
    assert_eq!(json_of(&mut refused)["error"]["code"], "token_expired");
    stand_in.account(&lifetime(60));
    let new = json_of(&mut refresh(&stand_in, &old.refresh_token));
    assert_eq!(ask(&stand_in, new["access_token"].as_str().unwrap(), "acct-ann").status(), 200);
}

#[test]
fn two_people_share_a_workspace() {
    let stand_in = StandIn::start();
    for email in [ANN, BEN] {
        let account_id = Some("acct-team".to_owned());
        stand_in.account(&AccountRequest {
            email: email.to_owned(),
            account_id,
            ..AccountRequest::default()
        });
    }
    let (ann, ben) = (stand_in.sign_in(ANN), stand_in.sign_in(BEN));
    let auth = |tokens: &Tokens| claims(&json!(tokens.id_token))["https://api.openai.com/auth"].clone();
    assert_eq!(auth(&ann)["chatgpt_account_id"], auth(&ben)["chatgpt_account_id"]);
    assert_eq!(auth(&ann)["chatgpt_user_id"], "user-ann");
    assert_eq!(auth(&ben)["chatgpt_user_id"], "user-ben");
    stand_in.set(ANN, Behaviour::Capped);
    assert_eq!(ask(&stand_in, &ann.access_token, "acct-team").status(), 429);
    assert_eq!(ask(&stand_in, &ben.access_token, "acct-team").status(), 200);
}

#[test]
fn usage_shows_the_cap() {
    let stand_in = StandIn::start();
    let tokens = stand_in.sign_in(ANN);
    stand_in.set(ANN, Behaviour::Capped);
    let url = format!("{}/backend-api/wham/usage", stand_in.url());
    let request = agent().get(&url).header("authorization", format!("Bearer {}", tokens.access_token));
    let usage = json_of(&mut request.header("chatgpt-account-id", "acct-ann").call().unwrap());
    assert_eq!(usage["plan_type"], "plus");
    assert_eq!(usage["rate_limit"]["limit_reached"], true);
    assert_eq!(usage["rate_limit"]["primary_window"]["used_percent"], 100.0);
    assert_eq!(usage["rate_limit"]["primary_window"]["limit_window_seconds"], 18_000);
}
