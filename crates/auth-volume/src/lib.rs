//! The volume that holds the logins: what lies where on it, what the files mean, and how they are written.
//!
//! Everything that touches `/chatgpt-auth` goes through here, so that one place answers for each rule: a
//! [`Slot`] is a number from 1 on, an [`AccountId`] is never an index, a [`Secret`] never reaches a log, and
//! only a [`Locked`] volume can be written.

pub mod account;
pub mod almost;
pub mod args;
pub mod atomic;
pub mod audit;
pub mod callback;
pub mod claims;
pub mod clock;
pub mod counters;
mod document;
pub mod draft;
pub mod env_fed;
pub mod exit;
#[cfg(test)]
mod fixture;
pub mod grants;
pub mod layout;
pub mod leftovers;
mod lock;
pub mod log;
pub mod login;
mod login_abort;
pub mod masters;
pub mod output;
mod owner;
pub mod private_file;
pub mod published;
mod record_file;
pub mod secret;
mod settle;
pub mod signal;
pub mod signal_files;
pub mod slot;
pub mod state;
pub mod telling;
pub mod text;
pub mod trial;
pub mod usage;
pub mod volume;
pub mod writers;

pub use account::{AccountId, Naming};
pub use clock::{Expiry, Timestamp};
pub use layout::Layout;
pub use lock::{Locked, LoginLock};
pub use login::{Generation, Login};
pub use secret::Secret;
pub use slot::Slot;
pub use volume::{Volume, VolumeError};
