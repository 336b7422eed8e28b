//! Podman, which runs the images and stands for a cluster.

use std::process::{Command, Output};
use std::time::Duration;

use fixture::workspace::tool;

/// Podman with the store that `scripts/setup-tools pod-images` filled.
#[must_use]
pub fn podman<'a>(args: impl IntoIterator<Item = &'a str>) -> Command {
    podman_within(Duration::from_mins(3), args)
}

/// The same, with more time than most of it needs.
#[must_use]
pub fn podman_within<'a>(patience: Duration, args: impl IntoIterator<Item = &'a str>) -> Command {
    // One that waits for itself, as this one at times does, is a failure and not the end of the day.
    let mut command = Command::new("timeout");
    command
        .args(["--kill-after", "1", &patience.as_secs().to_string(), "podman"])
        .env("CONTAINERS_CONF", tool("podman/containers.conf"))
        .env("CONTAINERS_STORAGE_CONF", tool("podman/storage.conf"))
        .args(args);
    command
}

/// What it says on stdout; it must succeed.
#[must_use]
pub fn said<'a>(args: impl IntoIterator<Item = &'a str>) -> String {
    text_of(&podman(args).output().unwrap())
}

/// Has podman do something, in which it must succeed.
pub fn does<'a>(args: impl IntoIterator<Item = &'a str>) {
    let _ = said(args);
}

/// What a command that succeeded said on stdout.
#[must_use]
pub fn text_of(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}
