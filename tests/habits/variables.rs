//! Every environment variable that something reads is in a page.

use std::collections::BTreeSet;
use std::fs;

use crate::habits::sources::shipped;
use crate::pages::markdown::{Page, pages};
use fixture::workspace::repository;

/// Words in capitals that are no variables: the name of an argument, a key of codex's own file.
const NO_VARIABLES: [&str; 2] = ["CODEX_LOGIN_ARGS", "OPENAI_API_KEY"];

/// What every process has.
const EVERYWHERE: [&str; 2] = ["HOME", "PATH"];

/// Whether a word has the form of a variable's name, and is not one that Cargo sets for a build.
pub(crate) fn is_variable(word: &str) -> bool {
    word.contains('_')
        && !word.starts_with("CARGO_")
        && word.starts_with(|c: char| c.is_ascii_uppercase())
        && word.ends_with(|c: char| c.is_ascii_uppercase())
        && word.chars().all(|c| c.is_ascii_uppercase() || c == '_')
}

#[test]
fn every_variable_that_is_read_is_in_a_page() {
    let mut wanted = read_by_programs(&shipped());
    for entry in fs::read_dir(repository().join("scripts")).unwrap() {
        wanted.extend(read_by_a_script(&fs::read_to_string(entry.unwrap().path()).unwrap()));
    }
    for name in ["ARCHITECTURES", "CHATGPT_AUTH_DIR", "CHATGPT_FAILOVER_WAIT_SEC", "GIT_PAT", "TERM"] {
        assert!(wanted.contains(name), "{name} is not found in {wanted:?}");
    }
    let spans: BTreeSet<_> =
        pages().iter().flat_map(Page::spans).map(|span| span.trim().to_owned()).collect();
    let excused = [NO_VARIABLES, EVERYWHERE].concat();
    let missing: Vec<_> =
        wanted.iter().filter(|name| !excused.contains(&name.as_str()) && !spans.contains(*name)).collect();
    assert!(missing.is_empty(), "in no page: {missing:?}");
}

/// What looks like a variable, for many are named far from where they are read, and what is read on the spot.
fn read_by_programs(source: &str) -> BTreeSet<String> {
    let quoted = source.split('"').filter(|word| is_variable(word));
    let calls = ["env::var(\"", "env::var_os(\""].into_iter().flat_map(|call| source.split(call).skip(1));
    quoted.chain(calls.map(name)).map(str::to_owned).collect()
}

/// Names with a default, for a script ends at any other that is not set, and lists of names.
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

/// The name that a text begins with.
fn name(text: &str) -> &str {
    text.split(|c: char| !c.is_ascii_uppercase() && !c.is_ascii_digit() && c != '_').next().unwrap()
}
