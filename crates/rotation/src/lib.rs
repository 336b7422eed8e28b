//! The judgement of the rotator, which `rotate-once` carries out and `accounts` shows: what signals mean, until when
//! an account is left alone, what is renewed, who serves.
//!
//! Judging is pure: [`decide`](decide::decide) takes a world, a policy and the time, and gives a plan. Reading the
//! world and carrying a plan out are beside it, at the edges: [`world`] and [`pass`].

pub mod absorb;
pub mod args;
pub mod cooldown;
mod counting;
pub mod decide;
pub mod due;
mod harvest;
pub mod pass;
pub mod refresh;
pub mod report;
pub mod stop;
pub mod world;
