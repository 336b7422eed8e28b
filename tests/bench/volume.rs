//! A volume with logins, on a file system of one's choice.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use fixture::workspace::{repository, shipped};
use support::pod::Pod;

/// Where files are only in memory.
pub(crate) const MEMORY: &str = "/dev/shm";

/// Where they are on a disk.
pub(crate) fn disk() -> PathBuf {
    repository().join("target")
}

/// A pod whose volume is there, with so many accounts.
pub(crate) fn with_accounts(directory: &Path, count: u32) -> Pod {
    let pod = Pod::in_directory(directory);
    for slot in 1..=count {
        pod.put_login(slot, &format!("agent-{slot}@example.test"));
    }
    pod
}

/// One of the utilities on this volume, by its whole path.
pub(crate) fn utility(pod: &Pod, name: &str, args: &[&str]) -> impl Fn() -> Command + use<> {
    let (program, volume) = (shipped(name), pod.path().to_owned());
    let args: Vec<OsString> = args.iter().map(OsString::from).collect();
    move || {
        let mut command = Command::new(&program);
        command.env_clear().env("CHATGPT_AUTH_DIR", &volume).args(&args);
        command
    }
}
