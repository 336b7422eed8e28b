//! Whether any account can serve.

use judgement::remedy;
use records::Slot;

use crate::finding::{Finding, Id};
use crate::{Overview, SlotState};

pub(super) fn findings(overview: &Overview) -> Option<Finding> {
    let rows = &overview.rows;
    if rows.is_empty() {
        return Some(Finding::new(Id::NoLogin, "no account has signed in").run(remedy::FIRST_LOGIN));
    }
    if overview.usable() > 0 {
        return None;
    }
    let one_more = remedy::login(Slot::first_free(&rows.iter().map(|row| row.slot).collect::<Vec<_>>()));
    Some(match overview.first_back() {
        Some((row, until)) => {
            let message = format!(
                "every account that could serve is capped: {} comes back first, {until}; wait, or sign one more account in",
                row.slot
            );
            Finding::new(Id::PoolCapped, message).run(one_more)
        }
        None => {
            let is_only_waiting = |state: &SlotState| matches!(state, SlotState::RefreshDue);
            let command = if rows.iter().any(|row| is_only_waiting(&row.state)) {
                remedy::PASS.to_owned()
            } else {
                remedy::WHY.to_owned()
            };
            Finding::new(Id::PoolExhausted, "no account can serve: agents are refused until one can")
                .run(command)
                .advise(format!("mend one of the accounts, or sign one more in: {one_more}"))
        }
    })
}
