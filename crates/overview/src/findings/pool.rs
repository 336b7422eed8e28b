//! Whether any account can serve.

use records::Slot;
use records::remedy;

use crate::bounds::RUNS_OUT_WITHIN;
use crate::finding::{Finding, Id};
use crate::words::span;
use crate::{Overview, SlotState};

pub(super) fn findings(overview: &Overview) -> Option<Finding> {
    let rows = &overview.rows;
    if rows.is_empty() {
        return Some(Finding::new(Id::NoLogin, "no account has signed in").run(remedy::FIRST_LOGIN));
    }
    if overview.usable() > 0 {
        return runs_out(overview);
    }
    let one_more = one_more(overview);
    if let Some((row, until)) = overview.first_back() {
        let message = format!(
            "no account can serve: {} comes back first, {until}; wait, or sign in one more account",
            row.slot
        );
        return Some(Finding::new(Id::PoolCapped, message).run(one_more));
    }
    let is_about_to_be_refreshed = rows.iter().any(|row| row.state == SlotState::RefreshDue);
    let finding = Finding::new(Id::PoolExhausted, "no account can serve: agents are refused until one can")
        .run(if is_about_to_be_refreshed { remedy::PASS } else { remedy::WHY });
    Some(finding.advise(format!("repair one of the accounts, or sign in one more: {one_more}")))
}

/// What the rate of the last hours comes to.
fn runs_out(overview: &Overview) -> Option<Finding> {
    let at = overview.exhausted_at.filter(|at| at.since(overview.now) < RUNS_OUT_WITHIN)?;
    let message = format!(
        "the pool is exhausted in {} at the rate of the last hours: {} of {} accounts can serve",
        span(at.since(overview.now)),
        overview.usable(),
        overview.rows.len()
    );
    Some(Finding::new(Id::PoolRunsOut, message).run(one_more(overview)))
}

fn one_more(overview: &Overview) -> String {
    remedy::login(Slot::first_free(&overview.rows.iter().map(|row| row.slot).collect::<Vec<_>>()))
}
