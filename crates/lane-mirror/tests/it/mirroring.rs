//! What is in the Secret after a run, and when nothing may get there.

use std::fs;

use assert_cmd::Command;
use assert_cmd::assert::Assert;
use assert_cmd::cargo::cargo_bin_cmd;
use fixture::{Volume, names};
use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::{contains, is_empty};
use serde_json::{Value, json};

use crate::api_server::{ApiServer, empty_secret};

/// A volume with these accounts in its lanes.
fn volume(accounts: &[&str]) -> Volume {
    let volume = Volume::new();
    put_lanes(&volume, accounts);
    volume
}

fn put_lanes(volume: &Volume, accounts: &[&str]) {
    for (lane, account) in (1..).zip(accounts) {
        volume.replace(&format!("lane-{lane}.json"), record(account).to_string());
    }
}

/// What `rotate-once` publishes.
fn record(account: &str) -> Value {
    json!({"access_token": format!("at-{account}"), "account_id": account, "id_token": "it", "expires_at": 4_102_444_800_i64})
}

/// What of it may leave the pod.
fn mirrored(account: &str) -> Value {
    json!({"access_token": format!("at-{account}"), "account_id": account, "expires_at": 4_102_444_800_i64})
}

fn command(server: &ApiServer, volume: &Volume) -> Command {
    let mut command = cargo_bin_cmd!("lane-mirror");
    command.env_clear().envs(server.variables()).env("CHATGPT_AUTH_DIR", volume.path());
    command.arg("--service-account").arg(server.service_account());
    command
}

fn mirror(server: &ApiServer, volume: &Volume) -> Assert {
    command(server, volume).assert()
}

#[test]
fn the_secret_gets_the_records_of_all_lanes_without_the_id_tokens() {
    let (server, volume) = (ApiServer::start(), volume(&["ann", "ben"]));
    let said = "lane-mirror: the Secret codex-lanes has 2 records, generation 0\n";
    mirror(&server, &volume).success().stderr(said);
    assert_eq!([server.record(1), server.record(2)], [mirrored("ann"), mirrored("ben")]);
    assert_eq!(server.generation(), "0");
    mirror(&server, &volume).success().stderr(is_empty());
    assert_eq!(server.writes(), 1, "what is there is not written again");
}

#[test]
fn with_one_lane_the_secret_has_the_published_record() {
    let (server, volume) = (ApiServer::start(), Volume::new());
    volume.write("auth.json", record("ann").to_string());
    mirror(&server, &volume).success().stderr(contains("has 1 record, generation 0"));
    assert_eq!(server.record(1), mirrored("ann"));
}

#[test]
fn each_change_of_a_lane_is_a_generation() {
    let (server, volume) = (ApiServer::start(), volume(&["ann", "ben"]));
    mirror(&server, &volume).success();
    put_lanes(&volume, &["ann", "cem"]);
    mirror(&server, &volume).success().stderr(contains("generation 1"));
    assert_eq!([server.record(1), server.record(2)], [mirrored("ann"), mirrored("cem")]);
    assert_eq!(volume.json("mirrored.json"), json!({"version": 1, "generation": 1}));
}

#[test]
fn a_secret_that_was_deleted_or_emptied_is_filled_again() {
    let (server, volume) = (ApiServer::start(), volume(&["ann"]));
    mirror(&server, &volume).success();
    server.kept().secret["data"] = json!({});
    mirror(&server, &volume).success();
    assert_eq!(server.record(1), mirrored("ann"));
    server.kept().secret = empty_secret();
    mirror(&server, &volume).success();
    assert_eq!(server.record(1), mirrored("ann"));
}

#[test]
fn a_restored_volume_changes_nothing_until_an_operator_says_so() {
    let (server, volume) = (ApiServer::start(), volume(&["ann"]));
    mirror(&server, &volume).success();
    let backup = volume.bytes("mirrored.json");
    put_lanes(&volume, &["ben"]);
    mirror(&server, &volume).success();
    assert_eq!((server.generation(), server.writes()), ("1".into(), 2));
    fs::remove_file(volume.file("mirrored.json")).unwrap();
    assert_eq!(backup, b"", "the first generation is that of a volume without the file");
    put_lanes(&volume, &["ann"]);
    let said = "lane-mirror: the Secret codex-lanes has generation 1 of the records, which is later than this volume's: \
                was the volume restored from a backup? Sign in again what accounts says, then run lane-mirror \
                --take-over\n";
    mirror(&server, &volume).code(78).stderr(said);
    assert_eq!((server.record(1), server.writes()), (mirrored("ben"), 2));
    assert!(names(volume.path()).contains(&".restored".to_owned()), "no refresh token is sent from now on");
    command(&server, &volume).arg("--take-over").assert().success().stderr(contains("generation 2"));
    assert_eq!(server.record(1), mirrored("ann"));
    assert!(!names(volume.path()).contains(&".restored".to_owned()));
}

#[test]
fn a_restored_volume_is_known_before_the_first_pass() {
    let (server, volume) = (ApiServer::start(), volume(&["ann"]));
    let check = || command(&server, &volume).arg("--check").assert().success();
    let is_marked = || names(volume.path()).contains(&".restored".to_owned());
    check().stderr(is_empty());
    // From here on it is noticed if no other run follows.
    assert!(names(volume.path()).contains(&"mirror.json".to_owned()));
    mirror(&server, &volume).success();
    put_lanes(&volume, &["ben"]);
    mirror(&server, &volume).success();
    check().stderr(is_empty());
    assert!(!is_marked());
    std::fs::remove_file(volume.file("mirrored.json")).unwrap();
    check().stderr(contains("which is later than this volume's"));
    assert!(is_marked());
    command(&server, &volume).arg("--take-over").assert().success();
    assert!(!is_marked());

    server.kept().refuses = Some(("503 Service Unavailable", "etcd is away"));
    command(&server, &volume).arg("--check").assert().code(75);
    server.kept().refuses = None;
    server.kept().secret = Value::Null;
    check();
}

#[test]
fn a_change_by_another_writer_is_read_and_not_replaced_unseen() {
    let (server, volume) = (ApiServer::start(), volume(&["ann"]));
    server.kept().changed_after_reads = 2;
    mirror(&server, &volume).success();
    assert_eq!((server.record(1), server.writes()), (mirrored("ann"), 3));
    put_lanes(&volume, &["ben"]);
    server.kept().changed_after_reads = 99;
    let said = "lane-mirror: the Secret codex-lanes is being changed by another writer all the time\n";
    mirror(&server, &volume).code(75).stderr(said);
    assert_eq!(server.record(1), mirrored("ann"));
}

#[test]
fn what_the_api_does_not_give_is_said_with_what_to_do_and_tried_again_by_the_next_run() {
    let (server, volume) = (ApiServer::start(), volume(&["ann"]));
    for (answer, code, said) in [
        (("403 Forbidden", "no"), 78, "gives no right to get and patch the Secret codex-lanes: no"),
        (("401 Unauthorized", "Unauthorized"), 75, "Kubernetes' API answered 401: Unauthorized"),
        (("429 Too Many Requests", "later"), 75, "Kubernetes' API answered 429: later"),
        (("503 Service Unavailable", "etcd\nis away"), 75, "Kubernetes' API answered 503: etcd is away"),
        (("422 Unprocessable Entity", "too large"), 1, "Kubernetes' API answered 422: too large"),
    ] {
        server.kept().refuses = Some(answer);
        mirror(&server, &volume).code(code).stderr(contains(said));
    }
    server.kept().refuses = None;
    server.kept().secret = Value::Null;
    mirror(&server, &volume).code(78).stderr(contains("there is no Secret codex-lanes: the chart makes it"));
    server.kept().secret = empty_secret();
    mirror(&server, &volume).success();
    assert_eq!(server.record(1), mirrored("ann"));
}

#[test]
fn without_an_api_server_nothing_is_lost() {
    let (server, volume) = (ApiServer::start(), volume(&["ann"]));
    let mut away = command(&server, &volume);
    away.env("KUBERNETES_SERVICE_PORT", "1")
        .assert()
        .code(75)
        .stderr(contains("no answer from Kubernetes' API"));
    let mut no_pod = command(&server, &volume);
    no_pod
        .env_remove("KUBERNETES_SERVICE_HOST")
        .assert()
        .code(78)
        .stderr(contains("run it in a pod of a cluster"));
    fs::remove_file(server.service_account().join("token")).unwrap();
    mirror(&server, &volume).code(78).stderr(contains("mount the pod's service account there"));
}

#[test]
fn what_came_of_a_run_is_left_for_those_who_look_at_the_accounts() {
    let (server, volume) = (ApiServer::start(), volume(&["ann"]));
    server.kept().refuses = Some(("403 Forbidden", "no"));
    mirror(&server, &volume).code(78);
    let left = volume.json("mirror.json");
    assert_eq!(
        (&left["succeeded"], &left["failed"]),
        (&Value::Null, &"Kubernetes' API gives no right to get and patch the Secret codex-lanes: no".into())
    );
    server.kept().refuses = None;
    mirror(&server, &volume).success();
    let left = volume.json("mirror.json");
    assert!(left["succeeded"] == left["at"] && left["failed"].is_null(), "{left}");
    server.kept().refuses = Some(("503 Service Unavailable", "etcd is away"));
    mirror(&server, &volume).code(75);
    let after = volume.json("mirror.json");
    assert_eq!((&after["succeeded"], &after["failed"].is_string()), (&left["succeeded"], &true));
}

#[test]
fn a_lane_whose_record_cannot_be_used_stops_the_others_from_being_mirrored_without_it() {
    let (server, volume) = (ApiServer::start(), volume(&["ann", "ben"]));
    let mut master = record("ben");
    master["refresh_token"] = "rt-ben".into();
    volume.replace("lane-2.json", master.to_string());
    let said = "lane-mirror: a lane has no record that LiteLLM can use: waiting for rotate-once\n";
    mirror(&server, &volume).code(75).stderr(said);
    mirror(&server, &Volume::new()).code(75).stderr(said);
    assert_eq!(server.writes(), 0);
}

#[test]
fn no_refresh_token_and_no_token_for_the_api_is_in_a_request_or_on_the_volume() {
    let (server, volume) = (ApiServer::start(), volume(&["ann"]));
    volume.write("auth-1.json", r#"{"tokens": {"refresh_token": "rt-ann"}}"#);
    mirror(&server, &volume).success().stderr(contains("at-ann").not());
    let requests = format!("{:?}", server.kept().requests);
    assert!(requests.contains("PATCH") && !requests.contains("rt-ann") && !requests.contains("id_token"));
    assert_eq!(names(volume.path()), [".mirror.lock", "auth-1.json", "lane-1.json", "mirror.json"]);
    assert!(!volume.json("mirror.json").to_string().contains("at-ann"));
}
