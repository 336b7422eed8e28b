//! Gateways that answer for the issuer, before it has used the refresh token up or after.

use fixture::{ANN, BEN, LONG};

use crate::faults::figures::Figures;
use crate::faults::gateway::{Gateway, Manner, http};
use crate::faults::judge::Case;
use crate::faults::volume::Volume;

/// What stands between says of a request of which the issuer may have heard or not.
fn answers() -> Vec<(&'static str, String)> {
    let html = |status: &str| http(status, "text/html", "<!doctype html><title>Sorry</title>");
    let json = |status: &str| http(status, "application/json", r#"{"error": "temporarily_unavailable"}"#);
    vec![
        ("502 as a page", html("502 Bad Gateway")),
        ("502 as JSON", json("502 Bad Gateway")),
        ("503 as JSON", json("503 Service Unavailable")),
        ("503 with nothing", http("503 Service Unavailable", "text/plain", "")),
        ("504 as a page", html("504 Gateway Timeout")),
        ("408 as JSON", json("408 Request Timeout")),
        ("499 as a page", html("499 Client Closed Request")),
        ("429 as a page", html("429 Too Many Requests")),
        (
            "a challenge",
            http("403 Forbidden", "text/html\r\ncf-mitigated: challenge", "<html>Just a moment...</html>"),
        ),
        (
            "403 with JSON of another service",
            http("403 Forbidden", "application/json", r#"{"message": "no"}"#),
        ),
        ("a login page", html("200 OK")),
        ("JSON without a token", http("200 OK", "application/json", r#"{"status": "ok"}"#)),
        ("401 as a page", html("401 Unauthorized")),
    ]
}

#[test]
fn a_gateway_answers_for_the_issuer() {
    let mut figures = Figures::of("a gateway answers for the issuer");
    let answers = answers();
    let cases = answers.iter().flat_map(|answer| [false, true].map(|uses_up| (answer, uses_up)));
    let cases: Vec<_> = cases.flat_map(|case| [false, true].map(|by_hand| (case, by_hand))).collect();
    figures.each(cases, |(((name, answer), uses_up), by_hand), figures| {
        let when = if uses_up { "after" } else { "before" };
        let how = if by_hand { "then an operator" } else { "then its end" };
        answered(&format!("{name} {when} the issuer, {how}"), answer, uses_up, by_hand, figures);
    });
    figures.print("");
}

fn answered(name: &str, answer: &str, uses_up: bool, by_hand: bool, figures: &mut Figures) {
    let volume = Volume::new();
    let gateway = Gateway::before(&volume.openai);
    volume.put_login_for(1, ANN, 3600);
    volume.put_login_for(2, BEN, LONG);
    volume.pass(&["--refresh-before", "0s"]);
    let served = volume.bytes("auth.json");
    let case = Case { volume: &volume, name: name.to_owned(), served, may_be_lost_on_the_wire: uses_up };
    let answer = answer.to_owned();
    gateway.set(if uses_up { Manner::Afterwards(answer) } else { Manner::Instead(answer) });
    let run = |program: &str, args: &[&str], figures: &mut Figures| {
        let mut command = volume.command(program);
        command.args(args).env("CODEX_REFRESH_TOKEN_URL_OVERRIDE", gateway.url());
        let output = command.output().unwrap();
        case.at_once(&output, figures);
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
    };
    let expect = |what: &str, is_so: bool, said: &str, figures: &mut Figures| {
        if !is_so {
            case.complain(figures, &format!("not {what}: {said:?}"));
        }
    };

    let said = run("rotate-once", &[], figures);
    figures.struck += 1;
    expect("told that no answer came", said.contains("but no answer came"), &said, figures);
    // Also once the gateway is well: nobody knows what it has done with the token.
    for manner in [None, Some(Manner::Passing)] {
        if let Some(manner) = manner {
            gateway.set(manner);
        }
        volume.end_pause();
        let said = run("rotate-once", &[], figures);
        let again = gateway.asked() - 1;
        figures.sent_twice += again;
        expect("left alone while its access token lives", again == 0, &said, figures);
        expect("served", said.contains("active account-1"), &said, figures);
    }
    let said = run("accounts", &[], figures);
    expect("shown to the operator", said.contains("refresh unanswered"), &said, figures);

    let said = if by_hand {
        run("accounts", &["refresh", "1", "--yes"], figures)
    } else {
        volume.end_access_token(1);
        volume.end_pause();
        run("rotate-once", &[], figures)
    };
    expect("sent once more", gateway.asked() == 2, &said, figures);
    if uses_up {
        figures.lost_on_the_wire += 1;
        expect("known to need a login", said.contains("needs login"), &said, figures);
    } else {
        expect("refreshed", said.contains("account-1 refreshed"), &said, figures);
        let standing = volume.openai.refreshable(&volume.refresh_token(1));
        figures.refresh_tokens_lost += usize::from(!standing.good);
        expect("refreshable", standing.good, &standing.why, figures);
    }
    volume.end_pause();
    let said = run("rotate-once", &[], figures);
    expect("left alone after that", gateway.asked() == 2, &said, figures);
}
