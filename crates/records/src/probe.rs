//! What the provider says of an access token.

use crate::limits::Limits;
use crate::state::ReportedPlan;

/// The provider's answer about a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeResult {
    /// It accepts the token, and reports the account's usage and its subscription.
    Accepted(Limits, Option<ReportedPlan>),
    /// It refuses the token, by this code.
    Refused(String),
    /// There is no answer that says either, for this reason.
    Unknown(String),
}
