//! What is wrong with the rotator's state.

use records::remedy;

use crate::finding::{Finding, Id};
use crate::observed::Observed;

pub(super) fn findings(observed: &Observed) -> Vec<Finding> {
    let broken = observed.state_note.iter().map(|note| Finding::new(Id::StateBroken, note).run(remedy::PASS));
    let pin = observed.overview.pin_is_lost.then(|| {
        Finding::new(Id::PinLost, "the pinned account is in no slot")
            .run(remedy::UNPIN)
            .advise("or sign it in with auth-login")
    });
    let notes = observed.notes.iter().map(|note| Finding::new(Id::Note, note));
    broken.chain(pin).chain(notes).collect()
}
