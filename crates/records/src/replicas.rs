//! What the callbacks of several LiteLLM replicas report to the pod with the logins: one file of each kind for all of
//! them, whose size does not grow with their number or with how often they are replaced.

use serde_json::{Value, json};

use crate::Timestamp;
use crate::agents::{self, Totals, UsedBy};
use crate::heartbeat::Heartbeat;
use crate::readings::Reading;
use crate::text::printable;

/// How many processes of LiteLLM are remembered; the ones that were not heard of for the longest go.
const MOST_WORKERS: usize = 256;

/// How many accounts have a reading.
const MOST_READINGS: usize = 64;

/// How many pairs of an agent and an account are counted apart.
const MOST_PAIRS: usize = 500;

/// As whom the callback counts those beyond its own bound, too.
const OTHERS: &str = "(others)";

/// What a report is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Report {
    /// That a callback works. The last one of each process is kept.
    Heartbeat,
    /// How much an account had used when it last answered. The newest one of each account is kept.
    Reading,
    /// How much more agents have used since the report before, which the process has numbered. It is added, and only once.
    Totals,
}

impl Report {
    /// The content of the file of this kind once a document is in it; `None` if the document says nothing that is not
    /// there.
    #[must_use]
    pub fn added(self, file: &[u8], document: &[u8], now: Timestamp) -> Option<Vec<u8>> {
        let before: Value = serde_json::from_slice(file).unwrap_or_default();
        let document: Value = serde_json::from_slice(document).ok()?;
        let after = match self {
            Self::Heartbeat => with_heartbeat(&before, document, now),
            Self::Reading => with_reading(&before, document, now),
            Self::Totals => with_totals(&before, &document),
        }?;
        Some(format!("{after}\n").into_bytes())
    }
}

/// The heartbeats in a file's bytes.
#[must_use]
pub fn heartbeats(file: &[u8]) -> Vec<Heartbeat> {
    let document: Value = serde_json::from_slice(file).unwrap_or_default();
    elements(&document["heartbeats"]).filter_map(Heartbeat::of).collect()
}

fn elements(array: &Value) -> impl Iterator<Item = &Value> {
    array.as_array().into_iter().flatten()
}

/// The name that a process has given itself.
fn worker(document: &Value) -> Option<String> {
    document["worker"].as_str().filter(|name| !name.is_empty()).map(printable)
}

fn with_heartbeat(before: &Value, mut document: Value, now: Timestamp) -> Option<Value> {
    let (worker, Heartbeat { at, .. }) = (worker(&document)?, Heartbeat::of(&document)?);
    // A clock ahead of ours must not make a process look alive that has ended.
    document["at"] = json!(at.min(now));
    let others = elements(&before["heartbeats"]).filter(|other| other["worker"] != worker.as_str());
    let heartbeats: Vec<_> = [&document].into_iter().chain(others).take(MOST_WORKERS).collect();
    Some(json!({"version": 1, "heartbeats": heartbeats}))
}

fn with_reading(before: &Value, mut document: Value, now: Timestamp) -> Option<Value> {
    let new = Reading::of(&document, now)?;
    document["at"] = json!(new.at);
    let mut readings = vec![&document];
    for other in elements(&before["readings"]) {
        match Reading::of(other, now) {
            Some(known) if known.account == new.account && known.at >= new.at => return None,
            Some(known) if known.account != new.account => readings.push(other),
            _ => {}
        }
    }
    readings.truncate(MOST_READINGS);
    Some(json!({"version": 1, "readings": readings}))
}

fn with_totals(before: &Value, document: &Value) -> Option<Value> {
    let (worker, number) = (worker(document)?, document["number"].as_u64()?);
    let is_of_it = |other: &&Value| other["worker"] == worker.as_str();
    let last = elements(&before["taken"]).find(is_of_it);
    if last.is_some_and(|last| last["number"].as_u64() >= Some(number)) {
        return None;
    }
    let mut totals = agents::totals(before);
    for (who, more) in agents::totals(document) {
        let is_counted_apart = totals.len() < MOST_PAIRS || totals.contains_key(&who);
        let others = || UsedBy { agent: OTHERS.to_owned(), account: None };
        *totals.entry(if is_counted_apart { who } else { others() }).or_default() += more;
    }
    let this = json!({"worker": worker, "number": number});
    let others = elements(&before["taken"]).filter(|other| !is_of_it(other));
    let taken: Vec<_> = [&this].into_iter().chain(others).take(MOST_WORKERS).collect();
    Some(json!({"version": 1, "totals": rows(&totals), "taken": taken}))
}

fn rows(totals: &Totals) -> Vec<Value> {
    let row = |(who, used): (&UsedBy, _)| {
        let mut row = json!(used);
        row["agent"] = json!(who.agent);
        row["account_id"] = json!(who.account.as_ref().map(|account| &account.account_id));
        row["user_id"] = json!(who.account.as_ref().and_then(|account| account.user_id.as_ref()));
        row
    };
    totals.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::readings;

    const NOW: i64 = 1_795_439_575;

    fn now() -> Timestamp {
        Timestamp::from_seconds(NOW)
    }

    /// The file after all these documents.
    fn all(report: Report, documents: &[Value]) -> Vec<u8> {
        let mut file = Vec::new();
        for document in documents {
            if let Some(after) = report.added(&file, document.to_string().as_bytes(), now()) {
                file = after;
            }
        }
        file
    }

    fn beat(worker: &str, at: i64) -> Value {
        json!({"at": NOW + at, "pid": 1, "litellm": "1.109.1", "held": true, "worker": worker})
    }

    #[test]
    fn the_last_heartbeat_of_each_process_is_there_and_none_is_of_the_future() {
        let file = all(Report::Heartbeat, &[beat("a", -60), beat("b", -50), beat("a", 3600)]);
        let seconds: Vec<_> = heartbeats(&file).iter().map(|beat| beat.at.seconds() - NOW).collect();
        assert_eq!(seconds, [0, -50]);
        let many: Vec<_> = (0..1000).map(|number| beat(&number.to_string(), -60)).collect();
        assert_eq!(heartbeats(&all(Report::Heartbeat, &many)).len(), MOST_WORKERS);
    }

    fn reading(account: &str, at: i64, used: u32) -> Value {
        let headers = json!({"x-codex-primary-used-percent": used.to_string(), "x-codex-primary-window-minutes": "300"});
        json!({"at": NOW + at, "account_id": account, "user_id": format!("user-{account}"), "headers": headers})
    }

    #[test]
    fn the_newest_reading_of_each_account_wins_whichever_replica_has_it() {
        let documents = [reading("ann", -60, 40), reading("ben", -50, 10), reading("ann", -70, 30)];
        let read = readings::parse(&all(Report::Reading, &documents), now());
        let used = |account: &str| {
            let reading = read.iter().find(|reading| reading.account.account_id == account).unwrap();
            reading.limits.own.as_ref().unwrap().windows[0].used_percent.percent()
        };
        assert_eq!((read.len(), used("ann"), used("ben")), (2, 40.0, 10.0));
        let later = all(Report::Reading, &[documents.as_slice(), &[reading("ann", 3600, 50)]].concat());
        let later = readings::parse(&later, now());
        assert!(later.iter().any(|reading| reading.at == now()), "a clock that runs ahead");
    }

    fn more(worker: &str, number: u64, agent: &str, requests: u64) -> Value {
        let total = json!({"agent": agent, "account_id": "ann", "user_id": "user-ann", "requests": requests});
        json!({"worker": worker, "number": number, "totals": [total]})
    }

    fn requests(file: &[u8]) -> Vec<u64> {
        let mut totals = Totals::new();
        agents::add(&mut totals, file);
        totals.values().map(|used| used.requests).collect()
    }

    #[test]
    fn what_replicas_have_counted_is_added_once_and_stays_when_they_are_gone() {
        let first = [more("a", 1, "ann", 2), more("b", 1, "ann", 3)];
        assert_eq!(requests(&all(Report::Totals, &first)), [5]);
        let again = [&first[..], &first[..]].concat();
        assert_eq!(requests(&all(Report::Totals, &again)), [5], "its answer was lost");
        let on = [&first[..], &[more("b", 2, "ann", 1), more("c", 1, "ann", 1)]].concat();
        assert_eq!(requests(&all(Report::Totals, &on)), [7], "a is gone, and c is new");
    }

    #[test]
    fn however_many_there_are_the_file_stays_small_and_nothing_is_lost() {
        let many: Vec<_> = (0..1000).map(|n| more(&n.to_string(), 1, &format!("agent-{n}"), 1)).collect();
        let file = all(Report::Totals, &many);
        let counted = requests(&file);
        assert_eq!((counted.len(), counted.iter().sum::<u64>()), (MOST_PAIRS + 1, 1000));
        assert!(file.len() < 200 << 10, "{}", file.len());
    }

    #[test]
    fn nonsense_changes_nothing() {
        for report in [Report::Heartbeat, Report::Reading, Report::Totals] {
            for document in ["", "{half", "[]", "7", "{}", r#"{"worker": "", "number": -1, "at": "never"}"#] {
                assert_eq!(report.added(b"", document.as_bytes(), now()), None, "{report:?}: {document}");
            }
            let known = [beat("a", 0), reading("ann", 0, 1), more("a", 1, "ann", 1)];
            let taken =
                known.iter().filter(|it| report.added(b"{half", it.to_string().as_bytes(), now()).is_some());
            assert_eq!(taken.count(), 1, "a file that is broken is begun anew");
        }
    }
}
