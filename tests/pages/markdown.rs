//! As much of Markdown as the pages use.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use fixture::workspace::repository;

#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// A link to a file.
#[derive(Debug)]
pub(crate) struct Link {
    /// As it is written.
    pub(crate) target: String,
    pub(crate) file: PathBuf,
    pub(crate) anchor: Option<String>,
}

/// A fenced block.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) language: String,
    pub(crate) text: String,
}

/// Every page of the repository.
pub(crate) fn pages() -> Vec<Page> {
    let root = repository();
    let charts = fs::read_dir(root.join("charts")).unwrap().map(|entry| entry.unwrap().path());
    let directories = [root.to_owned(), root.join("docs")].into_iter().chain(charts);
    let mut paths: Vec<_> = directories
        .flat_map(|directory| fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    paths.sort();
    assert!(paths.len() > 10, "{paths:?}");
    paths.into_iter().map(Page::read).collect()
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.strip_prefix(repository()).unwrap().display().fmt(f)
    }
}

impl Page {
    pub(crate) fn read(path: PathBuf) -> Self {
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Self { path, text }
    }

    pub(crate) fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        for (number, part) in self.text.split("```").enumerate() {
            if number % 2 == 1 {
                let (language, text) = part.split_once('\n').unwrap();
                blocks.push(Block { language: language.to_owned(), text: text.to_owned() });
            }
        }
        blocks
    }

    fn without_blocks(&self) -> String {
        self.text.split("```").step_by(2).collect()
    }

    /// The code within the text, such as `accounts why`.
    pub(crate) fn spans(&self) -> Vec<String> {
        self.paragraphs().iter().flat_map(|text| code(text)).map(in_a_line).collect()
    }

    /// The text without any code.
    pub(crate) fn prose(&self) -> String {
        self.paragraphs().iter().flat_map(|text| text.split('`').step_by(2)).map(in_a_line).collect()
    }

    fn paragraphs(&self) -> Vec<String> {
        let text = self.without_blocks();
        let paragraphs: Vec<_> = text.split("\n\n").map(str::to_owned).collect();
        for paragraph in &paragraphs {
            let marks = paragraph.matches('`').count();
            assert!(marks.is_multiple_of(2), "{self}: a ` without another one in {paragraph}");
        }
        paragraphs
    }

    /// The cells of each row of a table, headings included.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Vec<String>> {
        let text = self.without_blocks();
        let rows: Vec<_> = text.lines().filter(|line| line.starts_with("| ")).map(cells).collect();
        rows.into_iter()
    }

    /// The code in the first cell of each row of the tables whose first heading is this.
    pub(crate) fn first_cells(&self, heading: &str) -> Vec<String> {
        let heading = format!("\n| {heading} |");
        let tables = self.text.split(&heading).skip(1).filter_map(|rest| rest.split("\n\n").next());
        let rows = tables.flat_map(|table| table.lines().skip(2));
        rows.filter_map(|row| row.split(" | ").next()).flat_map(code).map(str::to_owned).collect()
    }

    /// The links that lead to no other server.
    pub(crate) fn links(&self) -> Vec<Link> {
        let text = self.without_blocks();
        let targets = text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap());
        let ours = targets.filter(|target| !target.contains("://"));
        ours.map(|target| Link::of(target, &self.path)).collect()
    }

    /// What a link can name within the page.
    pub(crate) fn anchors(&self) -> Vec<String> {
        let text = self.without_blocks();
        let headings = text.lines().filter(|line| line.starts_with('#'));
        headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
    }
}

impl Link {
    fn of(target: &str, page: &Path) -> Self {
        let (file, anchor) =
            target.split_once('#').map_or((target, None), |(file, anchor)| (file, Some(anchor)));
        let mut path = if file.is_empty() { page.to_owned() } else { page.parent().unwrap().to_owned() };
        for part in Path::new(file) {
            if part == ".." {
                path.pop();
            } else {
                path.push(part);
            }
        }
        Self { target: target.to_owned(), file: path, anchor: anchor.map(str::to_owned) }
    }
}

/// As GitHub makes it of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || "-_ ".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn cells(row: &str) -> Vec<String> {
    row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()
}

fn code(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn in_a_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ") + " "
}
