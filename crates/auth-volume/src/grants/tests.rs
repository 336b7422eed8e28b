use durable_file::draft::LONGEST_USE;
use records::Secret;

use super::*;
use crate::clock;
use crate::fixture::volume;

fn grant(token: &str) -> Grant {
    Grant::of(&Secret::new(token))
}

fn status_of(volume: &Volume, token: &str) -> GrantStatus {
    volume.grants().unwrap().status(&grant(token), clock::now())
}

#[test]
fn a_grant_that_is_with_the_issuer_is_sent_by_no_other_process() {
    let (_dir, volume) = volume();
    let now = clock::now();
    let locked = volume.lock().unwrap();
    let permit = locked.permit_sending(&grant("rt"), Slot::FIRST, None, now).unwrap().unwrap();
    assert!(matches!(status_of(&volume, "rt"), GrantStatus::WithIssuer(_)));
    assert_eq!(volume.grants().unwrap().with_issuer(now).len(), 1);
    assert!(locked.permit_sending(&grant("rt"), Slot::FIRST, None, now).unwrap().is_none());
    assert_eq!(status_of(&volume, "another"), GrantStatus::Good);
    permit.withdraw(&locked).unwrap();
    assert_eq!(status_of(&volume, "rt"), GrantStatus::Good);
}

#[test]
fn a_grant_whose_sender_is_gone_is_unanswered_and_may_be_sent_again_on_purpose() {
    let (_dir, volume) = volume();
    let locked = volume.lock().unwrap();
    drop(locked.permit_sending(&grant("rt"), Slot::FIRST, None, Timestamp::from_seconds(5)).unwrap());
    let GrantStatus::Unanswered(marker) = status_of(&volume, "rt") else { panic!("not unanswered") };
    assert_eq!((marker.slot, marker.since), (Slot::FIRST, Timestamp::from_seconds(5)));
    let again =
        |marker| locked.permit_sending(&grant("rt"), Slot::FIRST, Some(marker), clock::now()).unwrap();
    let permit = again(&marker).unwrap();
    assert!(again(&marker).is_none(), "another process has claimed it");
    assert!(matches!(status_of(&volume, "rt"), GrantStatus::WithIssuer(_)));
    drop(permit);
}

#[test]
fn one_of_another_node_is_with_the_issuer_as_long_as_a_request_can_last() {
    let (dir, volume) = volume();
    let now = clock::now();
    let marker = format!(r#"{{"slot": 2, "since": "{now}", "node": "elsewhere", "lock": "1:2"}}"#);
    let path = dir.path().join(name(grant("rt").fingerprint(), SENT));
    std::fs::write(&path, marker).unwrap();
    let status = |now| volume.grants().unwrap().status(&grant("rt"), now);
    assert!(matches!(status(now), GrantStatus::WithIssuer(_)));
    assert!(matches!(status(now.plus(LONGEST_USE)), GrantStatus::Unanswered(_)));
}

#[test]
fn an_ended_grant_stays_known_with_its_reason() {
    let (_dir, volume) = volume();
    let locked = volume.lock().unwrap();
    let now = clock::now();
    let permit = locked.permit_sending(&grant("rt-1"), Slot::FIRST, None, now).unwrap().unwrap();
    assert!(!permit.has_ended());
    permit.end(&locked, &GrantEnd::Refused("refresh_token_reused".to_owned())).unwrap();
    locked.end_grant(&grant("rt-2"), Slot::FIRST, &GrantEnd::Removed, now).unwrap();
    let code = |token| match status_of(&volume, token) {
        GrantStatus::Ended(marker) => marker.code.unwrap(),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        (code("rt-1").as_str(), code("rt-2").as_str()),
        ("refresh_token_reused", records::grant::REMOVED)
    );
    for token in ["rt-1", "rt-2"] {
        assert!(locked.permit_sending(&grant(token), Slot::FIRST, None, now).unwrap().is_none());
        assert!(matches!(status_of(&volume, token), GrantStatus::Ended(_)));
    }
    assert!(!volume.grants().unwrap().sent.iter().any(|print| print == grant("rt-1").fingerprint()));
}

#[test]
fn one_that_another_process_has_ended_is_known() {
    let (_dir, volume) = volume();
    let locked = volume.lock().unwrap();
    let permit = locked.permit_sending(&grant("rt"), Slot::FIRST, None, clock::now()).unwrap().unwrap();
    locked.end_grant(&grant("rt"), Slot::FIRST, &GrantEnd::Removed, clock::now()).unwrap();
    assert!(permit.has_ended());
    permit.end(&locked, &GrantEnd::Used).unwrap();
    assert!(matches!(status_of(&volume, "rt"), GrantStatus::Ended(_)));
}

#[test]
fn the_oldest_ended_grants_are_forgotten_beyond_the_bound() {
    let (dir, volume) = volume();
    for number in 0..=REMEMBERED {
        std::fs::write(dir.path().join(format!(".grant-{number:016x}.ended")), "").unwrap();
    }
    let locked = volume.lock().unwrap();
    let grants = volume.grants().unwrap();
    locked.forget_ended_grants(&grants, 1, &BTreeSet::new());
    let left = volume.grants().unwrap().ended.len();
    assert!(left <= REMEMBERED && left > REMEMBERED / 2, "{left}");
}
