//! As users install it: the chart that Helm renders, the images, and pods of real containers.
//!
//! `scripts/test` builds and installs what these tests need; without it they fail and say so.

#![expect(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

mod agent_keys;
mod agents;
mod arm64;
mod browser;
mod chart;
mod cluster;
mod helm_test;
mod images;
mod kubectl;
mod manifest;
mod monitoring;
mod page;
mod pods;
mod refused_values;
mod replicas;
mod served;
mod users_values;
