//! Steering: `park`, `unpark`, `pin`, `unpin`, `use`, and the audit.

use std::fs::{self, File};
use std::path::Path;
use std::thread;
use std::time::Duration;

use assert_cmd::assert::Assert;
use fixture::{ANN, Pool};
use predicates::prelude::*;
use predicates::str::{contains, starts_with};
use serde_json::{Value, json};

use crate::{accounts, audit, every_state};

fn run(volume: &Path, line: &str) -> Assert {
    accounts(volume).args(line.split(' ')).assert()
}

fn done(volume: &Path, line: &str) -> String {
    String::from_utf8(run(volume, line).success().get_output().stdout.clone()).unwrap()
}

#[test]
fn parking_the_active_account_makes_another_one_serve_at_once() {
    let volume = every_state();
    assert_eq!(volume.served_slot(), Some(1));
    accounts(volume.path())
        .args(["park", "1", "--reason", "kept for the release", "--by", "ann"])
        .assert()
        .success()
        .stdout(
            "account-1 (a…@example.test) is parked until it is unparked: kept for the release\n\
             serving: account-5 (e…@example.test)\n",
        )
        .stderr(contains("accounts: active account-5 (expires "));
    assert_eq!(volume.served_slot(), Some(5));
    assert!(!volume.file("rotate-now").exists(), "the rotator need not be woken");
    assert!(!volume.file(".last-pass").exists(), "it is not a pass of the rotator");
    run(volume.path(), "why")
        .stdout(contains("account-1 passed over: parked by the operator (kept for the release): accounts unpark 1 lets it serve\n"));
}

#[test]
fn parking_another_account_keeps_the_active_one() {
    let volume = every_state();
    let printed = done(volume.path(), "park 10 --for 6h");
    assert!(printed.ends_with("serving: account-1 (a…@example.test)\n"), "{printed}");
    assert_eq!(volume.served_slot(), Some(1));
    let rows = done(volume.path(), "--json");
    let until = serde_json::from_str::<Value>(&rows).unwrap()["accounts"][9]["parked"]["until"].clone();
    assert!(until.is_string(), "{rows}");
}

#[test]
fn with_several_lanes_parking_moves_one_lane_and_the_table_says_who_serves_where() {
    let volume = every_state();
    done(volume.path(), "unpin --lanes 3");
    let in_lane = |lane: u32| volume.json(&format!("lane-{lane}.json"))["account_id"].clone();
    let before = [in_lane(1), in_lane(2), in_lane(3)];
    assert_eq!(volume.json("auth.json")["account_id"], before[0]);
    let table = done(volume.path(), "list");
    for (slot, lane) in [("1 ", 1), ("5 ", 2), ("10", 3)] {
        let row = table.lines().find(|line| line.starts_with(slot)).unwrap();
        assert!(row.contains(&format!("active in lane {lane}")), "{table}");
    }

    done(volume.path(), "park 5 --lanes 3");
    let after = [in_lane(1), in_lane(2), in_lane(3)];
    assert_eq!([&after[0], &after[2]], [&before[0], &before[2]]);
    assert!(!before.contains(&after[1]), "{before:?}, then {after:?}");
    let rows: Value = serde_json::from_str(&done(volume.path(), "--json")).unwrap();
    let lanes = |slot: u64| {
        let mut rows = rows["accounts"].as_array().unwrap().iter();
        rows.find(|row| row["slot"] == slot).unwrap()["lanes"].clone()
    };
    assert_eq!([lanes(1), lanes(5), lanes(10), lanes(11)], [json!([1]), json!([]), json!([3]), json!([2])]);
}

#[test]
fn a_park_follows_the_account_and_not_the_slot() {
    let volume = every_state();
    done(volume.path(), "park 10 --until 2099-01-01T00:00:00Z");
    fs::rename(volume.file("auth-10.json"), volume.file("auth-12.json")).unwrap();
    fs::copy(volume.file("auth-5.json"), volume.file("auth-10.json")).unwrap();
    run(volume.path(), "why")
        .stdout(contains("account-12 passed over: parked by the operator until 2099-01-01T00:00:00Z: accounts unpark 12 lets it serve\n"));
}

#[test]
fn the_published_record_stays_readable_for_those_who_could_read_it() {
    let volume = every_state();
    volume.set_mode("auth.json", 0o640);
    done(volume.path(), "park 1");
    assert_eq!(volume.mode("auth.json"), 0o640);
}

#[test]
fn unpark_ends_a_park_and_a_cooldown_and_nothing_else() {
    let volume = every_state();
    // Bob is capped and pinned: without the cap he serves.
    assert_eq!(
        done(volume.path(), "unpark 2"),
        "account-2 (b…@example.test) may serve again: neither parked nor cooling down\n\
         serving: account-2 (b…@example.test)\n"
    );
    assert_eq!(volume.served_slot(), Some(2));
    done(volume.path(), "unpark 4");
    assert_eq!(
        done(volume.path(), "unpark 3"),
        "account-3 (c…@example.test) was neither parked nor cooling down\n"
    );
    run(volume.path(), "why").stdout(
        contains("account-3 passed over: needs login: run auth-login 3 (refresh_token_reused)\n")
            .and(contains("account-4 passed over: not its turn\n")),
    );
}

#[test]
fn a_pinned_account_serves_until_it_is_unpinned() {
    let volume = every_state();
    done(volume.path(), "pin 10");
    assert_eq!(volume.served_slot(), Some(10));
    run(volume.path(), "why").stdout(starts_with("would refresh").and(contains("): pinned\n")));
    assert_eq!(
        done(volume.path(), "unpin"),
        "account-10 (h…@example.test) is no longer pinned\nserving: account-10 (h…@example.test)\n"
    );
    assert_eq!(done(volume.path(), "unpin"), "no account was pinned\n");
}

#[test]
fn what_needs_a_refresh_is_left_to_the_rotator_which_is_woken() {
    let volume = every_state();
    // The access token of slot 8 has ended, and a new one can be had for it.
    let printed = done(volume.path(), "pin 8");
    assert!(printed.contains("the rotator was woken"), "{printed}");
    let signal = volume.json("rotate-now");
    assert_eq!(signal["type"], "accounts_changed");
    assert_eq!(volume.served_slot(), Some(1), "meanwhile the active account stays");
}

#[test]
fn parking_the_last_account_says_that_no_account_can_serve() {
    let volume = every_state();
    for slot in [2, 4, 5, 9, 10, 11, 13] {
        done(volume.path(), &format!("park {slot}"));
    }
    run(volume.path(), "park 1").success().stdout(
        contains("\nno usable account: account-1: parked by the operator: accounts unpark 1 lets it serve; ")
            .and(contains("woken")),
    );
}

#[test]
fn use_of_an_expired_login_refreshes_it_first_and_no_other() {
    let pool = Pool::new();
    let bob = "bob@example.test";
    for (slot, email, lifetime) in [(1, ANN, 900_000), (2, bob, 1)] {
        pool.lifetime(email, lifetime);
        pool.put_login(slot, email);
    }
    pool.lifetime(bob, 3600);
    thread::sleep(Duration::from_millis(1100));
    accounts(pool.path())
        .env("CODEX_REFRESH_TOKEN_URL_OVERRIDE", pool.openai.refresh_url())
        .args(["use", "2"])
        .assert()
        .success()
        .stdout(starts_with("account-2 (b…@example.test) serves from now on\n"))
        .stderr(contains("account-2 refreshed"));
    assert_eq!(pool.served_slot(), Some(2));
    assert_eq!(audit(&pool)[0]["what"], "used");
}

#[test]
fn use_of_an_account_that_cannot_serve_says_why() {
    let volume = every_state();
    run(volume.path(), "use 4")
        .code(69)
        .stderr(contains("accounts: account-4 cannot be used: parked by the operator"));
    run(volume.path(), "use 6").code(69);
    assert_eq!(volume.served_slot(), Some(1));
    assert!(audit(&volume).is_empty());
}

#[test]
fn a_slot_that_is_empty_or_broken_names_what_to_do() {
    let volume = every_state();
    run(volume.path(), "park 12").code(1).stderr(contains("no auth-12.json in "));
    run(volume.path(), "pin 6").code(1).stderr(contains("run auth-login 6, or accounts remove 6\n"));
    run(volume.path(), "park 0").code(2);
    run(volume.path(), "park 1 --for 1h --until 2099-01-01T00:00:00Z").code(2);
    run(volume.path(), "park 1 --for 0s").code(2).stderr(contains("expected more than nothing"));
    run(volume.path(), "park 1 --for 11y").code(2).stderr(contains("expected at most 10 years"));
    run(volume.path(), "doctor --interval 18446744073709551615").code(2).stderr(contains("at most 10 years"));
    run(volume.path(), "park 1 --until 2001-01-01T00:00:00Z").code(2).stderr(contains("has passed"));
}

#[test]
fn every_change_is_a_line_that_says_when_what_which_account_why_and_by_whom() {
    let volume = every_state();
    accounts(volume.path())
        .env("CHATGPT_OPERATOR", "ann")
        .args(["park", "10", "--until", "2099-01-01T00:00:00Z", "--reason", "on call"])
        .assert()
        .success();
    done(volume.path(), "unpark 10");
    done(volume.path(), "unpark 10");
    done(volume.path(), "pin 10");
    done(volume.path(), "unpin");
    let entries = audit(&volume);
    let what: Vec<_> = entries.iter().map(|entry| entry["what"].as_str().unwrap()).collect();
    assert_eq!(
        what,
        ["parked", "unparked", "pinned", "unpinned"],
        "a command that changes nothing leaves no line"
    );
    let mut first = entries[0].clone();
    assert!(first["at"].take().is_string());
    let uid = nix::unistd::geteuid().as_raw();
    assert_eq!(
        first,
        json!({
            "at": null, "what": "parked", "slot": 10, "account_id": "acct-hal", "user_id": "user-hal",
            "until": "2099-01-01T00:00:00.000Z", "why": "on call",
            "by": {"command": "accounts", "uid": uid, "name": "ann"},
        })
    );
    assert_eq!(volume.mode("audit.jsonl"), 0o600);
}

#[test]
fn a_script_reads_the_outcome() {
    let volume = every_state();
    let outcome: Value = serde_json::from_str(&done(volume.path(), "--json park 1")).unwrap();
    assert_eq!(
        outcome,
        json!({
            "version": 1, "changed": "parked", "slot": 1, "until": null, "rotator_woken": false,
            "message": "account-1 (a…@example.test) is parked until it is unparked",
            "serving": {"slot": 5, "identity": "e…@example.test"},
        })
    );
}

#[test]
fn another_writer_that_does_not_finish_is_named_and_nothing_is_changed() {
    let volume = every_state();
    let before = fs::read(volume.file("rotator_state.json")).unwrap();
    let lock = File::create(volume.file(".lock")).unwrap();
    lock.lock().unwrap();
    run(volume.path(), "park 1").code(75).stderr(contains("another process has held"));
    assert_eq!(fs::read(volume.file("rotator_state.json")).unwrap(), before);
}
