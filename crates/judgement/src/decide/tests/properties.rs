//! Properties that hold for any pool and any signals.

use proptest::prelude::*;

use super::*;

prop_compose! {
    fn any_candidate()(kind in 0..3, name in 0..4, expires_in in -10_i64..100) -> Result<Login, String> {
        if kind == 0 { Err("empty".to_owned()) } else { Ok(login(&format!("acct-{name}"), expires_in)) }
    }
}

prop_compose! {
    fn any_signal()(kind in 0..8, limit in any::<bool>(), ago in 0..200_i64, resets in -500..5000_i64) -> Signal {
        let at = now().plus_seconds(-ago);
        let resets_at = (resets > 0).then(|| now().plus_seconds(resets - 100));
        let refusal = Refusal { status: 429, usage_limit: limit, resets_at, ..Refusal::default() };
        match kind {
            5 => Signal::RotateNow { at, refusal: None },
            6 => Signal::AccountsChanged,
            7 => Signal::RotateNow { at, refusal: Some(refusal) },
            name => Signal::Refused { at, account: account(&format!("acct-{name}")), refusal },
        }
    }
}

prop_compose! {
    fn any_pool()(
        logins in proptest::collection::vec(any_candidate(), 0..6),
        active in proptest::option::of((0..4, 1..8_u32)),
    ) -> Pool {
        let slots = (1..).zip(logins).map(|(number, login)| Candidate { slot: slot(number), login: login.map_err(Broken::from), grant: GrantStatus::Good, is_stored: true });
        let name = active.map(|(name, number)| (format!("acct-{name}"), number));
        pool(slots.collect(), name.as_ref().map(|(name, number)| (name.as_str(), *number)))
    }
}

prop_compose! {
    /// A pool after some passes with any signals.
    fn any_later_pool()(
        pool in any_pool(),
        passes in proptest::collection::vec(proptest::collection::vec(any_signal(), 0..4), 0..5),
    ) -> Pool {
        passes.iter().fold(pool, |pool, signals| after(pool, signals, Order::RoundRobin).0)
    }
}

proptest! {
    #[test]
    fn a_usable_slot_is_chosen_when_there_is_one(pool in any_later_pool()) {
        let live = pool.slots.iter().any(|slot| slot.login.as_ref().is_ok_and(|login| {
            login.is_live(now()) && pool.holder(&login.account).is_some_and(|holder| holder.slot == slot.slot)
        }));
        for purpose in [Purpose::Tick, Purpose::Stay, Purpose::MoveOn] {
            prop_assert_eq!(run(&pool, purpose, Order::RoundRobin).chosen.is_some(), live);
        }
    }

    #[test]
    fn every_slot_is_accounted_for_once(pool in any_later_pool()) {
        let plan = run(&pool, Purpose::Tick, Order::RoundRobin);
        let mut seen: Vec<_> = plan.passed_over.iter().map(|(slot, _)| *slot).collect();
        seen.extend(plan.chosen.map(|chosen| chosen.slot));
        seen.sort_unstable();
        prop_assert_eq!(seen, pool.slots.iter().map(|slot| slot.slot).collect::<Vec<_>>());
    }

    #[test]
    fn a_cooled_account_serves_only_when_all_are(pool in any_later_pool()) {
        let plan = run(&pool, Purpose::Tick, Order::RoundRobin);
        let Some(chosen) = plan.chosen else { return Ok(()) };
        let cools = pool.state.account_state(&chosen.login.account).cooldown.is_some_and(|c| c.until > now());
        let others_ready = plan.passed_over.iter().any(|(_, reason)| *reason == Reason::NotItsTurn);
        prop_assert!(!(cools && others_ready));
    }

    #[test]
    fn a_late_signal_never_moves_the_active_account(pool in any_later_pool(), signals in proptest::collection::vec(any_signal(), 1..5)) {
        let Some(active) = pool.active().map(|active| active.account.clone()) else { return Ok(()) };
        let Some(before) = run(&pool, Purpose::Stay, Order::RoundRobin).chosen else { return Ok(()) };
        prop_assume!(before.login.account == active && before.why == Why::StaysActive);
        let late: Vec<_> = signals.into_iter().filter(|signal| match signal {
            Signal::Refused { account, .. } => *account != active,
            Signal::AccountsChanged => true,
            _ => false,
        }).collect();
        prop_assume!(!late.is_empty());
        let after = after(pool, &late, Order::RoundRobin).0;
        prop_assert_eq!(after.state.active.map(|active| active.account), Some(active));
    }

    #[test]
    fn no_sequence_of_signals_about_one_event_rotates_more_than_once(
        pool in any_later_pool(),
        bursts in proptest::collection::vec(1..20_usize, 1..5),
    ) {
        let Some(active) = pool.active().map(|active| active.account.clone()) else { return Ok(()) };
        let event = capped(&active.account_id);
        let mut rotations = 0;
        let mut pool = pool;
        for burst in bursts {
            let before = pool.state.active.clone().map(|active| active.account);
            pool = after(pool, &vec![event.clone(); burst], Order::RoundRobin).0;
            let after = pool.state.active.clone().map(|active| active.account);
            rotations += u32::from(before != after && after.is_some());
        }
        prop_assert!(rotations <= 1, "{rotations}");
    }

    #[test]
    fn as_many_ticks_as_ready_accounts_serve_each_of_them_once(pool in any_later_pool()) {
        let mut pool = pool;
        let mut served = std::collections::BTreeSet::new();
        let plan = run(&pool, Purpose::Tick, Order::RoundRobin);
        let ready = plan.passed_over.iter().filter(|(_, reason)| *reason == Reason::NotItsTurn).count() + 1;
        for _ in 0..ready {
            let Some(chosen) = run(&pool, Purpose::Tick, Order::RoundRobin).chosen else { return Ok(()) };
            let Chosen { slot, login, since, .. } = chosen;
            served.insert(login.account.clone());
            pool.state.active = Some(Active { account: login.account, slot, since });
        }
        prop_assert_eq!(served.len(), ready);
    }
}
