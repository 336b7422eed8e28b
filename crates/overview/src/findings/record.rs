//! What is wrong with the published record.

use judgement::remedy;

use crate::finding::{Finding, Id};
use crate::{Overview, Serving, SlotState};

pub(super) fn finding(overview: &Overview) -> Option<Finding> {
    let has_choice = overview.usable() > 0;
    if overview.rows.is_empty() && !matches!(overview.serving, Serving::Nothing) {
        // What is published then follows from it.
        return None;
    }
    Some(match overview.serving {
        Serving::Account(slot) => {
            let served = overview.rows.iter().find(|row| row.slot == slot)?;
            let is_not_to_serve = matches!(served.state, SlotState::NeedsLogin(_) | SlotState::Parked(_));
            if !has_choice || !is_not_to_serve {
                return None;
            }
            let message = format!("auth.json is of {slot}, which is not to serve");
            Finding::new(Id::RecordNotToServe, message).of(slot).run(remedy::PASS)
        }
        Serving::Unknown => {
            Finding::new(Id::RecordUnknown, "auth.json is of an account that no slot holds").run(remedy::PASS)
        }
        Serving::Placeholder if has_choice => {
            Finding::new(Id::RecordPlaceholder, "auth.json is the placeholder, and an account can serve")
                .run(remedy::PASS)
        }
        Serving::Placeholder => {
            Finding::new(Id::RecordPlaceholder, "auth.json is the placeholder: no account serves")
                .run(remedy::WHY)
        }
        Serving::Nothing => Finding::new(
            Id::RecordMissing,
            "there is no auth.json: LiteLLM would begin a login of its own and hang",
        )
        .run(remedy::INIT),
        Serving::Foreign(why) => {
            Finding::new(Id::RecordForeign, format!("auth.json was not written by us ({why})"))
                .run(remedy::PASS)
        }
    })
}
