//! What the doctor says, to a person and to a script.

use records::text as shown;
use serde_json::{Value, json};

use crate::doctor::{About, Check};

/// A line for each check, and below a finding what to type.
pub(crate) fn text(checks: &[Check]) -> String {
    let line = |Check { about, said, remedy }: &Check| {
        let name = name(*about);
        let said = shown::line(said);
        match remedy {
            None => format!("ok       {name:8}  {said}\n"),
            Some(remedy) => {
                format!("FINDING  {name:8}  {said}\n{:9}do        {}\n", "", shown::line(remedy))
            }
        }
    };
    checks.iter().map(line).collect()
}

/// Version 1, as `docs/scripts.md` documents it.
pub(crate) fn json(checks: &[Check]) -> String {
    let findings = checks.iter().filter(|check| check.remedy.is_some()).count();
    let checks: Vec<Value> = checks
        .iter()
        .map(|Check { about, said, remedy }| {
            json!({"about": name(*about), "ok": remedy.is_none(), "said": said, "remedy": remedy})
        })
        .collect();
    shown::document(json!({"version": 1, "findings": findings, "checks": checks})).to_string() + "\n"
}

fn name(about: About) -> &'static str {
    match about {
        About::Volume => "volume",
        About::Slots => "slots",
        About::State => "state",
        About::Clock => "clock",
        About::Rotator => "rotator",
        About::Record => "record",
        About::Callback => "callback",
        About::Codex => "codex",
        About::Provider => "provider",
    }
}
