use std::time::Duration;

use auth_volume::{Layout, Volume};
use clap::Parser as _;
use fixture::every_state;
use judgement::quota::Quota;
use overview::findings::findings;
use overview::observed::Observed;
use records::heartbeat::Heartbeat;
use records::state::CooldownSource;
use records::{Lane, Naming};
use rotation::observing::Observer;

use super::*;

/// One in the morning.
const NOW: i64 = 1_795_482_000;

fn observed_at(now: i64) -> Observed {
    let directory = fixture::Volume::with_every_state(now);
    let volume = Volume::open(Layout::new(directory.path().to_owned(), None)).unwrap();
    let now = Timestamp::from_seconds(now);
    let observer = Observer {
        naming: Naming::Masked,
        refresh_before: Duration::from_hours(24),
        interval: Duration::from_mins(30),
        quota: Quota::default(),
    };
    let facts = observer.observe(&volume, now).unwrap();
    let heartbeat = Heartbeat { at: now, held: true, litellm: "1.106.2".to_owned(), cannot_write: None };
    Observed { heartbeat: Some(heartbeat), last_pass: Some(now), ..facts }
}

fn overview_at(now: i64) -> Overview {
    observed_at(now).overview
}

fn table(overview: &Overview, colouring: Colouring) -> String {
    super::table(overview, &findings(&Observed { overview: overview.clone(), ..observed_at(NOW) }), colouring)
}

fn document(overview: &Overview) -> serde_json::Value {
    let findings = findings(&Observed { overview: overview.clone(), ..observed_at(NOW) });
    overview::json::document(overview, &findings)
}

#[test]
fn a_volume_with_every_state_in_it_is_one_table_and_what_to_type() {
    let expected = std::fs::read_to_string(every_state("table")).unwrap();
    assert_eq!(table(&overview_at(NOW), Colouring::Off), expected);
}

#[test]
fn the_operators_page_shows_what_is_printed() {
    let page = page("operator.md");
    for name in ["table", "why", "doctor"] {
        let printed = std::fs::read_to_string(every_state(name)).unwrap();
        assert!(page.contains(&printed), "docs/operator.md shows another {name}");
    }
}

fn page(name: &str) -> String {
    std::fs::read_to_string(format!("{}/../../docs/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn the_document_for_scripts_holds_the_same_masked() {
    let document = document(&overview_at(NOW));
    let expected = std::fs::read_to_string(every_state("json")).unwrap();
    assert_eq!(serde_json::to_string_pretty(&document).unwrap() + "\n", expected);
}

#[test]
fn the_page_for_scripts_explains_every_field_and_no_other() {
    let in_full = Overview { naming: Naming::InFull, ..overview_at(NOW) };
    let document = document(&in_full);
    let page = page("scripts.md");
    for (heading, part) in [
        ("| field | holds |\n", &document),
        ("| field of `accounts[]` | holds |\n", &document["accounts"][0]),
        ("| field of `findings[]` | holds |\n", &document["findings"][0]),
    ] {
        let mut fields: Vec<_> = part.as_object().unwrap().keys().map(String::as_str).collect();
        let rows = page.split(heading).nth(1).unwrap().split("\n\n").next().unwrap();
        let cells = rows.lines().filter_map(|row| row.strip_prefix("| ")?.split('|').next());
        let mut explained: Vec<_> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
        fields.sort_unstable();
        explained.sort_unstable();
        assert_eq!(explained, fields);
    }
}

#[test]
fn the_table_fits_100_columns_whatever_a_row_has() {
    let mut overview = overview_at(NOW);
    for row in &mut overview.rows {
        row.is_active = true;
        row.is_pinned = true;
        row.is_due = true;
        if let Some(who) = &mut row.who {
            who.name = format!("a…@{}.example.test", "long".repeat(30));
            who.plan = Some("a plan with a very long name".to_owned());
        }
        if let SlotState::Capped(cooldown) = &mut row.state {
            cooldown.source = CooldownSource::Predecessor;
            cooldown.until = Timestamp::from_seconds(NOW + 60 * 86_400);
        }
        if let SlotState::Parked(parked) = &mut row.state {
            parked.reason = Some("x".repeat(200));
        }
    }
    let text = table(&overview, Colouring::Off);
    let widest = text.lines().map(chars).max().unwrap();
    assert!(widest <= WIDTH, "{widest} columns:\n{text}");
    assert!(text.contains("pinned, refresh due"), "nothing is left out:\n{text}");
}

#[test]
fn a_row_names_the_lanes_in_which_its_account_serves() {
    let mut overview = overview_at(NOW);
    overview.rows[0].lanes = Lane::all().collect();
    for (count, words) in [
        (16, "active in 16 lanes"),
        (6, "active in lanes 1, 2, 3, 4, 5 and 6"),
        (2, "active in lanes 1 and 2"),
        (1, "active in lane 1"),
    ] {
        overview.rows[0].lanes.truncate(count);
        let text = table(&overview, Colouring::Off);
        assert!(text.lines().any(|line| line.contains(&format!("  {words}  "))), "{text}");
        assert!(text.lines().all(|line| chars(line) <= WIDTH), "{text}");
    }
}

#[test]
fn only_the_state_is_coloured() {
    let coloured = table(&overview_at(NOW), Colouring::On);
    assert!(coloured.contains("\x1b[32mactive\x1b[0m"), "{coloured}");
    assert!(coloured.contains("\x1b[31mneeds login\x1b[0m"), "{coloured}");
    let mut plain = coloured.replace("\x1b[0m", "");
    for colour in 31..=34 {
        plain = plain.replace(&format!("\x1b[{colour}m"), "");
    }
    assert_eq!(plain, table(&overview_at(NOW), Colouring::Off));
}

#[test]
fn an_age_has_one_unit_and_is_rounded_down() {
    let spans = [0, 59, 60, 3599, 86_399, 86_400, 900_000].map(|s| span(Duration::from_secs(s)));
    assert_eq!(spans, ["0s", "59s", "1m", "59m", "23h", "1d", "10d"]);
}

#[test]
fn why_prints_what_a_dry_run_prints() {
    let directory = fixture::Volume::with_every_state(NOW);
    let volume = Volume::open(Layout::new(directory.path().to_owned(), None)).unwrap();
    let options = crate::args::Args::parse_from(["accounts"]).policy.options(None);
    let (_, assessment, plan) =
        rotation::rotate::preview(&volume, &options, Timestamp::from_seconds(NOW)).unwrap();
    let text = judgement::report::text(&plan, &assessment);
    assert_eq!(text, std::fs::read_to_string(every_state("why")).unwrap());
}
