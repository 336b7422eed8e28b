//! The pool: every slot with its login, what is remembered, and what LiteLLM is served. Whether an account can be used.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use records::grant::{self, GrantStatus};
use records::published::PublishedRecord;
use records::state::{Active, State};
use records::{AccountId, Login, Slot, Timestamp};

use crate::candidate::Candidate;
use crate::cooldown::REST;
use crate::plan::Reason;

/// How far the clock that dates files may lag behind ours: the slowest tick of a kernel's.
const TICK: Duration = Duration::from_millis(10);

/// How long the issuer has before another account serves in the place of one whose access token was refused.
pub const MOMENT: Duration = Duration::from_millis(500);

/// What a pass finds.
#[derive(Clone, Debug)]
pub struct Pool {
    /// Every slot, in order, with its login or what is wrong with it.
    pub slots: Vec<Candidate>,
    /// What is remembered.
    pub state: State,
    /// What LiteLLM is served.
    pub published: PublishedRecord,
    /// Since when.
    pub published_at: Option<Timestamp>,
    /// Which slot counts of those that hold an account: the newest login.
    holders: BTreeMap<AccountId, usize>,
}

/// The account in use, and where it stands among the slots.
#[derive(Clone, Copy, Debug)]
pub struct InUse<'a> {
    /// Who.
    pub account: &'a AccountId,
    /// Where its login is, or was.
    pub slot: Slot,
    /// Unknown when there is neither a state nor a published record's time.
    pub since: Option<Timestamp>,
    /// A file written before this was left before the account was in use.
    pub stale_before: Option<Timestamp>,
}

/// How far an account can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// As it is.
    Ready,
    /// Only if there is no other: it is cooling down until then.
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
        Self { slots, state, published, published_at: None, holders }
    }

    /// The code by which a candidate's grant has ended, as the issuer said or as is known of it.
    #[must_use]
    pub fn ended_by(&self, candidate: &Candidate) -> Option<String> {
        let login = candidate.login.as_ref().ok()?;
        let dead = self.state.account_state(&login.account).needs_login;
        match (dead.filter(|dead| dead.grant == login.grant()), &candidate.grant) {
            (Some(dead), _) => Some(dead.code),
            (None, GrantStatus::Ended(marker)) => {
                Some(marker.code.clone().unwrap_or_else(|| grant::USED.to_owned()))
            }
            _ => None,
        }
    }

    /// The same pool with other logins in it.
    #[must_use]
    pub fn with(self, slots: Vec<Candidate>) -> Self {
        Self { published_at: self.published_at, ..Self::new(slots, self.state, self.published) }
    }

    /// The slot that counts for an account.
    #[must_use]
    pub fn holder(&self, account: &AccountId) -> Option<&Candidate> {
        self.holders.get(account).map(|at| &self.slots[*at])
    }

    /// The account in use. What LiteLLM is served tells who it is; the state, written after it, only since when
    /// and from where.
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
                Some(InUse { account, slot, since: Some(*since), stale_before: Some(since.minus(TICK)) })
            }
        }
    }

    /// Whether a slot can be used, and if not, why.
    ///
    /// # Errors
    /// The reason to pass it over.
    pub fn judge<'a>(&'a self, candidate: &'a Candidate, now: Timestamp) -> Result<(&'a Login, Use), Reason> {
        let login = candidate.login.as_ref().map_err(|why| Reason::Unusable(why.clone()))?;
        if let Some(holder) = self.holder(&login.account).filter(|holder| holder.slot != candidate.slot) {
            return Err(Reason::SameAccountAs(holder.slot));
        }
        let account_state = self.state.account_state(&login.account);
        // An access token that still lives serves until it ends, whatever has become of the grant.
        let expired = login.expiry.filter(|expiry| expiry.has_passed(now));
        let refused =
            account_state.needs_login.is_some_and(|dead| dead.token_refused && dead.grant == login.grant());
        let serves = expired.is_none() && login.expiry.is_some() && !refused;
        // What an operator removed stays removed, though a backup has it.
        let ended = self.ended_by(candidate).filter(|code| !serves || code == grant::REMOVED);
        if let Some(code) = ended {
            return Err(Reason::NeedsLogin(code));
        }
        let parked = account_state.parked.filter(|parked| parked.until.is_none_or(|until| until > now));
        if let Some(expiry) = expired {
            return Err(match parked {
                // An account that is parked without an end is never refreshed.
                Some(parked) if parked.until.is_none() => Reason::Parked(parked),
                _ if login.refresh_token.is_some() => Reason::RefreshDue(expiry),
                _ => Reason::Expired(expiry),
            });
        }
        if let Some(from) = account_state.came_from {
            return Err(Reason::CameFrom(from));
        }
        if let Some(parked) = parked {
            return Err(Reason::Parked(parked));
        }
        let cooling =
            account_state.cooldown.filter(|cooldown| cooldown.until > now).map(|cooldown| cooldown.until);
        let cooling = cooling.max(self.rests_until(candidate, login, now));
        Ok((login, cooling.map_or(Use::Ready, Use::Cooling)))
    }

    /// Until when others serve in the place of an account whose access token was refused and is being refreshed: the
    /// issuer gets a moment to answer, since a rotation costs more than that.
    fn rests_until(&self, candidate: &Candidate, login: &Login, now: Timestamp) -> Option<Timestamp> {
        let refused = self.state.accounts.get(&login.account)?.refreshing_after_401.as_ref()?;
        let (GrantStatus::WithIssuer(marker) | GrantStatus::Unanswered(marker)) = &candidate.grant else {
            return None;
        };
        let is_over = *refused == login.grant() && now.since(marker.since) >= MOMENT;
        is_over.then(|| marker.since.plus(REST)).filter(|until| *until > now)
    }
}
