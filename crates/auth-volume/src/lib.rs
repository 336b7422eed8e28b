//! The volume that holds the logins: what lies where on it, and how it is read and written.
//!
//! Everything that touches `/chatgpt-auth` goes through here, so that one place answers for each rule. Reading is free; only
//! a [`Locked`] volume can be written. What the files say is in the crate `records`.

pub mod almost;
mod audit_file;
pub mod clock;
pub mod error;
#[cfg(test)]
mod fixture;
pub mod grants;
mod heartbeats;
pub mod layout;
pub mod leftovers;
pub mod lock;
mod login_abort;
pub mod masters;
mod record_file;
mod settle;
pub mod signal_files;
pub mod state_file;
pub mod trial;
pub mod volume;
pub mod writers;

pub use error::VolumeError;
pub use layout::Layout;
pub use lock::{Locked, LoginLock};
pub use volume::Volume;
