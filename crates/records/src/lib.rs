//! What the files on the volume, the tokens and the signals say: slots, accounts, logins, and the state.
//!
//! Pure: bytes and points in time come in, values come out; no file, socket or clock can be reached from here. A [`Slot`]
//! is a number from 1 on, an [`AccountId`] is never an index, and a [`Secret`] never reaches a log.

pub mod account;
pub mod agents;
pub mod audit;
pub mod claims;
pub mod clock;
pub mod consumption;
pub mod counters;
mod document;
pub mod env_fed;
pub mod error;
pub mod grant;
pub mod heartbeat;
pub mod lane;
pub mod limits;
pub mod login;
pub mod mirroring;
pub mod naming;
pub mod probe;
pub mod published;
pub mod readings;
pub mod remedy;
pub mod replicas;
pub mod secret;
pub mod signal;
pub mod slot;
pub mod state;
pub mod text;
pub mod usage;
pub mod writer;

pub use account::AccountId;
pub use clock::{Expiry, Timestamp};
pub use error::{Classified, ErrorClass};
pub use lane::{Lane, LaneCount};
pub use login::{Generation, Login};
pub use naming::Naming;
pub use secret::Secret;
pub use slot::Slot;
