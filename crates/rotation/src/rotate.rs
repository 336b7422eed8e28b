//! A whole pass: serve first, then refresh what is due, and serve again what came of it.
//!
//! Serving waits for nothing: no lock is held while the issuer is waited for, and a signal that comes in the meantime is
//! acted on at once.

use auth_volume::{Volume, VolumeError};
use issuer::Issuer;
use judgement::assess::{Assessment, Turn, assess};
use judgement::decide::decide;
use judgement::plan::Plan;
use judgement::policy::PassOptions;
use judgement::pool::Pool;
use records::Timestamp;

use crate::error::PassError;
use crate::pass::Pass;
use crate::queue;
use crate::reading;
use crate::serving::Served;

/// Serves, refreshes what is due, and serves again what came of it. Gives the plan that holds at the end.
///
/// # Errors
/// See [`PassError`].
pub fn rotate(pass: Pass<'_>) -> Result<Plan, PassError> {
    let Served { mut plan, mut due, mut trouble } = pass.serve(Turn::First)?;
    if pass.options.only.is_some() && plan.chosen.is_some() {
        // It serves as it is: the rest is the rotator's.
        due.clear();
    }
    let mut issuer = Ok(());
    if !due.is_empty() {
        match Issuer::from_environment() {
            Ok(issuer) => {
                if let Some(served) = queue::refresh(pass, &issuer, due)? {
                    plan = served.plan;
                    trouble = trouble.and(served.trouble);
                }
            }
            Err(e) => issuer = Err(PassError::Issuer(e)),
        }
    }
    trouble?;
    // Last, because an account that needs no refresh must be able to serve in the meantime.
    issuer?;
    Ok(plan)
}

/// What a pass would do if it ran now, and the pool after the signals that wait. Reads, and does nothing.
///
/// # Errors
/// The volume cannot be read.
pub fn look(
    volume: &Volume,
    options: PassOptions,
    now: Timestamp,
) -> Result<(Pool, Assessment, Plan), VolumeError> {
    let mut pool = reading::read(volume, now)?.pool;
    let signals: Vec<_> = volume.signals()?.into_iter().map(|taken| taken.signal).collect();
    let assessment = assess(&mut pool, &signals, options, Turn::First, now);
    let plan = decide(&pool, assessment.policy, now);
    Ok((pool, assessment, plan))
}
