//! Logins fed by environment variables, the fallback for a volume with no login on it.

use std::collections::BTreeMap;

use crate::{Login, Secret, Slot};

const ACCESS: &str = "OPENAI_CODEX_ACCESS_TOKEN";
const REFRESH: &str = "OPENAI_CODEX_REFRESH_TOKEN";
const ID: &str = "OPENAI_CODEX_ID_TOKEN";

/// Picks the logins out of an environment: `OPENAI_CODEX_ACCESS_TOKEN` is slot 1, `…_N` is slot N.
///
/// `None` for a slot whose tokens do not say whose they are.
pub fn logins(environment: impl IntoIterator<Item = (String, String)>) -> BTreeMap<Slot, Option<Login>> {
    let environment: BTreeMap<_, _> =
        environment.into_iter().filter(|(_, value)| !value.trim().is_empty()).collect();
    let token = |name: &str, slot: Slot| {
        let numbered = environment.get(&format!("{name}_{}", slot.number()));
        let plain = environment.get(name).filter(|_| slot == Slot::FIRST);
        numbered.or(plain).map(|value| Secret::new(value))
    };
    environment
        .keys()
        .filter_map(|key| match key.strip_prefix(ACCESS)? {
            "" => Some(Slot::FIRST),
            number => number.strip_prefix('_')?.parse().ok(),
        })
        .filter_map(|slot| {
            let access = token(ACCESS, slot)?;
            Some((slot, Login::of_tokens(access, token(REFRESH, slot), token(ID, slot), None)))
        })
        .collect()
}

/// Whether a variable carries a login, and so has no business in a child's environment.
#[must_use]
pub fn is_token(name: &str) -> bool {
    [ACCESS, REFRESH, ID].iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plain_name_is_slot_one_and_a_number_is_its_slot() {
        // Header {}, claims {"https://api.openai.com/auth":{"chatgpt_account_id":"a"}}.
        let jwt = "e30.eyJodHRwczovL2FwaS5vcGVuYWkuY29tL2F1dGgiOnsiY2hhdGdwdF9hY2NvdW50X2lkIjoiYSJ9fQ.x";
        let env = [
            ("OPENAI_CODEX_ACCESS_TOKEN", format!("{jwt}\r\n")),
            ("OPENAI_CODEX_REFRESH_TOKEN", "rt-1\n".to_owned()),
            ("OPENAI_CODEX_ACCESS_TOKEN_3", "opaque".to_owned()),
            ("OPENAI_CODEX_ACCESS_TOKEN_4", " ".to_owned()),
            ("OPENAI_CODEX_ACCESS_TOKEN_x", "no slot".to_owned()),
            ("PATH", "/bin".to_owned()),
        ];
        let logins = logins(env.map(|(name, value)| (name.to_owned(), value)));
        let slots: Vec<_> = logins.keys().map(ToString::to_string).collect();
        assert_eq!(slots, ["account-1", "account-3"]);
        let first = logins[&Slot::FIRST].as_ref().unwrap();
        assert_eq!(first.access_token.expose(), jwt);
        assert_eq!(first.refresh_token.as_ref().unwrap().expose(), "rt-1");
        assert_eq!(first.account.account_id, "a");
        assert_eq!(logins.values().flatten().count(), 1, "an opaque token does not say whose it is");
    }
}
