//! Every environment variable that a script reads, or a program directly, is in a page.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use crate::habits::items::sources;
use crate::pod::repository;

/// What every process has.
const EVERYWHERE: [&str; 2] = ["HOME", "PATH"];

/// The name at the beginning of a text, as variables are named.
fn name(text: &str) -> &str {
    text.split(|c: char| !c.is_ascii_uppercase() && !c.is_ascii_digit() && c != '_').next().unwrap()
}

/// What a script takes from outside: names with a default, for it ends at any other that is not set, and lists of names.
fn read_by_a_script(text: &str) -> BTreeSet<String> {
    let code: Vec<_> = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let expanded = code.iter().flat_map(|line| line.split("${").skip(1));
    let with_default = expanded.filter_map(|rest| {
        let name = name(rest);
        rest[name.len()..].trim_start_matches(':').starts_with('-').then_some(name)
    });
    let lists = code.iter().filter_map(|line| line.trim_start().strip_prefix("for name in "));
    let listed = lists.flat_map(str::split_whitespace).map(name);
    with_default.chain(listed).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn read_by_a_program(text: &str) -> BTreeSet<String> {
    let calls = ["env::var(\"", "env::var_os(\""].into_iter().flat_map(|call| text.split(call).skip(1));
    calls.map(|rest| name(rest).to_owned()).collect()
}

fn files_in(directory: &str) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(repository().join(directory)).unwrap().map(|entry| entry.unwrap().path())
}

#[test]
fn every_variable_that_is_read_is_in_a_page() {
    let read = |path: PathBuf| fs::read_to_string(path).unwrap();
    let scripts = files_in("scripts").flat_map(|path| read_by_a_script(&read(path)));
    let programs = sources(&repository().join("crates")).into_iter().map(read);
    let wanted: BTreeSet<_> = scripts.chain(programs.flat_map(|text| read_by_a_program(&text))).collect();
    for name in ["CONTAINER_TOOL", "GIT_PAT", "LITELLM_API_KEY", "TERM"] {
        assert!(wanted.contains(name), "{name} is not found in {wanted:?}");
    }
    let pages =
        files_in("").chain(files_in("docs")).filter(|path| path.extension().is_some_and(|e| e == "md"));
    let pages: String = pages.map(read).collect();
    let is_named = |name: &str| EVERYWHERE.contains(&name) || pages.contains(&format!("`{name}`"));
    let missing: Vec<_> = wanted.iter().filter(|name| !is_named(name)).collect();
    assert!(missing.is_empty(), "in no page: {missing:?}");
}
