//! Several accounts serve at once, each in a lane with a LiteLLM deployment of its own, and each conversation stays on its
//! lane.

use std::collections::{BTreeMap, BTreeSet};

use fixture::{ANN, BEN, CEM, DAN, Running, wait_until};
use stand_in::Behaviour;
use support::litellm::{Conversation, LiteLlm, VERSIONS};
use support::pod::Pod;

const LANES: [(&str, &str); 1] = [("CODEX_LANES", "3")];

/// So many that each lane gets some, whichever LiteLLM gives to each.
const SESSIONS: usize = 12;

/// A pod with these accounts, whose sidecar keeps three lanes.
fn pod_with(accounts: &[&str]) -> (Pod, Running) {
    let pod = Pod::new();
    for (slot, email) in (1..).zip(accounts) {
        pod.put_login(slot, email);
    }
    let sidecar = pod.sidecar_with(&LANES);
    wait_until("the lanes have accounts", || pod.names().contains(&"lane-3.json".to_owned()));
    (pod, sidecar)
}

/// Who is in each lane.
fn lanes(pod: &Pod) -> Vec<String> {
    let account =
        |lane: u8| pod.json(&format!("lane-{lane}.json"))["account_id"].as_str().unwrap().to_owned();
    (1..=3).map(account).collect()
}

/// Who answers each session now; all must be answered.
fn who_answers(litellm: &LiteLlm) -> BTreeMap<String, String> {
    let answered = |number: usize| {
        let session = format!("0199aaaa-bbbb-7ccc-8ddd-{number:012}");
        let answer = litellm.answer_in(&session, number.is_multiple_of(2));
        assert_eq!(answer.status, 200, "{}", answer.body);
        let who = answer.body.split("(acct-").nth(1).and_then(|rest| rest.split(')').next());
        (session, format!("acct-{}", who.unwrap()))
    };
    (0..SESSIONS).map(answered).collect()
}

fn accounts(pod: &Pod, line: &str) {
    let output = pod.command("accounts").args(line.split(' ')).envs(LANES).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The answers after a change, of which only those that were by this account may be by another one.
fn only_those_of_change(before: &BTreeMap<String, String>, now: &BTreeMap<String, String>, changed: &[&str]) {
    for (session, who) in before {
        assert!(
            changed.contains(&who.as_str()) || now[session] == *who,
            "{session}: {who}, then {}",
            now[session]
        );
    }
}

fn each_session_stays_on_its_lane(version: &str) {
    let (pod, _sidecar) = pod_with(&[ANN, BEN, CEM, DAN]);
    assert_eq!(lanes(&pod), ["acct-ann", "acct-ben", "acct-cem"]);
    let litellm = LiteLlm::start_with_lanes(version, &pod, 3);

    let first = who_answers(&litellm);
    let lanes_used: BTreeSet<_> = first.values().collect();
    assert_eq!(lanes_used.len(), 3, "{first:?}");
    for _ in 0..3 {
        assert_eq!(who_answers(&litellm), first);
    }

    // A cap costs the sessions of its lane their account, and nobody an answer.
    pod.openai.set(BEN, Behaviour::Capped);
    only_those_of_change(&first, &who_answers(&litellm), &["acct-ben"]);
    wait_until("the lane has another account", || lanes(&pod) == ["acct-ann", "acct-dan", "acct-cem"]);
    let capped = who_answers(&litellm);
    only_those_of_change(&first, &capped, &["acct-ben"]);
    for (session, who) in &first {
        assert!(who != "acct-ben" || capped[session] == "acct-dan", "{session} is with {}", capped[session]);
    }

    // A refresh changes a lane's token and not its account.
    let token = pod.json("lane-2.json")["access_token"].clone();
    accounts(&pod, "refresh 4 --yes");
    wait_until("the new token is in its lane", || pod.json("lane-2.json")["access_token"] != token);
    assert_eq!(who_answers(&litellm), capped);

    // With fewer accounts than lanes they are shared; the lanes of the others are left alone.
    accounts(&pod, "park 4");
    only_those_of_change(&capped, &who_answers(&litellm), &["acct-dan"]);
    accounts(&pod, "unpark 4");
    assert_eq!(who_answers(&litellm), capped);

    accounts(&pod, "pin 3");
    assert_eq!(lanes(&pod), ["acct-cem", "acct-dan", "acct-ann"]);
    only_those_of_change(&capped, &who_answers(&litellm), &["acct-ann", "acct-cem"]);

    // None is left: the client is told that they are capped, and not that nobody is signed in.
    for email in [ANN, CEM, DAN] {
        pod.openai.set(email, Behaviour::Capped);
    }
    for number in 0..3 {
        let answer = litellm.answer_in(&format!("another-{number}"), false);
        assert_eq!(answer.status, 429, "{}", answer.body);
    }
    wait_until("all are known to be capped", || pod.json("pool.json")["usable"] == 0);
    let answer = litellm.answer_in("another-session", true);
    assert!(answer.status == 429 && answer.retry_after.is_some(), "{answer:?}");
    assert!(
        lanes(&pod).iter().all(|account| account.starts_with("acct-")),
        "no placeholder: {:?}",
        lanes(&pod)
    );
    assert!(!pod.openai.requests().iter().any(stand_in::Request::mixes_accounts));
    assert!(pod.openai.requests().iter().all(|request| request.status != Some(401)));
}

#[test]
fn litellm_1_109_1_keeps_each_session_on_its_lane() {
    each_session_stays_on_its_lane(VERSIONS[1]);
}

#[test]
fn litellm_1_110_2_keeps_each_session_on_its_lane() {
    each_session_stays_on_its_lane(VERSIONS[2]);
}

fn threads_go_on_when_their_lane_is_capped(version: &str) {
    let (pod, _sidecar) = pod_with(&[ANN, BEN, CEM, DAN]);
    let litellm = LiteLlm::start_with_lanes(version, &pod, 3);
    let mut threads: Vec<_> = (0..5).map(|_| Conversation::new(&pod, &litellm)).collect();
    let first: Vec<_> = threads.iter_mut().map(|thread| thread.say("Who are you?").stdout).collect();
    let again: Vec<_> = threads.iter_mut().map(|thread| thread.say("And now?").stdout).collect();
    assert_eq!(again, first, "each thread stays with its account");

    let capped = [ANN, BEN, CEM].into_iter().find(|email| first[0].contains(email)).unwrap();
    pod.openai.set(capped, Behaviour::Capped);
    for turn in 0..3 {
        for (thread, before) in threads.iter_mut().zip(&first) {
            let now = thread.say(&format!("Turn {turn} after the cap.")).stdout;
            assert!(
                !now.contains(capped) && (before.contains(capped) || now == *before),
                "{before}, then {now}"
            );
        }
    }
    let last = threads[0].say("Who are you at last?").stdout;
    assert!(last.contains(DAN), "the lane has the account that was free: {last}");
    println!("LiteLLM {version}: {first:?}; after the cap of {capped}, the first thread: {last}");
}

#[test]
fn litellm_1_109_1_lets_threads_go_on_when_their_lane_is_capped() {
    threads_go_on_when_their_lane_is_capped(VERSIONS[1]);
}

#[test]
fn litellm_1_110_2_lets_threads_go_on_when_their_lane_is_capped() {
    threads_go_on_when_their_lane_is_capped(VERSIONS[2]);
}

#[test]
fn a_pod_without_a_login_starts_with_a_placeholder_in_each_lane_and_a_sign_in_fills_them() {
    let pod = Pod::new();
    pod.rotate_once(&["--init", "--lanes", "3"]).success();
    assert_eq!(lanes(&pod), ["none", "none", "none"]);
    let _sidecar = pod.sidecar_with(&LANES);
    let litellm = LiteLlm::start_with_lanes(VERSIONS[1], &pod, 3);
    assert_eq!(litellm.answer_in("early", false).status, 401);
    for (slot, email, in_lanes) in [
        (1, ANN, ["acct-ann"; 3]),
        (2, BEN, ["acct-ann", "acct-ben", "acct-ann"]),
        (3, CEM, ["acct-ann", "acct-ben", "acct-cem"]),
    ] {
        pod.sign_in(slot, email);
        wait_until("the lanes have what there is", || lanes(&pod) == in_lanes);
        let _ = who_answers(&litellm);
    }
}
