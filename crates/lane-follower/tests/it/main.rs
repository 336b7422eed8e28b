//! `lane-follower` from the outside, with an API server that lists and watches one Secret, and that fails.

#![expect(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

mod api_server;
mod follower;
mod following;
mod once;
mod outages;
