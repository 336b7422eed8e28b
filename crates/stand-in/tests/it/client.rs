//! A client of the stand-in.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use stand_in::{CLIENT_ID, StandIn, Tokens};
use ureq::http::Response;
use ureq::{Agent, Body};

pub(crate) const ANN: &str = "ann@example.test";
pub(crate) const BEN: &str = "ben@example.test";

pub(crate) fn agent() -> Agent {
    Agent::config_builder().http_status_as_error(false).proxy(None).build().into()
}

pub(crate) fn post(url: &str, body: &Value) -> Response<Body> {
    agent().post(url).send_json(body).unwrap()
}

pub(crate) fn json_of(response: &mut Response<Body>) -> Value {
    response.body_mut().read_json().unwrap()
}

pub(crate) fn ask_for_code(stand_in: &StandIn) -> (String, String) {
    let url = format!("{}/api/accounts/deviceauth/usercode", stand_in.url());
    let answer = json_of(&mut post(&url, &json!({"client_id": CLIENT_ID})));
    assert_eq!(answer["interval"], "1");
    let text = |key: &str| answer[key].as_str().unwrap().to_owned();
    (text("device_auth_id"), text("user_code"))
}

pub(crate) fn poll(stand_in: &StandIn, device: &str, user_code: &str) -> Response<Body> {
    let url = format!("{}/api/accounts/deviceauth/token", stand_in.url());
    post(&url, &json!({"device_auth_id": device, "user_code": user_code}))
}

pub(crate) fn redeem(stand_in: &StandIn, approved: &Value) -> Response<Body> {
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", CLIENT_ID),
        ("code", approved["authorization_code"].as_str().unwrap()),
        ("redirect_uri", &format!("{}/deviceauth/callback", stand_in.url())),
        ("code_verifier", approved["code_verifier"].as_str().unwrap()),
    ];
    agent().post(stand_in.refresh_url()).send_form(form).unwrap()
}

pub(crate) fn try_refresh(stand_in: &StandIn, refresh_token: &str) -> Result<Response<Body>, ureq::Error> {
    let body = json!({"client_id": CLIENT_ID, "grant_type": "refresh_token", "refresh_token": refresh_token});
    agent().post(stand_in.refresh_url()).send_json(&body)
}

pub(crate) fn refresh(stand_in: &StandIn, refresh_token: &str) -> Response<Body> {
    try_refresh(stand_in, refresh_token).unwrap()
}

pub(crate) fn ask(stand_in: &StandIn, access_token: &str, account_id: &str) -> Response<Body> {
    let request = agent().post(format!("{}/responses", stand_in.api_base()));
    let request = request.header("authorization", format!("Bearer {access_token}"));
    let body = json!({"model": "gpt-5.6-sol", "input": [], "stream": true, "store": false});
    request.header("chatgpt-account-id", account_id).send_json(&body).unwrap()
}

/// A request as `LiteLLM` sends it, in a conversation of its own name.
pub(crate) fn ask_in(stand_in: &StandIn, tokens: &Tokens, thread: &str, body: &Value) -> Response<Body> {
    let mut whole = json!({"model": "gpt-5.6-sol", "input": [], "stream": true, "store": false, "include": ["reasoning.encrypted_content"]});
    whole.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
    let request = agent().post(format!("{}/responses", stand_in.api_base()));
    let request = request.header("authorization", format!("Bearer {}", tokens.access_token));
    let request = request.header("chatgpt-account-id", &tokens.account_id).header("session_id", thread);
    request.send_json(&whole).unwrap()
}

/// A request for one model.
pub(crate) fn ask_for(stand_in: &StandIn, tokens: &Tokens, model: &str) -> Response<Body> {
    ask_in(stand_in, tokens, "thread-1", &json!({"model": model}))
}

pub(crate) fn ask_for_usage(stand_in: &StandIn, tokens: &Tokens) -> Response<Body> {
    let request = agent().get(format!("{}/backend-api/wham/usage", stand_in.url()));
    let request = request.header("authorization", format!("Bearer {}", tokens.access_token));
    request
        .header("chatgpt-account-id", &tokens.account_id)
        .header("user-agent", "rotator/1.0")
        .call()
        .unwrap()
}

/// The data of the last event of a stream, as text.
pub(crate) fn last_event(response: &mut Response<Body>) -> String {
    let stream = response.body_mut().read_to_string().unwrap();
    stream.lines().filter_map(|line| line.strip_prefix("data: ")).next_back().unwrap().to_owned()
}

pub(crate) fn header<'a>(response: &'a Response<Body>, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

pub(crate) fn claims(token: &Value) -> Value {
    let payload = token.as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}
