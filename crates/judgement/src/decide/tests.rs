mod lanes;
mod properties;
mod usage;

use std::time::Duration;

use records::grant::GrantStatus;
use records::published::PublishedRecord;
use records::signal::{Refusal, Signal};
use records::state::{Active, CooldownKind, CooldownSource, NeedsLogin, Parked, Refusals, State};
use records::usage::{Minutes, Percent, Usage, Window};
use records::{Expiry, Secret};

use super::*;
use crate::assess::{Turn, assess};
use crate::candidate::{Broken, Candidate};
use crate::interpret::interpret;
use crate::policy::{Floors, PassOptions};

const FLOORS: Floors = Floors { cap: Duration::from_hours(3), transient: Duration::from_mins(5) };

const NOW: i64 = 1_000_000;

fn slot(number: u32) -> Slot {
    number.to_string().parse().unwrap()
}

fn account(name: &str) -> AccountId {
    AccountId { account_id: name.to_owned(), user_id: None }
}

fn login(name: &str, expires_in: i64) -> Login {
    let mut login = Login::from_tokens(Secret::new("at"), None, None, Some(name)).unwrap();
    login.expiry = Some(Expiry(Timestamp::from_seconds(NOW + expires_in)));
    login
}

fn good(number: u32, name: &str) -> Candidate {
    Candidate { slot: slot(number), login: Ok(login(name, 100)), grant: GrantStatus::Good, is_stored: true }
}

fn bad(number: u32) -> Candidate {
    Candidate {
        slot: slot(number),
        login: Err("empty".to_owned().into()),
        grant: GrantStatus::Good,
        is_stored: true,
    }
}

fn pool(slots: Vec<Candidate>, active: Option<(&str, u32)>) -> Pool {
    let since = Timestamp::from_seconds(NOW - 60);
    let active = active.map(|(name, number)| Active { account: account(name), slot: slot(number), since });
    let mut state = State::default();
    state.active = active;
    Pool::new(slots, state, PublishedRecord::Missing)
}

fn now() -> Timestamp {
    Timestamp::from_seconds(NOW)
}

fn run(pool: &Pool, purpose: Purpose, order: Order) -> Plan {
    decide(pool, &Policy { order, lanes: LaneCount::ONE, purpose }, now())
}

fn tick(pool: &Pool) -> Option<u32> {
    run(pool, Purpose::Tick, Order::RoundRobin).chosen.map(|chosen| chosen.slot.number())
}

/// The pool after a pass with these signals, and the slot that is in use then.
fn after(pool: Pool, signals: &[Signal], order: Order) -> (Pool, Option<u32>) {
    after_in(pool, signals, order, LaneCount::ONE)
}

/// The same with several lanes; the slot is that of the first.
fn after_in(mut pool: Pool, signals: &[Signal], order: Order, lanes: LaneCount) -> (Pool, Option<u32>) {
    let refresh_before = Duration::from_hours(24);
    let options = PassOptions {
        order,
        lanes,
        to: None,
        offline: false,
        only: None,
        floors: FLOORS,
        refresh_before,
        quota: pool.quota.clone(),
    };
    let policy = assess(&mut pool, signals, &options, Turn::First, now()).policy;
    let plan = decide(&pool, &policy, now());
    let slot = plan.chosen.as_ref().map(|chosen| chosen.slot.number());
    carry_out(&mut pool, &plan);
    (pool, slot)
}

fn carry_out(pool: &mut Pool, plan: &Plan) {
    pool.state.active = plan.chosen.as_ref().map(Chosen::active);
    pool.state.lanes = plan.lanes.iter().map(|(lane, chosen)| (*lane, chosen.active())).collect();
}

/// How much of its five hours an account has used.
fn has_used(pool: &mut Pool, name: &str, percent: f64) {
    let window = Window {
        minutes: Minutes::FIVE_HOURS,
        used_percent: Percent::new(percent).unwrap(),
        resets_at: Some(now().plus_seconds(600)),
    };
    pool.state.accounts.entry(account(name)).or_default().usage = Usage::reported(now(), [window]);
}

fn capped(name: &str) -> Signal {
    let refusal = Refusal {
        status: 429,
        usage_limit: true,
        resets_at: Some(now().plus_seconds(600)),
        ..Refusal::default()
    };
    Signal::Refused { at: now(), account: account(name), refusal }
}

fn cooling(pool: &mut Pool, name: &str, seconds: i64) {
    let until = now().plus_seconds(seconds);
    let cooldown = Cooldown { until, kind: CooldownKind::UsageCap, source: CooldownSource::ResetsAt };
    pool.state.accounts.entry(account(name)).or_default().cooldown = Some(cooldown);
}

#[test]
fn a_tick_moves_on_to_the_next_usable_account_and_round_again() {
    let slots = || vec![good(1, "a"), bad(2), good(4, "b")];
    assert_eq!(tick(&pool(slots(), None)), Some(1));
    assert_eq!(tick(&pool(slots(), Some(("a", 1)))), Some(4));
    assert_eq!(tick(&pool(slots(), Some(("b", 4)))), Some(1));
}

#[test]
fn an_account_is_followed_to_the_slot_it_moved_to() {
    assert_eq!(tick(&pool(vec![good(1, "c"), good(2, "a"), good(3, "b")], Some(("a", 1)))), Some(3));
}

#[test]
fn a_slot_that_vanished_still_marks_the_place_to_go_on_from() {
    assert_eq!(tick(&pool(vec![good(1, "a"), good(3, "c")], Some(("b", 2)))), Some(3));
}

#[test]
fn the_published_record_knows_better_than_the_state_who_is_active() {
    let mut pool = pool(vec![good(1, "a"), good(2, "b"), good(3, "c")], Some(("a", 1)));
    pool.published = PublishedRecord::Account(account("b"));
    assert_eq!(tick(&pool), Some(3));
}

#[test]
fn sticky_stays_until_the_account_in_use_is_refused() {
    let pool = pool(vec![good(1, "a"), good(2, "b")], Some(("a", 1)));
    assert_eq!(run(&pool, Purpose::Tick, Order::Sticky).chosen.unwrap().slot, slot(1));
    assert_eq!(after(pool, &[capped("a")], Order::Sticky).1, Some(2));
}

#[test]
fn a_late_signal_and_a_login_move_nothing() {
    let pool = pool(vec![good(1, "a"), good(2, "b")], Some(("a", 1)));
    let (pool, slot) = after(pool, &[capped("b"), Signal::AccountsChanged], Order::RoundRobin);
    assert_eq!(slot, Some(1));
    assert!(pool.state.account_state(&account("b")).cooldown.is_some(), "but it is remembered of b");
    assert_eq!(pool.state.active.unwrap().since, Timestamp::from_seconds(NOW - 60), "in use all along");
}

#[test]
fn many_signals_about_one_event_move_on_once() {
    let slots = vec![good(1, "a"), good(2, "b"), good(3, "c")];
    let (pool, slot) = after(pool(slots, Some(("a", 1))), &vec![capped("a"); 200], Order::RoundRobin);
    assert_eq!(slot, Some(2));
    assert_eq!(after(pool, &vec![capped("a"); 200], Order::RoundRobin).1, Some(2));
}

#[test]
fn a_touch_from_before_the_account_was_in_use_moves_nothing() {
    let touched = |seconds| Signal::RotateNow { at: now().plus_seconds(seconds), refusal: None };
    let pool = pool(vec![good(1, "a"), good(2, "b")], Some(("a", 1)));
    assert_eq!(after(pool.clone(), &[touched(-61)], Order::RoundRobin).1, Some(1));
    assert_eq!(after(pool, &[touched(-59)], Order::RoundRobin).1, Some(2));
}

#[test]
fn when_all_are_cooling_down_the_one_that_comes_back_first_serves() {
    let mut pool = pool(vec![good(1, "a"), good(2, "b"), good(3, "c")], Some(("a", 1)));
    for (name, seconds) in [("a", 900), ("b", 300), ("c", 600)] {
        cooling(&mut pool, name, seconds);
    }
    let plan = run(&pool, Purpose::Tick, Order::RoundRobin);
    assert_eq!(plan.chosen.unwrap().why, Why::BackFirst(now().plus_seconds(300)));
    let (pool, slot) = after(pool, &[capped("b")], Order::RoundRobin);
    assert_eq!(slot, Some(2), "b says 600 s now, as c does, and the lower slot serves");
    assert_eq!(
        after(
            pool,
            &[Signal::Refused { at: now(), account: account("b"), refusal: Refusal::default() }],
            Order::RoundRobin
        )
        .1,
        Some(2)
    );
}

#[test]
fn a_slot_without_a_grant_beside_cooled_ones_does_not_leave_nothing() {
    let mut pool = pool(vec![good(1, "a"), good(2, "b")], Some(("a", 1)));
    cooling(&mut pool, "a", 600);
    let grant = pool.slots[1].login.as_ref().unwrap().grant();
    let needs_login =
        NeedsLogin { grant, since: now(), code: "token_revoked".to_owned(), token_refused: true };
    pool.state.accounts.entry(account("b")).or_default().needs_login = Some(needs_login);
    let plan = run(&pool, Purpose::Tick, Order::RoundRobin);
    assert_eq!(plan.chosen.unwrap().slot, slot(1));
    assert_eq!(plan.passed_over[0].1.line(slot(2)), "needs login: run auth-login 2 (token_revoked)");
}

#[test]
fn what_the_operator_parked_never_serves_and_what_is_pinned_does_whenever_it_can() {
    let mut pool = pool(vec![good(1, "a"), good(2, "b"), good(3, "c")], Some(("a", 1)));
    pool.state.accounts.entry(account("b")).or_default().parked = Some(Parked::default());
    assert_eq!(tick(&pool), Some(3));
    pool.state.pin = Some(account("a"));
    assert_eq!(tick(&pool), Some(1));
    cooling(&mut pool, "a", 600);
    assert_eq!(tick(&pool), Some(3));
    let parked = Parked { until: Some(now()), reason: None };
    pool.state.accounts.entry(account("b")).or_default().parked = Some(parked);
    assert_eq!(tick(&pool), Some(2), "parked until a time that has come");
}

#[test]
fn earliest_reset_takes_what_is_about_to_be_lost() {
    let mut pool = pool(vec![good(1, "a"), good(2, "b"), good(3, "c")], Some(("a", 1)));
    pool.state.accounts.entry(account("c")).or_default().next_reset = Some(now().plus_seconds(60));
    assert_eq!(
        run(&pool, Purpose::Tick, Order::EarliestReset).chosen.unwrap().slot,
        slot(1),
        "stays while it serves"
    );
    assert_eq!(run(&pool, Purpose::MoveOn, Order::EarliestReset).chosen.unwrap().slot, slot(3));
}

#[test]
fn without_a_user_a_signal_means_the_seat_in_use_or_the_only_one() {
    let seat = |number, user: &str| {
        let mut login = login("team", 100);
        login.account.user_id = Some(user.to_owned());
        Candidate { slot: slot(number), login: Ok(login), grant: GrantStatus::Good, is_stored: true }
    };
    let mut pool = pool(vec![seat(1, "ann"), seat(2, "ben"), good(3, "c")], None);
    pool.state.active = Some(Active {
        account: AccountId { user_id: Some("ben".to_owned()), ..account("team") },
        slot: slot(2),
        since: Timestamp::from_seconds(0),
    });
    let (pool, slot) = after(pool, &[capped("team")], Order::Sticky);
    assert_eq!(slot, Some(3), "ben was in use");
    let interpretation = interpret(&pool, &[capped("team")], FLOORS, now());
    assert_eq!(
        interpretation.lines,
        ["a signal about team, which no slot holds: nothing to do"],
        "either could be meant"
    );
}

#[test]
fn a_401_is_worth_one_refresh_and_then_cooldowns_that_grow() {
    let refused = [Signal::Refused {
        at: now(),
        account: account("a"),
        refusal: Refusal { status: 401, ..Refusal::default() },
    }];
    let mut pool = pool(vec![good(1, "a"), good(2, "b")], Some(("a", 1)));
    pool.slots[0].login.as_mut().unwrap().refresh_token = Some(Secret::new("rt"));
    let interpretation = interpret(&pool, &refused, FLOORS, now());
    assert!(interpretation.to_refresh.contains(&account("a")) && interpretation.lines.is_empty());
    let grant = pool.slots[0].login.as_ref().unwrap().grant();
    pool.state.accounts.entry(account("a")).or_default().refreshed_after_401 = Some(grant);
    let interpretation = interpret(&pool, &refused, FLOORS, now());
    assert_eq!(
        interpretation.lines,
        ["account-1 capped until 1970-01-12T13:51:40Z (refused, floor): its access token was refused"]
    );
    let (mut pool, serves) = after(pool, &refused, Order::Sticky);
    assert_eq!(serves, Some(2), "and the next serves, no walk through the pool");
    let cooldown =
        |pool: &Pool| pool.state.account_state(&account("a")).cooldown.unwrap().until.seconds() - NOW;
    assert_eq!(cooldown(&pool), 300);
    (pool, _) = after(pool, &refused, Order::Sticky);
    assert_eq!(cooldown(&pool), 300, "a second refusal during a cooldown is the same one");
    for (times, seconds) in [(2, 600), (3, 1200), (4, 2400), (9, 6 * 3600), (40, 6 * 3600)] {
        let account_state = pool.state.accounts.get_mut(&account("a")).unwrap();
        account_state.cooldown = None;
        account_state.refusals = Some(Refusals { times: times - 1, at: now() });
        (pool, _) = after(pool, &refused, Order::Sticky);
        assert_eq!(cooldown(&pool), seconds, "the {times}th time in a row");
    }
    let (pool, _) = after(pool, &[Signal::Served { account: account("a"), model: None }], Order::Sticky);
    assert_eq!(pool.state.account_state(&account("a")).refusals, None, "a success ends it");
}

#[test]
fn the_newest_login_of_an_account_counts() {
    let older =
        Candidate { slot: slot(1), login: Ok(login("a", 50)), grant: GrantStatus::Good, is_stored: true };
    let plan = run(&pool(vec![older, good(2, "a")], None), Purpose::Tick, Order::RoundRobin);
    assert_eq!(plan.chosen.unwrap().slot, slot(2));
    assert_eq!(plan.passed_over, [(slot(1), Reason::SameAccountAs(slot(2)))]);
}

#[test]
fn an_expired_token_is_not_published_and_says_how_to_resolve_it() {
    let expired =
        Candidate { slot: slot(1), login: Ok(login("a", 0)), grant: GrantStatus::Good, is_stored: true };
    let plan = run(&pool(vec![expired], None), Purpose::Tick, Order::RoundRobin);
    assert!(plan.chosen.is_none() && plan.placeholder);
    assert_eq!(
        plan.passed_over[0].1.line(slot(1)),
        "its access token expired 1970-01-12T13:46:40Z: run auth-login 1"
    );
}

#[test]
fn the_operators_choice_is_that_slot_or_none() {
    let pool = pool(vec![good(1, "a"), good(2, "b"), bad(3)], Some(("a", 1)));
    let to =
        |number| run(&pool, Purpose::To(slot(number)), Order::RoundRobin).chosen.map(|c| c.slot.number());
    assert_eq!([to(2), to(1), to(3), to(9)], [Some(2), Some(1), None, None]);
}

#[test]
fn before_litellm_starts_the_account_in_use_is_kept() {
    let pool = pool(vec![good(1, "a"), good(2, "b")], Some(("b", 2)));
    assert_eq!(run(&pool, Purpose::Stay, Order::RoundRobin).chosen.unwrap().slot, slot(2));
}
