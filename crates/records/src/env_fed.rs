//! Logins from environment variables, the fallback for a volume without a login.
//!
//! A value may be as people paste it: with quotes or `Bearer ` around it, or a line end behind it. If what is left is no
//! token, it is refused, because a request with it would fail, or end the program that makes it.

use std::collections::BTreeMap;
use std::ffi::OsString;

use crate::{Login, Secret, Slot, remedy};

const ACCESS: &str = "OPENAI_CODEX_ACCESS_TOKEN";
const REFRESH: &str = "OPENAI_CODEX_REFRESH_TOKEN";
const ID: &str = "OPENAI_CODEX_ID_TOKEN";

/// The longest token, in bytes; the issuer's have about 2 KiB.
const LONGEST_TOKEN: usize = 16 << 10;

/// The variables of one slot, by the name without a number: each with its whole name and its value.
type Given = BTreeMap<&'static str, (String, OsString)>;

/// The logins in an environment: `OPENAI_CODEX_ACCESS_TOKEN` is for slot 1, `…_N` for slot N.
///
/// An error names the variable, never its value, and says what to do. A variable without a value counts as not set.
pub fn logins(
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> BTreeMap<Slot, Result<Login, String>> {
    let mut slots: BTreeMap<Slot, Given> = BTreeMap::new();
    for (name, value) in environment {
        let Some((kind, slot, name)) = name.into_string().ok().and_then(variable) else { continue };
        if value.to_str().is_some_and(|value| value.trim().is_empty()) {
            continue;
        }
        let given = slots.entry(slot).or_default();
        // For slot 1 the name with the number counts before the one without.
        if name != kind || !given.contains_key(kind) {
            given.insert(kind, (name, value));
        }
    }
    slots.into_iter().map(|(slot, given)| (slot, login(slot, &given))).collect()
}

/// Whether a variable carries a token, which must not reach a child's environment.
#[must_use]
pub fn is_token(name: &str) -> bool {
    [ACCESS, REFRESH, ID].iter().any(|prefix| name.starts_with(prefix))
}

/// What a variable of this name holds, and for which slot.
fn variable(name: String) -> Option<(&'static str, Slot, String)> {
    let (kind, number) =
        [ACCESS, REFRESH, ID].into_iter().find_map(|kind| Some((kind, name.strip_prefix(kind)?)))?;
    let slot = if number.is_empty() { Slot::FIRST } else { number.strip_prefix('_')?.parse().ok()? };
    Some((kind, slot, name))
}

fn login(slot: Slot, given: &Given) -> Result<Login, String> {
    let again = remedy::login(slot);
    let token = |kind: &str| given.get(kind).map(|(name, value)| token(kind, name, value, slot)).transpose();
    let (access, refresh, id) = (token(ACCESS)?, token(REFRESH)?, token(ID)?);
    let Some(access) = access else {
        let names: Vec<_> = given.values().map(|(name, _)| name.as_str()).collect();
        let missing =
            if slot == Slot::FIRST { ACCESS.to_owned() } else { format!("{ACCESS}_{}", slot.number()) };
        return Err(format!("{} without {missing}: set that one, too, or run {again}", names.join(" and ")));
    };
    Login::from_tokens(access, refresh, id, None).ok_or_else(|| {
        let name = &given[ACCESS].0;
        format!("{name} names no account: give the access_token of a ChatGPT login, or run {again}")
    })
}

fn token(kind: &str, name: &str, value: &OsString, slot: Slot) -> Result<Secret, String> {
    let again = remedy::login(slot);
    let field = match kind {
        ACCESS => "access_token",
        REFRESH => "refresh_token",
        _ => "id_token",
    };
    let refused = |why: &str| Err(format!("{name} {why}: give the {field} alone, or run {again}"));
    if value.len() > LONGEST_TOKEN {
        return refused("is longer than 16 KiB, which no token is");
    }
    let Some(value) = value.to_str() else { return refused("is not UTF-8") };
    let token = unwrapped(value);
    if token.starts_with('{') {
        return Err(format!("{name} holds a whole auth.json: give its {field} alone, or run {again}"));
    }
    // RFC 6750 says what may follow `Bearer ` in a header. A refresh token is never sent in a header.
    let is_fit = |c: char| match kind {
        REFRESH => c.is_ascii_graphic() && !"\"'\\".contains(c),
        _ => c.is_ascii_alphanumeric() || "-._~+/=".contains(c),
    };
    match token.chars().find(|c| !is_fit(*c)) {
        Some(c) if c.is_whitespace() => refused("has white space in it"),
        Some(_) => refused("has a character in it that no token has"),
        None if token.is_empty() => refused("has nothing but quotes in it"),
        None => Ok(Secret::new(token)),
    }
}

/// A token without what people paste around it: white space, a pair of quotes, `Bearer `.
fn unwrapped(value: &str) -> &str {
    let value = unquoted(value);
    match value.split_at_checked("Bearer ".len()) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("Bearer ") => unquoted(token),
        _ => value,
    }
}

fn unquoted(value: &str) -> &str {
    let value = value.trim();
    let within = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    within('"').or_else(|| within('\'')).map_or(value, str::trim)
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt as _;

    use super::*;

    // Header {}, claims {"https://api.openai.com/auth":{"chatgpt_account_id":"a"}}.
    const JWT: &str = "e30.eyJodHRwczovL2FwaS5vcGVuYWkuY29tL2F1dGgiOnsiY2hhdGdwdF9hY2NvdW50X2lkIjoiYSJ9fQ.x";

    fn of<const N: usize>(environment: [(&str, &str); N]) -> BTreeMap<Slot, Result<Login, String>> {
        logins(environment.map(|(name, value)| (name.into(), value.into())))
    }

    fn refused(name: &str, value: impl Into<OsString>) -> String {
        let access = Some((OsString::from("OPENAI_CODEX_ACCESS_TOKEN_7"), JWT.into()));
        let environment = access.into_iter().chain([(name.into(), value.into())]);
        let mut logins = logins(environment);
        logins.pop_last().unwrap().1.map(|_| ()).unwrap_err()
    }

    #[test]
    fn the_plain_name_is_slot_one_and_a_number_is_its_slot() {
        let logins = of([
            ("OPENAI_CODEX_ACCESS_TOKEN", JWT),
            ("OPENAI_CODEX_REFRESH_TOKEN_1", "rt-1"),
            ("OPENAI_CODEX_REFRESH_TOKEN", "rt-plain"),
            ("OPENAI_CODEX_ACCESS_TOKEN_3", JWT),
            ("OPENAI_CODEX_ACCESS_TOKEN_4", " "),
            ("OPENAI_CODEX_ACCESS_TOKEN_x", "no slot"),
            ("PATH", "/bin"),
        ]);
        let slots: Vec<_> = logins.keys().map(ToString::to_string).collect();
        assert_eq!(slots, ["account-1", "account-3"]);
        let first = logins[&Slot::FIRST].as_ref().unwrap();
        assert_eq!(first.access_token.expose(), JWT);
        assert_eq!(first.refresh_token.as_ref().unwrap().expose(), "rt-1");
        assert_eq!(first.account.account_id, "a");
    }

    #[test]
    fn what_is_pasted_around_a_token_is_taken_off() {
        for value in [
            format!("{JWT}\r\n"),
            format!(" \"{JWT}\" \n"),
            format!("'{JWT}\n'"),
            format!("Bearer {JWT}"),
            format!("bEARER  {JWT}\n"),
            format!("\"Bearer {JWT}\""),
            format!("Bearer '{JWT}'"),
        ] {
            let login = of([("OPENAI_CODEX_ACCESS_TOKEN", &value), ("OPENAI_CODEX_REFRESH_TOKEN", "'rt'\n")]);
            let login = login[&Slot::FIRST].as_ref().unwrap();
            assert_eq!(login.access_token.expose(), JWT, "{value:?}");
            assert_eq!(login.refresh_token.as_ref().unwrap().expose(), "rt");
        }
    }

    #[test]
    fn what_is_no_token_is_refused_by_its_variables_name_and_never_by_its_value() {
        assert_eq!(
            refused("OPENAI_CODEX_ACCESS_TOKEN_7", format!("{{\"access_token\": \"{JWT}\"}}")),
            "OPENAI_CODEX_ACCESS_TOKEN_7 holds a whole auth.json: give its access_token alone, or run auth-login 7"
        );
        assert_eq!(
            refused("OPENAI_CODEX_REFRESH_TOKEN_7", "rt sEcReT"),
            "OPENAI_CODEX_REFRESH_TOKEN_7 has white space in it: give the refresh_token alone, or run auth-login 7"
        );
        assert_eq!(
            refused("OPENAI_CODEX_ACCESS_TOKEN_7", "sEcReT"),
            "OPENAI_CODEX_ACCESS_TOKEN_7 names no account: give the access_token of a ChatGPT login, or run auth-login 7"
        );
        let long = format!("{JWT}{}", "x".repeat(LONGEST_TOKEN));
        for (name, value) in [
            ("OPENAI_CODEX_ACCESS_TOKEN_7", OsString::from(format!("{JWT}\n{JWT}"))),
            ("OPENAI_CODEX_ACCESS_TOKEN_7", format!("{JWT};").into()),
            ("OPENAI_CODEX_ACCESS_TOKEN_7", format!("\"{JWT}").into()),
            ("OPENAI_CODEX_ACCESS_TOKEN_7", format!("Authorization: Bearer {JWT}").into()),
            ("OPENAI_CODEX_ACCESS_TOKEN_7", format!("{JWT}é").into()),
            ("OPENAI_CODEX_ACCESS_TOKEN_7", format!("[\"{JWT}\"]").into()),
            ("OPENAI_CODEX_ACCESS_TOKEN_7", "\"\"".into()),
            ("OPENAI_CODEX_ACCESS_TOKEN_7", long.into()),
            ("OPENAI_CODEX_ACCESS_TOKEN_7", OsString::from_vec(vec![b'e', 0xff])),
            ("OPENAI_CODEX_REFRESH_TOKEN_7", "rt-sEcReT\u{1b}".into()),
            ("OPENAI_CODEX_REFRESH_TOKEN_7", "{\"tokens\": 1}".into()),
            ("OPENAI_CODEX_ID_TOKEN_7", "sEcReT,".into()),
        ] {
            let why = refused(name, value.clone());
            assert!(
                why.starts_with(&format!("{name} ")) && why.ends_with("auth-login 7"),
                "{value:?}: {why}"
            );
            assert!(!why.contains("sEcReT") && !why.contains("e30."), "{why}");
        }
    }

    #[test]
    fn tokens_without_an_access_token_are_named() {
        let logins =
            of([("OPENAI_CODEX_REFRESH_TOKEN_3", "rt"), ("OPENAI_CODEX_ID_TOKEN_3", JWT), ("HOME", "/")]);
        assert_eq!(
            logins[&"3".parse().unwrap()].as_ref().unwrap_err(),
            "OPENAI_CODEX_ID_TOKEN_3 and OPENAI_CODEX_REFRESH_TOKEN_3 without OPENAI_CODEX_ACCESS_TOKEN_3: set that \
             one, too, or run auth-login 3"
        );
        let first = of([("OPENAI_CODEX_REFRESH_TOKEN", "rt")]);
        let why = first[&Slot::FIRST].as_ref().unwrap_err();
        assert!(why.contains("TOKEN without OPENAI_CODEX_ACCESS_TOKEN: "), "{why}");
    }
}
