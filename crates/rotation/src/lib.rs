//! Carries passes out: reads what a pass judges by, and does what the crate `judgement` decides.
//!
//! [`rotate`](rotate::rotate) serves first, then refreshes what is due. Which account serves, what is due and until when an
//! account is left alone is never decided here.

pub mod error;
pub mod observing;
pub mod pass;
pub mod polling;
mod publishing;
mod queue;
pub mod reading;
mod recover;
pub mod refresh;
pub mod rotate;
pub mod serving;
pub mod stop;
