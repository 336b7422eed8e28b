//! An account is refused while agents use it, and no agent sees it: LiteLLM's callback sends the request again when the
//! sidecar has published another account.

use std::fs::{self, File};
use std::thread;
use std::time::{Duration, Instant};

use fixture::{ANN, BEN, CEM, DAN, EVE, Running, wait_until};
use serde_json::{Value, json};
use stand_in::{Behaviour, RefusalRequest, Way};
use support::litellm::{LiteLlm, Said, VERSIONS, codex_exec};
use support::pod::Pod;

const FAY: &str = "fay@example.test";
const GIL: &str = "gil@example.test";

/// How many ask at once while the account in use becomes capped.
const CROWD: usize = 200;

/// A pod with these accounts, of which the sidecar has published the first.
fn pod_with(accounts: &[&str]) -> (Pod, Running) {
    let pod = Pod::new();
    for (slot, email) in (1..).zip(accounts) {
        pod.put_login(slot, email);
    }
    let sidecar = pod.sidecar();
    wait_until("the first account is published", || pod.logged("active account-1 ").len() == 1);
    (pod, sidecar)
}

fn answer_of(email: &str) -> String {
    format!("Hello from {email} (acct-{})", email.split('@').next().unwrap())
}

/// How often the backend answered this account with this status.
fn answered(pod: &Pod, email: &str, status: u16) -> usize {
    let requests = pod.openai.requests_to("/backend-api/codex/responses");
    let of = |request: &&stand_in::Request| {
        request.account.as_deref() == Some(email) && request.status == Some(status)
    };
    requests.iter().filter(of).count()
}

/// Every line that would tell a person that something went wrong; a number counts as a word of its own, since
/// any digits may stand in a session's id.
fn complaints(shown: &str) -> Vec<&str> {
    let words = |line: &str| line.split(|c: char| !c.is_alphanumeric()).any(is_complaint);
    shown.lines().filter(|line| words(line)).collect()
}

fn is_complaint(word: &str) -> bool {
    ["429", "401"].contains(&word) || ["error", "reconnecting"].contains(&word.to_lowercase().as_str())
}

/// Runs codex while another writer holds the volume, until half a second after the account was refused.
fn codex_while_the_rotator_is_late(pod: &Pod, litellm: &LiteLlm, refused: &str, status: u16) -> Said {
    let writer = File::open(pod.file(".lock")).unwrap();
    writer.lock().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || {
            wait_until("the account is refused", || answered(pod, refused, status) > 0);
            thread::sleep(Duration::from_millis(500));
            drop(writer);
        });
        codex_exec(pod, litellm)
    })
}

fn an_agent_does_not_see_that_an_account_is_refused(version: &str) {
    let (pod, _sidecar) = pod_with(&[ANN, BEN, CEM, DAN, EVE, FAY, GIL]);
    let litellm = LiteLlm::start(version, &pod);
    let capped = |email| (email, Behaviour::Capped, 429);
    let revoked = |email| (email, Behaviour::Invalidated, 401);
    for (refused, next) in
        [(vec![capped(ANN)], BEN), (vec![revoked(BEN)], CEM), (vec![capped(CEM), revoked(DAN)], EVE)]
    {
        for (email, behaviour, _) in &refused {
            pod.openai.set(email, *behaviour);
        }
        let (first, _, status) = refused[0];
        let said = codex_while_the_rotator_is_late(&pod, &litellm, first, status);
        assert_eq!(said.stdout, answer_of(next));
        assert_eq!(complaints(&said.stderr), [""; 0], "{}", said.stderr);
        for (email, _, status) in refused {
            assert_ne!(answered(&pod, email, status), 0, "{email} was asked");
        }
    }
    // A stream that begins with its end has not begun for the agent.
    pod.openai.set(EVE, Behaviour::CappedInStream);
    let said = codex_exec(&pod, &litellm);
    assert_eq!(said.stdout, answer_of(FAY));
    assert_eq!(complaints(&said.stderr), [""; 0], "{}", said.stderr);
    // When the agent has had a word nobody can ask again for it, but codex does.
    let (way, email) = (Way::FailedInMidstream, Some(FAY.to_owned()));
    pod.openai.refuse(RefusalRequest { way, email, ..RefusalRequest::default() });
    assert_eq!(codex_exec(&pod, &litellm).stdout, answer_of(GIL));
}

#[test]
fn litellm_1_106_2_hides_a_refused_account_from_the_agent() {
    an_agent_does_not_see_that_an_account_is_refused(VERSIONS[0]);
}

#[test]
fn litellm_1_110_2_hides_a_refused_account_from_the_agent() {
    an_agent_does_not_see_that_an_account_is_refused(VERSIONS[2]);
}

#[test]
fn litellm_1_109_1_hides_a_refused_account_from_the_agent() {
    an_agent_does_not_see_that_an_account_is_refused(VERSIONS[1]);
}

fn a_crowd_does_not_see_that_its_account_is_capped(version: &str) {
    let (pod, _sidecar) = pod_with(&[ANN, BEN, CEM]);
    let litellm = LiteLlm::start(version, &pod);
    let ask = |number: usize| {
        let begun = Instant::now();
        let (status, body) = litellm.ask_for(number.is_multiple_of(2));
        (status, body, begun.elapsed())
    };
    let answers: Vec<_> = thread::scope(|scope| {
        let crowd: Vec<_> = (0..CROWD).map(|number| scope.spawn(move || ask(number))).collect();
        wait_until("a part of them is served", || answered(&pod, ANN, 200) >= CROWD / 5);
        pod.openai.set(ANN, Behaviour::Capped);
        crowd.into_iter().map(|asking| asking.join().unwrap()).collect()
    });
    wait_until("every signal is handled", || !pod.names().iter().any(|name| name.contains("rotate-now")));

    let mut durations: Vec<_> = answers.iter().map(|(.., duration)| *duration).collect();
    durations.sort_unstable();
    let passes = pod.logged("active account-").len();
    println!(
        "LiteLLM {version}: {CROWD} asked at once, {} answered by ann, {} refused, {} answered by ben; \
         median {:.1?}, longest {:.1?}; {passes} passes of the rotator",
        answered(&pod, ANN, 200),
        answered(&pod, ANN, 429),
        answered(&pod, BEN, 200),
        durations[CROWD / 2],
        durations[CROWD - 1],
    );
    for (status, body, _) in &answers {
        assert!(*status == 200 && [ANN, BEN].iter().any(|who| body.contains(&answer_of(who))), "{body}");
    }
    assert_ne!(answered(&pod, ANN, 429), 0, "the cap was met");
    let mut used: Vec<_> = pod.logged("active account-").iter().map(|line| slot_in(line)).collect();
    used.dedup();
    assert_eq!(used, ["account-1", "account-2"], "one rotation, whatever came late");
    assert!(!pod.openai.requests().iter().any(stand_in::Request::mixes_accounts));
}

fn slot_in(line: &str) -> String {
    line.split(' ').find(|word| word.starts_with("account-")).unwrap().to_owned()
}

#[test]
fn litellm_1_106_2_hides_a_cap_from_two_hundred_at_once() {
    a_crowd_does_not_see_that_its_account_is_capped(VERSIONS[0]);
}

#[test]
fn litellm_1_110_2_hides_a_cap_from_two_hundred_at_once() {
    a_crowd_does_not_see_that_its_account_is_capped(VERSIONS[2]);
}

#[test]
fn litellm_1_109_1_hides_a_cap_from_two_hundred_at_once() {
    a_crowd_does_not_see_that_its_account_is_capped(VERSIONS[1]);
}

fn the_worst_that_is_known_of_an_account_is_told(version: &str) {
    let pod = Pod::new();
    pod.put_login(1, ANN);
    pod.rotate_once(&[]).success();
    let litellm = LiteLlm::start_with(version, &pod, &[("CHATGPT_FAILOVER_WAIT_SEC", "0")]);
    for (behaviour, stream, told) in [
        (Behaviour::RateLimited, false, json!([429, "requests", false])),
        (Behaviour::CappedInStream, true, json!([429, "usage_limit_reached", false])),
        (Behaviour::Capped, true, json!([429, "usage_limit_reached", true])),
        (Behaviour::Invalidated, false, json!([401, "invalid_request_error", false])),
    ] {
        pod.openai.set(ANN, behaviour);
        let _ = litellm.ask_for(stream);
        wait_until(&format!("{behaviour:?}: {told} is told"), || signal(&pod) == told);
    }
    let worst = pod.read("rotate-now");
    for behaviour in [Behaviour::RateLimited, Behaviour::Capped] {
        pod.openai.set(ANN, behaviour);
        let _ = litellm.ask_for(true);
    }
    // The callback writes on a thread of its own, and here it has nothing to show for it.
    thread::sleep(Duration::from_secs(1));
    assert_eq!(pod.read("rotate-now"), worst);
}

fn signal(pod: &Pod) -> Value {
    let Ok(text) = fs::read_to_string(pod.file("rotate-now")) else { return Value::Null };
    let signal: Value = serde_json::from_str(&text).unwrap();
    json!([signal["status"], signal["type"], signal.get("resets_at").is_some()])
}

#[test]
fn litellm_1_106_2_tells_the_worst_that_is_known_of_an_account() {
    the_worst_that_is_known_of_an_account_is_told(VERSIONS[0]);
}

#[test]
fn litellm_1_110_2_tells_the_worst_that_is_known_of_an_account() {
    the_worst_that_is_known_of_an_account_is_told(VERSIONS[2]);
}
