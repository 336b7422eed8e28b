//! The overview for people: a table of at most 100 columns, and below it what to type.

use overview::finding::Finding;
use overview::words::{ends, span, states};
use overview::{AccountInfo, Overview, Row, SlotState};
use records::Timestamp;
use records::text::{line, printable};
use records::usage::Minutes;

use crate::colour::{Colour, Colouring};

/// What fits a terminal beside a chat window.
const WIDTH: usize = 100;

/// The widest that a state may be before it continues on another line.
const STATE_WIDTH: usize = 36;

/// The longest name of a plan that is not cut.
const PLAN_WIDTH: usize = 8;

const GAP: &str = "  ";

/// The table, and below it a line for each finding.
pub(crate) fn table(overview: &Overview, findings: &[Finding], colouring: Colouring) -> String {
    let findings = lines_of(findings);
    if overview.rows.is_empty() {
        return findings;
    }
    let windows = windows(overview);
    let lines: Vec<_> = overview.rows.iter().flat_map(|row| lines(row, &windows, overview.at)).collect();
    let head = head(&windows);
    let mut widths: Vec<_> = (0..head.len())
        .map(|at| {
            lines.iter().map(|line| chars(&line.cells[at])).chain([chars(&head[at])]).max().unwrap_or(0)
        })
        .collect();
    // The names give way, because an account is known by the start of its name.
    let total: usize = widths.iter().sum::<usize>() + GAP.len() * (widths.len() - 1);
    widths[NAME] -= total.saturating_sub(WIDTH).min(widths[NAME].saturating_sub(4));
    let mut text = row_text(&head, &widths, None, colouring);
    for line in lines {
        text += &row_text(&line.cells, &widths, Some(line.colour), colouring);
    }
    if findings.is_empty() { text } else { format!("{text}\n{findings}") }
}

/// The columns of the name and the state.
const NAME: usize = 1;
const STATE: usize = 3;

struct Line {
    cells: Vec<String>,
    colour: Colour,
}

fn head(windows: &[Minutes]) -> Vec<String> {
    let fixed = ["SLOT", "ACCOUNT", "PLAN", "STATE (UTC)", "ENDS", "AGE"].map(str::to_owned);
    let windows = windows.iter().map(|window| window.to_string().to_uppercase());
    fixed.into_iter().chain(windows).chain(["READ".to_owned()]).collect()
}

/// The two usage windows that most plans have, and any other that an account has.
fn windows(overview: &Overview) -> Vec<Minutes> {
    let reported = overview.rows.iter().filter_map(|row| row.who.as_ref()?.usage.as_ref());
    let reported = reported.flat_map(|usage| &usage.windows).map(|window| window.minutes);
    let mut windows: Vec<_> = reported.chain([Minutes::FIVE_HOURS, Minutes::WEEK]).collect();
    windows.sort_unstable();
    windows.dedup();
    // More would not fit, and no plan has them.
    windows.truncate(4);
    windows
}

fn lines(row: &Row, windows: &[Minutes], now: Timestamp) -> Vec<Line> {
    let mut states = wrapped(&states(row, now)).into_iter();
    let who = row.who.as_ref();
    let known =
        |get: &dyn Fn(&AccountInfo) -> Option<String>| who.and_then(get).unwrap_or_else(|| "-".to_owned());
    let used = |window: &Minutes| {
        known(&|who| {
            let windows = &who.usage.as_ref()?.windows;
            Some(windows.iter().find(|used| used.minutes == *window)?.used_percent.to_string())
        })
    };
    let first = [
        row.slot.number().to_string(),
        known(&|who| Some(printable(&who.name))),
        known(&|who| who.plan.as_deref().map(|plan| cut(&printable(plan), PLAN_WIDTH))),
        states.next().unwrap_or_default(),
        known(&|who| Some(ends(who.expiry?.0, now))),
        known(&|who| Some(span(now.since(who.last_refresh?)))),
    ];
    let colour = colour(row);
    let read = known(&|who| Some(span(now.since(who.usage.as_ref()?.at))));
    let cells = first.into_iter().chain(windows.iter().map(used)).chain([read]).collect();
    let first = Line { cells, colour };
    let further = states.map(|state| {
        let mut cells = vec![String::new(); first.cells.len()];
        cells[STATE] = state;
        Line { cells, colour }
    });
    let further: Vec<_> = further.collect();
    [first].into_iter().chain(further).collect()
}

fn colour(row: &Row) -> Colour {
    match row.state {
        SlotState::Ready if !row.troubles.is_empty() => Colour::Red,
        SlotState::Ready if row.is_active => Colour::Green,
        SlotState::Ready => Colour::Plain,
        SlotState::Capped(_) | SlotState::RefreshDue => Colour::Yellow,
        SlotState::Parked(_) | SlotState::Reserved(_) => Colour::Blue,
        SlotState::NeedsLogin(_)
        | SlotState::OtherAccount(_)
        | SlotState::Duplicate(_)
        | SlotState::Unusable(_) => Colour::Red,
    }
}

fn row_text(cells: &[String], widths: &[usize], colour: Option<Colour>, colouring: Colouring) -> String {
    let mut text = String::new();
    for (at, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let cell = cut(cell, *width);
        let padding = " ".repeat(width - chars(&cell));
        // Percentages are aligned to the right, so that they can be compared.
        let is_number = at > STATE + 2;
        let coloured = match colour {
            Some(colour) if at == STATE => colouring.apply(colour, &cell),
            _ => cell,
        };
        text += &if is_number { padding + &coloured } else { coloured + &padding };
        text += GAP;
    }
    text.trim_end().to_owned() + "\n"
}

fn lines_of(findings: &[Finding]) -> String {
    findings.iter().map(|finding| line_of(finding) + "\n").collect()
}

/// If a line is too long, the reason is left out, and then the message is cut, so that the command is always whole.
fn line_of(finding: &Finding) -> String {
    let command = finding.command.as_ref().map_or(0, |command| chars(&format!(": run {command}")));
    let message = cut(&line(&finding.message), WIDTH.saturating_sub(command));
    let whole = Finding { message, ..finding.clone() };
    let without_why = line(&Finding { why: None, ..whole.clone() }.line());
    if chars(&without_why) < WIDTH { cut(&line(&whole.line()), WIDTH) } else { without_why }
}

/// Joins the words of a state, as many as fit a line.
fn wrapped(words: &[String]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if chars(line) + 2 + chars(word) <= STATE_WIDTH => {
                line.push_str(", ");
                line.push_str(word);
            }
            Some(line) => {
                line.push(',');
                lines.push(word.clone());
            }
            None => lines.push(word.clone()),
        }
    }
    lines
}

fn chars(text: &str) -> usize {
    text.chars().count()
}

fn cut(text: &str, width: usize) -> String {
    if chars(text) <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests;
