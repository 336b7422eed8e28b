//! What LiteLLM sees of the Secret, and what it never sees.

use std::time::{Duration, Instant};

use fixture::wait_until;
use serde_json::json;

use crate::api_server::{ApiServer, record};
use crate::follower::Follower;

#[test]
fn litellm_sees_what_a_volume_of_the_secret_would_have() {
    let server = ApiServer::start();
    server.put(7, &["ann", "ben", "cem"]);
    let follower = Follower::start(&server);
    follower.says("took 2 records of the Secret codex-lanes, generation 7");
    assert_eq!(follower.records(), ["ann", "ben"].map(record));
    assert_eq!(follower.volume.json("auth.json"), record("ann"));
    assert_eq!(
        follower.volume.names(),
        ["auth.json", "lane-1.json", "lane-2.json"],
        "of its lanes and no more"
    );
    for name in follower.volume.names() {
        assert_eq!(follower.volume.mode(&name), 0o440, "{name}: the volume's group reads it");
    }
}

#[test]
fn a_change_arrives_by_the_watch_and_not_by_the_next_list() {
    let server = ApiServer::start();
    server.put(7, &["ann", "ben"]);
    let follower = Follower::start(&server);
    follower.has(["ann", "ben"]);
    for (generation, account) in (8..).zip(["cem", "dan", "eve"]) {
        let changed = Instant::now();
        server.put(generation, &["ann", account]);
        follower.has(["ann", account]);
        assert!(changed.elapsed() < Duration::from_secs(1), "{:?}", changed.elapsed());
    }
    assert_eq!(server.kept().lists, 1);
    assert_eq!(server.kept().watches.len(), 1);
    server.put(11, &["ben", "eve"]);
    follower.has(["ben", "eve"]);
    wait_until("the published record is the first lane's", || {
        follower.volume.json("auth.json") == record("ben")
    });
}

#[test]
fn what_is_there_is_not_written_again() {
    let server = ApiServer::start();
    server.put(7, &["ann", "ben"]);
    let mut follower = Follower::start(&server);
    follower.says("took 2 records of the Secret codex-lanes, generation 7");
    follower.stop();
    let written =
        |follower: &Follower| follower.volume.file("lane-1.json").metadata().unwrap().modified().unwrap();
    let before = written(&follower);
    let follower = Follower::with(&server, follower.volume, &[]);
    follower.says("took 2 records of the Secret codex-lanes, generation 7");
    server.put(8, &["ann", "cem"]);
    follower.has(["ann", "cem"]);
    assert_eq!(written(&follower), before);
}

#[test]
fn whatever_becomes_of_the_secret_the_records_stay_and_the_log_says_why_once() {
    let server = ApiServer::start();
    server.put(7, &["ann", "ben"]);
    let follower = Follower::start(&server);
    follower.has(["ann", "ben"]);
    let said = |line: &str| {
        follower.says(line);
        server.tell("MODIFIED");
        server.end_watches();
        assert_eq!(follower.records(), ["ann", "ben"].map(record), "{line}");
    };
    server.put(8, &[]);
    said("the Secret codex-lanes has no record of lane-1 that LiteLLM can use: waiting for lane-mirror");
    server.put(8, &["cem"]);
    said("the Secret codex-lanes has no record of lane-2 that LiteLLM can use: waiting for lane-mirror");
    server.put(6, &["cem", "dan"]);
    said("the Secret codex-lanes went back from generation 7 to 6: restart the replicas if that is meant");
    server.delete();
    said("there is no Secret codex-lanes: the chart makes it");
    server.make_again();
    said("the Secret codex-lanes has no records: waiting for lane-mirror");
    server.put(2, &["cem", "dan"]);
    follower.has(["cem", "dan"]);
    follower.says("took 2 records of the Secret codex-lanes, generation 2");
    let lines = follower.lines();
    let mut once = lines.clone();
    once.sort();
    once.dedup();
    assert_eq!(lines.len(), once.len(), "{lines:?}");
}

#[test]
fn no_refresh_token_and_nothing_else_that_somebody_has_put_into_the_secret_is_written() {
    let server = ApiServer::start();
    server.put(7, &["ann", "ben"]);
    let follower = Follower::start(&server);
    follower.has(["ann", "ben"]);
    let mut master = record("cem");
    master["refresh_token"] = json!("rt-cem");
    let mut endless = record("cem");
    endless["expires_at"] = json!(1);
    for content in [master.to_string(), endless.to_string(), "{\"access_to".to_owned(), String::new()] {
        server.put_bytes(8, &[record("dan").to_string(), content]);
        server.tell("MODIFIED");
    }
    follower
        .says("the Secret codex-lanes has no record of lane-2 that LiteLLM can use: waiting for lane-mirror");
    let mut more = record("eve");
    more["id_token"] = json!("it-eve");
    server.put_bytes(9, &[record("dan").to_string(), more.to_string()]);
    server.tell("MODIFIED");
    follower.has(["dan", "eve"]);
    assert_eq!(follower.volume.names(), ["auth.json", "lane-1.json", "lane-2.json"]);
    assert!(follower.lines().iter().all(|line| !line.contains("at-") && !line.contains("rt-")));
}
