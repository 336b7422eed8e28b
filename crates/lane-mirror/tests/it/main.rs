//! `lane-mirror` from the outside, with an API server that keeps one Secret.

#![expect(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

mod api_server;
mod mirroring;
