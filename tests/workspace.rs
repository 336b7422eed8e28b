//! Where things are, and how long they may take.

use std::env;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up on it.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Everything that is shipped.
pub(crate) const SHIPPED: [&str; 6] =
    ["accounts", "accounts-serve", "auth-login", "idle", "rotate-once", "seed-codex-config"];

pub(crate) fn wait_until(what: &str, mut is_true: impl FnMut() -> bool) {
    let give_up = Instant::now() + PATIENCE;
    while !is_true() {
        assert!(Instant::now() < give_up, "gave up waiting until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

pub(crate) fn tool(path: &str) -> PathBuf {
    let path = repository().join("target/tools").join(path);
    assert!(path.exists(), "no {}: run scripts/setup-tools, as scripts/test does", path.display());
    path
}

/// The directory of the release binaries.
pub(crate) fn binaries() -> PathBuf {
    let directory = env::var_os("CODEX_PODKIT_BIN").map(PathBuf::from);
    directory.expect("run scripts/test, or set CODEX_PODKIT_BIN to the directory that scripts/build prints")
}

pub(crate) fn shipped(name: &str) -> PathBuf {
    let path = binaries().join(name);
    assert!(path.is_file(), "no {}: run scripts/build", path.display());
    path
}
