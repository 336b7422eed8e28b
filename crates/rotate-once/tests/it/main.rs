//! `rotate-once` from the outside: what it logs, what it leaves on the volume, and which requests it sends.

#![expect(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

mod cases;
mod cli;
mod events;
mod refresh;
mod scene;
mod serving;
mod wire;
