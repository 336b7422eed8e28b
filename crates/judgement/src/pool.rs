//! The pool: every slot with its login, the state, and the published record; and whether an account can be used.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use records::grant::{self, GrantStatus};
use records::published::PublishedRecord;
use records::state::{AccountState, Active, CooldownKind, State};
use records::usage::Usage;
use records::{AccountId, Lane, Login, Slot, Timestamp};
use serde_json::json;

use crate::candidate::Candidate;
use crate::cooldown::REFUSED_COOLDOWN;
use crate::plan::Reason;
use crate::quota::Quota;

/// How far the clock that dates files may lag behind ours: one tick of the kernel with the slowest timer.
const KERNEL_TICK: Duration = Duration::from_millis(10);

/// How long the issuer has to refresh an account whose access token was refused, before another account serves instead.
pub const REFRESH_GRACE: Duration = Duration::from_millis(500);

/// Everything that a pass judges by.
#[derive(Clone, Debug)]
pub struct Pool {
    /// Every slot, in order.
    pub slots: Vec<Candidate>,
    pub state: State,
    pub published: PublishedRecord,
    pub published_at: Option<Timestamp>,
    /// From which usage on an account is not used, or only by its owner.
    pub quota: Quota,
    /// The index of the slot that counts for each account: the one with the newest login.
    holders: BTreeMap<AccountId, usize>,
}

/// The account in use.
#[derive(Clone, Copy, Debug)]
pub struct InUse<'a> {
    pub account: &'a AccountId,
    /// Where its login is, or was.
    pub slot: Slot,
    /// Unknown if neither the state nor the published record's file says so.
    pub since: Option<Timestamp>,
    /// A signal whose file was written before this is about an account that was in use before.
    pub stale_before: Option<Timestamp>,
}

/// How many accounts of a pool can serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolSummary {
    /// How many can serve now.
    pub usable: usize,
    pub accounts: usize,
    /// When the first of the others comes back, if one does by itself.
    pub back_at: Option<Timestamp>,
    /// Whether each of the others that come back is at a limit. One that was refused for another reason may well serve
    /// earlier than that.
    pub is_capped: bool,
}

impl PoolSummary {
    /// The document that LiteLLM's callback reads.
    #[must_use]
    pub fn document(&self) -> Vec<u8> {
        let Self { usable, accounts, back_at, is_capped } = self;
        let back_at = back_at.map(Timestamp::seconds);
        let document = json!({"version": 1, "usable": usable, "accounts": accounts, "back_at": back_at, "capped": is_capped});
        format!("{document}\n").into_bytes()
    }
}

/// Whether an account that can be used has a cooldown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    Ready,
    /// It has a cooldown until then, and is used only if every other account has one, too.
    Cooling(Timestamp),
}

impl Pool {
    /// A pool of these slots.
    #[must_use]
    pub fn new(slots: Vec<Candidate>, state: State, published: PublishedRecord) -> Self {
        let mut holders: BTreeMap<AccountId, usize> = BTreeMap::new();
        let rank = |at: usize| {
            let login = slots[at].login.as_ref().ok();
            (login.map(Login::generation), Reverse(slots[at].slot))
        };
        for (at, candidate) in slots.iter().enumerate() {
            if let Ok(login) = &candidate.login {
                let holder = holders.entry(login.account.clone()).or_insert(at);
                if rank(at) > rank(*holder) {
                    *holder = at;
                }
            }
        }
        Self { slots, state, published, published_at: None, quota: Quota::default(), holders }
    }

    /// The code by which a candidate's grant has ended, according to the state or to its marker.
    #[must_use]
    pub fn ended_by(&self, candidate: &Candidate) -> Option<String> {
        let login = candidate.login.as_ref().ok()?;
        ended_by(self.known(login), candidate, login)
    }

    /// This pool with other logins in it.
    #[must_use]
    pub fn with_slots(self, slots: Vec<Candidate>) -> Self {
        let (published_at, quota) = (self.published_at, self.quota);
        Self { published_at, quota, ..Self::new(slots, self.state, self.published) }
    }

    /// The slot that counts for an account.
    #[must_use]
    pub fn holder(&self, account: &AccountId) -> Option<&Candidate> {
        self.holders.get(account).map(|at| &self.slots[*at])
    }

    /// The account in use. The published record says which it is; the state, which is written after it, only since when
    /// and from which slot.
    #[must_use]
    pub fn active(&self) -> Option<InUse<'_>> {
        let slot_of = |account: &AccountId| self.holder(account).map(|holder| holder.slot);
        let remembered = self.state.active.as_ref();
        match &self.published {
            PublishedRecord::Account(account)
                if remembered.is_none_or(|active| active.account != *account) =>
            {
                let since = self.published_at;
                Some(InUse { account, slot: slot_of(account)?, since, stale_before: since })
            }
            _ => {
                let Active { account, slot, since } = remembered?;
                let slot = slot_of(account).unwrap_or(*slot);
                Some(InUse {
                    account,
                    slot,
                    since: Some(*since),
                    stale_before: Some(since.minus(KERNEL_TICK)),
                })
            }
        }
    }

    /// The account in use in a lane: in the first that is the active one, in the others it is as the state has it.
    #[must_use]
    pub fn in_use(&self, lane: Lane) -> Option<InUse<'_>> {
        if lane == Lane::FIRST {
            return self.active();
        }
        let Active { account, slot, since } = self.state.lanes.get(&lane)?;
        let slot = self.holder(account).map_or(*slot, |holder| holder.slot);
        Some(InUse { account, slot, since: Some(*since), stale_before: None })
    }

    /// The lanes in which an account serves.
    pub fn lanes_of(&self, account: &AccountId) -> impl Iterator<Item = Lane> {
        let serves = move |lane: &Lane| self.in_use(*lane).is_some_and(|active| active.account == account);
        Lane::all().filter(serves)
    }

    /// Judges whether a slot can be used.
    ///
    /// # Errors
    /// The reason for which it cannot.
    pub fn judge<'a>(
        &'a self,
        candidate: &'a Candidate,
        now: Timestamp,
    ) -> Result<(&'a Login, Availability), Reason> {
        let login = candidate.login.as_ref().map_err(|why| Reason::Unusable(why.clone()))?;
        if let Some(holder) = self.holder(&login.account).filter(|holder| holder.slot != candidate.slot) {
            return Err(Reason::SameAccountAs(holder.slot));
        }
        let known = self.known(login);
        // An access token that has not ended serves until it ends, whatever has become of the grant.
        let expired = login.expiry.filter(|expiry| expiry.has_passed(now));
        let is_refused = known
            .and_then(|known| known.needs_login.as_ref())
            .is_some_and(|ended| ended.token_refused && ended.grant == login.grant());
        let serves = expired.is_none() && login.expiry.is_some() && !is_refused;
        // What an operator has removed stays removed, also when a backup brings it back.
        let ended = ended_by(known, candidate, login).filter(|code| !serves || code == grant::REMOVED);
        if let Some(code) = ended {
            return Err(Reason::NeedsLogin(code));
        }
        let parked = known.and_then(|known| known.parked.clone());
        let parked = parked.filter(|parked| parked.until.is_none_or(|until| until > now));
        if let Some(expiry) = expired {
            return Err(match parked {
                // An account that is parked without an end is never refreshed.
                Some(parked) if parked.until.is_none() => Reason::Parked(parked),
                _ if login.refresh_token.is_some() => Reason::RefreshDue(expiry),
                _ => Reason::Expired(expiry),
            });
        }
        if let Some(from) = known.and_then(|known| known.came_from.clone()) {
            return Err(Reason::OtherAccount(from));
        }
        if let Some(parked) = parked {
            return Err(Reason::Parked(parked));
        }
        let usage = known.and_then(|known| known.usage.as_ref());
        if let Some(until) = self.quota.reserved_until(candidate.slot, usage, now) {
            return Err(Reason::Reserved(until));
        }
        let cooldown = known.and_then(|known| known.cooldown.as_ref());
        let cooling = cooldown.map(|cooldown| cooldown.until).filter(|until| *until > now);
        let cooling = cooling.max(known.and_then(|known| yields_until(known, candidate, login, now)));
        Ok((login, cooling.map_or(Availability::Ready, Availability::Cooling)))
    }

    /// What is known of a login's account.
    fn known(&self, login: &Login) -> Option<&AccountState> {
        self.state.accounts.get(&login.account)
    }

    /// What is known of an account's usage.
    #[must_use]
    pub fn usage(&self, account: &AccountId) -> Option<&Usage> {
        self.state.accounts.get(account)?.usage.as_ref()
    }

    /// How many accounts can serve, and when the first of the others comes back.
    #[must_use]
    pub fn summary(&self, now: Timestamp) -> PoolSummary {
        let mut summary =
            PoolSummary { usable: 0, accounts: self.holders.len(), back_at: None, is_capped: true };
        for at in self.holders.values() {
            let back_at = match self.judge(&self.slots[*at], now) {
                Ok((_, Availability::Ready)) => {
                    summary.usable += 1;
                    continue;
                }
                Ok((login, Availability::Cooling(until))) => {
                    let cooldown = self.known(login).and_then(|known| known.cooldown.as_ref());
                    summary.is_capped &= cooldown.is_some_and(|it| it.kind == CooldownKind::UsageCap);
                    Some(until)
                }
                Err(Reason::Reserved(until)) => Some(until),
                Err(_) => None,
            };
            summary.back_at = [summary.back_at, back_at].into_iter().flatten().min();
        }
        summary
    }

    /// The slot that a signal or a reading is about. Two people in one workspace share the account id: without a user,
    /// the account in use is meant, and if that has another account id, the only account that it can be.
    #[must_use]
    pub fn named(&self, active: Option<InUse<'_>>, named: &AccountId) -> Option<&Candidate> {
        let fits = |account: &AccountId| {
            account.account_id == named.account_id
                && (named.user_id.is_none() || account.user_id == named.user_id)
        };
        if let Some(active) = active.filter(|active| fits(active.account)) {
            return self.holder(active.account);
        }
        let mut fitting =
            self.slots.iter().filter(|slot| slot.login.as_ref().is_ok_and(|login| fits(&login.account)));
        let first = fitting.next()?;
        let is_the_same = |slot: &Candidate| match (&slot.login, &first.login) {
            (Ok(a), Ok(b)) => a.account == b.account,
            _ => false,
        };
        let only = first.login.as_ref().ok().filter(|_| fitting.all(is_the_same))?;
        self.holder(&only.account)
    }
}

/// The same as [`Pool::ended_by`], given what is known of the login's account.
fn ended_by(known: Option<&AccountState>, candidate: &Candidate, login: &Login) -> Option<String> {
    let needs_login = known.and_then(|known| known.needs_login.as_ref());
    match (needs_login.filter(|ended| ended.grant == login.grant()), &candidate.grant) {
        (Some(ended), _) => Some(ended.code.clone()),
        (None, GrantStatus::Ended(marker)) => {
            Some(marker.code.clone().unwrap_or_else(|| grant::USED.to_owned()))
        }
        _ => None,
    }
}

/// Until when other accounts serve instead of one whose access token was refused and that is being refreshed. The
/// issuer is given a moment to answer first, because a rotation costs more than that.
fn yields_until(
    known: &AccountState,
    candidate: &Candidate,
    login: &Login,
    now: Timestamp,
) -> Option<Timestamp> {
    let refused = known.refreshing_after_401.as_ref()?;
    let marker = candidate.grant.sent()?;
    let is_over = *refused == login.grant() && now.since(marker.since) >= REFRESH_GRACE;
    is_over.then(|| marker.since.plus(REFUSED_COOLDOWN)).filter(|until| *until > now)
}
