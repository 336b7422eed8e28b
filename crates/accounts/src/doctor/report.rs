//! What the doctor prints, for people and for scripts: the findings of each area, or that it is in order.

use overview::Published;
use overview::finding::{Area, Finding};
use overview::observed::{Examined, Observed};
use records::probe::ProbeResult;
use records::{Slot, text as shown};
use serde_json::{Value, json};

/// A line for each finding, and below it what to do; a line for each area that is in order.
pub(crate) fn text(findings: &[&Finding], observed: Option<&Observed>) -> String {
    let of_area = |area: Area| {
        let found = findings.iter().filter(move |finding| finding.id.area() == area);
        let found = found.map(move |finding| {
            let (name, said) = (area.name(), shown::line(&finding.description()));
            format!("FINDING  {name:8}  {said}\n{:9}do        {}\n", "", shown::line(&finding.remedy()))
        });
        let in_order = in_order(area, findings, observed).into_iter();
        found.chain(in_order.map(move |said| format!("ok       {:8}  {}\n", area.name(), shown::line(&said))))
    };
    Area::ALL.into_iter().flat_map(of_area).collect()
}

/// Version 1, as `docs/scripts.md` documents it.
pub(crate) fn json(findings: &[&Finding], observed: Option<&Observed>) -> String {
    let in_order = Area::ALL.into_iter().flat_map(|area| {
        let said = in_order(area, findings, observed).into_iter();
        said.map(move |said| json!({"area": area.name(), "message": said}))
    });
    let in_order: Vec<Value> = in_order.collect();
    let findings: Vec<_> = findings.iter().map(|finding| finding.document()).collect();
    shown::document(json!({"version": 1, "findings": findings, "in_order": in_order})).to_string() + "\n"
}

/// The line of an area without findings; in an area of several parts, a line for each part without findings.
fn in_order(area: Area, findings: &[&Finding], observed: Option<&Observed>) -> Vec<String> {
    let Some(observed) = observed else { return Vec::new() };
    let examined = observed.examined.as_ref();
    match area {
        Area::Volume => examined.map(directories).unwrap_or_default(),
        Area::Provider => examined.map(|examined| accepted(observed, examined)).unwrap_or_default(),
        _ if findings.iter().any(|finding| finding.id.area() == area) => Vec::new(),
        Area::Slots => {
            let (usable, all) = (observed.overview.usable(), observed.overview.rows.len());
            vec![format!("{usable} of {all} can serve now")]
        }
        Area::State => vec!["the rotator's state can be read".to_owned()],
        Area::Clock => vec![format!("{} agrees with tokens and files", observed.overview.at)],
        Area::Rotator => {
            let last = observed.last_pass.filter(|_| observed.has_passed);
            let last = last.map_or_else(|| "none yet".to_owned(), |at| at.to_string());
            vec![format!("no signal waits, last pass {last}")]
        }
        Area::Record => vec![match observed.overview.published {
            Published::Account(slot) => format!("auth.json is whole, and of {slot}"),
            _ => "auth.json is the placeholder".to_owned(),
        }],
        Area::Callback => vec![match &observed.heartbeat {
            Some(heartbeat) => format!("LiteLLM {} holds the callback", heartbeat.litellm),
            None => "LiteLLM has not started yet".to_owned(),
        }],
        Area::Mirror => {
            let mirrored = observed.mirroring.as_ref().and_then(|mirroring| mirroring.succeeded);
            mirrored
                .map(|at| format!("the Secret of the lanes has their records, {at}"))
                .into_iter()
                .collect()
        }
        // Only a page knows what it knows.
        Area::Page => Vec::new(),
        Area::Codex => {
            let path = examined.and_then(|examined| examined.codex.as_ref().ok());
            path.map(|path| path.display().to_string()).into_iter().collect()
        }
    }
}

fn directories(examined: &Examined) -> Vec<String> {
    let in_order = examined.directories.iter().filter(|directory| {
        directory.is_tried && !directory.is_projected && directory.has_room && directory.faults.is_empty()
    });
    let said = in_order.map(|directory| {
        format!("{} can be written, renamed, synced and locked, and has room", directory.path.display())
    });
    said.collect()
}

fn accepted(observed: &Observed, examined: &Examined) -> Vec<String> {
    let accepted = examined.probed.iter().filter_map(|(slot, result)| {
        let ProbeResult::Accepted(limits, plan) = result else { return None };
        let windows = limits.own.iter().flat_map(|usage| &usage.windows);
        let used: Vec<_> =
            windows.map(|window| format!("{} {}", window.minutes, window.used_percent)).collect();
        let used = (!used.is_empty()).then(|| format!("{} used", used.join(", ")));
        let plan = plan.as_ref().map(|plan| plan_of(observed, *slot, plan.name()));
        let reported: Vec<_> = used.into_iter().chain(plan).collect();
        let reported =
            if reported.is_empty() { String::new() } else { format!(" ({})", reported.join(", ")) };
        Some(format!("the provider accepts {slot}{reported}"))
    });
    accepted.collect()
}

/// The plan that the provider reports. After a change the token names the old one until it is refreshed.
fn plan_of(observed: &Observed, slot: Slot, reported: &str) -> String {
    let file = observed.files.iter().find(|file| file.slot == slot);
    match file.and_then(|file| file.plan.as_deref()).filter(|plan| *plan != reported) {
        Some(plan) => format!("plan {reported}, and {plan} in its token until that is refreshed"),
        None => format!("plan {reported}"),
    }
}
