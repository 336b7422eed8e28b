//! The refreshes of a pass, one after the other, while signals are acted on.

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

/// How often a signal is looked for while the issuer is waited for.
const LOOK: Duration = Duration::from_millis(1);

/// How long after it acted on a signal a pass acts on the next one, while the issuer is waited for: a writer that never
/// ends costs no more than ten a second.
const FLOOR: Duration = Duration::from_millis(100);

/// How far a refresh is.
enum Progress {
    Sending,
    Ended(RefreshReport),
}

/// Refreshes one login after the other, and acts on signals while the issuer is waited for.
pub(crate) fn refresh(pass: Pass<'_>, issuer: &Issuer, due: Vec<Due>) -> Result<Option<Served>, PassError> {
    // What was issued must be stored: whoever stops us waits for the answer that is on its way.
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
        report.said.into_iter().for_each(pass.log);
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

/// Waits for one refresh, and serves whenever a signal comes meanwhile. Gives what is due because of those.
fn wait_for(
    pass: Pass<'_>,
    refresh: Refresh<'_>,
    due: &Due,
    add: &mut dyn FnMut(Served) -> Vec<Due>,
) -> Result<(RefreshReport, Vec<Due>), PassError> {
    let mut more = Vec::new();
    let report = thread::scope(|scope| {
        let (tell, answer) = mpsc::channel();
        scope.spawn(move || {
            let report = refresh.one(due, || drop(tell.send(Progress::Sending)));
            tell.send(Progress::Ended(report))
        });
        let (mut not_before, mut is_slow_at) = (Instant::now(), None);
        loop {
            match answer.recv_timeout(LOOK) {
                Ok(Progress::Ended(report)) => return Ok(report),
                // Others serve in the place of an account that was refused, if the issuer is slow.
                Ok(Progress::Sending) if due.reason == RefreshReason::Refused => {
                    is_slow_at = Some(Instant::now() + REFRESH_GRACE);
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(PassError::NoResult);
                }
                Ok(Progress::Sending) | Err(RecvTimeoutError::Timeout) => {}
            }
            let is_called = pass.volume.has_signal() && Instant::now() >= not_before;
            let is_slow = is_slow_at.take_if(|at| *at <= Instant::now()).is_some();
            if is_called || is_slow {
                not_before = Instant::now() + FLOOR;
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
