//! What only a real Kubernetes shows: the chart as Helm installs it, terminals through `kubectl exec`, pods that are
//! deleted, a node that goes away. The internet alone is a stand-in.
//!
//! The cluster is the one that `scripts/cluster up` starts; each test has a Kubernetes namespace of its own in it.
//! `scripts/test` starts it and ends it.

#![expect(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

mod accepted;
mod agents;
mod backup;
mod following;
mod installed;
mod load;
mod node;
mod outages;
mod releases;
mod rights;
mod rotator;
mod shell;
mod terminals;
mod walk;
mod whole_node;
