//! Every item says what it is. `missing_docs` would ask the same of fields and variants, whose names mostly say it.

use std::fs;

use crate::habits::sources::rust_files;
use fixture::workspace::repository;

const ITEMS: [&str; 11] =
    ["async", "const", "enum", "fn", "macro", "static", "struct", "trait", "type", "union", "unsafe"];

/// The items that any crate can use and that say nothing of themselves. A module does so within its file.
fn undocumented(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut is_documented = false;
    let mut in_attribute = false;
    for line in text.lines().map(str::trim) {
        if in_attribute || line.starts_with("#[") {
            in_attribute = !line.ends_with(']');
        } else if line.starts_with("///") {
            is_documented = true;
        } else {
            let item = line.strip_prefix("pub ").and_then(|rest| rest.split(' ').next());
            if item.is_some_and(|item| ITEMS.contains(&item)) && !is_documented {
                found.push(line);
            }
            is_documented = false;
        }
    }
    found
}

#[test]
fn every_public_item_says_what_it_is() {
    let files = rust_files(&repository().join("crates"));
    assert!(files.len() > 100, "{files:?}");
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let found = undocumented(&text);
        assert!(found.is_empty(), "{}: without a doc comment: {found:#?}", file.display());
    }
}

#[test]
fn every_source_file_says_in_its_first_line_what_it_is_for() {
    for file in
        rust_files(&repository().join("crates")).into_iter().filter(|file| !file.ends_with("tests.rs"))
    {
        assert!(fs::read_to_string(&file).unwrap().starts_with("//! "), "{}", file.display());
    }
}

#[test]
fn an_item_is_found_behind_its_attributes_and_a_field_is_not_asked() {
    let text = "/// Said.\n#[derive(Debug)]\npub struct A {\n    pub field: u8,\n}\n\n#[expect(\n    dead_code,\n    \
                reason = \"none\"\n)]\npub fn b() {}\n\n    pub async fn c() {}\n    pub(crate) fn d() {}\n";
    assert_eq!(undocumented(text), ["pub fn b() {}", "pub async fn c() {}"]);
}
