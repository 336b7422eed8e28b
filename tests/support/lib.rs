//! What the end-to-end tests, those of what is installed, and the benchmarks share.

#![expect(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

pub mod budgets;
pub mod litellm;
pub mod pod;
pub mod podman;
