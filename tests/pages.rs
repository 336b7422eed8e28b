//! The pages that people read: short where that is promised, linked to what is there, in the words of the glossary,
//! and true to the programs.

mod commands;
pub(crate) mod markdown;
mod quotes;

use std::collections::BTreeSet;
use std::fs;

use fixture::workspace::repository;
use serde_json::Value;

use crate::pages::markdown::{Page, pages};

/// Two screens.
const README_LINES: usize = 120;

/// What is not said in a page, and the word for it.
const NOT_SAID: [(&str, &str); 9] = [
    ("brought home", "stored as the master"),
    ("heard of", "a word for what happens"),
    ("is silent", "a word for what does not happen"),
    ("renew", "refresh"),
    ("sign of life", "heartbeat"),
    ("somebody", "who it is"),
    ("the matter", "condition"),
    ("said no", "refused"),
    ("whoever", "who it is"),
];

pub(crate) fn page(path: &str) -> Page {
    Page::read(repository().join(path))
}

#[test]
fn the_readme_fits_on_two_screens() {
    let lines = page("README.md").text.lines().count();
    assert!(lines <= README_LINES, "{lines} lines");
}

#[test]
fn the_readme_leads_to_every_page() {
    let readme = page("README.md");
    let linked: BTreeSet<_> = readme.links().iter().map(|link| link.file.clone()).collect();
    for page in pages().iter().filter(|page| page.path.starts_with(repository().join("docs"))) {
        assert!(linked.contains(&page.path), "the README does not lead to {page}");
    }
}

#[test]
fn every_link_leads_to_a_file_and_a_heading_that_are_there() {
    for page in pages() {
        for link in page.links() {
            assert!(link.file.exists(), "{page}: no {}", link.target);
            if let Some(anchor) = &link.anchor {
                let anchors = Page::read(link.file).anchors();
                assert!(anchors.contains(anchor), "{page}: no heading for {}: {anchors:?}", link.target);
            }
        }
    }
}

#[test]
fn the_charts_page_can_be_read_without_the_repository() {
    let chart = repository().join("charts/codex-podkit");
    let links = Page::read(chart.join("README.md")).links();
    assert!(links.iter().all(|link| link.file.starts_with(&chart)), "{links:?}");
}

#[test]
fn every_value_of_the_charts_page_is_one_of_the_chart() {
    let schema = fs::read(repository().join("charts/codex-podkit/values.schema.json")).unwrap();
    let schema: Value = serde_json::from_slice(&schema).unwrap();
    let names = page("charts/codex-podkit/README.md").first_cells("value");
    assert!(names.contains(&"agents".to_owned()), "{names:?}");
    for name in names {
        let found = name.split('.').try_fold(&schema, |part, name| {
            let reference = part["$ref"].as_str().and_then(|path| path.strip_prefix('#'));
            let part = reference.map_or(Some(part), |path| schema.pointer(path))?;
            let properties = part["properties"].get(name);
            // What agentDefaults requires besides being an agent's values.
            let agent = || schema.pointer("/definitions/agent/properties")?.get(name);
            properties.or_else(|| part["allOf"].as_array().and_then(|_| agent()))
        });
        assert!(found.is_some(), "the chart has no value {name}");
    }
}

#[test]
fn the_glossary_is_in_order_and_explains_each_word_in_a_sentence() {
    let glossary = page("docs/glossary.md");
    let rows: Vec<_> = glossary.rows().filter(|cells| cells[0] != "word").collect();
    let words: Vec<_> = rows.iter().map(|cells| cells[0].clone()).collect();
    let mut sorted = words.clone();
    sorted.sort();
    sorted.dedup();
    assert!(words.len() > 30);
    assert_eq!(words, sorted);
    for cells in rows {
        let is_sentence = cells[1].ends_with('.') && !cells[1].trim_end_matches('.').contains(". ");
        assert!(is_sentence, "{cells:?}");
    }
}

#[test]
fn the_pages_use_the_words_of_the_glossary() {
    for page in pages() {
        let prose = page.prose().to_lowercase();
        for (word, instead) in NOT_SAID {
            assert!(!prose.contains(word), "{page} says {word:?}; {instead}");
        }
    }
}
