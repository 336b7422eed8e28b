//! What crosses binaries or needs the real codex and the real LiteLLM: the utilities as they are shipped, with
//! OpenAI's servers played by the stand-in.
//!
//! `scripts/test` builds and installs what these tests need; without it they fail and say so.

#![expect(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

mod agent;
mod agent_keys;
mod arm64;
mod binaries;
mod failover;
mod faults;
mod habits;
mod killed_login;
mod lanes;
mod litellm;
mod pages;
mod quota;
mod refusals;
mod remedies;
mod replicas;
mod rotation;
mod sign_in;
mod signals;
mod sizes;
mod steering;
mod threads;
