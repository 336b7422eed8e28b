//! The volume that holds the logins: what lies where on it, and how it is read and written.
//!
//! All access to `/chatgpt-auth` goes through this crate, so that each rule is in one place. Reading is free; only a
//! [`Locked`] volume can be written. What the files say is in the crate `records`.

mod audit_file;
pub mod clock;
pub mod directory_check;
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
pub mod misnamed;
mod record_file;
pub mod reserved_master;
mod restored;
mod settle;
pub mod signal_files;
pub mod state_file;
mod usage_files;
pub mod volume;
pub mod writers;

pub use error::VolumeError;
pub use layout::Layout;
pub use lock::{Locked, LoginLock};
pub use volume::Volume;
