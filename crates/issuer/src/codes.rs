//! The codes by which the issuer says why it does not refresh, in one table. `docs/issuer-codes.md` shows it.

/// What is known of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// The code, as the issuer writes it.
    pub name: &'static str,
    /// Whether the grant will never work again. After any other code it is worth another try.
    pub is_terminal: bool,
    /// In a few plain words.
    pub meaning: &'static str,
}

/// All known codes. A code that is not among them is not terminal: a grant is given up only for a code whose meaning is
/// known.
///
/// The codes for an account or a workspace that was closed are terminal, too. It may be opened again, but then a person can
/// sign in again; and without a terminal code no operator would be notified.
pub const CODES: [Code; 27] = [
    terminal("refresh_token_expired", "the refresh token has expired"),
    terminal("refresh_token_reused", "the refresh token was used before, here or by another program"),
    terminal("refresh_token_invalidated", "the refresh token was withdrawn"),
    terminal("invalid_refresh_token", "the issuer does not know the refresh token"),
    terminal("invalid_grant", "the refresh token is not valid, or no longer"),
    terminal("token_expired", "the login has expired"),
    terminal("token_revoked", "the login was revoked, for example by codex logout"),
    terminal("token_invalidated", "the login was ended, for example by a new password"),
    terminal("app_session_terminated", "the session was ended, for example by signing out everywhere"),
    terminal("account_deactivated", "the account was deactivated"),
    terminal("account_deleted", "the account was deleted"),
    terminal("account_suspended", "the account was suspended"),
    terminal("user_deactivated", "the user was deactivated"),
    terminal("deactivated_workspace", "the workspace was deactivated"),
    passing("rate_limited", "too many requests"),
    passing("rate_limit_exceeded", "too many requests"),
    passing("too_many_requests", "too many requests"),
    passing("slow_down", "too many requests"),
    passing("server_error", "the issuer has trouble of its own"),
    passing("temporarily_unavailable", "the issuer has trouble of its own"),
    // These are about the request and not about the grant: another setting or another version resolves them.
    passing("invalid_client", "the issuer does not know the client: look at OPENAI_CODEX_CLIENT_ID"),
    passing("unauthorized_client", "the client may not refresh: look at OPENAI_CODEX_CLIENT_ID"),
    passing("invalid_request", "the issuer does not understand the request"),
    passing("invalid_scope", "the issuer does not understand the request"),
    passing("unsupported_grant_type", "the issuer does not understand the request"),
    passing("access_denied", "the issuer refuses to answer, for now"),
    passing(
        "unsupported_country_region_territory",
        "the issuer does not serve the place the request comes from",
    ),
];

const fn terminal(name: &'static str, meaning: &'static str) -> Code {
    Code { name, is_terminal: true, meaning }
}

const fn passing(name: &'static str, meaning: &'static str) -> Code {
    Code { name, is_terminal: false, meaning }
}

/// What is known of a code, if it is known.
#[must_use]
pub fn known(name: &str) -> Option<&'static Code> {
    CODES.iter().find(|code| code.name == name)
}

/// Whether a text looks like a code. It comes from outside and goes into a log line.
pub(crate) fn is_code(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    !text.is_empty() && text.len() < 64 && text.bytes().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_stands_once_and_looks_like_one() {
        for code in &CODES {
            assert_eq!(known(code.name), Some(code));
            assert!(is_code(code.name) && !code.meaning.is_empty(), "{code:?}");
        }
        assert_eq!(known("unheard_of"), None);
    }

    #[test]
    fn the_docs_have_a_table_of_those_that_end_a_login_and_one_of_those_that_pass() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/issuer-codes.md");
        let page = std::fs::read_to_string(page).unwrap();
        for (heading, is_terminal) in [("Codes that end a login", true), ("Codes that pass", false)] {
            let part = page.split(&format!("\n## {heading}\n")).nth(1).unwrap();
            let part = part.split("\n## ").next().unwrap();
            let documented: Vec<_> = part.lines().filter(|line| line.starts_with("| `")).collect();
            let codes = CODES.iter().filter(|code| code.is_terminal == is_terminal);
            let rows: Vec<_> =
                codes.map(|Code { name, meaning, .. }| format!("| `{name}` | {meaning} |")).collect();
            assert_eq!(documented, rows, "docs/issuer-codes.md, {heading}");
        }
    }

    #[test]
    fn what_could_steer_a_terminal_or_show_a_secret_is_no_code() {
        for (text, expected) in [
            ("token_revoked", true),
            ("token-revoked-2", true),
            ("", false),
            ("slow down!", false),
            ("\u{1b}[2J", false),
            ("b\u{202e}ad", false),
            (&"x".repeat(63), true),
            (&"x".repeat(64), false),
        ] {
            assert_eq!(is_code(text), expected, "{text:?}");
        }
    }
}
