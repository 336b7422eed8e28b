//! The report of a run: tables for the terminal and for `docs/benchmarks.md`, aims, and the points of the chart.

use std::fmt::Write as _;

/// Columns and rows.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) columns: Vec<&'static str>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(title: &str, columns: &[&'static str]) -> Self {
        Self { title: title.to_owned(), columns: columns.to_vec(), rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells: Vec<_> = cells.into_iter().collect();
        assert_eq!(cells.len(), self.columns.len(), "a cell for each column");
        self.rows.push(cells);
    }

    /// For the terminal.
    pub(crate) fn text(&self) -> String {
        let wide = |cell: &str| cell.chars().count();
        let width = |n: usize| {
            let cells = self.rows.iter().map(|row| wide(&row[n]));
            cells.chain([wide(self.columns[n])]).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..self.columns.len()).map(width).collect();
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            let padded = cells.zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
        };
        let mut text = format!("{}\n", self.title);
        text += &line(&mut self.columns.iter().copied());
        for row in &self.rows {
            text += &line(&mut row.iter().map(String::as_str));
        }
        text
    }

    fn markdown(&self) -> String {
        let line = |cells: &[&str]| format!("| {} |\n", cells.join(" | "));
        let mut text = format!("{}:\n\n", self.title);
        text += &line(&self.columns);
        text += &line(&vec!["---"; self.columns.len()]);
        for row in &self.rows {
            text += &line(&row.iter().map(String::as_str).collect::<Vec<_>>());
        }
        text
    }
}

/// An aim, and what was measured.
#[derive(Debug)]
pub(crate) struct Aim {
    pub(crate) of: String,
    pub(crate) wanted: String,
    pub(crate) measured: String,
    pub(crate) is_met: bool,
}

impl Aim {
    /// At most so many times the peer.
    pub(crate) fn at_most(of: &str, ours: f64, limit: f64, peer: f64) -> Self {
        let is_met = ours <= limit * peer;
        Self::new(of, &format!("≤ {limit}×"), crate::samples::ratio(ours, peer), is_met)
    }

    pub(crate) fn new(of: &str, wanted: &str, measured: String, is_met: bool) -> Self {
        Self { of: of.to_owned(), wanted: wanted.to_owned(), measured, is_met }
    }
}

/// A line or a row of bars in the chart.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) panel: Panel,
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// What the chart shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Panel {
    /// KiB that one more instance costs; a bar a program.
    PrivateDirty,
    /// Seconds from start to exit; a bar a program.
    ColdStart,
    /// Seconds from a signal to the new record; a bar a way.
    Signal,
    /// Slots and seconds.
    Growth,
}

/// What one section measured.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) tables: Vec<Table>,
    pub(crate) aims: Vec<Aim>,
    pub(crate) series: Vec<Series>,
}

impl Report {
    pub(crate) fn bar(&mut self, panel: Panel, name: &str, value: f64) {
        self.series.push(Series { panel, name: name.to_owned(), points: vec![(0.0, value)] });
    }

    pub(crate) fn markdown(&self) -> String {
        let tables: Vec<_> = self.tables.iter().map(Table::markdown).collect();
        tables.join("\n")
    }
}

/// All aims as one table.
pub(crate) fn aims<'a>(aims: impl IntoIterator<Item = &'a Aim>) -> Table {
    let mut table = Table::new("Aims", &["what", "aim", "measured", ""]);
    for Aim { of, wanted, measured, is_met } in aims {
        let verdict = if *is_met { "met" } else { "**missed**" };
        table.row([of.clone(), wanted.clone(), measured.clone(), verdict.to_owned()]);
    }
    table
}

/// Puts figures between the marks of their section, and leaves the text around them.
pub(crate) fn fill_in(document: &str, section: &str, figures: &str) -> String {
    let (begin, end) = (format!("<!-- figures: {section} -->"), format!("<!-- end: {section} -->"));
    let (before, rest) = document.split_once(&begin).unwrap_or_else(|| panic!("no {begin}"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("no {end}"));
    let mut filled = String::new();
    let _ = write!(filled, "{before}{begin}\n\n{}\n\n{end}{after}", figures.trim());
    filled
}
