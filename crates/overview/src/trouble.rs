//! What keeps a login from being refreshed while it may still serve, and what to type. Pure.

use std::time::Duration;

use judgement::plan::Reason;
use judgement::pool::{Candidate, Pool};
use records::grant::GrantStatus;
use records::state::RefreshRefused;
use records::{Expiry, Login, Slot, Timestamp};

use crate::words::Note;

/// How long the issuer may refuse a refresh by the same unknown code before it is a finding.
const REFUSED_FOR: Duration = Duration::from_hours(24);

/// What keeps a login from being refreshed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Its grant has ended; its access token serves until it ends, too.
    NeedsLogin {
        /// The issuer's code.
        code: String,
        /// When the access token ends.
        until: Option<Expiry>,
    },
    /// It was sent to the issuer, and the answer is not known: it may be used up.
    Unanswered {
        /// When it was sent.
        since: Timestamp,
        /// When its access token ends, and it is sent once more.
        until: Option<Expiry>,
    },
    /// The issuer has refused it for a day, by a code that is not known to end a grant.
    Refused {
        /// The code.
        code: String,
        /// Since when.
        since: Timestamp,
    },
    /// A new login could not be stored, so none is asked for: why.
    NotStorable(String),
}

/// What keeps a candidate's login from being refreshed.
pub(crate) fn troubles(pool: &Pool, candidate: &Candidate, login: &Login, now: Timestamp) -> Vec<Trouble> {
    let standing = pool.state.of(&login.account);
    let until = login.expiry;
    let is_all = matches!(pool.judge(candidate, now), Err(Reason::NeedsLogin(..)));
    let ended = pool.ended_by(candidate).filter(|_| !is_all);
    let is_over = pool.ended_by(candidate).is_some();
    let unanswered = match &candidate.grant {
        GrantStatus::Unanswered(marker) if !is_over => {
            Some(Trouble::Unanswered { since: marker.since, until })
        }
        _ => None,
    };
    let refused =
        standing.refresh_refused.filter(|refused| !is_over && now.since(refused.since) >= REFUSED_FOR);
    let all = [
        ended.map(|code| Trouble::NeedsLogin { code, until }),
        unanswered,
        refused.map(|RefreshRefused { code, since }| Trouble::Refused { code, since }),
        standing.not_storable.filter(|_| !is_over).map(Trouble::NotStorable),
    ];
    all.into_iter().flatten().collect()
}

impl Trouble {
    /// A word or two for a table.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::NeedsLogin { .. } => "needs login",
            Self::Unanswered { .. } => "refresh unanswered",
            Self::Refused { .. } => "refresh refused",
            Self::NotStorable(_) => "not refreshable",
        }
    }

    /// In words, and what to type.
    #[must_use]
    pub fn note(&self, slot: Slot) -> Note {
        let number = slot.number();
        let serves = |until: &Option<Expiry>| {
            let until = until.map_or_else(|| "its access token ends".to_owned(), |until| until.to_string());
            format!("it serves until {until}")
        };
        let (what, command, why) = match self {
            Self::NeedsLogin { code, until } => (
                format!("{slot} needs login"),
                Some(format!("auth-login {number}")),
                format!("{code}; {}", serves(until)),
            ),
            Self::Unanswered { since, until } => (
                format!("the refresh of {slot} at {since} was never answered"),
                Some(format!("accounts refresh {number}")),
                format!("{}, and is then refreshed once more", serves(until)),
            ),
            Self::Refused { code, since } => (
                format!("the issuer has refused to refresh {slot} since {since}"),
                Some(format!("auth-login {number}")),
                code.clone(),
            ),
            Self::NotStorable(why) => {
                (format!("{slot} is not refreshed, because its file cannot be replaced"), None, why.clone())
            }
        };
        Note { what, command, why: Some(why) }
    }
}
