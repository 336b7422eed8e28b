//! The judgement of the rotator, which `rotate-once` carries out and `accounts` shows: what signals mean, until when an
//! account is left alone, what is refreshed, and which account serves.
//!
//! Pure: the pool, the options and the time come in, and a plan comes out. No file, socket, process or clock can be reached
//! from here, because none of this crate's dependencies reaches one.

pub mod assess;
pub mod candidate;
pub mod cooldown;
pub mod counting;
pub mod decide;
pub mod due;
pub mod follow;
pub mod forecast;
pub mod interpret;
pub mod mirror;
pub mod models;
pub mod phrases;
pub mod plan;
pub mod policy;
pub mod poll;
pub mod pool;
pub mod quota;
pub mod recovery;
pub mod report;
pub mod take_readings;
