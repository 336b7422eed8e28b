//! Clocks that jumped: times on the volume that lie far in the past or in the future.

use std::fs::{File, FileTimes};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fixture::{ANN, BEN, LONG, now};
use records::Timestamp;
use serde_json::{Value, json};

use crate::faults::figures::Figures;
use crate::faults::judge::Case;
use crate::faults::volume::Volume;

const FAR: &str = "2100-01-01T00:00:00Z";
const LAST: &str = "9999-12-31T23:59:59Z";
const FIRST: &str = "1970-01-01T00:00:01Z";

/// Eight days, the longest that a cooldown lasts, and a little for the test itself.
const LONGEST_COOLDOWN: i64 = 8 * 86_400 + 60;

/// A time that jumped: what it is called, how it gets onto the volume, and what a pass must do all the same.
type Jump = (&'static str, fn(&Volume), fn(&Volume) -> bool);

const JUMPS: [Jump; 15] = [
    (
        "all are cooling until 9999, and one is used all the same",
        |volume| {
            let cooldown = json!({"until": LAST, "kind": "usage_cap", "source": "resets_at"});
            state(volume, &json!({"cooldown": cooldown}), &json!({"cooldown": cooldown}));
        },
        |volume| volume.json_or_null("auth.json")["account_id"] != "none",
    ),
    (
        "a cooldown until 9999 ends within eight days",
        |volume| {
            state(
                volume,
                &json!({"cooldown": {"until": LAST, "kind": "usage_cap", "source": "resets_at"}}),
                &json!({}),
            );
        },
        |volume| cooling_for(volume).is_none_or(|seconds| seconds <= LONGEST_COOLDOWN),
    ),
    (
        "in use since 2100, and a touch moves on",
        |volume| {
            active_since(volume, FAR);
            volume.signal("");
        },
        |volume| serves(volume, "acct-ben"),
    ),
    (
        "in use since 1970, and a touch moves on",
        |volume| {
            active_since(volume, FIRST);
            volume.signal("");
        },
        |volume| serves(volume, "acct-ben"),
    ),
    (
        "a touch of 1970 is from before the account was in use",
        |volume| touched(volume, UNIX_EPOCH + Duration::from_secs(1)),
        |volume| serves(volume, "acct-ann") && !volume.file("rotate-now").exists(),
    ),
    ("a touch of 2100 moves on", |volume| touched(volume, year_2100()), |volume| serves(volume, "acct-ben")),
    (
        "a touch counts that is a tick of the kernel's clock older than the activation",
        |volume| {
            let since = volume.json_or_null("rotator_state.json")["active"]["since"].clone();
            let since = u64::try_from(Timestamp::from_json(&since).unwrap().milliseconds()).unwrap();
            touched(volume, UNIX_EPOCH + Duration::from_millis(since - 8));
        },
        |volume| serves(volume, "acct-ben"),
    ),
    (
        "a refusal in 2286 counts for eight days at the most",
        |volume| {
            refused(volume, &json!({"at": 9_999_999_999_i64, "status": 429, "resets_at": 9_999_999_999_i64}));
        },
        |volume| serves(volume, "acct-ben") && cooling_for(volume).is_some_and(|s| s <= LONGEST_COOLDOWN),
    ),
    (
        "a refusal in 1970 whose window has reset is over",
        |volume| refused(volume, &json!({"at": 1, "status": 429, "resets_in_seconds": 69})),
        |volume| serves(volume, "acct-ann") && cooling_for(volume).is_none(),
    ),
    (
        "a refusal left in 2100 counts for eight days at the most",
        |volume| {
            refused(volume, &json!({"status": 429, "resets_in_seconds": 69}));
            set_time(volume, year_2100());
        },
        |volume| serves(volume, "acct-ben") && cooling_for(volume).is_some_and(|s| s <= LONGEST_COOLDOWN),
    ),
    (
        "a refresh that failed in 2100 is tried again",
        |volume| {
            volume.put_login_for(1, ANN, 3600);
            state(volume, &json!({"refresh_failed": FAR}), &json!({}));
        },
        |volume| volume.refreshes_of(ANN) == 1,
    ),
    (
        "a 401 counts for a login that was renewed in 2100",
        |volume| {
            let mut master = volume.json_or_null("auth-1.json");
            master["last_refresh"] = FAR.into();
            volume.write("auth-1.json", master.to_string());
            refused(volume, &json!({"at": now(), "status": 401}));
        },
        |volume| volume.refreshes_of(ANN) == 1,
    ),
    (
        "an access token of 1970 is renewed",
        |volume| volume.put_login_for(1, ANN, 10 - now()),
        |volume| volume.refreshes_of(ANN) == 1,
    ),
    (
        "an access token until 4800 is not renewed",
        |volume| volume.put_login_for(1, ANN, 90_000_000_000),
        |volume| volume.refreshes_of(ANN) == 0,
    ),
    (
        "a state of 1600 costs a round and no more",
        |volume| active_since(volume, "1600-01-01T00:00:00Z"),
        |volume| volume.json_or_null("rotator_state.json")["version"] == 1,
    ),
];

#[test]
fn the_clock_jumps() {
    let mut figures = Figures::of("the clock jumps");
    for (name, jump, is_as_it_should_be) in JUMPS {
        let volume = Volume::new();
        volume.put_login_for(1, ANN, LONG);
        volume.put_login_for(2, BEN, LONG);
        volume.pass(&[]);
        jump(&volume);
        let served = volume.bytes("auth.json");
        let case = Case { volume: &volume, name: name.to_owned(), served, may_be_lost_on_the_wire: false };
        let output = volume.pass(&[]);
        figures.struck += 1;
        case.at_once(&output, &mut figures);
        if !output.status.success() || !is_as_it_should_be(&volume) {
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            case.complain(&mut figures, &format!("it is not so: {told:?}"));
        }
        case.once_mended(&mut figures);
    }
    figures.print("");
}

/// Remembers these standings of ann and ben, and ann as the one in use.
fn state(volume: &Volume, ann: &Value, ben: &Value) {
    let mut state = volume.json_or_null("rotator_state.json");
    let of = |name: &str, standing: &Value| {
        let mut entry = standing.clone();
        entry["account_id"] = format!("acct-{name}").into();
        entry["user_id"] = format!("user-{name}").into();
        entry
    };
    state["accounts"] = json!([of("ann", ann), of("ben", ben)]);
    volume.write("rotator_state.json", state.to_string());
}

fn active_since(volume: &Volume, since: &str) {
    let mut state = volume.json_or_null("rotator_state.json");
    state["active"]["since"] = since.into();
    volume.write("rotator_state.json", state.to_string());
}

fn year_2100() -> SystemTime {
    UNIX_EPOCH + Duration::from_hours(130 * 8766)
}

fn touched(volume: &Volume, at: SystemTime) {
    volume.signal("");
    set_time(volume, at);
}

fn set_time(volume: &Volume, at: SystemTime) {
    let signal = File::options().write(true).open(volume.file("rotate-now")).unwrap();
    signal.set_times(FileTimes::new().set_modified(at)).unwrap();
}

fn refused(volume: &Volume, signal: &Value) {
    let mut signal = signal.clone();
    signal["account_id"] = "acct-ann".into();
    signal["user_id"] = "user-ann".into();
    volume.signal(&signal.to_string());
}

fn serves(volume: &Volume, account: &str) -> bool {
    volume.json_or_null("auth.json")["account_id"] == account
}

/// For how many seconds ann is left alone.
fn cooling_for(volume: &Volume) -> Option<i64> {
    let state = volume.json_or_null("rotator_state.json");
    let ann = state["accounts"].as_array()?.iter().find(|account| account["account_id"] == "acct-ann")?;
    let until = Timestamp::from_json(&ann["cooldown"]["until"])?;
    Some(until.seconds() - now())
}
