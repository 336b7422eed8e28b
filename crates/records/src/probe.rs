//! What the provider says of an access token when it is asked.

use crate::state::ReportedPlan;
use crate::usage::Usage;

/// What became of a question about a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeResult {
    /// The provider accepts it; how much of the account's usage is used, and its subscription.
    Accepted(Option<Usage>, Option<ReportedPlan>),
    /// The provider refuses it, by this code.
    Refused(String),
    /// Not known, for this reason.
    Unknown(String),
}
