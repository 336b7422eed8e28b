//! Several accounts at once: what moves a lane, and what does not.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn count(lanes: u8) -> LaneCount {
    lanes.to_string().parse().unwrap()
}

fn plan(pool: &Pool, purpose: Purpose, order: Order, lanes: u8) -> Plan {
    decide(pool, &Policy { order, lanes: count(lanes), purpose }, now())
}

/// The account in each lane, by its name.
fn names(pool: &Pool) -> String {
    let name = |lane| pool.in_use(lane).map(|active| active.account.account_id.as_str());
    Lane::all().map_while(name).collect::<Vec<_>>().join(" ")
}

/// The pool after a pass for this purpose.
fn next(mut pool: Pool, purpose: Purpose, lanes: u8) -> Pool {
    let plan = plan(&pool, purpose, Order::RoundRobin, lanes);
    carry_out(&mut pool, &plan);
    pool
}

/// A pool of accounts with these names, with the first ones in the lanes for a minute.
fn lanes_of(accounts: &str, lanes: u8) -> Pool {
    let slots = (1..).zip(accounts.split(' ')).map(|(number, name)| good(number, name)).collect();
    let mut pool = next(pool(slots, None), Purpose::Stay, lanes);
    let serving = pool.state.active.iter_mut().chain(pool.state.lanes.values_mut());
    serving.for_each(|active| active.since = now().plus_seconds(-60));
    pool
}

#[test]
fn each_lane_has_an_account_of_its_own_and_no_tick_moves_one() {
    let mut pool = lanes_of("a b c d e", 3);
    assert_eq!(names(&pool), "a b c");
    for order in [Order::RoundRobin, Order::EarliestReset, Order::LeastUsed, Order::Weighted] {
        let plan = plan(&pool, Purpose::Tick, order, 3);
        carry_out(&mut pool, &plan);
        assert_eq!(names(&pool), "a b c", "{order:?}");
    }
}

#[test]
fn a_cap_moves_its_own_lane_to_a_free_account_and_no_other() {
    let pool = lanes_of("a b c d", 3);
    let (pool, _) = after_in(pool, &[capped("b")], Order::Sticky, count(3));
    assert_eq!(names(&pool), "a d c");
    let (pool, _) = after_in(pool, &[capped("a")], Order::Sticky, count(3));
    assert_eq!(names(&pool), "c d c", "none is free: it shares the next one");
    let (pool, _) =
        after_in(pool, &[Signal::Served { account: account("b"), model: None }], Order::Sticky, count(3));
    assert_eq!(names(&pool), "b d c", "b is back, and the lane that came to share has it");
}

#[test]
fn a_login_that_ends_or_is_parked_gives_its_lane_to_another() {
    let mut pool = lanes_of("a b c d e", 3);
    pool.state.accounts.entry(account("c")).or_default().parked = Some(Parked::default());
    let mut pool = next(pool, Purpose::Stay, 3);
    assert_eq!(names(&pool), "a b d");
    pool.slots[0].login = Err("empty".to_owned().into());
    let slots = std::mem::take(&mut pool.slots);
    assert_eq!(names(&next(pool.with_slots(slots), Purpose::Stay, 3)), "e b d");
}

#[test]
fn a_pin_and_an_operators_choice_are_about_the_first_lane() {
    let mut pool = lanes_of("a b c d", 3);
    pool.state.pin = Some(account("c"));
    let mut pool = next(pool, Purpose::Stay, 3);
    assert_eq!(names(&pool), "c b d", "the lane that had it takes a free one");
    pool.state.pin = None;
    let pool = next(pool, Purpose::Stay, 3);
    assert_eq!(names(&pool), "c b d");
    assert_eq!(names(&next(pool.clone(), Purpose::To(slot(1)), 3)), "a b d");
    assert_eq!(names(&next(pool.clone(), Purpose::MoveOn, 3)), "a b d");
    assert!(plan(&pool, Purpose::To(slot(9)), Order::Sticky, 3).lanes.is_empty(), "and nothing changes");
    assert_eq!(names(&next(lanes_of("a b c", 3), Purpose::MoveOn, 3)), "a b c", "none is free");
}

#[test]
fn a_lane_near_its_cap_moves_to_an_account_with_room() {
    let mut pool = lanes_of("a b c d e", 3);
    pool.quota.rotate_at = Percent::new(95.0);
    has_used(&mut pool, "b", 96.0);
    has_used(&mut pool, "d", 91.0);
    let mut pool = next(pool, Purpose::Stay, 3);
    assert_eq!(names(&pool), "a e c", "d has no room");
    for name in ["a", "e"] {
        has_used(&mut pool, name, 97.0);
    }
    let mut pool = next(pool, Purpose::Stay, 3);
    assert_eq!(names(&pool), "c c c", "a shared account with room is better than a refusal");
    has_used(&mut pool, "c", 99.0);
    assert_eq!(
        names(&next(pool, Purpose::Stay, 3)),
        "c c c",
        "none has room: they serve until they are refused"
    );
}

#[test]
fn with_fewer_accounts_than_lanes_they_are_shared_evenly_and_spread_when_more_are_there() {
    let pool = lanes_of("a b", 4);
    assert_eq!(names(&pool), "a b a b");
    let mut pool = next(pool, Purpose::Tick, 4);
    let slots = ["a", "b", "c"].into_iter().zip(1..).map(|(name, number)| good(number, name)).collect();
    pool = pool.with_slots(slots);
    assert_eq!(names(&next(pool, Purpose::Stay, 4)), "a b c b");
}

#[test]
fn with_none_ready_all_lanes_have_the_account_that_comes_back_first() {
    let mut pool = lanes_of("a b c", 2);
    for (name, seconds) in [("a", 900), ("b", 600), ("c", 300)] {
        cooling(&mut pool, name, seconds);
    }
    let plan = plan(&pool, Purpose::Stay, Order::Sticky, 2);
    assert_eq!(plan.lanes[&Lane::try_from(2).unwrap()].why, Why::BackFirst(now().plus_seconds(300)));
    carry_out(&mut pool, &plan);
    assert_eq!(names(&pool), "c c");
}

#[test]
fn fewer_lanes_are_forgotten_and_more_leave_those_that_are_there_alone() {
    let pool = next(lanes_of("a b c d", 3), Purpose::Stay, 2);
    assert_eq!(names(&pool), "a b");
    assert_eq!(names(&next(pool, Purpose::Stay, 4)), "a b c d");
}

/// What may happen to the accounts `acct-0` to `acct-5` between two passes.
#[derive(Clone, Debug)]
enum Event {
    Signals(Vec<Signal>),
    Parked(usize),
    Unparked(usize),
    Pinned(Option<usize>),
    Used(usize, f64),
    Ended(usize),
    SignedIn(usize),
}

fn name(number: usize) -> String {
    format!("acct-{number}")
}

fn any_event() -> impl Strategy<Value = Event> {
    let who = 0..6_usize;
    prop_oneof![
        4 => Just(Event::Signals(Vec::new())),
        3 => who.clone().prop_map(|who| Event::Signals(vec![capped(&name(who))])),
        1 => who.clone().prop_map(|who| Event::Signals(vec![Signal::Served { account: account(&name(who)), model: None }])),
        1 => Just(Event::Signals(vec![Signal::AccountsChanged])),
        1 => who.clone().prop_map(Event::Parked),
        1 => who.clone().prop_map(Event::Unparked),
        1 => proptest::option::of(who.clone()).prop_map(Event::Pinned),
        2 => (who.clone(), 0.0_f64..100.0).prop_map(|(who, percent)| Event::Used(who, percent)),
        1 => who.clone().prop_map(Event::Ended),
        1 => who.prop_map(Event::SignedIn),
    ]
}

fn happen(mut pool: Pool, event: &Event) -> (Pool, Vec<Signal>) {
    match event {
        Event::Signals(signals) => return (pool, signals.clone()),
        Event::Parked(who) => {
            pool.state.accounts.entry(account(&name(*who))).or_default().parked = Some(Parked::default());
        }
        Event::Unparked(who) => drop(pool.state.unpark(&account(&name(*who)))),
        Event::Pinned(who) => pool.state.pin = who.map(|who| account(&name(who))),
        Event::Used(who, percent) => has_used(&mut pool, &name(*who), *percent),
        Event::Ended(who) | Event::SignedIn(who) => {
            let mut slots = std::mem::take(&mut pool.slots);
            slots[*who] = if matches!(event, Event::Ended(_)) {
                bad(u32::try_from(who + 1).unwrap())
            } else {
                good(u32::try_from(who + 1).unwrap(), &name(*who))
            };
            pool = pool.with_slots(slots);
        }
    }
    (pool, vec![Signal::AccountsChanged])
}

/// The accounts that can serve now, by name.
fn ready(pool: &Pool) -> BTreeSet<String> {
    let ready = pool.slots.iter().filter_map(|slot| match pool.judge(slot, now()) {
        Ok((login, Availability::Ready)) => Some(login.account.account_id.clone()),
        _ => None,
    });
    ready.collect()
}

proptest! {
    #[test]
    fn lanes_hold_usable_accounts_apart_and_move_only_for_a_reason(
        lanes in 2_u8..5,
        threshold in any::<bool>(),
        events in proptest::collection::vec(any_event(), 1..30),
    ) {
        let slots = (1..).zip(0..6).map(|(number, who)| good(number, &name(who))).collect();
        let mut pool = pool(slots, None);
        pool.quota.rotate_at = threshold.then(|| Percent::new(95.0)).flatten();
        for event in &events {
            let before = pool.clone();
            let (happened, signals) = happen(pool, event);
            pool = after_in(happened, &signals, Order::RoundRobin, count(lanes)).0;
            let ready = ready(&pool);
            let held: Vec<_> = count(lanes)
                .lanes()
                .filter_map(|lane| Some((lane, pool.in_use(lane)?.account.account_id.clone())))
                .collect();

            // While one account is usable, each lane has a usable one.
            let can_serve = pool.slots.iter().any(|slot| pool.judge(slot, now()).is_ok());
            prop_assert_eq!(held.len(), if can_serve { usize::from(lanes) } else { 0 });
            let are_ready = held.iter().all(|(_, name)| ready.contains(name));
            prop_assert!(ready.is_empty() || are_ready, "{held:?} of {ready:?}");

            // They are apart while there are enough.
            let apart: BTreeSet<_> = held.iter().map(|(_, name)| name).collect();
            if !threshold && !ready.is_empty() {
                prop_assert_eq!(apart.len(), ready.len().min(lanes.into()), "{:?} of {:?}", held, ready);
            }

            // A lane whose account can serve, is not near its cap, is in no other lane and makes way for no pin, stays.
            for (lane, name) in &held {
                let Some(was) = before.in_use(*lane).map(|active| active.account.account_id.clone()) else { continue };
                let was_shared = Lane::all()
                    .filter_map(|other| Some((other, before.in_use(other)?)))
                    .any(|(other, active)| other != *lane && active.account.account_id == was);
                let is_above = pool.quota.is_above(pool.usage(&account(&was)), now());
                let pinned = pool.state.pin.as_ref().map(|pin| pin.account_id.clone());
                let pinned = pinned.filter(|pinned| ready.contains(pinned));
                let makes_way = pinned.is_some_and(|pinned| *lane == Lane::FIRST || pinned == was);
                if ready.contains(&was) && !was_shared && !is_above && !makes_way {
                    prop_assert_eq!(name, &was, "{} moved at {:?}", lane, event);
                }
            }
        }
    }
}
