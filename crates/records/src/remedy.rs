//! The commands that resolve findings, as a person types them where the volume is mounted. Every text that names one takes it
//! from here.

use crate::Slot;

/// What is typed when no slot holds a login yet.
pub const FIRST_LOGIN: &str = "auth-login 1";

/// Runs a pass.
pub const PASS: &str = "rotate-once";

/// Makes sure that LiteLLM finds a published record.
pub const INIT: &str = "rotate-once --init";

/// Shows what a pass would choose, and why.
pub const WHY: &str = "accounts why";

/// Checks the pod as a whole.
pub const DOCTOR: &str = "accounts doctor";

/// Has a volume that was restored from a backup count as the latest one again.
pub const TAKE_OVER: &str = "lane-mirror --take-over";

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

/// Ends a sign-in to a slot that is under way.
#[must_use]
pub fn abort(slot: Slot) -> String {
    format!("auth-login --abort {}", slot.number())
}

/// Removes what is in a slot from the volume.
#[must_use]
pub fn remove(slot: Slot) -> String {
    format!("accounts remove {}", slot.number())
}

/// Sends a grant to the issuer now.
#[must_use]
pub fn refresh(slot: Slot) -> String {
    format!("accounts refresh {}", slot.number())
}

/// Ends an account's park and its cooldown.
#[must_use]
pub fn unpark(slot: Slot) -> String {
    format!("accounts unpark {}", slot.number())
}
