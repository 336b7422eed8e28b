//! A plan as text for people and as JSON for scripts.

use std::fmt::Write as _;
use std::path::Path;

use records::counters::RefreshReason;
use records::text::{document, line};
use records::{Lane, Slot, remedy};
use serde_json::{Value, json};

use crate::assess::Assessment;
use crate::due::Due;
use crate::plan::{Chosen, Plan, Reason};

/// The plan as printable lines, for `--dry-run`.
#[must_use]
pub fn text(plan: &Plan, assessment: &Assessment) -> String {
    let mut text: String = assessment.interpretation.lines.iter().map(|text| line(text) + "\n").collect();
    for Due { slot, reason, .. } in &assessment.due {
        let why = match reason {
            RefreshReason::Refused => "its access token was refused",
            RefreshReason::Expiring | RefreshReason::Operator => "its access token ends",
        };
        let _ = writeln!(text, "would refresh {slot}: {why}");
    }
    let _ = match &plan.chosen {
        Some(Chosen { slot, login, why, .. }) => {
            writeln!(text, "would publish {slot} ({}): {why}", login.expires())
        }
        None if plan.placeholder => writeln!(text, "would publish a placeholder: no usable account"),
        None => writeln!(text, "would leave auth.json as it is: no usable account"),
    };
    for (lane, Chosen { slot, login, why, .. }) in &plan.lanes {
        let _ = writeln!(text, "would publish {slot} in {lane} ({}): {why}", login.expires());
    }
    for (slot, reason) in &plan.passed_over {
        text += &(line(&format!("{slot} passed over: {}", reason.line(*slot))) + "\n");
    }
    text
}

/// The plan as JSON, version 1, with every text in it printable.
#[must_use]
pub fn json(plan: &Plan, dry_run: bool) -> Value {
    let lane = |(lane, chosen): (&Lane, &Chosen)| {
        let mut document = document_of(chosen);
        document["lane"] = json!(lane);
        document
    };
    let lanes: Vec<_> = plan.lanes.iter().map(lane).collect();
    let chosen = plan.chosen.as_ref().map(document_of);
    let passed_over: Vec<_> =
        plan.passed_over.iter().map(|(slot, why)| json!({"slot": slot, "why": why.line(*slot)})).collect();
    document(
        json!({"version": 1, "dry_run": dry_run, "chosen": chosen, "lanes": lanes, "placeholder": plan.placeholder, "passed_over": passed_over}),
    )
}

fn document_of(Chosen { slot, login, since, why }: &Chosen) -> Value {
    json!({
        "slot": slot,
        "account_id": login.account.account_id,
        "user_id": login.account.user_id,
        "expires_at": login.expiry,
        "active_since": since,
        "why": why.to_string(),
    })
}

/// Why no account could be chosen, slot by slot, in one line.
#[must_use]
pub fn nothing_chosen(plan: &Plan, to: Option<Slot>, directory: &Path) -> String {
    let directory = directory.display();
    if let Some(named) = to {
        let file = named.file_name();
        let passed_over = plan.passed_over.iter().find(|(slot, _)| *slot == named);
        let why = passed_over.map_or_else(
            || format!("no {file} in {directory}: run {}", remedy::login(named)),
            |(slot, why)| why.line(*slot),
        );
        return format!("{named} cannot be used: {why}");
    }
    if plan.passed_over.is_empty() {
        return format!("no usable account: no auth-N.json in {directory}: run {}", remedy::FIRST_LOGIN);
    }
    let reason = |(slot, why): &(Slot, Reason)| format!("{slot}: {}", why.line(*slot));
    let reasons: Vec<_> = plan.passed_over.iter().map(reason).collect();
    format!("no usable account: {}", reasons.join("; "))
}
