//! `GET /codex/device`: where a person types the code and chooses who signs in.

use axum::extract::State;
use axum::response::Html;

use crate::world::Shared;

/// The form; it posts to the control API.
pub(crate) async fn device(State(world): State<Shared>) -> Html<String> {
    let world = world.lock();
    let mut accounts: Vec<&str> = world.accounts.keys().map(String::as_str).collect();
    if accounts.is_empty() {
        accounts.push("ann@example.test");
    }
    let options: Vec<String> =
        accounts.into_iter().map(|email| format!("<option value=\"{}\">", escaped(email))).collect();
    let options = options.concat();
    Html(format!(
        "<!doctype html><meta charset=utf-8><title>Sign in (stand-in)</title>\n\
         <h1>Sign in (stand-in)</h1>\n\
         <form method=post action=/_control/approve>\n\
         <p><label>Code <input name=user_code required autofocus placeholder=XXXX-XXXXX></label>\n\
         <p><label>Account <input name=email type=email required list=accounts></label>\n\
         <datalist id=accounts>{options}</datalist>\n\
         <p><button>Approve</button>\n\
         </form>\n"
    ))
}

/// What the form shows afterwards.
pub(crate) fn outcome(sentence: &str) -> Html<String> {
    Html(format!(
        "<!doctype html><meta charset=utf-8><title>Sign in (stand-in)</title>\n<p>{}\n\
         <p><a href=/codex/device>back</a>\n",
        escaped(sentence)
    ))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
