//! The refreshes of a pass, one after the other. In the meantime signals are acted on.

use std::collections::{BTreeSet, VecDeque};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use issuer::Issuer;
use judgement::assess::Turn;
use judgement::due::Due;
use judgement::pool::REFRESH_GRACE;
use records::counters::RefreshReason;
use records::grant::Grant;

use crate::error::PassError;
use crate::pass::Pass;
use crate::refresh::{Refresh, RefreshReport};
use crate::serving::Served;
use crate::stop::HeldSignals;

/// How often a pass looks for a signal while it waits for the issuer.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// The shortest time between two signals on which a pass acts while it waits for the issuer. A program that never stops
/// leaving signals causes no more than ten rounds a second.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

/// What the thread of a refresh reports.
enum Progress {
    Sending,
    Ended(RefreshReport),
}

/// Refreshes one login after the other, and acts on signals while it waits for the issuer.
pub(crate) fn refresh(pass: Pass<'_>, issuer: &Issuer, due: Vec<Due>) -> Result<Option<Served>, PassError> {
    // What has been issued must be stored: stopping waits for an answer that is on its way.
    let held = HeldSignals::hold();
    let refresh = Refresh { volume: pass.volume, issuer, before: pass.options.refresh_before };
    let mut tried: BTreeSet<Grant> = due.iter().map(|due| due.grant.clone()).collect();
    let mut queue: VecDeque<_> = due.into();
    let mut last = None;
    while let Some(due) = queue.pop_front() {
        let mut add = |served: Served| {
            let new = served.due.iter().filter(|due| tried.insert(due.grant.clone())).cloned();
            let new: Vec<_> = new.collect();
            last = Some(served);
            new
        };
        let (report, more) = wait_for(pass, refresh, &due, &mut add)?;
        queue.extend(more);
        let goes_on = report.goes_on && !held.is_asked_to_stop();
        report.lines.into_iter().for_each(pass.log);
        if !goes_on {
            queue.clear();
        }
        let served = pass.serve(Turn::Again { is_last: queue.is_empty() })?;
        if goes_on {
            queue.extend(add(served));
        } else {
            last = Some(served);
        }
    }
    Ok(last)
}

/// Waits for one refresh, and serves whenever a signal comes in the meantime. Returns what is due because of those signals.
fn wait_for(
    pass: Pass<'_>,
    refresh: Refresh<'_>,
    due: &Due,
    add: &mut dyn FnMut(Served) -> Vec<Due>,
) -> Result<(RefreshReport, Vec<Due>), PassError> {
    let mut more = Vec::new();
    let report = thread::scope(|scope| {
        let (sender, progress) = mpsc::channel();
        scope.spawn(move || {
            let report = refresh.run(due, || drop(sender.send(Progress::Sending)));
            sender.send(Progress::Ended(report))
        });
        let (mut not_before, mut is_slow_at) = (Instant::now(), None);
        loop {
            match progress.recv_timeout(LOOK_EVERY) {
                Ok(Progress::Ended(report)) => return Ok(report),
                // If the issuer is slow, others serve instead of the account that was refused.
                Ok(Progress::Sending) if due.reason == RefreshReason::Refused => {
                    is_slow_at = Some(Instant::now() + REFRESH_GRACE);
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(PassError::NoResult);
                }
                Ok(Progress::Sending) | Err(RecvTimeoutError::Timeout) => {}
            }
            let has_signal = pass.volume.has_signal() && Instant::now() >= not_before;
            let is_slow = is_slow_at.take_if(|at| *at <= Instant::now()).is_some();
            if has_signal || is_slow {
                not_before = Instant::now() + SHORTEST_INTERVAL;
                match pass.serve(Turn::Again { is_last: false }) {
                    Ok(served) => more.extend(add(served)),
                    // The refresh goes on: its answer must be stored.
                    Err(e) => (pass.log)(e.to_string()),
                }
            }
        }
    })?;
    Ok((report, more))
}
