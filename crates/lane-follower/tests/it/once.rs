//! The init container, and what cannot work.

use std::process::Command;

use assert_cmd::assert::OutputAssertExt as _;
use fixture::Volume;
use predicates::str::contains;

use crate::api_server::{ApiServer, record};
use crate::follower::{Follower, command};

#[test]
fn litellm_starts_once_the_secret_has_the_records_of_all_lanes() {
    let server = ApiServer::start();
    let mut init = Follower::with(&server, Volume::new(), &["--once"]);
    init.says("the Secret codex-lanes has no records: waiting for lane-mirror");
    server.put(0, &["ann"]);
    init.says("the Secret codex-lanes has no record of lane-2 that LiteLLM can use: waiting for lane-mirror");
    assert_eq!(init.volume.names(), [""; 0]);
    server.put(1, &["ann", "ben"]);
    assert_eq!(init.end().code(), Some(0));
    assert_eq!(init.records(), ["ann", "ben"].map(record));
    assert_eq!(init.volume.json("auth.json"), record("ann"));
}

#[test]
fn litellm_that_is_started_again_in_its_pod_waits_for_no_api_server() {
    let server = ApiServer::start();
    server.put(0, &["ann", "ben"]);
    let mut init = Follower::with(&server, Volume::new(), &["--once"]);
    assert_eq!(init.end().code(), Some(0));
    server.kept().is_away = true;
    let connections = server.kept().connections;
    let mut again = Follower::with(&server, init.volume, &["--once"]);
    assert_eq!(again.end().code(), Some(0));
    assert_eq!(server.kept().connections, connections);
    std::fs::remove_file(again.volume.file("lane-2.json")).unwrap();
    let mut incomplete = Follower::with(&server, again.volume, &["--once"]);
    fixture::wait_until("it asks", || server.kept().connections > connections);
    assert_eq!(incomplete.stop().0, Some(75));
}

#[test]
fn a_right_that_is_given_later_and_an_api_server_that_comes_later_are_waited_for() {
    let server = ApiServer::start();
    server.put(0, &["ann", "ben"]);
    server.kept().refuses_lists = Some(("403 Forbidden", "no"));
    let mut init = Follower::with(&server, Volume::new(), &["--once"]);
    init.says("Kubernetes' API gives no right to list and watch the Secret codex-lanes: no");
    server.kept().is_away = true;
    server.kept().refuses_lists = None;
    let before = server.kept().connections;
    fixture::wait_until("it tries again", || server.kept().connections > before + 1);
    server.kept().is_away = false;
    assert_eq!(init.end().code(), Some(0));
    assert_eq!(init.records(), ["ann", "ben"].map(record));
}

#[test]
fn an_init_container_that_is_stopped_before_has_not_succeeded() {
    let server = ApiServer::start();
    let mut init = Follower::with(&server, Volume::new(), &["--once"]);
    init.says("the Secret codex-lanes has no records: waiting for lane-mirror");
    assert_eq!(init.stop().0, Some(75));
}

#[test]
fn what_no_waiting_mends_is_said_with_what_to_do() {
    let server = ApiServer::start();
    let fails = |mut command: Command, code: i32, said: &'static str| {
        command.assert().code(code).stderr(contains(said));
    };
    let volume = Volume::new();
    let mut no_cluster = command(&server, &volume);
    no_cluster.env_remove("KUBERNETES_SERVICE_HOST");
    fails(no_cluster, 78, "run it in a pod of a cluster");
    let mut no_token = command(&server, &volume);
    no_token.args(["--service-account", "/nonexistent"]);
    fails(no_token, 2, "cannot be used multiple times");
    let mut no_directory = command(&server, &volume);
    no_directory.args(["--live-dir", "/nonexistent"]);
    fails(no_directory, 78, "/nonexistent is not a directory");
    let mut no_lanes = command(&server, &volume);
    no_lanes.args(["--lanes", "17"]);
    fails(no_lanes, 2, "expected a number of lanes from 1 to 16");
    std::fs::remove_file(server.account.path().join("token")).unwrap();
    fails(command(&server, &volume), 78, "mount the pod's service account there");
}

#[test]
fn a_directory_that_cannot_be_written_ends_it() {
    let server = ApiServer::start();
    server.put(0, &["ann", "ben"]);
    let volume = Volume::new();
    // A directory in the place of a file stands in the way of root, too.
    std::fs::create_dir(volume.file("lane-1.json")).unwrap();
    std::fs::write(volume.file("lane-1.json").join("x"), "").unwrap();
    command(&server, &volume).assert().code(73).stderr(contains("cannot write"));
}
