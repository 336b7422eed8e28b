//! What others do to the volume while a pass is under way.

use std::fs;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use fixture::strace::Strace;
use fixture::wait_until;
use fixture::{ANN, BEN, LONG, now};
use serde_json::json;
use stand_in::OauthFault;

use crate::faults::figures::Figures;
use crate::faults::judge::Case;
use crate::faults::scenario::Scenario;
use crate::faults::volume::Volume;

/// How long the pass takes for what others do meanwhile.
const WHILE: Duration = Duration::from_secs(1);

#[test]
fn what_litellm_writes_while_a_pass_waits_for_the_issuer_is_brought_home() {
    let mut figures = Figures::of("LiteLLM writes while a pass waits");
    let volume = Scenario::LoginDue.volume();
    let served = volume.bytes("auth.json");
    volume.openai.oauth_fault_for(stand_in::OauthFaultRequest {
        fault: OauthFault::DelayMs(u64::try_from(WHILE.as_millis()).unwrap()),
        email: Some(ANN.to_owned()),
        times: None,
    });
    let pass = volume.rotate_once().stderr(Stdio::piped()).spawn().unwrap();
    wait_until("the issuer is asked", || volume.refreshes_of(ANN) == 1);
    volume.lifetime(BEN, LONG + 60);
    let record = volume.refresh_as_litellm(BEN, &volume.refresh_token(2)).to_string();
    fs::write(volume.file("auth.json"), record).unwrap();
    let output = pass.wait_with_output().unwrap();
    let name = "tokens that are replaced unread".to_owned();
    let case = Case { volume: &volume, name, served, may_be_lost_on_the_wire: false };
    case.at_once(&output, &mut figures);
    case.once_mended(&mut figures);
    figures.print("");
}

#[test]
fn a_signal_left_while_a_pass_is_under_way_is_the_next_ones() {
    let mut figures = Figures::of("signals left while a pass is under way");
    let volume = Volume::new();
    volume.put_login_for(1, ANN, LONG);
    volume.put_login_for(2, BEN, LONG);
    volume.pass(&[]);
    let refused = |name: &str| {
        let now = now();
        let account = format!("acct-{name}");
        json!({"at": now, "status": 429, "account_id": account, "resets_at": now + 3600}).to_string()
    };
    // The first comes between the moment the pass takes the signals and the moment it reads them, the second
    // while it publishes.
    let micros = (WHILE * 2).as_micros();
    let strace = Strace::new().inject("rename", &format!("delay_exit={micros}"), "1");
    let strace = strace.inject("fsync", &format!("delay_enter={micros}"), "1");
    let mut pass = strace.command(&volume.rotate_once()).stderr(Stdio::null()).spawn().unwrap();
    sleep(WHILE);
    fs::write(volume.file("rotate-now"), refused("ann")).unwrap();
    sleep(WHILE * 2);
    fs::write(volume.file("rotate-now"), refused("ben")).unwrap();
    assert!(pass.wait().unwrap().success());
    let served = volume.bytes("auth.json");
    let name = "signals".to_owned();
    let case = Case { volume: &volume, name, served, may_be_lost_on_the_wire: false };
    case.once_mended(&mut figures);
    let state = volume.json_or_null("rotator_state.json");
    let cooling: Vec<_> =
        state["accounts"].as_array().into_iter().flatten().map(|a| &a["account_id"]).collect();
    // The one that came first may have been replaced unread by the second, as whoever writes in place must know.
    if !cooling.contains(&&json!("acct-ben")) {
        case.complain(&mut figures, &format!("the second was replaced unread: only {cooling:?}"));
    }
    figures.print("");
}
