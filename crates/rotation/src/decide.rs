//! The judgement: which account is next. Pure: the world, the policy and the time come in, a plan comes out.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use auth_volume::grants;
use auth_volume::masters::Unusable;
use auth_volume::published::Found;
use auth_volume::state::{Active, Cooldown, Kind, Parked, Source, State};
use auth_volume::{AccountId, Expiry, Login, Slot, Timestamp};

use crate::absorb::{REST, needs_login, until};
use crate::args::Order;

/// How far the clock that dates files may lag behind ours: the slowest tick of a kernel's.
const TICK: Duration = Duration::from_millis(10);

/// How long the issuer has before another account serves in the place of one whose access token was refused.
pub const MOMENT: Duration = Duration::from_millis(500);

/// What a pass finds.
#[derive(Clone, Debug)]
pub struct World {
    /// Every slot, in order, with its login or what is wrong with it.
    pub slots: Vec<Candidate>,
    /// What is remembered.
    pub state: State,
    /// What LiteLLM is served.
    pub published: Found,
    /// Since when.
    pub published_at: Option<Timestamp>,
    /// Which slot counts of those that hold an account: the newest login.
    holders: BTreeMap<AccountId, usize>,
}

/// A slot that may be chosen.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Where.
    pub slot: Slot,
    /// Its login, or what is wrong with it.
    pub login: Result<Login, Broken>,
    /// What is known of its grant.
    pub grant: grants::Standing,
    /// Whether it has a file, and not only environment variables.
    pub is_stored: bool,
}

/// What is wrong with a slot's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// In words.
    pub why: String,
    /// It is no regular file that can be read, so that a login could not replace it: it must be removed first.
    pub is_in_the_way: bool,
}

impl From<Unusable> for Broken {
    fn from(unusable: Unusable) -> Self {
        Self { why: unusable.to_string(), is_in_the_way: matches!(unusable, Unusable::File(_)) }
    }
}

impl From<String> for Broken {
    fn from(why: String) -> Self {
        Self { why, is_in_the_way: false }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
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

/// What the operator wants.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Which account is next.
    pub order: Order,
    /// What the pass is for.
    pub purpose: Purpose,
}

/// What this pass is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Nobody called: time to move on, where the order says so.
    Tick,
    /// Somebody called, but not for another account: the one in use stays if it can be used.
    Look,
    /// Somebody called for another account.
    MoveOn,
    /// The operator names the slot.
    To(Slot),
}

/// What is to be done.
#[derive(Debug)]
pub struct Plan {
    /// The account to publish.
    pub chosen: Option<Chosen>,
    /// Every other slot, and why not.
    pub passed_over: Vec<(Slot, Reason)>,
    /// Whether what stands in auth.json must give way to the placeholder.
    pub placeholder: bool,
}

/// The account to publish, and why it is that one.
#[derive(Debug)]
pub struct Chosen {
    /// Where its login is.
    pub slot: Slot,
    /// What is published of it.
    pub login: Login,
    /// Since when it is the one in use.
    pub since: Timestamp,
    /// Why this one.
    pub why: Why,
}

/// Why an account was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The operator named its slot.
    Asked,
    /// The operator pinned it.
    Pinned,
    /// It is the one in use, and nobody asked for another.
    StaysActive,
    /// There is no other.
    OnlyUsable,
    /// It comes after this slot.
    NextAfter(Slot),
    /// Its usage window resets before the others'.
    EarliestReset,
    /// It is the first of all.
    First,
    /// All are cooling down, and this one comes back first.
    BackFirst(Timestamp),
}

/// Why a slot was passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It can be used, and another one is.
    NotItsTurn,
    /// What is wrong with its file.
    Unusable(Broken),
    /// Its access token has ended.
    Expired(Slot, Expiry),
    /// Another slot holds a newer login of the same account.
    SameAccountAs(Slot),
    /// It was refused for its usage.
    Cooling(Cooldown),
    /// The operator put it aside.
    Parked(Parked),
    /// Its grant is dead, by this code.
    NeedsLogin(Slot, String),
    /// Its last refresh answered with another account's tokens than this one's.
    CameFrom(Slot, AccountId),
}

/// How far an account can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// As it is.
    Ready,
    /// Only if there is no other: it is cooling down until then.
    Cooling(Timestamp),
}

impl World {
    /// A world of these slots.
    #[must_use]
    pub fn new(slots: Vec<Candidate>, state: State, published: Found) -> Self {
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
        let dead = self.state.standing(&login.account).needs_login;
        match (dead.filter(|dead| dead.grant == login.grant()), &candidate.grant) {
            (Some(dead), _) => Some(dead.code),
            (None, grants::Standing::Ended(marker)) => {
                Some(marker.code.clone().unwrap_or_else(|| grants::USED.to_owned()))
            }
            _ => None,
        }
    }

    /// The same world with other logins in it.
    pub(crate) fn with(self, slots: Vec<Candidate>) -> Self {
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
            Found::Record { account } if remembered.is_none_or(|active| active.account != *account) => {
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
        let standing = self.state.standing(&login.account);
        // An access token that still lives serves until it ends, whatever has become of the grant.
        let expired = login.expiry.filter(|expiry| expiry.has_passed(now));
        let refused = standing.needs_login.is_some_and(|dead| dead.refused && dead.grant == login.grant());
        let serves = expired.is_none() && login.expiry.is_some() && !refused;
        // What an operator removed stays removed, though a backup has it.
        let ended = self.ended_by(candidate).filter(|code| !serves || code == grants::REMOVED);
        if let Some(code) = ended {
            return Err(Reason::NeedsLogin(candidate.slot, code));
        }
        if let Some(expiry) = expired {
            return Err(Reason::Expired(candidate.slot, expiry));
        }
        if let Some(from) = standing.came_from {
            return Err(Reason::CameFrom(candidate.slot, from));
        }
        if let Some(parked) = standing.parked.filter(|parked| parked.until.is_none_or(|until| until > now)) {
            return Err(Reason::Parked(parked));
        }
        let cooling =
            standing.cooldown.filter(|cooldown| cooldown.until > now).map(|cooldown| cooldown.until);
        let cooling = cooling.max(self.rests_until(candidate, login, now));
        Ok((login, cooling.map_or(Use::Ready, Use::Cooling)))
    }

    /// Until when others serve in the place of an account whose access token was refused and is being refreshed: the
    /// issuer gets a moment to answer, since a rotation costs more than that.
    fn rests_until(&self, candidate: &Candidate, login: &Login, now: Timestamp) -> Option<Timestamp> {
        let refused = self.state.accounts.get(&login.account)?.refreshed_for_401.as_ref()?;
        let (grants::Standing::WithIssuer(marker) | grants::Standing::Unanswered(marker)) = &candidate.grant
        else {
            return None;
        };
        let is_over = *refused == login.grant() && now.since(marker.since) >= MOMENT;
        is_over.then(|| marker.since.plus(REST)).filter(|until| *until > now)
    }
}

/// A slot that can be used, its login, and how far.
type Usable<'a> = (Slot, &'a Login, Use);

/// Chooses the account to use from `now` on.
#[must_use]
pub fn decide(world: &World, policy: Policy, now: Timestamp) -> Plan {
    let judged: Vec<_> = world.slots.iter().map(|slot| (slot.slot, world.judge(slot, now))).collect();
    let usable: Vec<Usable<'_>> = judged
        .iter()
        .filter_map(|(slot, judged)| judged.as_ref().ok().map(|(login, how)| (*slot, *login, *how)))
        .collect();
    let active = world.active();
    let picked = pick(world, &usable, active, policy);
    let passed_over = judged.iter().filter_map(|(slot, judged)| match judged {
        Err(reason) => Some((*slot, reason.clone())),
        Ok(_) if picked.is_some_and(|(picked, ..)| picked == *slot) => None,
        Ok((_, Use::Ready)) => Some((*slot, Reason::NotItsTurn)),
        Ok((login, Use::Cooling(until))) => {
            let refused = Cooldown { until: *until, kind: Kind::Refused, source: Source::Floor };
            let cooldown = world.state.standing(&login.account).cooldown.filter(|it| it.until == *until);
            Some((*slot, Reason::Cooling(cooldown.unwrap_or(refused))))
        }
    });
    Plan {
        passed_over: passed_over.collect(),
        placeholder: picked.is_none() && !world.published.is_well_formed(),
        chosen: picked.map(|(slot, login, why)| Chosen {
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

fn pick<'a>(
    world: &World,
    usable: &[Usable<'a>],
    active: Option<InUse<'_>>,
    policy: Policy,
) -> Option<(Slot, &'a Login, Why)> {
    let found = |why: Why| move |(slot, login, _): &Usable<'a>| (*slot, *login, why);
    if let Purpose::To(asked) = policy.purpose {
        return usable.iter().find(|(slot, ..)| *slot == asked).map(found(Why::Asked));
    }
    let ready: Vec<Usable<'a>> = usable.iter().filter(|(.., how)| *how == Use::Ready).copied().collect();
    let of = |account: &AccountId| ready.iter().find(|(_, login, _)| login.account == *account);
    if let Some(pinned) = world.state.pin.as_ref().and_then(of) {
        return Some(found(Why::Pinned)(pinned));
    }
    let moves = match policy.purpose {
        Purpose::Tick => policy.order == Order::RoundRobin,
        Purpose::MoveOn => true,
        Purpose::Look | Purpose::To(_) => false,
    };
    if let Some(active) = active.filter(|_| !moves).and_then(|active| of(active.account)) {
        return Some(found(Why::StaysActive)(active));
    }
    next(world, &ready, active, policy.order).or_else(|| {
        let back = |(.., how): &Usable<'a>| match how {
            Use::Ready => None,
            Use::Cooling(until) => Some(*until),
        };
        let first = usable.iter().min_by_key(|usable| (back(usable), usable.0))?;
        Some(found(Why::BackFirst(back(first)?))(first))
    })
}

fn next<'a>(
    world: &World,
    ready: &[Usable<'a>],
    active: Option<InUse<'_>>,
    order: Order,
) -> Option<(Slot, &'a Login, Why)> {
    let first = ready.first()?;
    let others =
        ready.iter().filter(|(_, login, _)| active.is_none_or(|active| *active.account != login.account));
    let ((slot, login, _), why) = match active {
        _ if ready.len() == 1 => (first, Why::OnlyUsable),
        _ if order == Order::EarliestReset => {
            // An account of which nothing is known comes last: what is about to reset is about to be lost.
            let reset = |login: &Login| world.state.standing(&login.account).next_reset;
            let soonest = others.min_by_key(|(slot, login, _)| (reset(login).is_none(), reset(login), *slot));
            (soonest.unwrap_or(first), Why::EarliestReset)
        }
        None => (first, Why::First),
        Some(InUse { slot: from, .. }) => {
            (ready.iter().find(|(slot, ..)| *slot > from).unwrap_or(first), Why::NextAfter(from))
        }
    };
    Some((*slot, *login, why))
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked => f.write_str("asked for"),
            Self::Pinned => f.write_str("pinned"),
            Self::StaysActive => f.write_str("it is the one in use"),
            Self::OnlyUsable => f.write_str("the only usable one"),
            Self::NextAfter(slot) => write!(f, "the next after {slot}"),
            Self::EarliestReset => f.write_str("its usage resets first"),
            Self::First => f.write_str("the first"),
            Self::BackFirst(until) => write!(f, "all are cooling down, and it comes back first, {until}"),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotItsTurn => f.write_str("not its turn"),
            Self::Unusable(broken) => broken.fmt(f),
            Self::Expired(slot, expiry) => {
                write!(f, "its access token expired {expiry}: run auth-login {}", slot.number())
            }
            Self::SameAccountAs(slot) => write!(f, "the same account as {slot}, whose login is newer"),
            Self::Cooling(cooldown) => write!(f, "parked until {}", until(cooldown)),
            Self::Parked(Parked { until, reason }) => {
                f.write_str("parked by the operator")?;
                until.map_or(Ok(()), |until| write!(f, " until {until}"))?;
                reason.as_ref().map_or(Ok(()), |reason| write!(f, " ({reason})"))
            }
            Self::CameFrom(slot, from) => {
                let number = slot.number();
                write!(
                    f,
                    "its last refresh answered for another account than {from}: run auth-login --replace {number}, or accounts \
                     unpark {number} to let it serve"
                )
            }
            Self::NeedsLogin(slot, code) => {
                let said = needs_login(*slot, code);
                f.write_str(said.split_once(' ').map_or(said.as_str(), |(_, rest)| rest))
            }
        }
    }
}
#[cfg(test)]
mod tests;
