//! What the pages quote from the code is in the code.

use fixture::workspace::SHIPPED;

use crate::habits::sources::shipped;
use crate::habits::variables::is_variable;
use crate::pages::page;

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
    let source: String = shipped().replace("\\\n", " ").split_whitespace().collect::<Vec<_>>().join(" ");
    let quoted =
        [page("docs/log.md"), page("docs/operator.md")].map(|page| page.first_cells("it says")).concat();
    assert!(quoted.len() > 60, "{quoted:?}");
    let parts = quoted.iter().flat_map(|line| own_words(line).into_iter().map(move |words| (line, words)));
    let unheard_of: Vec<_> = parts.filter(|(_, words)| !source.contains(words)).collect();
    assert!(unheard_of.is_empty(), "no program says so: {unheard_of:#?}");
}
