//! The source that the habits look at.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use fixture::workspace::repository;
use serde_json::Value;

/// Crates of which nothing is in an image or an archive.
pub(crate) const NOT_SHIPPED: [&str; 2] = ["fixture", "stand-in"];

/// Each `.rs` file below this directory.
pub(crate) fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// The source of all that is shipped, files one after the other and without their tests.
pub(crate) fn shipped() -> String {
    let crates = fs::read_dir(repository().join("crates")).unwrap().map(|entry| entry.unwrap().path());
    let shipped = crates.filter(|path| !NOT_SHIPPED.iter().any(|name| path.ends_with(name)));
    let files =
        shipped.flat_map(|path| rust_files(&path.join("src"))).filter(|path| !path.ends_with("tests.rs"));
    let callback = fs::read_to_string(repository().join("charts/codex-podkit/files/rotate_now.py")).unwrap();
    files.map(|path| without_tests(&path)).chain([callback]).collect()
}

/// A file's source without its tests.
pub(crate) fn without_tests(file: &Path) -> String {
    fs::read_to_string(file).unwrap().split("#[cfg(test)]\nmod tests").next().unwrap().to_owned()
}

/// What cargo knows of the workspace.
pub(crate) fn metadata() -> Value {
    let metadata = Command::new("cargo")
        .args(["metadata", "--locked", "--offline", "--format-version", "1"])
        .current_dir(repository())
        .output()
        .unwrap();
    serde_json::from_slice(&metadata.stdout).unwrap()
}
