//! Habits of this repository that are easier kept by a test than by good will.

mod alerts;
mod items;
mod layers;
pub(crate) mod sources;
mod values;
pub(crate) mod variables;
mod versions;

use std::fs;

use fixture::workspace::repository;

use crate::pages::markdown::pages;

#[test]
fn every_crate_says_in_its_first_line_what_it_is_for_and_stands_in_a_page() {
    let pages: String = pages().into_iter().map(|page| page.text).collect();
    for entry in fs::read_dir(repository().join("crates")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let roots = ["src/main.rs", "src/lib.rs"].map(|file| fs::read_to_string(path.join(file)));
        let roots: Vec<_> = roots.into_iter().flatten().collect();
        assert!(!roots.is_empty(), "{name} has neither a program nor a library");
        assert!(roots.iter().all(|root| root.starts_with("//! ")), "{name} does not say what it is for");
        assert!(pages.contains(&format!("`{name}`")), "{name} is in no page");
    }
}

#[test]
fn every_test_is_run() {
    let script = fs::read_to_string(repository().join("scripts/test")).unwrap();
    let metadata = sources::metadata();
    let packages =
        metadata["packages"].as_array().unwrap().iter().filter(|package| package["source"].is_null());
    let targets = packages.flat_map(|package| package["targets"].as_array().unwrap());
    let tests: Vec<_> = targets.filter(|target| target["kind"][0] == "test").collect();
    assert!(tests.len() > 10, "{}", tests.len());
    for test in tests {
        let name = test["name"].as_str().unwrap();
        assert!(
            script.contains(&format!(" --test {name} ")),
            "scripts/test does not run {}",
            test["src_path"]
        );
    }
}

#[test]
fn every_dependency_is_declared_in_the_workspace() {
    for entry in fs::read_dir(repository().join("crates")).unwrap() {
        let manifest = entry.unwrap().path().join("Cargo.toml");
        let text = fs::read_to_string(&manifest).unwrap();
        let dependencies = text
            .split("dependencies]\n")
            .skip(1)
            .flat_map(|part| part.lines().take_while(|l| !l.starts_with('[')));
        for line in dependencies.filter(|line| !line.trim().is_empty()) {
            assert!(line.contains("workspace = true"), "{}: {line}", manifest.display());
        }
    }
}
