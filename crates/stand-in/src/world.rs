//! All that the stand-in remembers, behind one lock.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::account::{Account, Behaviour};
use crate::control::OauthFaultRequest;
use crate::device::Devices;
use crate::fault::OauthFault;
use crate::journal::Journal;
use crate::login::{Logins, Tokens};
use crate::reasoning::Reasoning;
use crate::refusal::{Place, Refusal, Refusals};
use crate::token::now;
use crate::usage::Usage;
use crate::way::Way;

pub(crate) struct World {
    pub(crate) accounts: BTreeMap<String, Account>,
    pub(crate) devices: Devices,
    pub(crate) logins: Logins,
    pub(crate) journal: Journal,
    pub(crate) reasoning: Reasoning,
    pub(crate) refusals: Refusals,
    faults: Vec<OauthFaultRequest>,
}

/// The world as handlers and tests share it. Nobody holds the lock across an await.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Mutex<World>>);

impl Shared {
    pub(crate) fn new(world: World) -> Self {
        Self(Arc::new(Mutex::new(world)))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, World> {
        // A handler that panicked leaves at worst a request half recorded; the others can go on.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World {
    pub(crate) fn new(approve: Vec<String>, journal: Journal) -> Self {
        Self {
            accounts: approve.iter().map(|email| (email.clone(), Account::of(email))).collect(),
            devices: Devices::approving(approve),
            logins: Logins::default(),
            journal,
            reasoning: Reasoning::default(),
            refusals: Refusals::default(),
            faults: Vec::new(),
        }
    }

    /// The account with this e-mail, which exists from its first mention.
    pub(crate) fn account(&mut self, email: &str) -> &mut Account {
        self.accounts.entry(email.to_owned()).or_insert_with(|| Account::of(email))
    }

    /// The account as it is at this moment: its windows that have ended begin again.
    pub(crate) fn account_now(&mut self, email: &str) -> Account {
        let account = self.account(email).clone();
        Account { usage: account.usage.at(now()), ..account }
    }

    /// What every account has used at this moment.
    pub(crate) fn usages(&self) -> BTreeMap<String, Usage> {
        let usage = |account: &Account| account.usage.clone().at(now());
        self.accounts.iter().map(|(email, account)| (email.clone(), usage(account))).collect()
    }

    /// How a request that `account` makes now is refused; one that was counted is counted down.
    pub(crate) fn take_refusal(
        &mut self,
        place: Place,
        account: &Account,
        model: Option<&str>,
    ) -> Option<Refusal> {
        if let Some(told) = self.refusals.find(place, &account.email, model).cloned() {
            self.refusals.count_down(&told);
            return Some(Refusal::of(&told));
        }
        match model {
            Some(model) => account.refusal(model),
            None => (account.behaviour == Behaviour::Invalidated)
                .then(|| Refusal::plain(Way::Invalidated, account.resets_at)),
        }
    }

    /// Whether every request to `place` meets a challenge; one that was counted is counted down.
    pub(crate) fn take_challenge(&mut self, place: Place) -> bool {
        let Some(challenge) = self.refusals.challenge(place).cloned() else { return false };
        self.refusals.count_down(&challenge);
        true
    }

    /// The other accounts with a login that would serve a request for `model` now.
    pub(crate) fn quota_elsewhere(&self, email: &str, model: &str) -> Vec<String> {
        let serves = |account: &&Account| {
            let now = Account { usage: account.usage.clone().at(now()), ..(*account).clone() };
            account.email != email
                && self.logins.is_signed_in(&account.email)
                && self.refusals.find(Place::Responses, &account.email, Some(model)).is_none()
                && now.refusal(model).is_none()
        };
        self.accounts.values().filter(serves).map(|account| account.email.clone()).collect()
    }

    /// A login of `email` without the ceremony.
    pub(crate) fn sign_in(&mut self, email: &str) -> Tokens {
        let account = self.account(email).clone();
        self.logins.begin(&account)
    }

    /// Sets the fault for one account, or for all that have none of their own.
    pub(crate) fn set_fault(&mut self, request: OauthFaultRequest) {
        self.faults.retain(|fault| fault.email != request.email);
        self.faults.push(request);
    }

    /// The fault that befalls a request for `email`'s tokens; one that was counted is counted down.
    pub(crate) fn take_fault(&mut self, email: Option<&str>) -> OauthFault {
        let own =
            self.faults.iter().position(|fault| fault.email.is_some() && fault.email.as_deref() == email);
        let Some(at) = own.or_else(|| self.faults.iter().position(|fault| fault.email.is_none())) else {
            return OauthFault::None;
        };
        let fault = self.faults[at].fault.clone();
        if let Some(times) = &mut self.faults[at].times {
            *times = times.saturating_sub(1);
            if *times == 0 {
                self.faults.remove(at);
            }
        }
        fault
    }
}
