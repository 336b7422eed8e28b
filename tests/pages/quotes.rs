//! What the pages quote from the code is in the code, and what the code reads is in the pages.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use fixture::workspace::{SHIPPED, repository};

use crate::pages::markdown::{Page, pages};
use crate::pages::page;

/// Words in capitals that are no variables: the name of an argument, a key of codex's own file.
const NO_VARIABLES: [&str; 2] = ["CODEX_LOGIN_ARGS", "OPENAI_API_KEY"];

/// The source of all that is shipped, files one after the other and without their tests.
fn source() -> String {
    let mut text = String::new();
    for entry in fs::read_dir(repository().join("crates")).unwrap() {
        let path = entry.unwrap().path();
        if !path.ends_with("stand-in") {
            read_below(&path.join("src"), &mut text);
        }
    }
    text + &fs::read_to_string(repository().join("charts/codex-podkit/files/rotate_now.py")).unwrap()
}

fn read_below(directory: &Path, text: &mut String) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_below(&path, text);
        } else if !path.ends_with("tests.rs") {
            let file = fs::read_to_string(&path).unwrap();
            text.push_str(file.split("#[cfg(test)]\nmod tests").next().unwrap());
        }
    }
}

fn is_variable(word: &str) -> bool {
    word.contains('_')
        && !word.starts_with("CARGO_")
        && word.starts_with(|c: char| c.is_ascii_uppercase())
        && word.ends_with(|c: char| c.is_ascii_uppercase())
        && word.chars().all(|c| c.is_ascii_uppercase() || c == '_')
}

#[test]
fn every_variable_that_the_code_reads_is_in_a_page() {
    let source = source();
    let quoted: BTreeSet<_> = source.split('"').filter(|word| is_variable(word)).collect();
    assert!(
        quoted.contains("CHATGPT_AUTH_DIR") && quoted.contains("CHATGPT_FAILOVER_WAIT_SEC"),
        "{quoted:?}"
    );
    let spans: BTreeSet<_> =
        pages().iter().flat_map(Page::spans).map(|span| span.trim().to_owned()).collect();
    let missing: Vec<_> =
        quoted.into_iter().filter(|name| !NO_VARIABLES.contains(name) && !spans.contains(*name)).collect();
    assert!(missing.is_empty(), "in no page: {missing:?}");
}

/// Whether a word of a quoted line is not the program's own, but an example, such as `account-1`, `X`, a time or `…`.
fn is_example(word: &str) -> bool {
    word.starts_with("account-")
        || word.contains(".json")
        || word.contains(|c: char| c.is_ascii_digit() || "…\"".contains(c))
        || ["N", "X", "Y"].contains(&word)
        || SHIPPED.contains(&word)
        || is_variable(word)
}

/// The program's own words in a quoted line, cut at examples and where it may have put pieces together.
fn own_words(line: &str) -> Vec<String> {
    let mut parts = vec![Vec::new()];
    for word in line.split_whitespace() {
        let bare = word.trim_matches(|c: char| "(),:;".contains(c));
        if is_example(bare) || word.starts_with('(') {
            parts.push(Vec::new());
        }
        if !is_example(bare) {
            parts.last_mut().unwrap().push(bare);
        }
        if word.ends_with([')', ',', ':', ';']) {
            parts.push(Vec::new());
        }
    }
    parts.iter().map(|words| words.join(" ")).filter(|words| words.len() > 5).collect()
}

#[test]
fn every_line_that_the_log_page_quotes_is_one_that_a_program_prints() {
    // As it is printed: a literal that goes on in the next line of code is one line.
    let source: String = source().replace("\\\n", " ").split_whitespace().collect::<Vec<_>>().join(" ");
    let quoted =
        [page("docs/log.md"), page("docs/operator.md")].map(|page| page.first_cells("it says")).concat();
    assert!(quoted.len() > 60, "{quoted:?}");
    let parts = quoted.iter().flat_map(|line| own_words(line).into_iter().map(move |words| (line, words)));
    let unheard_of: Vec<_> = parts.filter(|(_, words)| !source.contains(words)).collect();
    assert!(unheard_of.is_empty(), "no program says so: {unheard_of:#?}");
}
