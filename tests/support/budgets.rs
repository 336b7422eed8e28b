//! How large each binary may be.

use fixture::workspace::shipped;

/// Bytes each shipped binary may have on x86-64 with glibc. A size is not a time: CI holds to it.
///
/// Room for a twentieth, so that a tenth more never passes unnoticed; whoever makes a binary larger says why in
/// `docs/benchmarks.md` and raises its budget here, and lowers it where one became smaller.
pub const BUDGETS: [(&str, u64); 10] = [
    ("accounts", 4_200_000),
    ("accounts-serve", 2_200_000),
    ("agent-key", 1_625_000),
    ("auth-login", 2_130_000),
    ("idle", 1_275_000),
    ("lane-follower", 3_155_000),
    ("lane-mirror", 3_160_000),
    ("rotate-once", 4_020_000),
    ("seed-codex-config", 1_710_000),
    ("signal-receiver", 1_870_000),
];

/// How large one of the release binaries is.
#[must_use]
pub fn bytes(name: &str) -> u64 {
    std::fs::metadata(shipped(name)).unwrap().len()
}
