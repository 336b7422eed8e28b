//! A whole pass: it serves first, then refreshes what is due, and serves again with the new tokens.
//!
//! Serving waits for no refresh: no lock is held while the issuer is waited for, and a signal that comes in the meantime is
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

/// Makes a whole pass, and returns the plan that holds at its end.
///
/// # Errors
/// The volume cannot be read or written, or the way to the issuer is configured wrongly.
pub fn rotate(pass: Pass<'_>) -> Result<Plan, PassError> {
    let Served { mut plan, mut due, mut live_directory } = pass.serve(Turn::First)?;
    if pass.options.only.is_some() && plan.chosen.is_some() {
        // The account serves without a refresh, which is left to the rotator.
        due.clear();
    }
    let mut issuer = Ok(());
    if !due.is_empty() {
        match Issuer::from_environment() {
            Ok(issuer) => {
                if let Some(served) = queue::refresh(pass, &issuer, due)? {
                    plan = served.plan;
                    live_directory = live_directory.and(served.live_directory);
                }
            }
            Err(e) => issuer = Err(PassError::Issuer(e)),
        }
    }
    live_directory?;
    // Last, because an account that needs no refresh must be able to serve in spite of it.
    issuer?;
    Ok(plan)
}

/// What a pass would do if it ran now, and the pool after the signals that wait. Changes nothing.
///
/// # Errors
/// The volume cannot be read.
pub fn preview(
    volume: &Volume,
    options: &PassOptions,
    now: Timestamp,
) -> Result<(Pool, Assessment, Plan), VolumeError> {
    let mut pool = reading::read(volume, now)?.pool;
    let signals: Vec<_> = volume.signals()?.into_iter().map(|file| file.signal).collect();
    let assessment = assess(&mut pool, &signals, options, Turn::First, now);
    let plan = decide(&pool, &assessment.policy, now);
    Ok((pool, assessment, plan))
}
