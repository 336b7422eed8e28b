//! What is wrong with single slots.

use records::Slot;
use records::remedy;
use records::state::Parked;
use records::text::printable;

use crate::finding::{Finding, Id};
use crate::observed::{Observed, SlotFile};
use crate::trouble::Trouble;
use crate::{Row, SlotState};

pub(super) fn findings(observed: &Observed) -> Vec<Finding> {
    let of_rows = observed.overview.rows.iter().flat_map(of_row);
    let of_files = observed.files.iter().filter(|file| file.too_open).map(too_open);
    of_rows.chain(of_files).chain(misnamed(&observed.misnamed_logins)).collect()
}

pub(super) fn of_row(row: &Row) -> impl Iterator<Item = Finding> {
    let slot = row.slot;
    let of_state = of_state(row).into_iter();
    let of_troubles = row.troubles.iter().map(move |trouble| of_trouble(slot, trouble));
    of_state.chain(of_troubles).map(move |finding| finding.of(slot))
}

fn of_state(Row { slot, state, .. }: &Row) -> Option<Finding> {
    Some(match state {
        SlotState::NeedsLogin(why) => {
            Finding::new(Id::NeedsLogin, format!("{slot} needs login")).because(why).run(remedy::login(*slot))
        }
        SlotState::Unusable(broken) => {
            let id = if broken.is_in_the_way { Id::SlotBlocked } else { Id::SlotBroken };
            Finding::new(id, format!("{slot} is broken: {broken}")).run(broken.remedy(*slot))
        }
        // By now the slot belongs to the other account, which a plain auth-login would protect.
        SlotState::OtherAccount(from) => {
            let message =
                format!("{slot} belonged to {from}, and its last refresh answered for another account");
            Finding::new(Id::OtherAccount, message)
                .because(format!("{} lets it serve", remedy::unpark(*slot)))
                .run(remedy::login_replacing(*slot))
        }
        SlotState::Duplicate(other) => {
            let message = format!("{slot} is the same account as {other}, whose login is newer");
            Finding::new(Id::Duplicate, message).run(remedy::remove(*slot))
        }
        SlotState::Parked(Parked { reason: Some(reason), .. }) => {
            Finding::new(Id::Parked, format!("{slot} parked: {reason}"))
        }
        SlotState::Ready
        | SlotState::Capped(_)
        | SlotState::Parked(_)
        | SlotState::Reserved(_)
        | SlotState::RefreshDue => return None,
    })
}

fn of_trouble(slot: Slot, trouble: &Trouble) -> Finding {
    match trouble {
        Trouble::NeedsLogin { code, .. } => Finding::new(Id::NeedsLogin, format!("{slot} needs login"))
            .because(format!("{code}; {}", trouble.serves()))
            .run(remedy::login(slot)),
        Trouble::Unanswered { since, .. } => {
            let message = format!("the refresh of {slot} at {since} was never answered");
            Finding::new(Id::RefreshUnanswered, message)
                .because(format!("{}, and is then refreshed once more", trouble.serves()))
                .run(remedy::refresh(slot))
        }
        Trouble::Refused { code, since } => {
            let message = format!("the issuer has refused to refresh {slot} since {since}");
            Finding::new(Id::RefreshRefused, message).because(code).run(remedy::login(slot))
        }
        Trouble::NotStorable(why) => {
            let message = format!("{slot} is not refreshed, because its file cannot be replaced");
            Finding::new(Id::NotStorable, message)
                .because(why)
                .advise("mount the volume's directory and not its files, which must be this user's")
        }
    }
}

fn too_open(file: &SlotFile) -> Finding {
    let path = file.path.display();
    // A pass narrows the file's mode.
    Finding::new(Id::FileTooOpen, format!("others can read {path}")).of(file.slot).run(remedy::PASS)
}

/// Files that nothing reads, though a person may believe that they are logins in use.
fn misnamed(names: &[String]) -> Option<Finding> {
    let mut shown: Vec<_> = names.iter().take(3).map(|name| format!("\"{}\"", printable(name))).collect();
    let more = names.len().saturating_sub(shown.len());
    shown.extend((more > 0).then(|| format!("{more} more")));
    let last = shown.pop()?;
    let (names, are) = match shown.as_slice() {
        [] => (last, "looks like a login and is"),
        others => (format!("{} and {last}", others.join(", ")), "look like logins and are"),
    };
    let message = format!(
        "{names} {are} in no slot: a slot's file is auth-N.json, with N from 1 on and without leading zeros"
    );
    Some(Finding::new(Id::MisnamedLogin, message).advise("copy one to auth-N.json, or delete it"))
}
