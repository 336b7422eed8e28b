//! What codex, `LiteLLM` and the rotator meet, seen from the client's side of the wire.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod backend;
mod cli;
mod client;
mod device;
mod oauth;
mod reasoning;
mod refusal;
mod usage;
