//! Every remedy is one that works: each state is made, the command that its finding names is run as a person would type it,
//! and the finding is gone.

mod advice;
mod logins;
mod patient;
mod rotator;
mod slots;
mod states;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::thread;

use overview::finding::Id;
use records::{Slot, remedy};

use self::advice::{ADVICE, Advice};
use self::patient::{Found, Patient};
use self::states::{After, STATES};

/// How many states are tried at once: most of the time is spent waiting for codex.
const AT_ONCE: usize = 4;

#[test]
fn every_finding_is_either_mended_by_a_command_here_or_has_none() {
    let mended: BTreeSet<_> = STATES.iter().map(|state| state.id).collect();
    let advised: BTreeSet<_> = ADVICE.iter().map(|advice| advice.id).collect();
    let both: Vec<_> = mended.intersection(&advised).collect();
    assert!(both.is_empty(), "with and without a command: {both:?}");
    let missing: Vec<_> = Id::ALL.iter().filter(|id| !mended.contains(id) && !advised.contains(id)).collect();
    assert!(missing.is_empty(), "in neither list: {missing:?}");
}

#[test]
fn every_remedy_is_one_that_works() {
    all_of(STATES, |state| {
        let patient = Patient::of(state.make);
        let about = format!("{}, {}", state.id.name(), state.how);
        let found = patient.finding(state.id).unwrap_or_else(|| panic!("{about}: {}", patient.everything()));
        let command = found.command.clone().unwrap_or_else(|| panic!("{about}: no command"));
        every_text_names_the_same(&patient, &found, &command, &about);
        let said = patient.type_in(&command);
        let is_gone = |found: &Found| !patient.findings().iter().any(|other| other.is_the_same(found));
        match state.after {
            After::Gone => {}
            After::Becomes(id) => {
                assert!(is_gone(&found), "{about}: {command}: {said}");
                let next = patient.finding(id).unwrap_or_else(|| panic!("{about}: {}", patient.everything()));
                let said = patient.type_in(next.command.as_ref().unwrap());
                assert!(is_gone(&next), "{about}: {:?}: {said}", next.command);
            }
            After::Explained => follow(&patient, &found, &said, &about),
        }
        assert!(is_gone(&found), "{about}: {command}: {said}\n{}", patient.everything());
        println!("{about}: {command}");
    });
}

#[test]
fn what_no_command_mends_names_none() {
    all_of(ADVICE, |Advice { id, make }| {
        let Some(make) = make.ok() else { return };
        let patient = Patient::of(make);
        let found = patient.finding(*id).unwrap_or_else(|| panic!("{}: {}", id.name(), patient.everything()));
        assert_eq!(found.command, None, "{}", id.name());
    });
}

/// The command only explains: it has a line for each slot that another one is passed over for, and a command that is named
/// there, or that the finding names after it, mends.
fn follow(patient: &Patient, found: &Found, said: &str, about: &str) {
    assert_eq!(found.command.as_deref(), Some(remedy::WHY), "{about}");
    for slot in patient.slots() {
        let line = said.lines().find(|line| line.starts_with(&format!("account-{slot} passed over: ")));
        let line = line.unwrap_or_else(|| panic!("{about}: nothing of account-{slot}: {said}"));
        assert!(
            [": run ", "lets it serve", "capped until", "refresh is due"].iter().any(|it| line.contains(it)),
            "{about}: what is to be done? {line}"
        );
    }
    let named = said.split(": run ").nth(1).unwrap_or_else(|| panic!("{about}: {said}"));
    patient.type_in(named.lines().next().unwrap().split(" (").next().unwrap());
    if let Some(left) = patient.findings().into_iter().find(|other| other.is_the_same(found)) {
        assert_ne!(left.command, found.command, "{about}");
        patient.type_in(&left.command.unwrap());
    }
}

/// The table names the command of a finding, and so do the rotator of a slot that it passes over and a sign-in that is
/// refused.
fn every_text_names_the_same(patient: &Patient, found: &Found, command: &str, about: &str) {
    if found.id == Id::SlotBlocked.name() {
        let refused = patient.type_in(&remedy::login(slot_of(found)));
        assert!(refused.contains(&format!("run {command} first")), "{about}: {command}: {refused}");
    }
    if Id::ALL.iter().any(|id| id.name() == found.id && id.is_seen_without_the_lock()) {
        let table = patient.said("accounts");
        assert!(table.contains(&format!("run {command}")), "{about}: {command}: {table}");
    }
    let why = patient.said(remedy::WHY);
    let is_of_the_slot = ["slot-broken", "slot-blocked", "other-account", "duplicate", "needs-login"];
    let Some(slot) = found.slot.filter(|_| is_of_the_slot.contains(&found.id.as_str())) else { return };
    for line in why.lines().filter(|line| line.starts_with(&format!("account-{slot} passed over: "))) {
        let is_named = line.contains(&format!("run {command}")) || line.ends_with("not its turn");
        assert!(is_named, "{about}: {command}: {line}");
    }
}

fn slot_of(found: &Found) -> Slot {
    found.slot.unwrap().to_string().parse().unwrap()
}

/// Checks all, a few at once, and goes on where one fails.
fn all_of<T: Sync>(all: &[T], check: impl Fn(&T) + Sync) {
    let rest = Mutex::new(all.iter());
    let work = || {
        let mut failed = 0;
        while let Some(one) = { rest.lock().unwrap().next() } {
            failed += usize::from(catch_unwind(AssertUnwindSafe(|| check(one))).is_err());
        }
        failed
    };
    let failed: usize = thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    assert_eq!(failed, 0, "the states that failed are named above");
}
