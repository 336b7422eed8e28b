//! Why a login of codex failed, and what to do about it.

use anyhow::anyhow;
use cli::exit::{Exit, Failure};
use records::{Slot, remedy};

use crate::text::plain;

/// The longest reason that is shown.
const LONGEST: usize = 300;

/// How far the login had come when it failed, by codex's wording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// No code had been shown yet.
    RequestingCode,
    /// The code had been shown.
    Waiting,
    /// Later, or not known.
    Other,
}

/// The reason in codex's own words, and what can be read from it.
struct Reason<'a> {
    words: &'a str,
    stage: Stage,
    status: Option<u16>,
    /// Where an HTML page begins that came instead of an answer.
    page: Option<usize>,
}

impl<'a> Reason<'a> {
    fn of(words: &'a str) -> Self {
        let stage = match words {
            _ if words.contains("device code request") => Stage::RequestingCode,
            _ if words.contains("device auth failed") => Stage::Waiting,
            _ => Stage::Other,
        };
        let status = words.split_once("status ").and_then(|(_, rest)| rest.get(..3)?.parse().ok());
        let starts_tag =
            |rest: &str| rest.starts_with(|next: char| next.is_ascii_alphabetic() || "!/?".contains(next));
        let page = words.match_indices('<').map(|(at, _)| at).find(|at| starts_tag(&words[at + 1..]));
        Self { words, stage, status, page }
    }

    /// In one line, without the page.
    fn line(&self) -> String {
        let text = plain(&self.words[..self.page.unwrap_or(self.words.len())]);
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut shown: String = line.chars().take(LONGEST).collect();
        if shown.len() < line.len() {
            shown.push('…');
        }
        match shown.trim_end_matches([':', ' ']) {
            "" => "it gave no reason".to_owned(),
            shown => shown.to_owned(),
        }
    }

    fn has(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| self.words.contains(phrase))
    }
}

/// The failure of a login with its remedy, from the reason that codex gave.
pub(crate) fn of(slot: Slot, reason: &str) -> Failure {
    let reason = Reason::of(reason);
    let (exit, remedy) = what_to_do(&reason, &format!("run {} again", remedy::login(slot)));
    Failure { exit, error: anyhow!("codex login failed: {}: {remedy}", reason.line()) }
}

fn what_to_do(reason: &Reason<'_>, again: &str) -> (Exit, String) {
    let switch_on = "switch on device code authorization in ChatGPT's security (or workspace) settings";
    match (reason.stage, reason.status) {
        (_, Some(429)) => (
            Exit::TryAgain,
            "too many codes were asked for: wait half an hour, because each attempt prolongs the lock".into(),
        ),
        (_, Some(407)) => (
            Exit::Failed,
            format!("the proxy wants a name and a password: put them into HTTPS_PROXY, then {again}"),
        ),
        (stage, Some(403)) if stage == Stage::RequestingCode || reason.page.is_some() => (
            Exit::Failed,
            format!(
                "the issuer does not let this pod's address through (403): use another egress or proxy, then {again}"
            ),
        ),
        (Stage::Waiting, Some(401 | 403)) => {
            (Exit::Failed, format!("the sign-in was denied: {again} and allow it in the browser"))
        }
        (_, Some(500..)) => (Exit::TryAgain, format!("the server has failed: wait a minute, then {again}")),
        _ if reason.has(&["your workspace"]) => {
            (Exit::Failed, format!("ask the workspace's administrator for access to Codex, then {again}"))
        }
        (Stage::RequestingCode, Some(404)) => (Exit::Failed, format!("{switch_on}, then {again}")),
        _ if reason.has(&["not enabled"]) => (Exit::Failed, format!("{switch_on}, then {again}")),
        _ if reason.has(&["15 minutes", "code has expired"]) => (
            Exit::Failed,
            format!(
                "the code was not used within its 15 minutes: {again}; if the browser said that device codes are off, \
                 first {switch_on}"
            ),
        ),
        _ if reason.has(&["error sending request", "dns error", "onnection", "timed out"]) => (
            Exit::TryAgain,
            format!("no answer: check the network, HTTPS_PROXY and SSL_CERT_FILE, then {again}"),
        ),
        _ if reason.has(&["expected value", "decoding response", "response is invalid"]) => (
            Exit::TryAgain,
            format!(
                "the answer was not the issuer's: look for a proxy or a sign-on page in between, then {again}"
            ),
        ),
        _ => (Exit::Failed, again.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(reason: &str) -> (Exit, String) {
        let failure = of(Slot::FIRST, reason);
        (failure.exit, failure.error.to_string())
    }

    #[test]
    fn each_failure_of_codex_has_a_remedy() {
        for (reason, exit, remedy) in [
            ("device code request failed with status 403 Forbidden", Exit::Failed, "another egress or proxy"),
            ("device code request failed with status 404 Not Found", Exit::Failed, "switch on device code"),
            (
                "device code request failed with status 407 Proxy Authentication Required",
                Exit::Failed,
                "HTTPS_PROXY",
            ),
            ("device code request failed with status 429 Too Many Requests", Exit::TryAgain, "half an hour"),
            ("device code request failed with status 503 Service Unavailable", Exit::TryAgain, "has failed"),
            (
                "device code login is not enabled for this Codex server. Use the browser login or verify the server URL.",
                Exit::Failed,
                "security (or workspace)",
            ),
            ("device auth failed with status 401 Unauthorized", Exit::Failed, "allow it in the browser"),
            ("device auth failed with status 403 Forbidden", Exit::Failed, "allow it in the browser"),
            ("device auth failed with status 429 Too Many Requests", Exit::TryAgain, "half an hour"),
            ("device auth failed with status 500 Internal Server Error", Exit::TryAgain, "has failed"),
            ("device auth timed out after 15 minutes", Exit::Failed, "not used within its 15 minutes"),
            ("device auth timed out after 15 minutes", Exit::Failed, "device codes are off"),
            ("error sending request for url (https://x/)", Exit::TryAgain, "check the network"),
            ("error sending request for url (http://127.0.0.1:42901/)", Exit::TryAgain, "check the network"),
            ("expected value at line 1 column 1", Exit::TryAgain, "not the issuer's"),
            ("error decoding response body", Exit::TryAgain, "not the issuer's"),
            (
                "device code exchange failed: token endpoint returned status 400 Bad Request: bad",
                Exit::Failed,
                "run auth-login 1 again",
            ),
            ("Codex is not enabled for your workspace.", Exit::Failed, "administrator"),
            ("exit status: 101", Exit::Failed, "run auth-login 1 again"),
        ] {
            let (code, line) = explained(reason);
            assert_eq!(code, exit, "{reason}");
            assert!(line.contains(reason) && line.contains(remedy), "{line}");
        }
    }

    #[test]
    fn a_page_and_control_sequences_are_not_shown() {
        for (reason, shown) in [
            (
                "device code exchange failed: token endpoint returned status 403 Forbidden: <html>\n<title>Just a moment",
                "status 403 Forbidden: the issuer does not let this pod's address through (403)",
            ),
            ("device code exchange failed: \u{1b}[31mbad\u{1b}]0;x\u{7}\nnext", "failed: bad next: run"),
            ("\u{1b}[2J \u{1b}]0;x\u{7}", "codex login failed: it gave no reason: run"),
            ("5 < 6", "codex login failed: 5 < 6: run"),
        ] {
            let (_, line) = explained(reason);
            assert!(line.contains(shown) && !line.contains(['\n', '\u{1b}']), "{line}");
        }
    }

    #[test]
    fn only_a_code_that_was_shown_can_have_been_denied() {
        let (_, line) = explained("device code request failed with status 401 Unauthorized");
        assert!(!line.contains("denied"), "{line}");
    }
}
