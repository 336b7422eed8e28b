//! Choosing by what accounts have used: the threshold, reserves, models, and the orders by usage.

use records::state::ReportedPlan;

use super::*;
use crate::models::served_by;
use crate::pool::PoolSummary;

fn served(pool: &Pool, purpose: Purpose, order: Order) -> u32 {
    run(pool, purpose, order).chosen.unwrap().slot.number()
}

#[test]
fn an_account_near_its_cap_gives_way_to_one_with_room_and_not_to_another_that_is_near() {
    let mut pool = pool(vec![good(1, "a"), good(2, "b"), good(3, "c")], Some(("a", 1)));
    pool.quota.rotate_at = Percent::new(95.0);
    has_used(&mut pool, "a", 94.9);
    assert_eq!(served(&pool, Purpose::Stay, Order::Sticky), 1);
    has_used(&mut pool, "a", 95.0);
    has_used(&mut pool, "b", 91.0);
    assert_eq!(served(&pool, Purpose::Stay, Order::Sticky), 3, "b has no room, and c is unused");
    has_used(&mut pool, "c", 90.0);
    assert_eq!(
        served(&pool, Purpose::Stay, Order::Sticky),
        1,
        "none has room: it serves until it is refused"
    );
    assert_eq!(served(&pool, Purpose::Tick, Order::RoundRobin), 2, "a tick moves among those below");
}

#[test]
fn when_all_are_near_their_caps_a_refusal_moves_on_as_ever() {
    let mut pool = pool(vec![good(1, "a"), good(2, "b")], Some(("a", 1)));
    pool.quota.rotate_at = Percent::new(95.0);
    has_used(&mut pool, "a", 99.0);
    has_used(&mut pool, "b", 99.0);
    assert_eq!(served(&pool, Purpose::Stay, Order::Sticky), 1);
    let (_, next) = after(pool, &[capped("a")], Order::Sticky);
    assert_eq!(next, Some(2));
}

#[test]
fn what_is_its_owners_serves_the_pool_no_more() {
    let mut pool = pool(vec![good(1, "a"), good(2, "b")], Some(("a", 1)));
    pool.quota.reserves.common = Percent::new(20.0).unwrap();
    has_used(&mut pool, "a", 80.0);
    let plan = run(&pool, Purpose::Stay, Order::Sticky);
    assert_eq!(plan.chosen.unwrap().slot, slot(2));
    assert_eq!(plan.passed_over, [(slot(1), Reason::Reserved(now().plus_seconds(600)))]);
    has_used(&mut pool, "b", 85.0);
    assert!(run(&pool, Purpose::Stay, Order::Sticky).chosen.is_none());
    let summary = pool.summary(now());
    let back_at = Some(now().plus_seconds(600));
    assert_eq!(summary, PoolSummary { usable: 0, accounts: 2, back_at, is_capped: true });
}

#[test]
fn a_pool_with_an_account_that_was_not_refused_for_its_usage_is_not_called_capped() {
    let (pool, _) = after(pool(vec![good(1, "a"), good(2, "b")], None), &[capped("a")], Order::Sticky);
    assert_eq!(pool.summary(now()).usable, 1);
    let refusal = Refusal { status: 401, ..Refusal::default() };
    let refused = Signal::Refused { at: now(), account: account("b"), refusal };
    let (pool, _) = after(pool, &[refused], Order::Sticky);
    assert!(!pool.summary(now()).is_capped);
    assert_eq!(pool.summary(now()).usable, 0);
}

#[test]
fn the_orders_by_usage_choose_when_the_pool_moves_on() {
    let mut pool = pool(vec![good(1, "a"), good(2, "b"), good(3, "c")], Some(("a", 1)));
    for (name, used) in [("a", 10.0), ("b", 50.0), ("c", 40.0)] {
        has_used(&mut pool, name, used);
    }
    for order in [Order::LeastUsed, Order::Weighted] {
        assert_eq!(served(&pool, Purpose::Tick, order), 1, "a tick alone moves nothing");
        assert_eq!(served(&pool, Purpose::MoveOn, order), 3);
    }
    let known = pool.state.accounts.get_mut(&account("b")).unwrap();
    known.plan = ReportedPlan::new("pro", now());
    assert_eq!(served(&pool, Purpose::MoveOn, Order::Weighted), 2, "half of a large plan is more");
    assert_eq!(served(&pool, Purpose::MoveOn, Order::LeastUsed), 3);
}

fn refused_for(name: &str, model: &str, status: u16) -> Signal {
    let refusal = Refusal {
        status,
        usage_limit: status == 429,
        resets_at: (status == 429).then(|| now().plus_seconds(600)),
        model: Some(model.to_owned()),
        is_of_model: true,
        ..Refusal::default()
    };
    Signal::Refused { at: now(), account: account(name), refusal }
}

/// The slot that serves each model that an account is refused for, unless the chosen one does.
fn models(pool: &Pool) -> Vec<(String, Option<Slot>)> {
    let found = served_by(pool, &run(pool, Purpose::Stay, Order::Sticky), now());
    found.into_iter().map(|(model, found)| (model, found.map(|(slot, _)| slot))).collect()
}

#[test]
fn a_limit_of_one_model_rests_the_model_on_that_account_and_not_the_account() {
    let start = pool(vec![good(1, "a"), good(2, "b"), good(3, "c")], Some(("a", 1)));
    assert_eq!(models(&start), []);
    let (pool, next) = after(start, &[refused_for("a", "spark", 429)], Order::Sticky);
    assert_eq!(next, Some(1), "the account still serves the other models");
    assert_eq!(pool.state.account_state(&account("a")).cooldown, None);
    assert_eq!(models(&pool), [("spark".to_owned(), Some(slot(2)))]);
    let (pool, next) = after(pool, &[refused_for("b", "spark", 429)], Order::Sticky);
    assert_eq!((next, models(&pool)), (Some(1), vec![("spark".to_owned(), Some(slot(3)))]));
    let (pool, _) = after(pool, &[refused_for("c", "spark", 429)], Order::Sticky);
    assert_eq!(models(&pool), [("spark".to_owned(), None)], "no account serves it");
    let plan = run(&pool, Purpose::Stay, Order::Sticky);
    assert_eq!(served_by(&pool, &plan, now().plus_seconds(601)).len(), 0, "until its limit resets");
}

#[test]
fn an_account_near_its_cap_serves_a_model_only_if_no_other_does() {
    let start = pool(vec![good(1, "a"), good(2, "b"), good(3, "c")], Some(("a", 1)));
    let (mut pool, _) = after(start, &[refused_for("a", "spark", 429)], Order::Sticky);
    pool.quota.rotate_at = Percent::new(95.0);
    has_used(&mut pool, "b", 96.0);
    assert_eq!(models(&pool), [("spark".to_owned(), Some(slot(3)))]);
    let (pool, _) = after(pool, &[refused_for("c", "spark", 429)], Order::Sticky);
    assert_eq!(models(&pool), [("spark".to_owned(), Some(slot(2)))]);
}

fn capped_at(name: &str, model: &str) -> Signal {
    let Signal::Refused { at, account, refusal } = capped(name) else { unreachable!("a cap is a refusal") };
    Signal::Refused { at, account, refusal: Refusal { model: Some(model.to_owned()), ..refusal } }
}

fn serves(name: &str, model: &str) -> Signal {
    Signal::Served { account: account(name), model: Some(model.to_owned()) }
}

#[test]
fn a_cap_turns_out_to_be_a_models_when_the_account_serves_another_model() {
    let start = pool(vec![good(1, "a"), good(2, "b")], Some(("a", 1)));
    let (pool, next) = after(start, &[capped_at("a", "spark")], Order::Sticky);
    assert_eq!(next, Some(2));
    // All are refused now, and the first is asked all the same.
    let (pool, next) = after(pool, &[capped_at("b", "sol")], Order::Sticky);
    assert_eq!(next, Some(1));
    let each_other = [("sol".to_owned(), Some(slot(1))), ("spark".to_owned(), Some(slot(2)))];
    assert_eq!(models(&pool), each_other, "each was refused for the other model only");
    let (pool, next) = after(pool, &[serves("a", "sol")], Order::Sticky);
    assert_eq!(next, Some(1));
    assert_eq!(models(&pool), [("spark".to_owned(), Some(slot(2)))]);
    let (pool, _) = after(pool, &[serves("b", "spark")], Order::Sticky);
    assert_eq!(pool.state.account_state(&account("b")).cooldown, None);
    assert_eq!(models(&pool), [("spark".to_owned(), Some(slot(2)))]);
    let (pool, _) = after(pool, &[serves("a", "spark")], Order::Sticky);
    assert_eq!(models(&pool), [], "its limit was lifted");
}

#[test]
fn when_all_are_capped_for_the_same_model_no_account_serves_it() {
    let start = pool(vec![good(1, "a"), good(2, "b")], Some(("a", 1)));
    let (pool, _) = after(start, &[capped_at("a", "sol"), capped_at("b", "sol")], Order::Sticky);
    assert_eq!(models(&pool), [("sol".to_owned(), None)]);
}

#[test]
fn a_cap_is_the_accounts_when_the_model_that_was_refused_is_served_again() {
    let start = pool(vec![good(1, "a"), good(2, "b")], Some(("a", 1)));
    let (pool, _) = after(start, &[capped_at("a", "spark"), capped_at("a", "sol")], Order::Sticky);
    let (pool, _) = after(pool, &[serves("a", "sol")], Order::Sticky);
    let known = pool.state.account_state(&account("a"));
    assert_eq!((known.cooldown, known.models.len()), (None, 0));
}

#[test]
fn a_pinned_account_serves_every_model_itself() {
    let start = pool(vec![good(1, "a"), good(2, "b")], Some(("a", 1)));
    let (mut pool, _) = after(start, &[refused_for("a", "spark", 429)], Order::Sticky);
    pool.state.pin = Some(account("a"));
    assert_eq!(models(&pool), []);
}

#[test]
fn a_model_that_is_not_in_a_plan_is_not_asked_for_again_for_hours() {
    let start = pool(vec![good(1, "a"), good(2, "b")], Some(("a", 1)));
    let (pool, _) = after(start, &[refused_for("a", "gpt-large", 400)], Order::Sticky);
    assert_eq!(models(&pool), [("gpt-large".to_owned(), Some(slot(2)))]);
    let until = pool.state.account_state(&account("a")).models["gpt-large"].until;
    assert_eq!(until, now().plus(FLOORS.cap));
}

#[test]
fn a_deactivated_workspace_rests_with_growing_cooldowns() {
    let refusal = Refusal { status: 402, ..Refusal::default() };
    let signal = || Signal::Refused { at: now(), account: account("a"), refusal: refusal.clone() };
    let start = pool(vec![good(1, "a"), good(2, "b")], Some(("a", 1)));
    let (mut pool, next) = after(start, &[signal()], Order::Sticky);
    assert_eq!(next, Some(2));
    let known = pool.state.accounts.get_mut(&account("a")).unwrap();
    assert_eq!(known.cooldown.take().unwrap().until, now().plus(Duration::from_mins(5)));
    let (pool, _) = after(pool, &[signal()], Order::Sticky);
    let cooldown = pool.state.account_state(&account("a")).cooldown.unwrap();
    assert_eq!(cooldown.until, now().plus(Duration::from_mins(10)));
}

#[test]
fn a_reading_that_reaches_the_threshold_moves_the_pool_on() {
    let mut start = pool(vec![good(1, "a"), good(2, "b")], Some(("a", 1)));
    start.quota.rotate_at = Percent::new(95.0);
    let reading = |percent: f64, seconds: i64| {
        let at = NOW + seconds;
        let text = format!(
            r#"{{"at": {at}, "type": "usage", "status": 200, "account_id": "a", "headers": {{
                "x-codex-primary-used-percent": "{percent}", "x-codex-primary-window-minutes": "300"}}}}"#
        );
        Signal::parse(text.as_bytes(), now())
    };
    let (pool, next) = after(start, &[reading(94.0, -9)], Order::Sticky);
    assert_eq!(next, Some(1));
    let (pool, next) = after(pool, &[reading(96.0, -10)], Order::Sticky);
    assert_eq!(next, Some(1), "older than what is known");
    let (pool, next) = after(pool, &[reading(96.0, -8)], Order::Sticky);
    assert_eq!(next, Some(2));
    assert!(!pool.state.consumption.is_empty(), "and the pool knows how fast it is used up");
}
