//! Where a login belongs that another program wrote into the published record.

use records::{Login, Slot};

use crate::candidate::Candidate;
use crate::pool::Pool;

/// Where a login belongs that was found in `auth.json`.
#[derive(Debug, PartialEq, Eq)]
pub enum Destination {
    /// In the slot of its account, whose master is older.
    Older(Slot),
    /// In this free slot: no slot has its account.
    Free(Slot),
    /// Nowhere: the master of its account is as new, or newer.
    Known,
}

/// Finds where a login belongs, by its own identity and never by which account was published last.
#[must_use]
pub fn destination(pool: &Pool, found: &Login) -> Destination {
    let holder = pool.holder(&found.account).filter(|holder| holder.is_stored);
    if let Some(Candidate { slot, login: Ok(master), .. }) = holder {
        let is_newer = found.generation() > master.generation() && found.grant() != master.grant();
        return if is_newer { Destination::Older(*slot) } else { Destination::Known };
    }
    let taken: Vec<_> = pool.slots.iter().filter(|slot| slot.is_stored).map(|slot| slot.slot).collect();
    Destination::Free(Slot::first_free(&taken))
}
