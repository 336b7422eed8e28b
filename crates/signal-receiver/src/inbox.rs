//! What was let in, on its way to the rotator: a signal waits in memory until the one before it was taken.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use auth_volume::{Volume, clock};
use cli::log;
use records::Lane;
use records::published::Exported;
use records::replicas::Report;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::sleep;

use crate::COMMAND;
use crate::gate::{Dropped, Gate, Kind};

/// How many signals wait.
const ROOM: usize = 64;

/// How long a signal waits for the rotator to take the one before, and how often that is looked at.
const PATIENCE: Duration = Duration::from_mins(1);
const LOOK: Duration = Duration::from_millis(20);

/// How old the records may be that were read.
const FRESH: Duration = Duration::from_millis(100);

/// How often what was dropped is logged.
const REPORT: Duration = Duration::from_mins(1);

/// The way from the replicas to the rotator.
#[derive(Debug)]
pub(crate) struct Inbox {
    volume: Volume,
    state: Mutex<State>,
    waiting: Sender<Vec<u8>>,
}

#[derive(Debug, Default)]
struct State {
    gate: Gate,
    records: Option<(Instant, Vec<Exported>)>,
    dropped: BTreeMap<Dropped, u64>,
}

/// What a replica is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reception {
    Taken,
    Dropped(Dropped),
    /// So many wait that it has to come again.
    Full,
    /// It could not be written, and has to come again.
    Unwritten,
}

impl Inbox {
    /// The one of a volume, with the signals that wait.
    pub(crate) fn new(volume: Volume) -> (Self, Receiver<Vec<u8>>) {
        let (waiting, signals) = channel(ROOM);
        (Self { volume, state: Mutex::default(), waiting }, signals)
    }

    /// Takes a document in, or counts that it was dropped.
    pub(crate) fn receive(&self, kind: Kind, from: IpAddr, body: &[u8], signature: &[u8]) -> Reception {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { gate, records, dropped } = &mut *state;
        let now = Instant::now();
        let (_, records) = match records.take() {
            Some(read) if now.duration_since(read.0) < FRESH => records.insert(read),
            _ => records.insert((now, published(&self.volume))),
        };
        // A place is taken before the gate remembers the signal, or it could not come again in time.
        let place = match kind {
            Kind::Signal => match self.waiting.try_reserve() {
                Ok(place) => Some(place),
                Err(_) => return Reception::Full,
            },
            Kind::Report(_) => None,
        };
        match gate.admit(kind, from, body, signature, records, now) {
            Ok(()) => {
                if let Some(place) = place {
                    place.send(body.to_vec());
                }
                match kind {
                    Kind::Report(report) => self.keep(report, body),
                    Kind::Signal => Reception::Taken,
                }
            }
            Err(why) => {
                *dropped.entry(why).or_default() += 1;
                Reception::Dropped(why)
            }
        }
    }

    fn keep(&self, report: Report, document: &[u8]) -> Reception {
        match self.volume.keep_report(report, document, clock::now()) {
            Ok(()) => Reception::Taken,
            Err(e) => {
                log::line(COMMAND, e);
                Reception::Unwritten
            }
        }
    }

    /// Logs each minute what was dropped.
    pub(crate) async fn report(&self) {
        loop {
            sleep(REPORT).await;
            let dropped =
                std::mem::take(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner).dropped);
            if !dropped.is_empty() {
                let parts: Vec<_> =
                    dropped.iter().map(|(why, count)| format!("{count} {}", why.words())).collect();
                log::line(COMMAND, format_args!("dropped in the last minute: {}", parts.join(", ")));
            }
        }
    }

    /// Leaves the signals one after the other for the rotator.
    pub(crate) async fn leave(&self, mut signals: Receiver<Vec<u8>>) {
        while let Some(signal) = signals.recv().await {
            let give_up = Instant::now() + PATIENCE;
            loop {
                match self.volume.leave(&signal) {
                    Ok(true) => break,
                    Ok(false) if Instant::now() < give_up => sleep(LOOK).await,
                    Ok(false) => {
                        log::line(COMMAND, "the rotator takes no signals: one was dropped");
                        break;
                    }
                    Err(e) => {
                        log::line(COMMAND, e);
                        break;
                    }
                }
            }
        }
    }
}

/// All records that are published, each once.
fn published(volume: &Volume) -> Vec<Exported> {
    let lanes = Lane::all().map_while(|lane| volume.lane_bytes(lane).ok());
    let mut records = Vec::new();
    for record in lanes.chain(volume.published_bytes()).filter_map(|content| Exported::of(&content)) {
        if !records.contains(&record) {
            records.push(record);
        }
    }
    records
}
