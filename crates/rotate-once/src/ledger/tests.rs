use std::collections::BTreeMap;

use overview::finding::{Finding, Id};
use proptest::prelude::*;
use records::AccountId;

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_795_482_000 + seconds)
}

fn ann() -> About {
    About::Account(AccountId { account_id: "acct-ann".into(), user_id: None })
}

fn condition(about: &About, is_grave: bool) -> Condition {
    let finding = Finding::new(Id::NeedsLogin, "a finding");
    Condition { about: about.clone(), slot: None, identity: None, since: None, is_grave, finding }
}

fn conditions(all: &[&About]) -> Conditions {
    Conditions { all: all.iter().map(|about| condition(about, false)).collect(), is_empty: false }
}

/// What a pass sends to a receiver that works.
fn pass(ledger: &mut Ledger, conditions: &Conditions, now: Timestamp) -> Vec<(Change, About)> {
    ledger.update(conditions, now);
    let due = ledger.due(conditions, now);
    for (change, entry) in &due {
        ledger.notified(*change, &entry.about, conditions, now);
    }
    due.into_iter().map(|(change, entry)| (change, entry.about)).collect()
}

#[test]
fn a_condition_is_sent_once_and_its_end_once() {
    let mut ledger = Ledger::default();
    let (broken, well) = (conditions(&[&ann()]), conditions(&[]));
    assert_eq!(pass(&mut ledger, &broken, at(0)), [(Change::Began, ann())]);
    assert_eq!(pass(&mut ledger, &broken, at(1)), []);
    assert_eq!(pass(&mut ledger, &broken, at(86_400)), []);
    assert_eq!(pass(&mut ledger, &well, at(86_401)), [(Change::Ended, ann())]);
    assert_eq!(pass(&mut ledger, &well, at(86_402)), []);
    assert_eq!(ledger, Ledger::default(), "and nothing of it is kept");
}

#[test]
fn a_condition_that_is_over_before_it_was_sent_is_not_sent() {
    let mut ledger = Ledger::default();
    ledger.update(&conditions(&[&ann()]), at(0));
    assert_eq!(pass(&mut ledger, &conditions(&[]), at(1)), []);
    assert_eq!(ledger, Ledger::default());
}

#[test]
fn a_capped_pool_of_which_every_login_ends_is_sent_once_more() {
    let mut ledger = Ledger::default();
    let (capped, dead) = (
        conditions(&[&About::Pool]),
        Conditions { all: vec![condition(&About::Pool, true)], is_empty: false },
    );
    assert_eq!(pass(&mut ledger, &capped, at(0)), [(Change::Began, About::Pool)]);
    assert_eq!(
        pass(&mut ledger, &dead, at(60)),
        [],
        "within the half hour each account is a condition of its own"
    );
    assert_eq!(pass(&mut ledger, &dead, at(1800)), [(Change::Began, About::Pool)]);
    for (n, pool) in [&capped, &dead, &capped].into_iter().enumerate() {
        assert_eq!(pass(&mut ledger, pool, at(7200 * (2 + i64::try_from(n).unwrap()))), []);
    }
}

#[test]
fn a_volume_that_was_emptied_has_not_recovered() {
    let mut ledger = Ledger::default();
    pass(&mut ledger, &conditions(&[&About::Pool, &ann()]), at(0));
    let empty = Conditions { all: Vec::new(), is_empty: true };
    assert_eq!(
        pass(&mut ledger, &empty, at(1)),
        [(Change::Ended, ann())],
        "her login is gone, and the pool is as it was"
    );
    assert_eq!(pass(&mut ledger, &conditions(&[]), at(2)), [(Change::Ended, About::Pool)]);
    assert_eq!(pass(&mut Ledger::default(), &empty, at(0)), [], "before the first sign-in nothing is sent");
}

#[test]
fn a_receiver_that_fails_is_tried_less_and_less_often_and_at_once_after_a_success() {
    let mut ledger = Ledger::default();
    let mut pauses = Vec::new();
    for _ in 0..40 {
        ledger.begin_attempt(at(0));
        pauses.push(ledger.not_before.unwrap().since(at(0)).as_secs() / 60);
    }
    assert_eq!(pauses[..8], [1, 2, 4, 8, 16, 32, 60, 60]);
    assert!(pauses[8..].iter().all(|pause| *pause == 60), "{pauses:?}");
    assert!(!ledger.may_try(at(3599)) && ledger.may_try(at(3600)));
    ledger.update(&conditions(&[&ann()]), at(0));
    ledger.notified(Change::Began, &ann(), &conditions(&[&ann()]), at(0));
    assert!(ledger.may_try(at(0)));
}

#[test]
fn a_clock_that_was_set_back_delays_no_receiver_for_longer_than_a_pause() {
    let mut ledger = Ledger::default();
    pass(&mut ledger, &conditions(&[&ann()]), at(1_000_000));
    pass(&mut ledger, &conditions(&[]), at(1_000_000));
    ledger.begin_attempt(at(1_000_000));
    ledger.update(&conditions(&[&ann()]), at(0));
    assert!(ledger.may_try(at(3600)));
    assert_eq!(pass(&mut ledger, &conditions(&[&ann()]), at(1800)), [(Change::Began, ann())]);
}

/// A pass of a random history: how long after the one before, which conditions hold, and whether the receiver answers.
#[derive(Clone, Debug)]
struct Moment {
    after: i64,
    pool: Option<bool>,
    accounts: Vec<bool>,
    answers: bool,
    is_empty: bool,
}

fn moments() -> impl Strategy<Value = Vec<Moment>> {
    let moment = (
        0..2400_i64,
        any::<Option<bool>>(),
        proptest::collection::vec(any::<bool>(), 3),
        any::<bool>(),
        0..12_u8,
    );
    let moment = moment.prop_map(|(after, pool, accounts, answers, empty)| Moment {
        after,
        pool,
        accounts,
        answers,
        is_empty: empty == 0,
    });
    proptest::collection::vec(moment, 1..60)
}

fn account(number: usize) -> About {
    About::Account(AccountId { account_id: format!("acct-{number}"), user_id: None })
}

impl Moment {
    fn conditions(&self) -> Conditions {
        if self.is_empty {
            return Conditions { all: Vec::new(), is_empty: true };
        }
        let pool = self.pool.map(|is_grave| condition(&About::Pool, is_grave));
        let dead = self.accounts.iter().enumerate().filter(|(_, dead)| **dead);
        let accounts = dead.map(|(number, _)| condition(&account(number), false));
        Conditions { all: pool.into_iter().chain(accounts).collect(), is_empty: false }
    }
}

proptest! {
    #[test]
    fn no_history_of_a_pool_makes_a_storm_or_leaves_a_condition_unsent(moments in moments()) {
        let (mut ledger, mut now) = (Ledger::default(), at(0));
        // For each subject: when it was last sent, and whether the receiver believes that its condition holds.
        let mut sent: BTreeMap<About, Timestamp> = BTreeMap::new();
        let mut believed: BTreeMap<About, bool> = BTreeMap::new();
        for moment in &moments {
            now = now.plus_seconds(moment.after);
            let conditions = moment.conditions();
            // Between two passes it is kept as JSON.
            ledger = serde_json::from_str(&serde_json::to_string(&ledger).unwrap()).unwrap();
            ledger.update(&conditions, now);
            prop_assert!(ledger.entries.len() <= 4, "bounded by the accounts");
            let due = ledger.due(&conditions, now);
            if due.is_empty() || !ledger.may_try(now) {
                continue;
            }
            ledger.begin_attempt(now);
            if !moment.answers {
                continue;
            }
            for (change, entry) in due {
                let believes = believed.get(&entry.about) == Some(&true);
                match change {
                    Change::Began => {
                        prop_assert!(conditions.about(&entry.about).is_some(), "it is true");
                        let before = sent.insert(entry.about.clone(), now);
                        prop_assert!(before.is_none_or(|at| now.since(at) >= REPEAT_AFTER), "no storm");
                    }
                    Change::Ended => {
                        prop_assert!(conditions.about(&entry.about).is_none(), "it is true");
                        prop_assert!(believes, "only what was sent can be over");
                    }
                }
                believed.insert(entry.about.clone(), change == Change::Began);
                ledger.notified(change, &entry.about, &conditions, now);
            }
        }
        // Whatever came before: once nothing changes and the receiver answers, it believes what is true.
        let last = moments.last().unwrap().conditions();
        for _ in 0..3 {
            now = now.plus(REPEAT_AFTER + LONGEST_PAUSE);
            ledger.update(&last, now);
            prop_assert!(ledger.may_try(now));
            for (change, entry) in ledger.due(&last, now) {
                believed.insert(entry.about.clone(), change == Change::Began);
                ledger.notified(change, &entry.about, &last, now);
            }
        }
        for (about, believes) in &believed {
            let kept = last.is_empty && *about == About::Pool;
            prop_assert!(kept || *believes == last.about(about).is_some(), "{about:?}");
        }
        for condition in &last.all {
            prop_assert_eq!(believed.get(&condition.about), Some(&true));
        }
        prop_assert!(ledger.due(&last, now).is_empty(), "and nothing more is sent");
    }
}
