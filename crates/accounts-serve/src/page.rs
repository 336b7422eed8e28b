//! The page: one document without a framework. Its script fetches a part that is rendered here as well, so that an
//! account is drawn in one way only, and a browser without scripts sees the same.

use std::cmp::Reverse;
use std::fmt;

use overview::agents::AgentRow;
use overview::finding::{Area, Finding};
use overview::words::{ends, span, states};
use overview::{AccountInfo, Published, Row, SlotState};
use records::remedy;
use records::{Timestamp, text};

use crate::exec::Exec;
use crate::snapshot::{SharedSnapshot, Snapshot};

pub(crate) const STYLE: &str = include_str!("../page/page.css");
pub(crate) const SCRIPT: &str = include_str!("../page/page.js");
const SHELL: &str = include_str!("../page/page.html");

const HEAD: &str = "<th scope=\"col\">Slot</th><th scope=\"col\">Account</th><th scope=\"col\">Plan</th>\
                    <th scope=\"col\">State (UTC)</th><th scope=\"col\">Expires</th><th scope=\"col\">Refreshed</th>\
                    <th scope=\"col\">Usage</th>";

const AGENTS_HEAD: &str = "<th scope=\"col\">Agent</th><th scope=\"col\">Slot</th><th scope=\"col\">Requests</th>\
                           <th scope=\"col\">Input tokens</th><th scope=\"col\">Cached</th>\
                           <th scope=\"col\">Output tokens</th><th scope=\"col\">Refused</th>\
                           <th scope=\"col\">Limited</th>";

/// How many lines there are about agents at most.
const MOST_AGENTS: usize = 50;

/// Printable text between tags or in quotes.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::line(self.0).chars().try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            c => write!(f, "{c}"),
        })
    }
}

/// The document.
pub(crate) fn whole(snapshot: &SharedSnapshot, exec: &Exec) -> String {
    SHELL.replace("{view}", &view(snapshot, exec)).replace("{version}", env!("CARGO_PKG_VERSION"))
}

/// The part of it that changes.
pub(crate) fn view(snapshot: &SharedSnapshot, exec: &Exec) -> String {
    match snapshot {
        Ok(snapshot) => {
            let findings: String = snapshot.findings.iter().map(|finding| card(finding, exec)).collect();
            format!("{}{findings}{}{}", head(snapshot), table(snapshot), agents(snapshot))
        }
        Err(why) => {
            let (unread, why) = if why.id.area() == Area::Page {
                ("Nothing is known of the accounts.", why.clone())
            } else {
                ("The volume cannot be read.", why.clone().run(remedy::DOCTOR))
            };
            format!("<p class=\"serving bad\">{unread}</p>\n{}", card(&why, exec))
        }
    }
}

fn head(snapshot: &Snapshot) -> String {
    let overview = &snapshot.observed.overview;
    let (class, serving) = match &overview.published {
        Published::Account(slot) => {
            let row = overview.rows.iter().find(|row| row.slot == *slot);
            let name = row.and_then(|row| row.who.as_ref()).map_or("", |who| &who.name);
            ("good", format!("Account {} serves: <b>{}</b>", slot.number(), Escaped(name)))
        }
        _ => ("bad", "None of these accounts serves.".to_owned()),
    };
    let last = snapshot
        .observed
        .last_pass_age()
        .filter(|_| snapshot.observed.has_passed)
        .map_or_else(|| "no pass yet".to_owned(), |age| format!("last pass {} ago", minutes(age)));
    let (usable, all) = (overview.usable(), overview.rows.len());
    format!(
        "<p class=\"serving {class}\">{serving}</p>\n<p class=\"quiet\">{usable} of {all} can serve now; {last}</p>\n"
    )
}

/// Rounded to minutes, or the page would be redrawn each time.
fn minutes(age: std::time::Duration) -> String {
    if age.as_secs() < 60 { "less than 1m".to_owned() } else { span(age) }
}

fn card(finding: &Finding, exec: &Exec) -> String {
    let (class, command) = match &finding.command {
        Some(command) => {
            let whole = exec.whole(command);
            let command = Escaped(&whole);
            let button = format!("<button type=\"button\" data-copy=\"{command}\">Copy</button>");
            ("problem", format!("<div class=\"command\"><code>{command}</code>{button}</div>"))
        }
        None if finding.is_actionable() => ("problem", advice(finding)),
        None => ("problem note", advice(finding)),
    };
    format!("<section class=\"{class}\"><p>{}</p>{command}</section>\n", Escaped(&finding.line()))
}

fn advice(finding: &Finding) -> String {
    finding
        .advice
        .as_ref()
        .map_or_else(String::new, |advice| format!("<p class=\"quiet\">{}</p>", Escaped(advice)))
}

fn table(snapshot: &Snapshot) -> String {
    if snapshot.observed.overview.rows.is_empty() {
        return String::new();
    }
    let rows: String = snapshot.observed.overview.rows.iter().map(|row| line(row, snapshot.now())).collect();
    format!("<table class=\"accounts\"><thead><tr>{HEAD}</tr></thead>\n<tbody>\n{rows}</tbody></table>\n")
}

/// Those who have used the most.
fn agents(snapshot: &Snapshot) -> String {
    let mut rows: Vec<_> = snapshot.observed.overview.agents.iter().collect();
    if rows.is_empty() {
        return String::new();
    }
    rows.sort_by_key(|row| Reverse(row.used.requests.max(row.used.limited)));
    let more = match rows.len().saturating_sub(MOST_AGENTS) {
        0 => String::new(),
        more => format!("<p class=\"quiet\">{more} more are in the metrics.</p>\n"),
    };
    let rows: String = rows.into_iter().take(MOST_AGENTS).map(agent).collect();
    format!(
        "<table class=\"agents\"><thead><tr>{AGENTS_HEAD}</tr></thead>\n<tbody>\n{rows}</tbody></table>\n{more}"
    )
}

fn agent(row: &AgentRow) -> String {
    let AgentRow { agent, slot, used } = row;
    let agent = if agent.is_empty() { "(master key)" } else { agent };
    let slot = slot.map_or_else(|| "-".to_owned(), |slot| slot.number().to_string());
    let numbers = [
        used.requests,
        used.input_tokens,
        used.cached_tokens,
        used.output_tokens,
        used.refused,
        used.limited,
    ];
    let numbers = numbers.map(|number| number.to_string()).join("</td><td>");
    format!("<tr><th scope=\"row\">{}</th><td>{slot}</td><td>{numbers}</td></tr>\n", Escaped(agent))
}

fn line(row: &Row, now: Timestamp) -> String {
    let who = row.who.as_ref();
    let known =
        |get: &dyn Fn(&AccountInfo) -> Option<String>| who.and_then(get).unwrap_or_else(|| "-".to_owned());
    let cell = |name: &str, text: &str| format!("<td data-label=\"{name}\">{}</td>", Escaped(text));
    format!(
        "<tr class=\"{}\"><th scope=\"row\">{}</th>{}{}<td data-label=\"State\"><span class=\"state\">{}</span></td>{}{}<td \
         data-label=\"Usage\">{}</td></tr>\n",
        colour(row),
        row.slot.number(),
        cell("Account", &known(&|who| Some(who.name.clone()))),
        cell("Plan", &known(&|who| who.plan.clone())),
        Escaped(&states(row, now).join(", ")),
        cell("Expires", &known(&|who| Some(ends(who.expiry?.0, now)))),
        cell("Refreshed", &known(&|who| Some(format!("{} ago", span(now.since(who.last_refresh?)))))),
        who.map_or_else(|| "-".to_owned(), |who| usage(who, now)),
    )
}

fn usage(who: &AccountInfo, now: Timestamp) -> String {
    let windows = who.usage.iter().flat_map(|usage| &usage.windows);
    let bars: Vec<_> = windows
        .map(|window| {
            let (length, used) = (window.minutes, window.used_percent);
            let tenths = used.tenths();
            format!(
                "<span class=\"window\"><span>{length}</span><progress max=\"1000\" value=\"{tenths}\" \
                 aria-label=\"{length} window\"></progress><span>{used}</span></span>"
            )
        })
        .collect();
    let read = who.usage.as_ref().map(|usage| span(now.since(usage.at)));
    let read = read.map(|age| format!("<span class=\"quiet\">read {age} ago</span>"));
    if bars.is_empty() { "-".to_owned() } else { bars.concat() + &read.unwrap_or_default() }
}

fn colour(row: &Row) -> &'static str {
    match row.state {
        SlotState::Ready if !row.troubles.is_empty() => "bad",
        SlotState::Ready if row.is_active => "good",
        SlotState::Ready => "plain",
        SlotState::Capped(_) | SlotState::RefreshDue => "wait",
        SlotState::Parked(_) | SlotState::Reserved(_) => "aside",
        SlotState::NeedsLogin(_)
        | SlotState::OtherAccount(_)
        | SlotState::Duplicate(_)
        | SlotState::Unusable(_) => "bad",
    }
}

#[cfg(test)]
mod tests {
    use overview::finding::Id;

    use super::*;

    #[test]
    fn what_a_token_says_stays_text() {
        let said = Escaped("<img src=x onerror='a()'>\n\"&").to_string();
        assert_eq!(said, "&lt;img src=x onerror=&#39;a()&#39;&gt; &quot;&amp;");
    }

    #[test]
    fn a_volume_that_cannot_be_read_is_a_page_as_well() {
        let page = whole(&Err(Finding::new(Id::VolumeMissing, "no <volume>")), &Exec::default());
        assert!(
            page.contains("no &lt;volume&gt;") && page.contains("-c codex-cli -- accounts doctor"),
            "{page}"
        );
    }
}
