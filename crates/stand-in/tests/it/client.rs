//! A client of the stand-in.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use stand_in::{CLIENT_ID, StandIn};
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

pub(crate) fn claims(token: &Value) -> Value {
    let payload = token.as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}
