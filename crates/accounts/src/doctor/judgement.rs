//! The doctor's judgement. Pure: facts come in, checks come out, and each finding says what to type.

use std::time::Duration;

use auth_volume::VolumeError;
use auth_volume::trial::Fault;
use auth_volume::writers::rivals;
use issuer::provider::ProbeResult;
use overview::{Overview, Row, Serving, SlotState, words};
use records::heartbeat::Heartbeat;
use records::text::printable;
use records::{Slot, Timestamp};

use crate::doctor::facts::{Directory, Facts};
use crate::doctor::{About, Check};

/// Less room than this, and a login may not be renewed.
const LITTLE_ROOM: u64 = 1 << 20;

/// How far clocks may differ.
const CLOCKS_DIFFER: Duration = Duration::from_mins(1);

/// How long a signal may lie: the sidecar takes it within milliseconds, a pass lasts less than a minute.
const SIGNAL_LIES: Duration = Duration::from_mins(2);

/// How old the callback's sign of life may be, which it gives each minute.
const SIGN_OF_LIFE: Duration = Duration::from_mins(3);

/// What the sidecar runs.
const SIDECAR: &str = "kubectl logs deploy/litellm -c rotator";

pub(crate) fn judge(facts: &Facts) -> Vec<Check> {
    let mut checks = volume(facts);
    match &facts.overview {
        Ok(overview) => {
            checks.extend(slots(facts, overview));
            checks.extend(state(facts, overview));
            checks.extend(clock(facts));
            checks.extend(rotator(facts));
            checks.extend(record(overview));
        }
        Err(why) => {
            let remedy = match why {
                VolumeError::State(..) => "use the newest release",
                VolumeError::StateTooLarge(_) => {
                    "move the file away from a pod with a shell that mounts the volume; cooldowns and parks in it are lost"
                }
                _ => "see who owns the file",
            };
            checks.push(finding(About::State, why.to_string(), remedy));
        }
    }
    checks.push(callback(facts));
    checks.push(codex(facts));
    checks.extend(facts.probed.iter().map(|(slot, standing)| provider(facts, *slot, standing)));
    checks
}

fn fine(about: About, said: impl Into<String>) -> Check {
    Check { about, said: said.into(), remedy: None }
}

fn finding(about: About, said: impl Into<String>, remedy: impl Into<String>) -> Check {
    Check { about, said: said.into(), remedy: Some(remedy.into()) }
}

/// The findings, or that there are none.
fn or_fine(findings: Vec<Check>, about: About, said: impl Into<String>) -> Vec<Check> {
    if findings.is_empty() { vec![fine(about, said)] } else { findings }
}

fn volume(facts: &Facts) -> Vec<Check> {
    let not_tried = facts.not_tried.iter().map(|why| {
        finding(
            About::Volume,
            why,
            "mount it writable for this user (fsGroup), or end the command that holds it",
        )
    });
    not_tried.chain(facts.directories.iter().flat_map(directory)).collect()
}

fn directory(Directory { path, is_projected, trial }: &Directory) -> Vec<Check> {
    let path = path.display();
    if *is_projected {
        let said =
            format!("{path} is a Secret or a ConfigMap, which the kubelet overwrites: logins would be lost");
        return vec![finding(About::Volume, said, "mount a PersistentVolumeClaim there")];
    }
    let Some(trial) = trial else { return Vec::new() };
    let mut findings: Vec<_> = trial
        .faults
        .iter()
        .map(|fault| {
            let remedy = match fault {
                Fault::Write(_) | Fault::Rename(_) => {
                    "mount it writable for this user (fsGroup), or make room"
                }
                Fault::Sync(_) | Fault::NoLocks | Fault::NoModes(_) => {
                    "use a volume of another storage class"
                }
            };
            finding(About::Volume, format!("{path} {fault}"), remedy)
        })
        .collect();
    let room = trial.room.unwrap_or((u64::MAX, None));
    if room.0 < LITTLE_ROOM || room.1 == Some(0) {
        findings.push(finding(
            About::Volume,
            format!("{path} is full"),
            format!("df -h {path}, and make room"),
        ));
    }
    or_fine(
        findings,
        About::Volume,
        format!("{path} can be written, renamed, synced and locked, and has room"),
    )
}

fn slots(facts: &Facts, overview: &Overview) -> Vec<Check> {
    let almost = almost(&facts.almost_slots);
    if overview.rows.is_empty() {
        let nobody = finding(About::Slots, "nobody has signed in", "auth-login 1");
        return [nobody].into_iter().chain(almost).collect();
    }
    let mut findings: Vec<_> = overview.rows.iter().flat_map(slot).chain(almost).collect();
    let too_open = facts.slots.iter().filter(|file| file.too_open);
    findings.extend(too_open.map(|file| {
        let path = file.path.display();
        finding(About::Slots, format!("others can read {path}"), format!("chmod 600 {path}"))
    }));
    let usable = overview.rows.iter().filter(|row| is_usable(row)).count();
    if usable == 0 {
        let said = "no account can serve now: agents are refused until one can";
        let number = Slot::first_free(&overview.rows.iter().map(|row| row.slot).collect::<Vec<_>>()).number();
        findings.push(finding(About::Slots, said, format!("accounts, or auth-login {number} for one more")));
    }
    let said = format!("{} of {} can serve now", usable, overview.rows.len());
    or_fine(findings, About::Slots, said)
}

/// Files that nobody reads, though a person may think so.
fn almost(names: &[String]) -> Option<Check> {
    let mut shown: Vec<_> = names.iter().take(3).map(|name| format!("\"{}\"", printable(name))).collect();
    let more = names.len().saturating_sub(shown.len());
    shown.extend((more > 0).then(|| format!("{more} more")));
    let last = shown.pop()?;
    let (names, are) = match shown.as_slice() {
        [] => (last, "looks like a login and is"),
        others => (format!("{} and {last}", others.join(", ")), "look like logins and are"),
    };
    let said = format!(
        "{names} {are} in no slot: a slot's file is auth-N.json, N from 1 on without zeros before it"
    );
    Some(finding(About::Slots, said, "copy one to auth-N.json, or delete it"))
}

fn is_usable(row: &Row) -> bool {
    row.state == SlotState::Ready
}

/// What needs a hand in a slot, in the words of the table and the page.
fn slot(row: &Row) -> impl Iterator<Item = Check> {
    let notes = words::of_row(row).into_iter();
    notes.filter_map(|note| {
        let remedy = match (&note.command, &note.why) {
            (Some(command), _) => command.clone(),
            (None, Some(_)) => {
                "mount the volume's directory and not its files, which must be this user's".to_owned()
            }
            (None, None) => return None,
        };
        Some(finding(About::Slots, note.finding(), remedy))
    })
}

fn state(facts: &Facts, overview: &Overview) -> Vec<Check> {
    let note = facts.state_note.iter().map(|note| finding(About::State, note, "rotate-once"));
    let pin = overview.pin_is_lost.then(|| {
        finding(
            About::State,
            "the pinned account is in no slot",
            "accounts unpin, or sign it in with auth-login",
        )
    });
    or_fine(note.chain(pin).collect(), About::State, "the rotator's memory can be read")
}

fn clock(facts: &Facts) -> Vec<Check> {
    let latest = facts.now.plus(CLOCKS_DIFFER);
    let files = facts.from_the_future.iter().filter(|(_, time)| *time > latest);
    let files = files.map(|(path, time)| format!("{} was written {time}", path.display()));
    let tokens =
        facts.slots.iter().filter_map(|file| Some((file.slot, file.issued.filter(|t| *t > latest)?)));
    let tokens = tokens.map(|(slot, time)| format!("the token of {slot} was made {time}"));
    let behind = |what: String| {
        let said = format!("{what}, and it is {} here: this clock is behind, or that one ahead", facts.now);
        finding(About::Clock, said, "date -u here and on the other nodes, and look at their NTP")
    };
    let findings = files.chain(tokens).map(behind).collect();
    or_fine(findings, About::Clock, format!("{} agrees with tokens and files", facts.now))
}

fn rotator(facts: &Facts) -> Vec<Check> {
    let mut findings = Vec::new();
    if let Some(since) = facts.waiting_since.filter(|since| facts.now.since(*since) > SIGNAL_LIES) {
        let said =
            format!("a signal lies there since {since}, and nobody takes it: the rotator does not run");
        findings.push(finding(About::Rotator, said, format!("rotate-once, then {SIDECAR}")));
    }
    let is_late = |at: &Timestamp| facts.now.since(*at) > facts.interval * 2 + SIGNAL_LIES;
    if let Some(at) = facts.last_pass.filter(is_late).filter(|_| findings.is_empty()) {
        let every = humantime::format_duration(facts.interval);
        let said = format!("the last pass was {at}, and one is due every {every}");
        findings.push(finding(About::Rotator, said, format!("rotate-once, then {SIDECAR}")));
    }
    findings.extend(two_writers(facts));
    let last = facts.last_pass.map_or_else(|| "none yet".to_owned(), |at| at.to_string());
    or_fine(findings, About::Rotator, format!("no signal waits, last pass {last}"))
}

/// Two rotators on one volume, whether their locks reach each other or not.
fn two_writers(facts: &Facts) -> Option<Check> {
    let remedy =
        "leave one rotator for this volume: look for a second release, Deployment or CronJob that mounts it";
    if let Some(marker) = facts.out_of_reach.first() {
        let said = format!(
            "two writers are at work on this volume, and their locks do not reach each other: another one refreshes {} since {}",
            marker.slot, marker.since
        );
        return Some(finding(About::Rotator, said, remedy));
    }
    let (one, other) = rivals(&facts.writers, facts.now)?;
    let said = format!(
        "two rotators are at work on this volume: {} (last {}) and {} (last {})",
        printable(&one.host),
        one.last,
        printable(&other.host),
        other.last
    );
    Some(finding(About::Rotator, said, remedy))
}

fn record(overview: &Overview) -> Vec<Check> {
    let has_choice = overview.rows.iter().any(is_usable);
    let (said, remedy) = match overview.serving {
        Serving::Account(slot) => {
            let served = overview.rows.iter().find(|row| row.slot == slot);
            match served.map(|row| &row.state) {
                Some(SlotState::NeedsLogin(_) | SlotState::Parked(_)) if has_choice => {
                    (format!("auth.json is of {slot}, which is not to serve"), "rotate-once")
                }
                _ => return vec![fine(About::Record, format!("auth.json is whole, and of {slot}"))],
            }
        }
        Serving::Stranger => ("auth.json is of an account that no slot holds".to_owned(), "rotate-once"),
        Serving::Placeholder if has_choice => {
            ("auth.json is the placeholder, and there is a choice".to_owned(), "rotate-once")
        }
        Serving::Placeholder => {
            ("auth.json is the placeholder: no account serves".to_owned(), "accounts why")
        }
        Serving::Nothing => (
            "there is no auth.json: LiteLLM would begin a login of its own and hang".to_owned(),
            "rotate-once --init",
        ),
        Serving::Foreign(why) => (format!("auth.json was not written by us ({why})"), "rotate-once"),
    };
    vec![finding(About::Record, said, remedy)]
}

fn callback(facts: &Facts) -> Check {
    let how = "set callbacks: rotate_now.handler in LiteLLM's config.yaml, with rotate_now.py beside it, and restart it";
    match &facts.callback {
        None => {
            finding(About::Callback, "no LiteLLM has loaded the callback: refusals are not heard of", how)
        }
        Some(Heartbeat { at, litellm, .. }) if facts.now.since(*at) > SIGN_OF_LIFE => {
            let said = format!(
                "LiteLLM {litellm} last gave a sign of life {at}: it is gone, or runs without the callback"
            );
            finding(About::Callback, said, format!("kubectl logs deploy/litellm; {how}"))
        }
        Some(Heartbeat { held: false, litellm, .. }) => finding(
            About::Callback,
            format!("LiteLLM {litellm} has imported the callback, and does not call it"),
            how,
        ),
        Some(Heartbeat { litellm, .. }) => {
            fine(About::Callback, format!("LiteLLM {litellm} holds the callback"))
        }
    }
}

fn codex(facts: &Facts) -> Check {
    match &facts.codex {
        Ok(path) => fine(About::Codex, path.display().to_string()),
        Err(name) => {
            let said = format!("no codex program \"{name}\": nobody can sign in from here");
            finding(About::Codex, said, "install codex, or set CODEX_BIN to its path")
        }
    }
}

/// `plan pro, and plus in its token`, which is of before the change until it is refreshed.
fn plan_of(facts: &Facts, slot: Slot, told: &str) -> String {
    let file = facts.slots.iter().find(|file| file.slot == slot);
    match file.and_then(|file| file.plan.as_deref()).filter(|plan| *plan != told) {
        Some(plan) => format!("plan {told}, and {plan} in its token until that is refreshed"),
        None => format!("plan {told}"),
    }
}

fn provider(facts: &Facts, slot: Slot, standing: &ProbeResult) -> Check {
    match standing {
        ProbeResult::Taken(usage, plan) => {
            let windows = usage.iter().flat_map(|usage| &usage.windows);
            let used: Vec<_> =
                windows.map(|window| format!("{} {}", window.minutes, window.used_percent)).collect();
            let used = (!used.is_empty()).then(|| format!("{} used", used.join(", ")));
            let plan = plan.as_ref().map(|plan| plan_of(facts, slot, plan.name()));
            let told: Vec<_> = used.into_iter().chain(plan).collect();
            let told = if told.is_empty() { String::new() } else { format!(" ({})", told.join(", ")) };
            fine(About::Provider, format!("{slot} is taken{told}"))
        }
        ProbeResult::Refused(code) => {
            let said = format!("{slot} is refused ({code})");
            finding(About::Provider, said, format!("auth-login {}", slot.number()))
        }
        ProbeResult::Unknown(why) => {
            let said = format!("nobody can say whether {slot} is taken ({why})");
            finding(
                About::Provider,
                said,
                "look at the network, HTTPS_PROXY and SSL_CERT_FILE, and try again",
            )
        }
    }
}
