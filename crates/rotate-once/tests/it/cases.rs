//! Each folder in `cases/` is a test: the volume `before`, the `command`, what it prints, and the volume `after`.
//!
//! `TIME` stands for any time and `VOLUME` for the directory; `.lock`, `.last-pass` and `.gitkeep` do not count.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use assert_cmd::cargo::cargo_bin_cmd;

const STATE: &str = "rotator_state.json";

#[test]
fn every_case_ends_as_its_folder_says() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut names: Vec<_> = fs::read_dir(cases).unwrap().map(|case| case.unwrap().path()).collect();
    names.sort();
    assert!(names.len() > 20, "the cases are gone");
    let failed = names.iter().filter(|case| std::panic::catch_unwind(|| run(case)).is_err());
    assert_eq!(failed.count(), 0, "cases failed: see above");
}

fn run(case: &Path) {
    let name = case.file_name().unwrap().to_str().unwrap();
    let volume = tempfile::tempdir().unwrap();
    copy(&case.join("before"), volume.path());
    let volume_path = volume.path().to_str().unwrap();
    let expected = |file: &str| fs::read_to_string(case.join(file)).unwrap_or_default();
    let command = expected("command");
    let args = command.split_whitespace().skip(1);
    let output = cargo_bin_cmd!("rotate-once")
        .env_clear()
        .env("CHATGPT_AUTH_DIR", volume.path())
        .args(args)
        .output()
        .unwrap();
    let printed = |bytes: &[u8]| normal(&String::from_utf8_lossy(bytes), volume_path);
    assert_eq!(printed(&output.stderr), expected("stderr"), "{name}: stderr");
    assert_eq!(printed(&output.stdout), expected("stdout"), "{name}: stdout");
    assert_eq!(output.status.code().unwrap().to_string(), expected("exit").trim(), "{name}: exit code");
    assert_eq!(
        tree(volume.path(), volume_path),
        tree(&case.join("after"), volume_path),
        "{name}: the volume after"
    );
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            fs::create_dir(&target).unwrap();
            copy(&entry.path(), &target);
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path()).unwrap(), target).unwrap();
        } else {
            fs::copy(entry.path(), &target).unwrap();
            fs::set_permissions(&target, Permissions::from_mode(0o600)).unwrap();
        }
    }
}

/// Every file below a directory and its content, with times and the directory's own name made equal.
fn tree(directory: &Path, volume: &str) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            let below = tree(&entry.path(), volume);
            files.extend(below.into_iter().map(|(file, content)| (format!("{name}/{file}"), content)));
        } else if kind.is_symlink() {
            files.insert(name, format!("-> {}", fs::read_link(entry.path()).unwrap().display()));
        } else if ![".lock", ".last-pass", ".gitkeep", "pool.json"].contains(&name.as_str()) {
            let content = fs::read_to_string(entry.path()).unwrap();
            // The state is written for programs; in the folders it can be read.
            let state = serde_json::from_str::<serde_json::Value>(&content).ok().filter(|_| name == STATE);
            let content = state.map_or(content, |state| format!("{state:#}\n"));
            files.insert(normal(&name, volume), normal(&content, volume));
        }
    }
    files
}

/// Makes the volume's path and the times of the run equal; the fixtures' own times are of other years and days.
fn normal(text: &str, volume: &str) -> String {
    let mut rest = text.replace(volume, "VOLUME");
    for kept in ["auth.json.found-", ".json.before-"] {
        let numbered = |(_, after): &(&str, &str)| after.starts_with(|c: char| c.is_ascii_digit());
        if let Some((before, after)) = rest.split_once(kept).filter(numbered) {
            rest = format!("{before}{kept}TIME{}", after.trim_start_matches(|c: char| c.is_ascii_digit()));
        }
    }
    if let Some((before, after)) = rest.split_once(".rotate-now.taken-") {
        let name = |c: char| c.is_ascii_digit() || c == '-';
        rest = format!(
            "{before}.rotate-now.taken-NAME{}",
            after.trim_start_matches("NAME").trim_start_matches(name)
        );
    }
    let mut normal = String::new();
    while let Some(at) = rest.find("20") {
        let time = rest[at..].split_inclusive('Z').next().unwrap_or_default();
        let is_time = time.len() <= 30 && time.ends_with('Z') && time.as_bytes().get(10) == Some(&b'T');
        let is_ours = ["2099-01-01T", "2026-11-01T", "2026-01-01T"].iter().any(|day| time.starts_with(day));
        normal.push_str(&rest[..at]);
        normal.push_str(match (is_time, is_ours) {
            (true, false) => "TIME",
            (true, true) => time,
            (false, _) => "20",
        });
        rest = rest.split_off(at + if is_time { time.len() } else { 2 });
    }
    normal + &rest
}
