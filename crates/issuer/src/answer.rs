//! What an answer to a refresh means. A refresh token works once, so the worst is assumed in doubt: only the issuer's own
//! words mean that a token that was sent is as good as before.

use records::Secret;
use serde_json::Value;
use ureq::http::HeaderMap;

use crate::codes::{self, is_code};

/// The places in which an error may have its code.
const CODE_AT: [&str; 5] = ["/error/code", "/error", "/error/type", "/code", "/detail/code"];

/// The places in which an error may have a message. It shows that the issuer answered, but is not for a log.
const MESSAGE_AT: [&str; 3] = ["/error/message", "/error_description", "/detail"];

/// New tokens. A token that the issuer did not send stays as it was.
#[derive(Debug)]
pub struct Tokens {
    pub access_token: Option<Secret>,
    pub refresh_token: Option<Secret>,
    pub id_token: Option<Secret>,
}

/// The outcome of a refresh. All text in it is printable and without a secret.
#[derive(Debug)]
pub enum Answer {
    /// There are new tokens, at least an access token or a refresh token; the refresh token that was sent is used up.
    Refreshed(Tokens),
    /// The grant has ended, by this code; see [`codes`].
    Ended(String),
    /// The issuer itself refused, for now; the refresh token is as good as before.
    Refused {
        /// The status, and the code if there is one.
        message: String,
        code: Option<String>,
    },
    /// The request was never sent, for this reason; the refresh token is as good as before.
    NotSent(String),
    /// The request may have arrived, and the issuer itself has not answered, for this reason: the refresh token may be
    /// used up.
    Unanswered(String),
}

/// What an HTTP answer means.
pub(crate) fn judge(status: u16, headers: &HeaderMap, body: &[u8]) -> Answer {
    let document = serde_json::from_slice(body).ok().filter(Value::is_object).unwrap_or_default();
    let unanswered = |why: &str| Answer::Unanswered(format!("HTTP {status}{why}"));
    if (300..400).contains(&status) {
        return unanswered(", a redirect");
    }
    if let Some(content) = foreign_content(headers, body, &document) {
        return unanswered(&format!(" with {content}"));
    }
    let code = code(&document);
    let message = code.map_or_else(|| format!("HTTP {status}"), |code| format!("HTTP {status}, {code}"));
    match status {
        200..300 => match tokens(&document) {
            Some(tokens) => Answer::Refreshed(tokens),
            None => unanswered(" without a token"),
        },
        // A gateway answers so, too, about a request that it has passed on.
        408 | 499 => Answer::Unanswered(message),
        400..500 => match terminal_code(&document) {
            Some(code) if status != 429 => Answer::Ended(code.to_owned()),
            _ if names_an_error(&document) => Answer::Refused { message, code: code.map(ToOwned::to_owned) },
            _ => unanswered(" with JSON that names no error"),
        },
        _ => Answer::Unanswered(message),
    }
}

/// The code of an error: the first known one, else the first that looks like one.
pub(crate) fn code(document: &Value) -> Option<&str> {
    let codes = || texts(document, &CODE_AT).filter(|text| is_code(text));
    codes().find(|text| codes::known(text).is_some()).or_else(|| codes().next())
}

/// What came instead of a JSON object of the issuer, if that did not come.
fn foreign_content(headers: &HeaderMap, body: &[u8], document: &Value) -> Option<&'static str> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let start = body.trim_ascii_start();
    let starts_with =
        |tag: &[u8]| start.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag));
    if header("cf-mitigated").eq_ignore_ascii_case("challenge") {
        Some("a challenge page")
    } else if document.is_object() {
        None
    } else if start.is_empty() {
        Some("an empty body")
    } else if header("content-type").contains("html")
        || starts_with(b"<!doctype html")
        || starts_with(b"<html")
    {
        Some("an HTML page")
    } else {
        Some("a body that is no JSON object")
    }
}

fn tokens(document: &Value) -> Option<Tokens> {
    let token = |name: &str| document[name].as_str().map(Secret::new).filter(|token| !token.is_empty());
    let (access_token, refresh_token) = (token("access_token"), token("refresh_token"));
    let is_any = access_token.is_some() || refresh_token.is_some();
    is_any.then(|| Tokens { access_token, refresh_token, id_token: token("id_token") })
}

/// The terminal code, wherever the body has it.
fn terminal_code(document: &Value) -> Option<&'static str> {
    let code = |text| codes::known(text).filter(|code| code.is_terminal);
    all_texts(document).find_map(code).map(|code| code.name)
}

fn names_an_error(document: &Value) -> bool {
    all_texts(document).next().is_some()
}

fn all_texts(document: &Value) -> impl Iterator<Item = &str> {
    texts(document, &CODE_AT).chain(texts(document, &MESSAGE_AT))
}

fn texts<'a>(document: &'a Value, places: &'static [&'static str]) -> impl Iterator<Item = &'a str> {
    let text = |place: &&str| document.pointer(place).and_then(Value::as_str).map(str::trim);
    places.iter().filter_map(text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(status: u16, headers: &[(&'static str, &str)], body: &str) -> String {
        let headers =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        match judge(status, &headers, body.as_bytes()) {
            Answer::Refreshed(Tokens { access_token, refresh_token, id_token }) => {
                let shown =
                    |token: Option<Secret>| token.map_or("-".to_owned(), |token| token.expose().to_owned());
                format!("refreshed {} {} {}", shown(access_token), shown(refresh_token), shown(id_token))
            }
            Answer::Ended(code) => format!("ended {code}"),
            Answer::Refused { message, code } => format!("refused {message} [{}]", code.unwrap_or_default()),
            Answer::NotSent(why) => format!("not sent {why}"),
            Answer::Unanswered(why) => format!("unanswered {why}"),
        }
    }

    #[test]
    fn a_success_gives_what_tokens_there_are_and_nothing_else_is_one() {
        for (status, body, expected) in [
            (200, r#"{"access_token": "at", "refresh_token": "rt", "id_token": "it"}"#, "refreshed at rt it"),
            (200, r#"{"access_token": "at"}"#, "refreshed at - -"),
            (200, r#"{"refresh_token": "rt"}"#, "refreshed - rt -"),
            (200, r#"{"access_token": "", "refresh_token": "rt"}"#, "refreshed - rt -"),
            (200, r#"{"access_token": null, "refresh_token": "rt"}"#, "refreshed - rt -"),
            (201, r#"{"access_token": "at", "error": "invalid_grant"}"#, "refreshed at - -"),
            (200, r#"{"id_token": "it"}"#, "unanswered HTTP 200 without a token"),
            (200, r#"{"access_token": " "}"#, "unanswered HTTP 200 without a token"),
            (200, r#"{"error": "invalid_grant"}"#, "unanswered HTTP 200 without a token"),
            (200, "{}", "unanswered HTTP 200 without a token"),
            (200, "[]", "unanswered HTTP 200 with a body that is no JSON object"),
            (200, "abc", "unanswered HTTP 200 with a body that is no JSON object"),
            (
                200,
                r#"{"access_token": "at", "refr"#,
                "unanswered HTTP 200 with a body that is no JSON object",
            ),
            (200, "<html>", "unanswered HTTP 200 with an HTML page"),
            (200, "", "unanswered HTTP 200 with an empty body"),
            (204, "", "unanswered HTTP 204 with an empty body"),
        ] {
            assert_eq!(says(status, &[], body), expected, "{status} {body}");
        }
    }

    #[test]
    fn the_issuers_own_words_distinguish_an_ended_grant_from_one_to_try_again() {
        for (status, body, expected) in [
            (401, r#"{"error": {"code": "refresh_token_reused"}}"#, "ended refresh_token_reused"),
            (400, r#"{"error": {"code": null, "type": "invalid_grant"}}"#, "ended invalid_grant"),
            (400, r#"{"error": "invalid_grant", "error_description": "x"}"#, "ended invalid_grant"),
            (400, r#"{"error": {"code": "other", "type": "token_revoked"}}"#, "ended token_revoked"),
            (401, r#"{"code": "refresh_token_reused"}"#, "ended refresh_token_reused"),
            (401, r#"{"error": "invalid_request", "code": "token_expired"}"#, "ended token_expired"),
            (402, r#"{"detail": {"code": "deactivated_workspace"}}"#, "ended deactivated_workspace"),
            (403, r#"{"detail": "account_suspended"}"#, "ended account_suspended"),
            (403, r#"{"error": {"message": "user_deactivated"}}"#, "ended user_deactivated"),
            (429, r#"{"error": {"code": "rate_limited"}}"#, "refused HTTP 429, rate_limited [rate_limited]"),
            (
                429,
                r#"{"error": {"code": "invalid_grant"}}"#,
                "refused HTTP 429, invalid_grant [invalid_grant]",
            ),
            (401, r#"{"error": {"code": "unheard_of"}}"#, "refused HTTP 401, unheard_of [unheard_of]"),
            (
                400,
                r#"{"error": {"code": "unheard_of", "type": "slow_down"}}"#,
                "refused HTTP 400, slow_down [slow_down]",
            ),
            (400, r#"{"error": "invalid_client"}"#, "refused HTTP 400, invalid_client [invalid_client]"),
            (400, r#"{"error": {"code": "slow down!"}}"#, "refused HTTP 400 []"),
            (400, r#"{"error": {"code": "\u001b[2J"}}"#, "refused HTTP 400 []"),
            (400, r#"{"error": {"message": "Sorry \u001b[2J"}}"#, "refused HTTP 400 []"),
            (422, r#"{"detail": "Field required"}"#, "refused HTTP 422 []"),
            (400, r#"{"error_description": "Sorry"}"#, "refused HTTP 400 []"),
        ] {
            assert_eq!(says(status, &[], body), expected, "{status} {body}");
        }
    }

    #[test]
    fn what_is_not_the_issuers_own_refusal_leaves_open_whether_it_used_the_token_up() {
        let grant = r#"{"error": {"code": "invalid_grant"}}"#;
        for (status, body, expected) in [
            (307, "", "unanswered HTTP 307, a redirect"),
            (302, grant, "unanswered HTTP 302, a redirect"),
            (408, grant, "unanswered HTTP 408, invalid_grant"),
            (499, grant, "unanswered HTTP 499, invalid_grant"),
            (500, grant, "unanswered HTTP 500, invalid_grant"),
            (503, r#"{"error": "temporarily_unavailable"}"#, "unanswered HTTP 503, temporarily_unavailable"),
            (599, "{}", "unanswered HTTP 599"),
            (504, "<html>gateway time-out</html>", "unanswered HTTP 504 with an HTML page"),
            (502, "", "unanswered HTTP 502 with an empty body"),
            (401, "", "unanswered HTTP 401 with an empty body"),
            (403, "\r\n<!DOCTYPE html><p>Just a moment", "unanswered HTTP 403 with an HTML page"),
            (429, "<HTML>", "unanswered HTTP 429 with an HTML page"),
            (400, "Bad Request", "unanswered HTTP 400 with a body that is no JSON object"),
            (400, "\"invalid_grant\"", "unanswered HTTP 400 with a body that is no JSON object"),
            (403, r#"{"message": "Forbidden"}"#, "unanswered HTTP 403 with JSON that names no error"),
            (403, r#"{"code": 403}"#, "unanswered HTTP 403 with JSON that names no error"),
            (
                400,
                r#"{"error": {"code": "", "message": " "}}"#,
                "unanswered HTTP 400 with JSON that names no error",
            ),
            (400, "{}", "unanswered HTTP 400 with JSON that names no error"),
            (999, "{}", "unanswered HTTP 999"),
        ] {
            assert_eq!(says(status, &[], body), expected, "{status} {body}");
        }
    }

    #[test]
    fn a_challenge_and_an_html_page_are_named_by_their_headers_too() {
        let json = r#"{"error": {"code": "invalid_grant"}}"#;
        let challenge = [("cf-mitigated", "challenge")];
        assert_eq!(says(403, &challenge, "<html>"), "unanswered HTTP 403 with a challenge page");
        assert_eq!(says(403, &challenge, json), "unanswered HTTP 403 with a challenge page");
        let html = [("content-type", "text/html; charset=UTF-8")];
        assert_eq!(says(400, &html, "<p>No"), "unanswered HTTP 400 with an HTML page");
        assert_eq!(says(400, &html, json), "ended invalid_grant");
    }
}
