//! A backend that refuses every access token for a while.

use fixture::{LONG, now};
use records::Login;
use serde_json::json;

use crate::faults::figures::Figures;
use crate::faults::judge::Case;
use crate::faults::volume::Volume;

const EMAILS: [&str; 4] = ["ann@example.test", "ben@example.test", "carl@example.test", "dora@example.test"];

/// How many requests are refused: as many as agents make in a minute.
const REFUSALS: usize = 120;

#[test]
fn the_backend_refuses_every_access_token_for_a_minute() {
    let mut figures = Figures::of("the backend refuses every access token for a minute");
    let volume = Volume::new();
    for (slot, email) in (1..).zip(EMAILS) {
        volume.put_login_for(slot, email, LONG);
    }
    assert!(volume.pass(&[]).status.success());
    let case = Case {
        volume: &volume,
        name: "a minute of 401".to_owned(),
        served: volume.bytes("auth.json"),
        may_be_lost_on_the_wire: false,
    };
    let mut late = None;
    for nth in 0..REFUSALS {
        let refused = signal(&volume, 401);
        // Every third request was under way with the token before.
        let signal = if nth % 3 == 2 { late.replace(refused.clone()).unwrap_or(refused) } else { refused };
        volume.signal(&signal);
        let output = volume.pass(&[]);
        figures.struck += 1;
        case.at_once(&output, &mut figures);
        if !output.status.success() {
            case.complain(&mut figures, &String::from_utf8_lossy(&output.stderr));
        }
    }
    for email in EMAILS {
        let refreshes = volume.refreshes_of(email);
        if refreshes > 1 {
            case.complain(&mut figures, &format!("{email} was refreshed {refreshes} times"));
        }
    }
    let refreshed: usize = EMAILS.iter().map(|email| volume.refreshes_of(email)).sum();
    if refreshed == 0 {
        case.complain(&mut figures, "nobody was refreshed");
    }
    let told = String::from_utf8(volume.accounts(&[]).stdout).unwrap();
    if told.contains("needs login") {
        case.complain(&mut figures, &format!("somebody needs a login: {told}"));
    }
    // The minute is over: who is tried serves again.
    for slot in 1..=EMAILS.len() {
        let output = volume.pass(&["--to", &slot.to_string()]);
        case.at_once(&output, &mut figures);
        volume.signal(&signal(&volume, 200));
        let output = volume.pass(&[]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if !said.contains(&format!("active account-{slot} ")) {
            case.complain(&mut figures, &format!("account-{slot} does not serve: {said}"));
        }
    }
    let told = String::from_utf8(volume.accounts(&[]).stdout).unwrap();
    if told.contains("resting") || told.contains("needs login") {
        case.complain(&mut figures, &format!("not all are well again: {told}"));
    }
    case.once_mended(&mut figures);
    figures.print(&format!("; {refreshed} refreshes"));
}

/// What the callback writes of an answer to the token that is served.
fn signal(volume: &Volume, status: u16) -> String {
    let record = volume.bytes("auth.json");
    let login = Login::parse(&record).unwrap();
    json!({
        "at": now(), "status": status, "account_id": login.account.account_id,
        "user_id": login.account.user_id, "token": login.access_token.fingerprint(),
        "type": (status == 401).then_some("invalid_request_error"),
        "code": (status == 401).then_some("token_invalidated"),
    })
    .to_string()
}
