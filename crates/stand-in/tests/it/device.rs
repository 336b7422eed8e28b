//! The device flow: a login waits for somebody to approve it.

use serde_json::json;
use stand_in::{CLIENT_ID, DeviceBehaviour, StandIn};

use crate::client::{ANN, ask_for_code, claims, json_of, poll, post, redeem};

#[test]
fn a_device_login_waits_for_approval_and_its_code_works_once() {
    let stand_in = StandIn::start();
    let (device, user_code) = ask_for_code(&stand_in);
    assert_eq!(user_code.len(), "XXXX-XXXXX".len());
    assert_eq!(poll(&stand_in, &device, &user_code).status(), 403);
    assert_eq!(stand_in.waiting_codes()[0].user_code, user_code);

    assert!(stand_in.approve(&user_code, ANN));
    let approved = json_of(&mut poll(&stand_in, &device, &user_code));
    let tokens = json_of(&mut redeem(&stand_in, &approved));
    assert_eq!(claims(&tokens["access_token"])["email"], ANN);

    let mut again = redeem(&stand_in, &approved);
    assert_eq!(again.status(), 400);
    assert_eq!(json_of(&mut again)["error"], "invalid_grant");
    let grants: Vec<_> =
        stand_in.requests_to("/oauth/token").into_iter().map(|it| (it.grant, it.account)).collect();
    let code = Some("authorization_code".to_owned());
    assert_eq!(grants, [(code.clone(), Some(ANN.to_owned())), (code, None)]);
}

#[test]
fn approval_in_advance_comes_after_one_pending_poll() {
    let stand_in = StandIn::start();
    stand_in.approve_next(ANN);
    let (device, user_code) = ask_for_code(&stand_in);
    assert_eq!(poll(&stand_in, &device, &user_code).status(), 403);
    assert_eq!(poll(&stand_in, &device, &user_code).status(), 200);

    let (device, user_code) = ask_for_code(&stand_in);
    assert_eq!(poll(&stand_in, &device, &user_code).status(), 403);
    assert_eq!(poll(&stand_in, &device, &user_code).status(), 403, "nobody approves a second code");
}

#[test]
fn a_device_login_is_refused_as_told() {
    let stand_in = StandIn::start();
    let (device, user_code) = ask_for_code(&stand_in);
    let refusals =
        [(DeviceBehaviour::Denied, 401), (DeviceBehaviour::TooMany, 429), (DeviceBehaviour::Broken, 500)];
    for (behaviour, status) in refusals {
        stand_in.device(behaviour);
        assert_eq!(poll(&stand_in, &device, &user_code).status(), status, "{behaviour:?}");
    }
    stand_in.device(DeviceBehaviour::NoCodes);
    let url = format!("{}/api/accounts/deviceauth/usercode", stand_in.url());
    assert_eq!(post(&url, &json!({"client_id": CLIENT_ID})).status(), 429);
}
