//! The owner of the logins: the claim, and the rotator with the production's judgement, which mirrors the lanes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use judgement::assess::{Assessment, Turn, assess};
use judgement::candidate::Candidate;
use judgement::decide::decide;
use judgement::mirror::{self, Generation, Mirrored, Step};
use judgement::plan::{Chosen, Plan, Why};
use judgement::policy::{Floors, Order, PassOptions, Purpose};
use judgement::pool::{Availability, Pool};
use judgement::quota::{Quota, Reserves};
use judgement::take_readings::take_readings;
use records::grant::GrantStatus;
use records::published::PublishedRecord;
use records::readings::Reading;
use records::signal::Signal;
use records::state::State;
use records::usage::Percent;
use records::{AccountId, Expiry, Lane, LaneCount, Login, Secret, Slot, Timestamp};

/// The record of an account: what a replica sends a request with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) account: usize,
    pub(crate) token: Secret,
}

pub(crate) struct Owner {
    pub(crate) pool: Pool,
    options: PassOptions,
    generation: Generation,
    /// Whether a restored claim has stopped it, until an operator has seen to it.
    pub(crate) is_stopped: bool,
    backup: Option<(State, Generation)>,
    /// By how many seconds its clock is wrong.
    pub(crate) skew: i64,
    pub(crate) lanes_moved: u64,
    unknown_signals: u64,
}

pub(crate) fn account_id(number: usize) -> AccountId {
    AccountId { account_id: format!("acct-{number}"), user_id: None }
}

fn slot(number: usize) -> Slot {
    (number + 1).to_string().parse().unwrap()
}

pub(crate) fn candidate(number: usize, token: &Secret) -> Candidate {
    let name = account_id(number).account_id;
    let mut login = Login::from_tokens(token.clone(), None, None, Some(&name)).unwrap();
    login.expiry = Some(Expiry(Timestamp::from_seconds(4_000_000_000)));
    Candidate { slot: slot(number), login: Ok(login), grant: GrantStatus::Good, is_stored: true }
}

impl Owner {
    pub(crate) fn new(tokens: &[Secret], lanes: LaneCount, order: Order) -> Self {
        let slots = tokens.iter().enumerate().map(|(number, token)| candidate(number, token)).collect();
        let options = PassOptions {
            order,
            lanes,
            to: None,
            offline: false,
            only: None,
            floors: Floors { cap: Duration::from_hours(3), transient: Duration::from_mins(5) },
            refresh_before: Duration::from_hours(24),
            quota: Quota { rotate_at: Percent::new(95.0), reserves: Reserves::default() },
        };
        Self {
            pool: Pool::new(slots, State::default(), PublishedRecord::Missing),
            options,
            generation: Generation::default(),
            is_stopped: false,
            backup: None,
            skew: 0,
            lanes_moved: 0,
            unknown_signals: 0,
        }
    }

    /// A whole pass on the claim. What it says of the lanes must hold whatever has happened before.
    pub(crate) fn pass(&mut self, signals: &[Signal], readings: &[Reading], now: Timestamp) {
        let now = now.plus_seconds(self.skew);
        let before = self.serving();
        take_readings(&mut self.pool, readings);
        let known = self.pool.state.accounts.len();
        let Assessment { policy, interpretation, .. } =
            assess(&mut self.pool, signals, &self.options, Turn::First, now);
        let unknown = interpretation.lines.iter().filter(|line| line.contains("which no slot holds")).count();
        self.unknown_signals += unknown as u64;
        if unknown == signals.len() && unknown > 0 {
            assert_eq!(
                self.pool.state.accounts.len(),
                known,
                "a signal about nobody is remembered of nobody"
            );
        }
        let plan = decide(&self.pool, &policy, now);
        self.check(&plan, &before, policy.purpose, now);
        let state = &mut self.pool.state;
        state.active = plan.chosen.as_ref().map(Chosen::active).or(state.active.take());
        if plan.chosen.is_some() {
            state.lanes = plan.lanes.iter().map(|(lane, chosen)| (*lane, chosen.active())).collect();
        }
        state.tidy(now);
        if let Some(active) = &self.pool.state.active {
            self.pool.published = PublishedRecord::Account(active.account.clone());
        }
        let after = self.serving();
        self.lanes_moved +=
            after.iter().filter(|(lane, account)| before.get(lane) != Some(account)).count() as u64;
    }

    /// The mirror's steps, until there is nothing left to do. Gives what is patched.
    pub(crate) fn mirror(&mut self, secret: Option<&Mirrored<Record>>) -> Option<Mirrored<Record>> {
        let lanes = self.records();
        loop {
            match mirror::plan(&lanes, self.generation, secret) {
                Step::Nothing => return None,
                Step::Raise(generation) => self.generation = generation,
                Step::Patch(mirrored) => return Some(mirrored),
                Step::Stop { .. } => {
                    self.is_stopped = true;
                    return None;
                }
            }
        }
    }

    pub(crate) fn back_up(&mut self) {
        self.backup = Some((self.pool.state.clone(), self.generation));
    }

    pub(crate) fn restore(&mut self) {
        if let Some((state, generation)) = self.backup.clone() {
            (self.pool.state, self.generation) = (state, generation);
            if let Some(active) = &self.pool.state.active {
                self.pool.published = PublishedRecord::Account(active.account.clone());
            }
        }
    }

    /// An operator has signed in again what a restored claim had lost, and says that it counts.
    pub(crate) fn acknowledge(&mut self, secret: Option<&Mirrored<Record>>) {
        self.is_stopped = false;
        self.generation =
            secret.map_or(self.generation, |secret| secret.generation.max(self.generation).next());
    }

    pub(crate) fn sign_in(&mut self, number: usize, token: &Secret) {
        let mut slots = std::mem::take(&mut self.pool.slots);
        slots[number] = candidate(number, token);
        let state = State::default();
        let pool = std::mem::replace(&mut self.pool, Pool::new(Vec::new(), state, PublishedRecord::Missing));
        self.pool = pool.with_slots(slots);
        self.pool.state.reset_after_login(&account_id(number));
    }

    /// Whether an account can serve as far as the owner knows, without a cooldown.
    fn is_ready(&self, account: &AccountId, now: Timestamp) -> bool {
        let holder = self.pool.holder(account);
        holder.is_some_and(|holder| matches!(self.pool.judge(holder, now), Ok((_, Availability::Ready))))
    }

    fn serving(&self) -> BTreeMap<Lane, AccountId> {
        let lanes = self.options.lanes.lanes();
        lanes.filter_map(|lane| Some((lane, self.pool.in_use(lane)?.account.clone()))).collect()
    }

    /// The records that are published: those of the lanes.
    pub(crate) fn records(&self) -> BTreeMap<Lane, Record> {
        let record = |account: &AccountId| {
            let holder = self.pool.holder(account)?;
            let token = holder.login.as_ref().ok()?.access_token.clone();
            Some(Record { account: holder.slot.number() as usize - 1, token })
        };
        self.serving().iter().filter_map(|(lane, account)| Some((*lane, record(account)?))).collect()
    }

    fn check(&self, plan: &Plan, before: &BTreeMap<Lane, AccountId>, purpose: Purpose, now: Timestamp) {
        let Some(chosen) = &plan.chosen else {
            assert!(!self.pool.slots.iter().any(|slot| self.pool.judge(slot, now).is_ok()), "one is usable");
            return;
        };
        let mut lanes: BTreeMap<Lane, &Chosen> = plan.lanes.iter().map(|(lane, it)| (*lane, it)).collect();
        lanes.insert(Lane::FIRST, chosen);
        assert_eq!(lanes.len(), self.options.lanes.lanes().count(), "each lane has an account");

        let quota = &self.pool.quota;
        let has_room = |account: &AccountId| quota.has_room(self.pool.usage(account), now);
        let held: BTreeSet<_> = lanes.values().map(|chosen| &chosen.login.account).collect();
        let mut ready = self.pool.slots.iter().filter_map(|slot| match self.pool.judge(slot, now) {
            Ok((login, Availability::Ready)) => Some(&login.account),
            _ => None,
        });
        if let Some(first) = ready.next() {
            for (lane, chosen) in &lanes {
                assert!(self.is_ready(&chosen.login.account, now), "{lane} has an account that can serve");
            }
            if held.len() < lanes.len() {
                let is_free = |account: &&AccountId| !held.contains(account) && has_room(account);
                let free = [first].into_iter().chain(ready).find(is_free);
                assert_eq!(free, None, "lanes share although an account is free");
            }
        }

        for (lane, chosen) in &lanes {
            let Some(was) = before.get(lane).filter(|was| **was != chosen.login.account) else { continue };
            let is_shared = before.iter().any(|(other, account)| other != lane && account == was);
            let is_above = quota.is_above(self.pool.usage(was), now);
            let made_way = matches!(lanes[&Lane::FIRST].why, Why::Pinned | Why::Named);
            let is_round_robin = purpose == Purpose::Tick && self.options.lanes == LaneCount::ONE;
            let has_reason = !self.is_ready(was, now) || is_shared || is_above || made_way || is_round_robin;
            assert!(has_reason, "{lane} moved from {was} without a reason");
        }
    }
}
