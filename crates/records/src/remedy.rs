//! The commands that mend what is wrong, as a person types them where the volume is. Whatever text names one, it is made here.

use crate::Slot;

/// What is typed when no slot holds a login yet.
pub const FIRST_LOGIN: &str = "auth-login 1";

/// Runs a pass.
pub const PASS: &str = "rotate-once";

/// Makes sure that LiteLLM finds a published record.
pub const INIT: &str = "rotate-once --init";

/// Shows what a pass would choose, and why.
pub const WHY: &str = "accounts why";

/// Looks at everything.
pub const DOCTOR: &str = "accounts doctor";

/// Ends the pin.
pub const UNPIN: &str = "accounts unpin";

/// Signs the account of a slot in again.
#[must_use]
pub fn login(slot: Slot) -> String {
    format!("auth-login {}", slot.number())
}

/// Signs an account in to a slot that belonged to another one.
#[must_use]
pub fn login_replacing(slot: Slot) -> String {
    format!("auth-login --replace {}", slot.number())
}

/// Ends a login into a slot that is under way.
#[must_use]
pub fn abort(slot: Slot) -> String {
    format!("auth-login --abort {}", slot.number())
}

/// Takes what lies in a slot off the volume.
#[must_use]
pub fn remove(slot: Slot) -> String {
    format!("accounts remove {}", slot.number())
}

/// Sends a grant to the issuer now.
#[must_use]
pub fn refresh(slot: Slot) -> String {
    format!("accounts refresh {}", slot.number())
}

/// Ends what puts an account aside.
#[must_use]
pub fn unpark(slot: Slot) -> String {
    format!("accounts unpark {}", slot.number())
}
