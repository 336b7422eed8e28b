//! Refreshing one login by hand, even one whose last refresh was never answered.

use cli::exit::{Exit, Failure, OrExit as _};
use cli::log;
use issuer::Issuer;
use judgement::due::Due;
use records::audit::AuditAction;
use records::counters::{RefreshReason, RefreshResult};
use records::grant::GrantStatus;
use records::{Login, Slot, remedy};
use rotation::refresh::Refresh;
use rotation::stop::HeldSignals;

use crate::COMMAND;
use crate::args::RefreshArgs;
use crate::confirmation::Confirmation;
use crate::operator::Operator;
use crate::outcome::Outcome;

impl Operator<'_> {
    /// Refreshes a login now, and publishes the outcome.
    pub(crate) fn refresh(&self, RefreshArgs { slot, yes }: RefreshArgs) -> Result<Outcome, Failure> {
        let pool = self.read()?.pool;
        let login = self.login(&pool, slot)?;
        let named = self.named(slot, login);
        let candidate = pool.slots.iter().find(|candidate| candidate.slot == slot);
        let grant = candidate.map(|candidate| candidate.grant.clone()).unwrap_or_default();
        let ended = candidate.and_then(|candidate| pool.ended_by(candidate));
        may_be_sent(slot, &named, login, &grant, ended.as_deref())?;
        if !yes {
            confirmation(slot, &named, &grant).ask()?;
        }
        let issuer = Issuer::from_environment().or_exit(Exit::BadConfig)?;
        let due = Due { slot, grant: login.grant(), reason: RefreshReason::Operator };
        let held = HeldSignals::hold();
        let refresh = Refresh { volume: self.volume, issuer: &issuer, before: self.options.refresh_before };
        let report = refresh.run(&due, || ());
        drop(held);
        let mut said = report.lines;
        let last = said.pop().unwrap_or_else(|| format!("{slot} was changed meanwhile: see accounts"));
        for line in said {
            log::line(COMMAND, line);
        }
        match report.result {
            Some(RefreshResult::Refreshed) => {}
            Some(RefreshResult::Ended) => return Err(Failure::new(Exit::Failed, last)),
            Some(RefreshResult::Failed | RefreshResult::Unanswered) | None => {
                return Err(Failure::new(Exit::TryAgain, last));
            }
        }
        let (locked, operator) = self.lock()?;
        let account = self.volume.master(slot).login.ok().map(|login| login.account);
        let written = locked.append_to_audit(&operator.entry(AuditAction::Refreshed, Some(slot), account));
        let serving = operator.serve(locked, operator.read()?, None)?;
        written?;
        Ok(Outcome {
            changed: Some(AuditAction::Refreshed),
            slot: Some(slot),
            message: last,
            until: None,
            serving,
        })
    }
}

/// Refuses a refresh that the issuer would refuse anyway, or that is under way.
fn may_be_sent(
    slot: Slot,
    named: &str,
    login: &Login,
    grant: &GrantStatus,
    ended: Option<&str>,
) -> Result<(), Failure> {
    let login_again = remedy::login(slot);
    let failed = |message| Err(Failure::new(Exit::Failed, message));
    if let Some(code) = ended {
        return failed(format!("the grant of {named} has ended ({code}): run {login_again}"));
    }
    if login.refresh_token.is_none() {
        return failed(format!("{named} has no refresh token: run {login_again}"));
    }
    if matches!(grant, GrantStatus::WithIssuer(_)) {
        let message = format!("{named} is being refreshed: see accounts in half a minute");
        return Err(Failure::new(Exit::TryAgain, message));
    }
    Ok(())
}

/// The confirmation, which says what the refresh risks.
fn confirmation(slot: Slot, named: &str, grant: &GrantStatus) -> Confirmation {
    let risk = match grant {
        GrantStatus::Unanswered(marker) => format!(
            "its refresh of {} was never answered: if that used up its refresh token, this ends the login at once, and \
             only a new sign-in brings it back",
            marker.since
        ),
        _ => "its refresh token will be used up, and a new one takes its place".to_owned(),
    };
    Confirmation {
        question: format!("refresh {named} now? {risk}."),
        without_terminal: format!("{} --yes refreshes {named}; {risk}", remedy::refresh(slot)),
        declined: format!("nothing was sent: {slot} is as it was"),
    }
}
