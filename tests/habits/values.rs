//! The chart's page describes its values by the comments of `values.yaml`, and forgets none.

use std::env;
use std::fmt::Write as _;
use std::fs;

use fixture::workspace::repository;

const BEGIN: &str = "<!-- made of values.yaml: UPDATE_SNAPSHOTS=1 cargo test -p end-to-end --test end-to-end habits::values -->\n";
const END: &str = "\n## Where to read on";

/// A key of `values.yaml`.
#[derive(Debug)]
struct Key {
    /// The keys above it, and its own name.
    path: Vec<String>,
    /// What is written behind it; empty for a map whose keys follow.
    value: String,
    /// The first paragraph above it.
    comment: String,
}

/// The keys, in their order. The file keeps to what is easy to read: a list is on one line.
fn keys(text: &str) -> Vec<Key> {
    let mut keys = Vec::new();
    let mut above: Vec<String> = Vec::new();
    let (mut comment, mut is_over) = (String::new(), false);
    for line in text.lines() {
        let (indent, it) = (line.len() - line.trim_start().len(), line.trim_start());
        if let Some(words) = it.strip_prefix('#') {
            is_over |= words.trim().is_empty();
            if !is_over {
                comment += words;
            }
        } else if let Some((name, value)) = it.split_once(':') {
            above.truncate(indent / 2);
            above.push(name.to_owned());
            let comment = std::mem::take(&mut comment).trim().to_owned();
            keys.push(Key { path: above.clone(), value: value.trim().to_owned(), comment });
            is_over = false;
        } else {
            assert_eq!(it, "", "neither a comment nor a key");
            (comment, is_over) = (String::new(), false);
        }
    }
    keys
}

impl Key {
    fn is_below(&self, other: &Self) -> bool {
        self.path.len() > other.path.len() && self.path.starts_with(&other.path)
    }

    /// A part of the values with a table of its own, by how it is explained.
    fn is_section(&self, keys: &[Self]) -> bool {
        self.path.len() < 3 && keys.iter().any(|key| key.is_below(self) && !key.comment.is_empty())
    }

    /// A line of the table: a value, or a small map with one comment for all that is in it.
    fn row(&self, keys: &[Self]) -> Option<String> {
        let below: Vec<_> = keys.iter().filter(|key| key.is_below(self)).collect();
        if self.comment.is_empty() || below.iter().any(|key| !key.comment.is_empty()) {
            return None;
        }
        let default = if below.is_empty() { self.value.clone() } else { inline(self, &below) };
        Some(format!("| `{}` | `{default}` | {} |\n", self.path.join("."), self.comment.replace('|', "\\|")))
    }
}

/// A map on one line.
fn inline(map: &Key, below: &[&Key]) -> String {
    let children = below.iter().filter(|key| key.path.len() == map.path.len() + 1);
    let parts = children.map(|key| {
        let deeper: Vec<_> = below.iter().copied().filter(|it| it.is_below(key)).collect();
        let value = if deeper.is_empty() { key.value.clone() } else { inline(key, &deeper) };
        format!("{}: {value}", key.path.last().unwrap())
    });
    format!("{{{}}}", parts.collect::<Vec<_>>().join(", "))
}

/// The tables of the page.
fn tables(keys: &[Key]) -> String {
    let mut sections: Vec<(String, &str, String)> = vec![(String::new(), "", String::new())];
    for key in keys {
        if key.is_section(keys) {
            sections.push((key.path.join("."), &key.comment, String::new()));
        } else if let Some(row) = key.row(keys) {
            let of = |(name, ..): &&mut (String, &str, String)| {
                name.is_empty() || key.path.join(".").starts_with(&format!("{name}."))
            };
            sections.iter_mut().rev().find(of).unwrap().2 += &row;
        }
    }
    let mut text = String::new();
    for (name, comment, rows) in sections.iter().filter(|(_, _, rows)| !rows.is_empty()) {
        if !name.is_empty() {
            write!(text, "\n### `{name}`\n").unwrap();
        }
        if !comment.is_empty() {
            write!(text, "\n{comment}\n").unwrap();
        }
        write!(text, "\n| value | default | meaning |\n|---|---|---|\n{rows}").unwrap();
    }
    text
}

fn values() -> Vec<Key> {
    keys(&fs::read_to_string(repository().join("charts/codex-podkit/values.yaml")).unwrap())
}

#[test]
fn every_value_is_explained_by_a_comment_of_its_own_or_of_the_map_that_it_is_in() {
    let keys = values();
    assert!(keys.len() > 150, "{}", keys.len());
    let is_explained = |key: &&Key| {
        let own = key.row(&keys).is_some();
        own || keys.iter().any(|map| key.is_below(map) && map.row(&keys).is_some())
            || keys.iter().any(|it| it.is_below(key))
    };
    let silent: Vec<_> = keys.iter().filter(|key| !is_explained(key)).map(|key| key.path.join(".")).collect();
    assert!(silent.is_empty(), "{silent:?}");
}

#[test]
fn the_charts_page_has_the_comments_of_its_values() {
    let file = repository().join("charts/codex-podkit/README.md");
    let page = fs::read_to_string(&file).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (then, after) = rest.split_once(END).unwrap();
    let now = tables(&values());
    if env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&file, [before, BEGIN, &now, END, after].concat()).unwrap();
    } else {
        assert!(then == now, "run this test with UPDATE_SNAPSHOTS=1: values.yaml says\n{now}");
    }
}
