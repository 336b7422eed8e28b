//! All that the stand-in remembers, behind one lock.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::account::Account;
use crate::control::OauthFaultRequest;
use crate::device::Devices;
use crate::fault::OauthFault;
use crate::journal::Journal;
use crate::login::{Logins, Tokens};

pub(crate) struct World {
    pub(crate) accounts: BTreeMap<String, Account>,
    pub(crate) devices: Devices,
    pub(crate) logins: Logins,
    pub(crate) journal: Journal,
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
            faults: Vec::new(),
        }
    }

    /// The account with this e-mail, which exists from its first mention.
    pub(crate) fn account(&mut self, email: &str) -> &mut Account {
        self.accounts.entry(email.to_owned()).or_insert_with(|| Account::of(email))
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
