//! Findings without a command: what is to be done is done elsewhere, or nothing is.

use std::fs::create_dir;
use std::os::unix::net::UnixListener;

use fixture::{ANN, now};
use overview::finding::Id;
use serde_json::json;

use super::patient::Patient;

/// A finding that names no command: how its state is made, or why that is not done here.
pub(crate) struct Advice {
    pub(crate) id: Id,
    pub(crate) make: Result<fn(&mut Patient), &'static str>,
}

const fn advice(id: Id, make: fn(&mut Patient)) -> Advice {
    Advice { id, make: Ok(make) }
}

const OF_THE_PAGE: &str = "only a page has a digest: see the tests of accounts-serve";

/// All of them.
pub(crate) const ADVICE: &[Advice] = &[
    Advice { id: Id::DigestMissing, make: Err(OF_THE_PAGE) },
    Advice { id: Id::DigestUnreadable, make: Err(OF_THE_PAGE) },
    Advice { id: Id::DigestLate, make: Err(OF_THE_PAGE) },
    advice(Id::VolumeMissing, |it| it.set("CHATGPT_AUTH_DIR", "/nonexistent")),
    advice(Id::VolumeUnreadable, |it| drop(UnixListener::bind(it.file("rotator_state.json")).unwrap())),
    advice(Id::VolumeNotTried, locked),
    advice(Id::VolumeProjected, |it| create_dir(it.file("..data")).unwrap()),
    Advice { id: Id::VolumeFault, make: Err("needs another file system: see the doctor's own tests") },
    Advice { id: Id::VolumeFull, make: Err("needs a full one: see the doctor's own tests") },
    advice(Id::NotStorable, not_storable),
    advice(Id::MisnamedLogin, |it| it.write("auth-01.json", "")),
    advice(Id::Parked, parked),
    advice(Id::Note, from_the_environment),
    advice(Id::StateUnusable, |it| it.write("rotator_state.json", r#"{"version": 2}"#)),
    advice(Id::ClockDiffers, clock_differs),
    advice(Id::TwoRotators, two_rotators),
    advice(Id::CallbackMissing, served),
    advice(Id::CallbackLate, |it| heartbeat(it, 600, true)),
    advice(Id::CallbackNotCalled, |it| heartbeat(it, 0, false)),
    advice(Id::CallbackBlocked, blocked),
    advice(Id::MirrorFailing, |it| mirrored(it, 0, Some("no answer from Kubernetes' API"))),
    advice(Id::MirrorLate, |it| mirrored(it, 600, None)),
    advice(Id::CodexMissing, |it| it.set("CODEX_BIN", "/nonexistent/codex")),
    advice(Id::ProviderUnknown, unreachable),
];

fn served(it: &mut Patient) {
    it.put_login(1, ANN);
    it.said("rotate-once");
}

fn from_the_environment(it: &mut Patient) {
    let token = it.login(ANN)["tokens"]["access_token"].as_str().unwrap().to_owned();
    it.set("OPENAI_CODEX_ACCESS_TOKEN", token);
}

fn locked(it: &mut Patient) {
    served(it);
    it.hold_lock();
}

fn not_storable(it: &mut Patient) {
    it.put_login(1, ANN);
    it.know("ann", &json!({"not_storable": "it is a mount of its own"}));
}

fn parked(it: &mut Patient) {
    it.put_login(1, ANN);
    it.type_in("accounts park 1 --reason holiday");
}

fn clock_differs(it: &mut Patient) {
    served(it);
    it.age("auth.json", -7200);
}

fn two_rotators(it: &mut Patient) {
    let rotator = |host: &str, first: i64, last: i64| json!({"host": host, "lock": "1:2", "first": now() - first, "last": now() - last});
    it.write(".last-pass", json!([rotator("a", 1800, 20), rotator("b", 7200, 600)]).to_string());
}

fn heartbeat(it: &mut Patient, seconds_ago: i64, held: bool) {
    served(it);
    let heartbeat = json!({"at": now() - seconds_ago, "litellm": "1.106.2", "held": held});
    it.write("callback.json", heartbeat.to_string());
}

/// What the callback writes when a pipe is in the signal's place.
fn blocked(it: &mut Patient) {
    served(it);
    let heartbeat =
        json!({"at": now(), "litellm": "1.106.2", "held": true, "cannot_write": "rotate-now: File exists"});
    it.write("callback.json", heartbeat.to_string());
}

/// What `lane-mirror` leaves.
fn mirrored(it: &mut Patient, seconds_ago: i64, failed: Option<&str>) {
    served(it);
    it.write(
        "mirror.json",
        json!({"at": now() - seconds_ago, "succeeded": null, "failed": failed}).to_string(),
    );
}

fn unreachable(it: &mut Patient) {
    it.put_login(1, ANN);
    it.set("CHATGPT_API_BASE", "http://127.0.0.1:1");
}
