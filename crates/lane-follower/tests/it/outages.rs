//! What an API server, or the way to it, may do: the records stay, and what was missed arrives.

use std::time::Duration;

use fixture::tls::Identity;
use fixture::wait_until;
use serde_json::json;

use crate::api_server::{ApiServer, record};
use crate::follower::Follower;

fn following() -> (ApiServer, Follower) {
    let server = ApiServer::start();
    server.put(7, &["ann", "ben"]);
    let follower = Follower::start(&server);
    follower.has(["ann", "ben"]);
    is_watched(&server, 1);
    (server, follower)
}

/// Waits until so many watches have begun: what is put unseen then is not in a list before.
fn is_watched(server: &ApiServer, times: usize) {
    wait_until("it watches", || server.kept().watches.len() == times);
}

/// How a watch ends, and what is done for that.
type End<'a> = (&'a str, &'a dyn Fn(&ApiServer));

/// Ends the watch in some ways; each time the Secret has changed unseen, and no more is asked for than needed.
fn misses_nothing_when_a_watch_ends<const N: usize>(ends: [End<'_>; N]) -> Follower {
    let (server, follower) = following();
    for (number, (how, end)) in (1..).zip(ends) {
        is_watched(&server, number);
        let account = format!("account-{number}");
        server.put_unseen(8, &["ann", &account]);
        end(&server);
        wait_until(how, || follower.records() == ["ann", &account].map(record));
    }
    is_watched(&server, N + 1);
    assert_eq!(server.kept().lists, N + 1);
    follower
}

#[test]
fn what_is_missed_while_a_watch_ends_or_breaks_arrives_by_the_next_list() {
    let follower = misses_nothing_when_a_watch_ends([
        ("after its time", &|server| server.end_watches()),
        ("in the middle of an event", &|server| server.cut_watches()),
        ("as too old", &|server| {
            let status = json!({"kind": "Status", "code": 410, "message": "too old resource version: 1 (9)"});
            server.tell_line(json!({"type": "ERROR", "object": status}).to_string());
        }),
    ]);
    follower.says("Kubernetes' API answered 410: too old resource version: 1 (9)");
    follower.says("Kubernetes' API answers again");
}

#[test]
fn what_is_no_event_ends_the_watch_and_fills_no_memory() {
    let follower = misses_nothing_when_a_watch_ends([
        ("with half an event", &|server| {
            server.tell_line(r#"{"type": "MODIFIED", "object": {"meta"#.to_owned());
        }),
        ("with something else", &|server| server.tell_line("<html>Bad Gateway</html>".to_owned())),
        ("with an error of its own", &|server| server.tell_line(r#"{"type": "ERROR"}"#.to_owned())),
        ("with an event without an end", &|server| server.tell_line("x".repeat(30 << 20))),
    ]);
    follower.says("what answers is not Kubernetes' API, or not whole");
    assert!(follower.most_memory() < 30 << 10, "{} KiB", follower.most_memory());
}

#[test]
fn an_answer_that_is_no_watch_is_tried_again_with_growing_pauses() {
    let (server, follower) = following();
    for refusal in [("410 Gone", "too old"), ("500 Internal Server Error", "etcd is away")] {
        server.kept().refuses_watches = Some(refusal);
        server.end_watches();
        let before = server.kept().lists;
        wait_until("it asks again", || server.kept().lists > before + 1);
    }
    let before = server.kept().lists;
    std::thread::sleep(Duration::from_secs(3));
    assert!(server.kept().lists - before <= 3, "{} lists in 3 s", server.kept().lists - before);
    server.put(8, &["ann", "cem"]);
    follower.has(["ann", "cem"]);
    server.kept().refuses_watches = None;
    follower.says("Kubernetes' API answered 410: too old");
}

#[test]
fn while_the_api_server_is_away_the_records_stay_and_the_log_says_so_once() {
    let (server, follower) = following();
    server.kept().is_away = true;
    server.cut_watches();
    let before = server.kept().connections;
    wait_until("it tries again", || server.kept().connections > before + 3);
    assert_eq!(follower.records(), ["ann", "ben"].map(record));
    let about_it =
        || follower.lines().iter().filter(|line| line.starts_with("no answer from Kubernetes' API")).count();
    assert_eq!(about_it(), 1, "{:?}", follower.lines());
    server.put_unseen(8, &["ann", "cem"]);
    server.kept().is_away = false;
    follower.has(["ann", "cem"]);
    follower.says("Kubernetes' API answers again");
    assert_eq!(about_it(), 1);
}

#[test]
fn a_token_and_a_certificate_that_kubernetes_replaces_are_read_anew() {
    let (server, follower) = following();
    let next = Identity::default();
    server.account.replace("token", "token-2");
    server.account.replace("ca.crt", next.certificate());
    {
        let mut kept = server.kept();
        kept.token = "token-2".to_owned();
        kept.identity = next;
    }
    server.put_unseen(8, &["ann", "cem"]);
    server.end_watches();
    follower.has(["ann", "cem"]);

    is_watched(&server, 2);
    // For a moment the files of a pod are older than the API server.
    server.kept().token = "token-3".to_owned();
    server.put_unseen(9, &["ann", "dan"]);
    server.end_watches();
    follower.says("Kubernetes' API answered 401: Unauthorized");
    std::fs::remove_file(server.account.path().join("token")).unwrap();
    let path = server.account.path().join("token");
    follower.says(&format!(
        "{}: No such file or directory (os error 2): mount the pod's service account there",
        path.display()
    ));
    server.account.replace("token", "token-3");
    follower.has(["ann", "dan"]);
}

#[test]
fn a_server_with_another_certificate_is_not_believed() {
    let (server, follower) = following();
    server.kept().identity = Identity::default();
    server.put_unseen(8, &["eve", "eve"]);
    server.cut_watches();
    let before = server.kept().connections;
    wait_until("it has tried again", || server.kept().connections > before + 2);
    assert_eq!(follower.records(), ["ann", "ben"].map(record));
}

#[test]
fn a_watch_ends_soon_enough_that_a_dead_connection_is_noticed_and_not_with_those_of_others() {
    let (server, follower) = following();
    for times in 2..=4 {
        server.end_watches();
        is_watched(&server, times);
    }
    let lasting = server.kept().watches.clone();
    assert!(lasting.iter().all(|seconds| (37..=75).contains(seconds)), "{lasting:?}");
    assert!(lasting.iter().any(|seconds| *seconds != lasting[0]), "{lasting:?}");
    assert_eq!(follower.lines(), ["took 2 records of the Secret codex-lanes, generation 7"], "no word of it");
}

#[test]
fn sigterm_ends_it_at_once_while_it_watches_and_while_it_waits() {
    let (server, mut follower) = following();
    let (code, took) = follower.stop();
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert_eq!(follower.records(), ["ann", "ben"].map(record));
    server.kept().is_away = true;
    let mut waiting = Follower::start(&server);
    let before = server.kept().connections;
    wait_until("it tries again", || server.kept().connections > before + 3);
    let (code, took) = waiting.stop();
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(1), "{took:?}");
}
