//! A thread of the real codex goes on over rotations, refreshes and failovers, although the provider takes encrypted
//! reasoning only from the account that made it.

use std::fs;

use fixture::{ANN, BEN, CEM, DAN, wait_until};
use stand_in::{Behaviour, Turn};
use support::litellm::{Conversation, LiteLlm, VERSIONS};
use support::pod::Pod;

/// What happens before a turn.
#[derive(Clone, Copy, Debug)]
enum Before {
    Nothing,
    RotationTo(u32),
    RefreshOf(u32),
    /// The account in use becomes capped, which is not known before the turn.
    CapOf(&'static str),
}

/// Ten turns, and who answers each.
const TURNS: [(Before, &str); 10] = [
    (Before::Nothing, ANN),
    (Before::Nothing, ANN),
    (Before::RotationTo(2), BEN),
    (Before::Nothing, BEN),
    (Before::RefreshOf(2), BEN),
    (Before::RotationTo(3), CEM),
    (Before::CapOf(CEM), DAN),
    (Before::Nothing, DAN),
    (Before::RotationTo(1), ANN),
    (Before::Nothing, ANN),
];

fn a_thread_outlives_whatever_happens_to_accounts(version: &str) {
    let pod = Pod::new();
    for (slot, email) in (1..).zip([ANN, BEN, CEM, DAN]) {
        pod.put_login(slot, email);
    }
    pod.rotate_once(&["--to", "1"]).success();
    let _sidecar = pod.sidecar_with(&[("CODEX_ROTATION_POLICY", "sticky")]);
    wait_until("the sidecar looks after the pool", || !pod.logged("active account-1 ").is_empty());
    let litellm = LiteLlm::start(version, &pod);
    let mut conversation = Conversation::new(&pod, &litellm);

    for (number, (before, email)) in (1..).zip(TURNS) {
        match before {
            Before::Nothing => {}
            Before::RotationTo(slot) => drop(pod.rotate_once(&["--to", &slot.to_string()]).success()),
            Before::RefreshOf(slot) => {
                let published = pod.read("auth.json");
                let refresh =
                    pod.command("accounts").args(["refresh", &slot.to_string(), "--yes"]).status().unwrap();
                assert!(refresh.success());
                wait_until("the new token is published", || pod.read("auth.json") != published);
            }
            Before::CapOf(email) => pod.openai.set(email, Behaviour::Capped),
        }
        let said = conversation.say(&format!("This is turn {number}."));
        let answer = format!("Hello from {email} (acct-{})", email.split('@').next().unwrap());
        assert_eq!(said.stdout, answer, "turn {number}, after {before:?}: {}", said.stderr);
        let turns = turns(&pod);
        let asked = turns.iter().filter(|turn| turn.refusal.is_none()).count();
        println!("LiteLLM {version}, turn {number}, after {before:?}: {answer}; {:?}", turns.last());
        assert_eq!(asked, number, "each turn is served once");
    }

    let turns = turns(&pod);
    let refused: Vec<_> =
        turns.iter().filter(|turn| turn.refusal.as_deref() == Some("invalid_encrypted_content")).collect();
    assert_eq!(refused.len(), 1, "the provider is asked once whether it takes foreign items: {refused:?}");
    assert_eq!(turns.iter().map(|turn| turn.refused_again).sum::<usize>(), 0, "no item is refused twice");
    let last = turns.last().unwrap();
    assert_eq!((last.foreign_items, last.stray_items), (0, 0));
    assert!(last.replayed_items >= 3, "what this account made itself is still replayed: {last:?}");
    let sessions: Vec<_> = turns.iter().map(|turn| turn.session_id.as_deref()).collect();
    assert!(sessions.iter().all(|session| session.is_some() && *session == sessions[0]), "{sessions:?}");
    assert!(!fs::exists(pod.file("rotate-now")).unwrap(), "each signal was handled");
}

fn turns(pod: &Pod) -> Vec<Turn> {
    let requests = pod.openai.requests_to("/backend-api/codex/responses");
    requests.into_iter().filter_map(|request| request.turn).collect()
}

#[test]
fn litellm_1_106_2_keeps_a_thread_alive() {
    a_thread_outlives_whatever_happens_to_accounts(VERSIONS[0]);
}

#[test]
fn litellm_1_109_1_keeps_a_thread_alive() {
    a_thread_outlives_whatever_happens_to_accounts(VERSIONS[1]);
}

#[test]
fn litellm_1_110_2_keeps_a_thread_alive() {
    a_thread_outlives_whatever_happens_to_accounts(VERSIONS[2]);
}
