//! What may know what: the crates that judge reach nothing outside, and no modules of a crate know each other in a circle.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use fixture::workspace::repository;

use crate::habits::sources::{NOT_SHIPPED, metadata, rust_files, without_tests};

/// The crates in which nothing but values comes in and goes out.
const PURE: [&str; 3] = ["records", "judgement", "overview"];

/// What reaches a file, a socket, a process or a clock, of ours and of others.
const IMPURE: [&str; 16] = [
    "auth-volume",
    "cli",
    "durable-file",
    "fixture",
    "http-server",
    "hyper",
    "issuer",
    "lanes-secret",
    "nix",
    "rotation",
    "rustix",
    "signal-hook",
    "tempfile",
    "tokio",
    "ureq",
    "which",
];

/// How the standard library reaches the same.
const OUTSIDE: [&str; 10] = [
    "std::fs",
    "std::net",
    "std::process",
    "std::env",
    "std::os",
    "std::io",
    "std::thread",
    "std::sync",
    "Instant",
    "SystemTime::now",
];

#[test]
fn what_judges_depends_on_nothing_that_reaches_a_file_a_socket_or_a_process() {
    let metadata = metadata();
    let name = |id: &str| -> String {
        let packages = metadata["packages"].as_array().unwrap();
        let package = packages.iter().find(|package| package["id"] == id).unwrap();
        package["name"].as_str().unwrap().to_owned()
    };
    let mut needs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for node in metadata["resolve"]["nodes"].as_array().unwrap() {
        let normal = node["deps"].as_array().unwrap().iter().filter(|dependency| {
            dependency["dep_kinds"].as_array().unwrap().iter().any(|kind| kind["kind"].is_null())
        });
        let ids = normal.map(|dependency| name(dependency["pkg"].as_str().unwrap()));
        needs.entry(name(node["id"].as_str().unwrap())).or_default().extend(ids);
    }
    for pure in PURE {
        let (mut known, mut next) = (BTreeSet::new(), vec![pure.to_owned()]);
        while let Some(crate_name) = next.pop() {
            if known.insert(crate_name.clone()) {
                next.extend(needs[&crate_name].iter().cloned());
            }
        }
        assert!(known.len() > 3, "{pure}: {known:?}");
        let impure: Vec<_> = IMPURE.iter().filter(|name| known.contains(**name)).collect();
        assert!(impure.is_empty(), "{pure} depends on {impure:?}");
    }
}

#[test]
fn what_judges_names_nothing_of_the_standard_library_that_reaches_outside() {
    for pure in PURE {
        let files = files(&repository().join("crates").join(pure).join("src"));
        assert!(files.len() > 3, "{pure}: {files:?}");
        for file in files {
            let source = without_tests(&file);
            for word in OUTSIDE {
                assert!(!source.contains(word), "{} names {word}", file.display());
            }
        }
    }
}

#[test]
fn no_modules_of_a_shipped_crate_know_each_other_in_a_circle() {
    let crates = fs::read_dir(repository().join("crates")).unwrap().map(|entry| entry.unwrap().path());
    for path in crates.filter(|path| !NOT_SHIPPED.iter().any(|name| path.ends_with(name))) {
        let source = path.join("src");
        let graph = graph(&source);
        let mut done = BTreeSet::new();
        for module in graph.keys() {
            assert_no_circle(&source, &graph, module, &mut Vec::new(), &mut done);
        }
    }
}

type Graph = BTreeMap<String, BTreeSet<String>>;

/// Which modules the modules of a crate name: by their path, or by an item that the root gives on.
fn graph(source: &Path) -> Graph {
    let root =
        ["lib.rs", "main.rs"].into_iter().filter_map(|root| fs::read_to_string(source.join(root)).ok());
    let given_on = given_on(&root.collect::<String>());
    let mut graph = Graph::new();
    for file in files(source) {
        let Some(module) = module_of(source, &file) else { continue };
        let text = without_tests(&file);
        let targets = graph.entry(module.clone()).or_default();
        for after in text.split("crate::").skip(1) {
            let names: Vec<_> = match after.strip_prefix('{') {
                Some(list) => list.split('}').next().unwrap().split(',').map(first_name).collect(),
                None => vec![first_name(after)],
            };
            for name in names {
                let target = given_on.get(&name).cloned().unwrap_or(name);
                if target != module && source.join(format!("{target}.rs")).exists() {
                    targets.insert(target);
                }
            }
        }
    }
    graph
}

/// Which module an item is in that the root makes public under its own name.
fn given_on(root: &str) -> BTreeMap<String, String> {
    let mut items = BTreeMap::new();
    for statement in root.split("pub use ").skip(1) {
        let path = statement.split(';').next().unwrap().trim_start_matches("crate::");
        let Some((module, rest)) = path.split_once("::") else { continue };
        for item in rest.trim_matches(['{', '}']).split(',') {
            items.insert(item.trim().to_owned(), module.to_owned());
        }
    }
    items
}

fn first_name(text: &str) -> String {
    text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The module right below the root that a file belongs to.
fn module_of(source: &Path, file: &Path) -> Option<String> {
    let first = file.strip_prefix(source).unwrap().iter().next()?.to_str()?;
    let module = first.trim_end_matches(".rs");
    (!matches!(module, "lib" | "main" | "tests")).then(|| module.to_owned())
}

fn files(directory: &Path) -> Vec<PathBuf> {
    rust_files(directory).into_iter().filter(|path| !path.ends_with("tests.rs")).collect()
}

fn assert_no_circle(
    source: &Path,
    graph: &Graph,
    module: &str,
    path: &mut Vec<String>,
    done: &mut BTreeSet<String>,
) {
    assert!(!path.iter().any(|before| before == module), "{}: {path:?}, {module}", source.display());
    if done.contains(module) {
        return;
    }
    path.push(module.to_owned());
    for next in graph.get(module).into_iter().flatten() {
        assert_no_circle(source, graph, next, path, done);
    }
    path.pop();
    done.insert(module.to_owned());
}
