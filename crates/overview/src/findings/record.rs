//! What is wrong with the published record.

use records::remedy;

use crate::finding::{Finding, Id};
use crate::{Overview, Published, SlotState};

pub(super) fn finding(overview: &Overview) -> Option<Finding> {
    if overview.rows.is_empty() && !matches!(overview.published, Published::Nothing) {
        // That no account has signed in is another finding, and explains what is published.
        return None;
    }
    let can_publish = overview.can_publish();
    // A pass that has no account to publish leaves a well-formed record as it is.
    let command = if can_publish { remedy::PASS } else { remedy::WHY };
    Some(match &overview.published {
        Published::Account(slot) => {
            let served = overview.rows.iter().find(|row| row.slot == *slot)?;
            if !can_publish || !is_not_to_serve(&served.state) {
                return None;
            }
            let message = format!("auth.json is of {slot}, which must not serve");
            Finding::new(Id::RecordNotToServe, message).of(*slot).run(command)
        }
        Published::Unknown => {
            Finding::new(Id::RecordUnknown, "auth.json is of an account that no slot holds").run(command)
        }
        Published::Placeholder => {
            let and =
                if can_publish { ", and a pass has an account to publish" } else { ": no account serves" };
            Finding::new(Id::RecordPlaceholder, format!("auth.json is the placeholder{and}")).run(command)
        }
        Published::Nothing => Finding::new(
            Id::RecordMissing,
            "there is no auth.json: LiteLLM would begin a login of its own and hang",
        )
        .run(remedy::INIT),
        Published::Foreign(why) => {
            Finding::new(Id::RecordForeign, format!("auth.json was not written by us ({why})"))
                .run(remedy::PASS)
        }
    })
}

fn is_not_to_serve(state: &SlotState) -> bool {
    matches!(state, SlotState::NeedsLogin(_) | SlotState::Parked(_) | SlotState::OtherAccount(_))
}
