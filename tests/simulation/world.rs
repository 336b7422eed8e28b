//! A week of a pool: the provider, the owner, the Secret and the replicas, with everything that goes wrong in between.
//!
//! Time goes from event to event, in milliseconds, so that a week takes seconds. All chance comes from the seed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::rc::Rc;

use judgement::mirror::Mirrored;
use judgement::policy::Order;
use records::limits::Limits;
use records::readings::Reading;
use records::signal::{Refusal, Signal};
use records::state::Parked;
use records::usage::Usage;
use records::{LaneCount, Secret, Timestamp};

use crate::dice::Dice;
use crate::owner::{Owner, Record, account_id};
use crate::provider::{Account, Answer};

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// When the week begins.
const EPOCH: i64 = 1_795_000_000;

/// How many conversations there are.
const SESSIONS: u64 = 4000;

/// At how much of a window the callback says so, in percent.
const THRESHOLD: f64 = 95.0;

/// For how long a replica asks no account on behalf of another lane that refused it.
const REFUSED: u64 = MINUTE;

/// How often a request that every record was refused for looks for another one.
const TRIES: u8 = 6;

/// What is simulated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    pub(crate) replicas: usize,
    pub(crate) accounts: usize,
    pub(crate) lanes: LaneCount,
    pub(crate) order: Order,
    pub(crate) distance: Distance,
    pub(crate) hours: u64,
    /// How many requests come in a minute, on average.
    pub(crate) requests: u64,
}

/// How the records get from the owner to the replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Distance {
    /// One pod: at once.
    OnePod,
    /// A follower watches the Secret.
    Followed,
    /// The Secret is mounted, and the kubelet takes a minute.
    Mounted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Request,
    Again(u64),
    Tick,
    Pass,
    Seen(usize),
    ReplicaDown(usize),
    ReplicaUp(usize),
    ReplicaCut(usize),
    ReplicaJoined(usize),
    OwnerDown,
    OwnerUp,
    OwnerCut,
    OwnerJoined,
    BackUp,
    Restore,
    Acknowledge,
    LoginEnds(usize),
    SignIn(usize),
    Park(usize),
    Unpark(usize),
    Pin(usize),
    Unpin,
}

#[derive(Default)]
struct Replica {
    is_down: bool,
    is_cut: bool,
    /// The records of the lanes that it has, in their order.
    view: Rc<[Record]>,
    skew: i64,
    /// When it last signalled about an account.
    signalled: BTreeMap<usize, u64>,
    /// When an account last refused it.
    refused: BTreeMap<usize, u64>,
    /// The accounts that it last saw above the threshold.
    above: BTreeSet<usize>,
}

struct Request {
    replica: usize,
    session: u64,
    tried: Vec<Secret>,
    tries: u8,
}

/// What has come of a week.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) requests: u64,
    /// By the provider, of any account.
    pub(crate) refusals: u64,
    pub(crate) failed: u64,
    /// Of those that failed: while an account could have served, and the owner was at work and in reach.
    pub(crate) failed_in_spite_of_the_owner: u64,
    pub(crate) patches: u64,
    pub(crate) lanes_moved: u64,
    /// Which part of its week each account has served.
    pub(crate) parts: Vec<f64>,
}

pub(crate) struct World {
    setting: Setting,
    dice: Dice,
    now: u64,
    queue: BinaryHeap<Reverse<(u64, u64, Event)>>,
    numbered: u64,
    accounts: Vec<Account>,
    owner: Owner,
    owner_is_down: bool,
    owner_is_cut: bool,
    secret: Option<Mirrored<Record>>,
    replicas: Vec<Replica>,
    signals: Vec<Signal>,
    /// The latest usage of each account that no pass has taken.
    readings: BTreeMap<usize, (Timestamp, Usage)>,
    pass_is_due: bool,
    waiting: BTreeMap<u64, Request>,
    figures: Figures,
}

impl World {
    /// The figures of a whole run; it panics where a rule is broken.
    pub(crate) fn run(setting: Setting, seed: u64) -> Figures {
        let mut dice = Dice::of(seed);
        let tokens: Vec<_> = (0..setting.accounts).map(|number| token(number, 0)).collect();
        let accounts = tokens.iter().map(|token| Account::new(&mut dice, token.clone())).collect();
        let replicas = (0..setting.replicas).map(|_| Replica { skew: skew(&mut dice), ..Replica::default() });
        let mut world = Self {
            replicas: replicas.collect(),
            owner: Owner::new(&tokens, setting.lanes, setting.order),
            setting,
            dice,
            now: 0,
            queue: BinaryHeap::new(),
            numbered: 0,
            accounts,
            owner_is_down: false,
            owner_is_cut: false,
            secret: None,
            signals: Vec::new(),
            readings: BTreeMap::new(),
            pass_is_due: false,
            waiting: BTreeMap::new(),
            figures: Figures::default(),
        };
        world.plan_the_week();
        let end = setting.hours * HOUR;
        while let Some(Reverse((at, _, event))) = world.queue.pop().filter(|Reverse((at, ..))| *at < end) {
            world.now = at;
            world.happen(event);
        }
        world.figures.lanes_moved = world.owner.lanes_moved;
        world.figures.parts = world.accounts.iter().map(Account::part_used).collect();
        world.figures
    }

    fn plan_the_week(&mut self) {
        let end = self.setting.hours * HOUR;
        self.at(0, Event::Tick);
        self.at(10 * SECOND, Event::Request);
        for replica in 0..self.setting.replicas {
            for (begins, ends) in [
                (Event::ReplicaDown(replica), Event::ReplicaUp(replica)),
                (Event::ReplicaCut(replica), Event::ReplicaJoined(replica)),
            ] {
                self.for_a_while(end, 30 * MINUTE, begins, ends);
            }
        }
        for _ in 0..4 {
            self.for_a_while(end, HOUR, Event::OwnerDown, Event::OwnerUp);
            self.for_a_while(end, HOUR, Event::OwnerCut, Event::OwnerJoined);
        }
        let restored = end / 4 + self.dice.below(end / 2);
        let backed_up = restored - self.dice.below(end / 8);
        self.at(backed_up, Event::BackUp);
        self.at(restored, Event::Restore);
        for _ in 0..self.setting.accounts / 25 {
            let [ends, parked, pinned] =
                [0; 3].map(|_| usize::try_from(self.dice.below(self.setting.accounts as u64)).unwrap());
            self.for_a_while(end, 12 * HOUR, Event::LoginEnds(ends), Event::SignIn(ends));
            self.for_a_while(end, 12 * HOUR, Event::Park(parked), Event::Unpark(parked));
            if self.dice.below(10) == 0 {
                self.for_a_while(end, HOUR, Event::Pin(pinned), Event::Unpin);
            }
        }
    }

    fn for_a_while(&mut self, end: u64, longest: u64, begins: Event, ends: Event) {
        let at = self.dice.below(end);
        self.at(at, begins);
        let after = self.dice.below(longest) + SECOND;
        self.at(at + after, ends);
    }

    fn at(&mut self, at: u64, event: Event) {
        self.numbered += 1;
        self.queue.push(Reverse((at, self.numbered, event)));
    }

    fn after(&mut self, delay: u64, event: Event) {
        self.at(self.now + delay, event);
    }

    fn time(&self) -> Timestamp {
        Timestamp::from_seconds(EPOCH).plus(std::time::Duration::from_millis(self.now))
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Request => self.arrives(),
            Event::Again(number) => {
                let request = self.waiting.remove(&number).unwrap();
                self.sent(request);
            }
            Event::Tick => {
                self.pass();
                self.after(30 * MINUTE, Event::Tick);
            }
            Event::Pass => {
                self.pass_is_due = false;
                self.pass();
            }
            Event::Seen(replica) => self.sees(replica),
            Event::ReplicaDown(replica) => self.replicas[replica].is_down = true,
            Event::ReplicaUp(replica) => {
                let skew = skew(&mut self.dice);
                self.replicas[replica] =
                    Replica { skew, is_cut: self.replicas[replica].is_cut, ..Replica::default() };
                self.sees(replica);
            }
            Event::ReplicaCut(replica) => self.replicas[replica].is_cut = true,
            Event::ReplicaJoined(replica) => {
                self.replicas[replica].is_cut = false;
                self.sees(replica);
            }
            Event::OwnerDown => self.owner_is_down = true,
            Event::OwnerUp => {
                // What waited in its memory is lost; what is on the claim is not.
                (self.owner_is_down, self.owner.skew) = (false, skew(&mut self.dice));
                self.signals.clear();
                self.pass();
            }
            Event::OwnerCut => self.owner_is_cut = true,
            Event::OwnerJoined => {
                self.owner_is_cut = false;
                self.pass();
            }
            Event::BackUp => self.owner.back_up(),
            Event::Restore => {
                self.owner.restore();
                self.pass();
                let sees_to_it = HOUR + self.dice.below(6 * HOUR);
                self.after(sees_to_it, Event::Acknowledge);
            }
            Event::Acknowledge => {
                self.owner.acknowledge(self.secret.as_ref());
                self.pass();
            }
            Event::LoginEnds(account) => self.accounts[account].token = None,
            Event::SignIn(account) => {
                let token = token(account, self.now);
                self.accounts[account].token = Some(token.clone());
                self.owner.sign_in(account, &token);
                self.signal(Signal::AccountsChanged);
            }
            Event::Park(account) => {
                let accounts = &mut self.owner.pool.state.accounts;
                accounts.entry(account_id(account)).or_default().parked = Some(Parked::default());
                self.signal(Signal::AccountsChanged);
            }
            Event::Unpark(account) => {
                self.owner.pool.state.unpark(&account_id(account));
                self.signal(Signal::AccountsChanged);
            }
            Event::Pin(account) => {
                self.owner.pool.state.pin = Some(account_id(account));
                self.signal(Signal::AccountsChanged);
            }
            Event::Unpin => self.owner.pool.state.pin = None,
        }
    }

    /// A request comes, and the next one is on its way: at night there are few.
    fn arrives(&mut self) {
        let hour = (self.now / HOUR) % 24;
        let times = if (8..20).contains(&hour) { 2 } else { 1 };
        let mean = MINUTE * 3 / (self.setting.requests * 2 * times);
        let gap = self.dice.below(2 * mean) + 1;
        self.after(gap, Event::Request);
        let replica = usize::try_from(self.dice.below(self.replicas.len() as u64)).unwrap();
        // The Service sends nobody to a replica that is not ready.
        if self.replicas[replica].is_down || self.replicas[replica].view.is_empty() {
            return;
        }
        self.figures.requests += 1;
        let session = self.dice.below(SESSIONS);
        self.sent(Request { replica, session, tried: Vec::new(), tries: 0 });
    }

    /// What the callback does: its session's lane first, then the lanes after it, then it waits for another record.
    fn sent(&mut self, mut request: Request) {
        let now = self.time();
        let records = Rc::clone(&self.replicas[request.replica].view);
        let own = usize::try_from(request.session).unwrap() % records.len().max(1);
        for record in records.iter().cycle().skip(own).take(records.len()) {
            let refused = self.replicas[request.replica].refused.get(&record.account);
            let is_own = request.tried.is_empty();
            if request.tried.contains(&record.token)
                || !is_own && refused.is_some_and(|at| self.now - at < REFUSED)
            {
                continue;
            }
            let answer = self.accounts[record.account].ask(&record.token, now);
            let signal = match answer {
                Answer::Served(usage) => return self.was_served(request.replica, record.account, usage),
                Answer::Capped { resets_at, usage } => Refusal {
                    status: 429,
                    usage_limit: true,
                    resets_at: Some(resets_at),
                    usage: Some(usage),
                    token: Some(record.token.fingerprint()),
                    ..Refusal::default()
                },
                Answer::Unauthorized => {
                    Refusal { status: 401, token: Some(record.token.fingerprint()), ..Refusal::default() }
                }
            };
            self.figures.refusals += 1;
            self.replicas[request.replica].refused.insert(record.account, self.now);
            request.tried.push(record.token.clone());
            self.report(request.replica, record.account, |at, account| Signal::Refused {
                at,
                account,
                refusal: signal,
            });
        }
        request.tries += 1;
        if request.tries < TRIES {
            let number = self.numbered;
            self.waiting.insert(number, request);
            self.after(300, Event::Again(number));
        } else {
            self.figures.failed += 1;
            let could_serve = self.accounts.iter().any(|account| account.can_serve(now));
            let is_helped = could_serve && !self.owner.is_stopped && self.reaches_the_owner(request.replica);
            self.figures.failed_in_spite_of_the_owner += u64::from(is_helped);
        }
    }

    fn was_served(&mut self, replica: usize, account: usize, usage: Usage) {
        let above = &mut self.replicas[replica].above;
        let is_above = usage.windows.iter().any(|window| window.used_percent.percent() >= THRESHOLD);
        let was_above = if is_above { !above.insert(account) } else { above.remove(&account) };
        if is_above && !was_above {
            self.report(replica, account, |at, _| Signal::UsageRead(reading(account, at, usage)));
        } else if self.reaches_the_owner(replica) {
            let at = self.time().plus_seconds(self.replicas[replica].skew);
            self.readings.insert(account, (at, usage));
        }
    }

    fn reaches_the_owner(&self, replica: usize) -> bool {
        let is_cut = self.owner_is_cut || self.replicas[replica].is_cut;
        !self.owner_is_down && (!is_cut || self.is_one_pod())
    }

    /// A replica signals at most once in a second about an account; a signal that cannot be delivered is lost.
    fn report(
        &mut self,
        replica: usize,
        account: usize,
        signal: impl FnOnce(Timestamp, records::AccountId) -> Signal,
    ) {
        let last = self.replicas[replica].signalled.insert(account, self.now);
        if last.is_none_or(|last| self.now - last >= SECOND) && self.reaches_the_owner(replica) {
            let at = self.time().plus_seconds(self.replicas[replica].skew);
            self.signal(signal(at, account_id(account)));
            if self.dice.below(100) == 0 {
                let refusal = Refusal { status: 429, usage_limit: true, ..Refusal::default() };
                self.signal(Signal::Refused { at, account: account_id(usize::MAX), refusal });
            }
        }
    }

    fn signal(&mut self, signal: Signal) {
        self.signals.push(signal);
        if !self.pass_is_due {
            self.pass_is_due = true;
            self.after(100, Event::Pass);
        }
    }

    fn pass(&mut self) {
        if self.owner_is_down || self.owner.is_stopped {
            return;
        }
        let (now, signals) = (self.time(), std::mem::take(&mut self.signals));
        let readings = std::mem::take(&mut self.readings).into_iter();
        let readings: Vec<_> = readings.map(|(account, (at, usage))| reading(account, at, usage)).collect();
        self.owner.pass(&signals, &readings, now);
        if self.is_one_pod() {
            return self.sees(0);
        }
        if self.owner_is_cut {
            return;
        }
        if let Some(mirrored) = self.owner.mirror(self.secret.as_ref()) {
            let before = self.secret.as_ref().map(|secret| secret.generation);
            assert!(before.is_none_or(|before| mirrored.generation > before), "a Secret only goes forward");
            self.secret = Some(mirrored);
            self.figures.patches += 1;
            for replica in 0..self.replicas.len() {
                let delay = match self.setting.distance {
                    Distance::Mounted => MINUTE + self.dice.below(30 * SECOND),
                    Distance::Followed | Distance::OnePod => 50 + self.dice.below(150),
                };
                self.after(delay, Event::Seen(replica));
            }
        }
    }

    /// A replica reads the Secret, unless it cannot. What it has stays otherwise.
    fn sees(&mut self, replica: usize) {
        let seen = &mut self.replicas[replica];
        if self.setting.distance == Distance::OnePod {
            seen.view = self.owner.records().into_values().collect();
        } else if let Some(secret) = self.secret.as_ref().filter(|_| !seen.is_cut && !seen.is_down) {
            seen.view = secret.lanes.values().cloned().collect();
        }
    }

    fn is_one_pod(&self) -> bool {
        self.setting.distance == Distance::OnePod
    }
}

fn reading(account: usize, at: Timestamp, usage: Usage) -> Reading {
    let limits = Limits { own: Some(usage), ..Limits::default() };
    Reading { account: account_id(account), at, limits, plan: None }
}

fn token(account: usize, issued: u64) -> Secret {
    Secret::new(&format!("at-{account}-{issued}"))
}

/// Up to half a minute in either direction.
fn skew(dice: &mut Dice) -> i64 {
    dice.one_of(&[-30, -13, -1, 0, 0, 1, 13, 30])
}
