//! The judgement: which account is next. Pure: the world, the policy and the time come in, a plan comes out.

use std::cmp::Reverse;
use std::fmt;

use auth_volume::published::Found;
use auth_volume::signal::Signal;
use auth_volume::state::Active;
use auth_volume::{AccountId, Expiry, Login, Slot, Timestamp};

use crate::args::Order;

/// What a pass finds.
#[derive(Debug)]
pub(crate) struct World {
    /// Every slot, in order, with its login or what is wrong with it.
    pub(crate) slots: Vec<Candidate>,
    /// The account in use, as the state remembers it.
    pub(crate) active: Option<Active>,
    /// What LiteLLM is served.
    pub(crate) published: Found,
    /// Who called for this pass; nobody when it is a tick.
    pub(crate) signals: Vec<Signal>,
}

/// A slot that may be chosen.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) slot: Slot,
    pub(crate) login: Result<Login, String>,
}

/// What the operator wants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    pub(crate) order: Order,
    pub(crate) purpose: Purpose,
}

/// What this pass is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A tick or a signal.
    Rotate,
    /// Before LiteLLM starts: the account in use, and no move.
    Init,
    /// The operator names the slot.
    To(Slot),
}

/// What is to be done.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The account to publish.
    pub(crate) chosen: Option<Chosen>,
    /// Every other slot, and why not.
    pub(crate) passed_over: Vec<(Slot, Reason)>,
    /// Whether what stands in auth.json must give way to the placeholder.
    pub(crate) placeholder: bool,
}

/// The account to publish, and why it is that one.
#[derive(Debug)]
pub(crate) struct Chosen {
    pub(crate) slot: Slot,
    pub(crate) login: Login,
    /// Since when it is the one in use.
    pub(crate) since: Timestamp,
    pub(crate) why: Why,
}

/// Why an account was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    Asked,
    StaysActive,
    OnlyUsable,
    NextAfter(Slot),
    First,
}

/// Why a slot was passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// It can be used, and another one is.
    NotItsTurn,
    /// What is wrong with its file.
    Unusable(String),
    /// Its access token has ended.
    Expired(Slot, Expiry),
    /// Another slot holds a newer login of the same account.
    SameAccountAs(Slot),
}

/// Chooses the account to use from `now` on.
pub(crate) fn decide(world: &World, policy: Policy, now: Timestamp) -> Plan {
    let judged: Vec<_> = world.slots.iter().map(|slot| judge(slot, &world.slots, now)).collect();
    let usable: Vec<_> = judged.iter().filter_map(|judged| judged.as_ref().ok().copied()).collect();
    let active = active(world, &usable);
    let picked = match policy.purpose {
        Purpose::To(slot) => {
            usable.iter().find(|(usable, _)| *usable == slot).map(|pick| (*pick, Why::Asked))
        }
        Purpose::Init => stay(&usable, active).or_else(|| next(&usable, active)),
        Purpose::Rotate if asks_to_move(world, policy.order, active) => next(&usable, active),
        Purpose::Rotate => stay(&usable, active).or_else(|| next(&usable, active)),
    };
    let passed_over = world.slots.iter().zip(&judged).filter_map(|(candidate, judged)| match judged {
        Err(reason) => Some((candidate.slot, reason.clone())),
        Ok((slot, _)) if picked.is_none_or(|((picked, _), _)| picked != *slot) => {
            Some((*slot, Reason::NotItsTurn))
        }
        Ok(_) => None,
    });
    Plan {
        passed_over: passed_over.collect(),
        placeholder: picked.is_none() && !world.published.is_well_formed(),
        chosen: picked.map(|((slot, login), why)| Chosen {
            slot,
            login: login.clone(),
            since: active
                .filter(|active| *active.account == login.account)
                .and_then(|a| a.since)
                .unwrap_or(now),
            why,
        }),
    }
}

/// The account in use, and where it stands among the slots.
#[derive(Clone, Copy, Debug)]
struct InUse<'a> {
    account: &'a AccountId,
    slot: Slot,
    since: Option<Timestamp>,
}

/// What LiteLLM is served tells who is active; the state, written after it, only since when and from where.
fn active<'a>(world: &'a World, usable: &[(Slot, &Login)]) -> Option<InUse<'a>> {
    let slot_of = |account: &AccountId| {
        let usable = usable.iter().find(|(_, login)| login.account == *account).map(|(slot, _)| *slot);
        let holds = |slot: &&Candidate| slot.login.as_ref().is_ok_and(|login| login.account == *account);
        usable.or_else(|| world.slots.iter().find(holds).map(|slot| slot.slot))
    };
    let remembered = world.active.as_ref();
    match &world.published {
        Found::Record { account } if remembered.is_none_or(|active| active.account != *account) => {
            Some(InUse { account, slot: slot_of(account)?, since: None })
        }
        _ => {
            let Active { account, slot, since } = remembered?;
            Some(InUse { account, slot: slot_of(account).unwrap_or(*slot), since: Some(*since) })
        }
    }
}

fn judge<'a>(
    candidate: &'a Candidate,
    all: &[Candidate],
    now: Timestamp,
) -> Result<(Slot, &'a Login), Reason> {
    let login = candidate.login.as_ref().map_err(|why| Reason::Unusable(why.clone()))?;
    let rank = |slot: Slot, login: &Login| (login.last_refresh, login.expiry, Reverse(slot));
    let better = all.iter().find(|other| {
        other.login.as_ref().is_ok_and(|theirs| {
            theirs.account == login.account && rank(other.slot, theirs) > rank(candidate.slot, login)
        })
    });
    match (better, login.expiry) {
        (Some(better), _) => Err(Reason::SameAccountAs(better.slot)),
        (None, Some(expiry)) if expiry.has_passed(now) => Err(Reason::Expired(candidate.slot, expiry)),
        _ => Ok((candidate.slot, login)),
    }
}

/// Whether this pass is to leave the account in use. A signal about another account is late or mistaken and
/// moves nothing; a login is news, and no reason to leave an account that serves.
fn asks_to_move(world: &World, order: Order, active: Option<InUse<'_>>) -> bool {
    if world.signals.is_empty() {
        return order == Order::RoundRobin;
    }
    world.signals.iter().any(|signal| match signal {
        Signal::RotateNow | Signal::Unreadable => true,
        Signal::SignedIn => false,
        Signal::Refused { account } => active.is_some_and(|active| {
            account.account_id == active.account.account_id
                && (account.user_id.is_none() || account.user_id == active.account.user_id)
        }),
    })
}

type Pick<'a> = ((Slot, &'a Login), Why);

fn stay<'a>(usable: &[(Slot, &'a Login)], active: Option<InUse<'_>>) -> Option<Pick<'a>> {
    let active = active?;
    let still = usable.iter().find(|(_, login)| login.account == *active.account)?;
    Some((*still, Why::StaysActive))
}

fn next<'a>(usable: &[(Slot, &'a Login)], active: Option<InUse<'_>>) -> Option<Pick<'a>> {
    let first = *usable.first()?;
    match active {
        _ if usable.len() == 1 => Some((first, Why::OnlyUsable)),
        None => Some((first, Why::First)),
        Some(InUse { slot: from, .. }) => {
            let next = usable.iter().find(|(slot, _)| *slot > from).copied().unwrap_or(first);
            Some((next, Why::NextAfter(from)))
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked => f.write_str("asked for"),
            Self::StaysActive => f.write_str("it is the one in use"),
            Self::OnlyUsable => f.write_str("the only usable one"),
            Self::NextAfter(slot) => write!(f, "the next after {slot}"),
            Self::First => f.write_str("the first"),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotItsTurn => f.write_str("not its turn"),
            Self::Unusable(why) => f.write_str(why),
            Self::Expired(slot, expiry) => {
                write!(f, "its access token expired {expiry}: run auth-login {}", slot.number())
            }
            Self::SameAccountAs(slot) => write!(f, "the same account as {slot}, whose login is newer"),
        }
    }
}

#[cfg(test)]
mod tests {
    use auth_volume::Secret;
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_000_000;

    fn slot(number: u32) -> Slot {
        number.to_string().parse().unwrap()
    }

    fn account(name: &str) -> AccountId {
        AccountId { account_id: name.to_owned(), user_id: None }
    }

    fn login(name: &str, expires_in: i64) -> Login {
        let mut login = Login::of_tokens(Secret::new("at"), None, None, Some(name)).unwrap();
        login.expiry = Some(Expiry(Timestamp::from_seconds(NOW + expires_in)));
        login
    }

    fn good(number: u32, name: &str) -> Candidate {
        Candidate { slot: slot(number), login: Ok(login(name, 100)) }
    }

    fn bad(number: u32) -> Candidate {
        Candidate { slot: slot(number), login: Err("empty".to_owned()) }
    }

    fn world(slots: Vec<Candidate>, active: Option<(&str, u32)>) -> World {
        let since = Timestamp::from_seconds(NOW - 60);
        let active =
            active.map(|(name, number)| Active { account: account(name), slot: slot(number), since });
        World { slots, active, published: Found::Nothing, signals: Vec::new() }
    }

    fn run(world: &World, purpose: Purpose, order: Order) -> Plan {
        decide(world, Policy { order, purpose }, Timestamp::from_seconds(NOW))
    }

    fn rotate(world: &World) -> Option<u32> {
        run(world, Purpose::Rotate, Order::RoundRobin).chosen.map(|chosen| chosen.slot.number())
    }

    #[test]
    fn a_tick_moves_on_to_the_next_usable_account_and_round_again() {
        let slots = || vec![good(1, "a"), bad(2), good(4, "b")];
        assert_eq!(rotate(&world(slots(), None)), Some(1));
        assert_eq!(rotate(&world(slots(), Some(("a", 1)))), Some(4));
        assert_eq!(rotate(&world(slots(), Some(("b", 4)))), Some(1));
    }

    #[test]
    fn an_account_is_followed_to_the_slot_it_moved_to() {
        assert_eq!(rotate(&world(vec![good(1, "c"), good(2, "a"), good(3, "b")], Some(("a", 1)))), Some(3));
    }

    #[test]
    fn a_slot_that_vanished_still_marks_the_place_to_go_on_from() {
        assert_eq!(rotate(&world(vec![good(1, "a"), good(3, "c")], Some(("b", 2)))), Some(3));
    }

    #[test]
    fn the_published_record_knows_better_than_the_state_who_is_active() {
        let mut world = world(vec![good(1, "a"), good(2, "b"), good(3, "c")], Some(("a", 1)));
        world.published = Found::Record { account: account("b") };
        assert_eq!(rotate(&world), Some(3));
    }

    #[test]
    fn sticky_stays_until_the_account_in_use_is_refused() {
        let mut world = world(vec![good(1, "a"), good(2, "b")], Some(("a", 1)));
        let sticky = |world: &World| run(world, Purpose::Rotate, Order::Sticky).chosen.unwrap().slot.number();
        assert_eq!(sticky(&world), 1);
        world.signals = vec![Signal::Refused { account: account("a") }];
        assert_eq!(sticky(&world), 2);
    }

    #[test]
    fn a_late_signal_and_a_login_move_nothing() {
        let mut world = world(vec![good(1, "a"), good(2, "b")], Some(("a", 1)));
        world.signals = vec![Signal::Refused { account: account("b") }, Signal::SignedIn];
        let plan = run(&world, Purpose::Rotate, Order::RoundRobin);
        let chosen = plan.chosen.unwrap();
        assert_eq!((chosen.slot.number(), chosen.why), (1, Why::StaysActive));
        assert_eq!(chosen.since, Timestamp::from_seconds(NOW - 60), "it has been in use all along");
    }

    #[test]
    fn many_signals_about_one_event_move_on_once() {
        let mut world = world(vec![good(1, "a"), good(2, "b"), good(3, "c")], Some(("a", 1)));
        world.signals = vec![Signal::Refused { account: account("a") }; 200];
        assert_eq!(rotate(&world), Some(2));
    }

    #[test]
    fn the_newest_login_of_an_account_counts() {
        let older = Candidate { slot: slot(1), login: Ok(login("a", 50)) };
        let plan = run(&world(vec![older, good(2, "a")], None), Purpose::Rotate, Order::RoundRobin);
        assert_eq!(plan.chosen.unwrap().slot, slot(2));
        assert_eq!(plan.passed_over, [(slot(1), Reason::SameAccountAs(slot(2)))]);
    }

    #[test]
    fn an_expired_token_is_not_published_and_says_what_mends_it() {
        let expired = Candidate { slot: slot(1), login: Ok(login("a", 0)) };
        let plan = run(&world(vec![expired], None), Purpose::Rotate, Order::RoundRobin);
        assert!(plan.chosen.is_none() && plan.placeholder);
        assert_eq!(
            plan.passed_over[0].1.to_string(),
            "its access token expired 1970-01-12T13:46:40Z: run auth-login 1"
        );
    }

    #[test]
    fn the_operators_choice_is_that_slot_or_none() {
        let world = world(vec![good(1, "a"), good(2, "b"), bad(3)], Some(("a", 1)));
        let to = |number| {
            run(&world, Purpose::To(slot(number)), Order::RoundRobin).chosen.map(|c| c.slot.number())
        };
        assert_eq!([to(2), to(1), to(3), to(9)], [Some(2), Some(1), None, None]);
    }

    #[test]
    fn before_litellm_starts_the_account_in_use_is_kept() {
        let world = world(vec![good(1, "a"), good(2, "b")], Some(("b", 2)));
        assert_eq!(run(&world, Purpose::Init, Order::RoundRobin).chosen.unwrap().slot, slot(2));
    }

    prop_compose! {
        fn any_candidate()(kind in 0..3, name in 0..4, expires_in in -10_i64..100) -> Result<Login, String> {
            if kind == 0 { Err("empty".to_owned()) } else { Ok(login(&format!("acct-{name}"), expires_in)) }
        }
    }

    prop_compose! {
        fn any_world()(
            logins in proptest::collection::vec(any_candidate(), 0..6),
            active in proptest::option::of((0..4, 1..8_u32)),
            signals in proptest::collection::vec(0..6, 0..4),
        ) -> World {
            let slots = (1..).zip(logins).map(|(number, login)| Candidate { slot: slot(number), login });
            let name = active.map(|(name, number)| (format!("acct-{name}"), number));
            let mut world = world(slots.collect(), name.as_ref().map(|(name, number)| (name.as_str(), *number)));
            world.signals = signals.into_iter().map(|kind| match kind {
                4 => Signal::RotateNow,
                5 => Signal::SignedIn,
                name => Signal::Refused { account: account(&format!("acct-{name}")) },
            }).collect();
            world
        }
    }

    proptest! {
        #[test]
        fn a_usable_slot_is_chosen_when_there_is_one(world in any_world()) {
            let live = world.slots.iter().any(|slot| {
                slot.login.as_ref().is_ok_and(|login| login.is_live(Timestamp::from_seconds(NOW)))
            });
            for purpose in [Purpose::Rotate, Purpose::Init] {
                prop_assert_eq!(run(&world, purpose, Order::RoundRobin).chosen.is_some(), live);
            }
        }

        #[test]
        fn every_slot_is_accounted_for_once(world in any_world()) {
            let plan = run(&world, Purpose::Rotate, Order::RoundRobin);
            let mut seen: Vec<_> = plan.passed_over.iter().map(|(slot, _)| *slot).collect();
            seen.extend(plan.chosen.map(|chosen| chosen.slot));
            seen.sort_unstable();
            prop_assert_eq!(seen, world.slots.iter().map(|slot| slot.slot).collect::<Vec<_>>());
        }

        #[test]
        fn as_many_ticks_as_usable_accounts_serve_each_of_them_once(world in any_world()) {
            let mut world = World { signals: Vec::new(), ..world };
            let mut served = std::collections::BTreeSet::new();
            let count = run(&world, Purpose::Rotate, Order::RoundRobin).passed_over.iter()
                .filter(|(_, reason)| *reason == Reason::NotItsTurn).count() + 1;
            for _ in 0..count {
                let Some(chosen) = run(&world, Purpose::Rotate, Order::RoundRobin).chosen else { return Ok(()) };
                let Chosen { slot, login, since, .. } = chosen;
                served.insert(login.account.clone());
                world.active = Some(Active { account: login.account, slot, since });
            }
            prop_assert_eq!(served.len(), count);
        }
    }
}
