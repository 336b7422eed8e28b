//! An issuer that answers and dies, hangs, answers half, refuses, or is none at all.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use fixture::ANN;
use stand_in::OauthFault;

use crate::faults::figures::Figures;
use crate::faults::judge::Case;
use crate::faults::scenario::Scenario;
use crate::faults::volume::Volume;

/// The longest that a pass may take, whatever the issuer does: the grace of a pod that is told to stop.
const GRACE: Duration = Duration::from_secs(29);

#[test]
fn the_issuer_misbehaves() {
    let mut figures = Figures::of("the issuer misbehaves");
    for (fault, uses_up_the_grant) in [
        (OauthFault::CloseBeforeAnswer, false),
        (OauthFault::CloseAfterConsuming, true),
        (OauthFault::HalfAnswer, true),
        (OauthFault::Status(500), false),
        (OauthFault::Status(429), false),
        (OauthFault::Status(302), false),
        (OauthFault::DelayMs(1000), false),
        (OauthFault::DelayMs(25_000), true),
    ] {
        let volume = Scenario::LoginDue.volume();
        volume.openai.oauth_fault(fault.clone());
        let name = format!("{fault:?}");
        let case = twice(&volume, name, uses_up_the_grant, &[], &mut figures);
        if volume.refreshes_of(ANN) != 1 {
            case.complain(&mut figures, &format!("asked {} times in two passes", volume.refreshes_of(ANN)));
        }
        volume.openai.oauth_fault(OauthFault::None);
        case.once_mended(&mut figures);
    }
    figures.print("");
}

#[test]
fn what_answers_is_no_issuer() {
    let mut figures = Figures::of("what answers is no issuer");
    let elsewhere = Volume::new();
    let redirect = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n",
        elsewhere.openai.refresh_url()
    );
    let json = |status: &str, body: &str| {
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let answers = [
        ("nothing", String::new()),
        ("another protocol", "SSH-2.0-OpenSSH_9.2\r\n".to_owned()),
        ("half a status line", "HTTP/1.1 20".to_owned()),
        ("a login page", json("200 OK", "<html>Sign in to the hotel's network</html>")),
        ("no tokens", json("200 OK", "{}")),
        ("an empty token", json("200 OK", r#"{"access_token": " ", "refresh_token": ""}"#)),
        ("a token that is none", json("200 OK", r#"{"access_token": {"a": 1}, "refresh_token": 7}"#)),
        ("half a refusal", json("401 Unauthorized", r#"{"error": {"code": "refresh_tok"#)),
        ("a gateway's page", json("502 Bad Gateway", "<html>")),
        ("a redirect", redirect),
        ("chunks that are none", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}".to_owned()),
        ("a flood", format!("HTTP/1.1 200 OK\r\n\r\n{}", " ".repeat(3 << 20))),
        ("a flood of headers", format!("HTTP/1.1 200 OK\r\n{}", "x: y\r\n".repeat(1 << 18))),
    ];
    for (name, answer) in answers {
        let send = |mut stream: TcpStream| {
            let _ = stream.write_all(answer.as_bytes());
        };
        speaking_to(&send, name, &mut figures);
    }
    let drip = |mut stream: TcpStream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n");
        while stream.write_all(b" ").is_ok() {
            sleep(Duration::from_millis(200));
        }
    };
    speaking_to(&drip, "a byte now and then", &mut figures);
    assert!(elsewhere.openai.requests().is_empty(), "a refresh token goes nowhere but to the issuer");
    figures.print("");
}

/// Two passes with the issuer at a port where somebody else answers, and one with the issuer back.
fn speaking_to(answer: &(dyn Fn(TcpStream) + Sync), name: &str, figures: &mut Figures) {
    let volume = Scenario::LoginDue.volume();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/oauth/token", listener.local_addr().unwrap());
    let asked = AtomicUsize::new(0);
    scope(|scope| {
        scope.spawn(|| {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut request = [0; 4096];
                // The one that ends this thread says nothing.
                if stream.read(&mut request).unwrap_or(0) == 0 {
                    return;
                }
                asked.fetch_add(1, Ordering::Relaxed);
                answer(stream);
            }
        });
        let case =
            twice(&volume, name.to_owned(), false, &[("CODEX_REFRESH_TOKEN_URL_OVERRIDE", &url)], figures);
        drop(TcpStream::connect(listener.local_addr().unwrap()));
        if asked.load(Ordering::Relaxed) != 1 {
            case.complain(figures, &format!("asked {} times in two passes", asked.load(Ordering::Relaxed)));
        }
        case.once_mended(figures);
    });
}

fn twice<'a>(
    volume: &'a Volume,
    name: String,
    may_be_lost_on_the_wire: bool,
    environment: &[(&str, &str)],
    figures: &mut Figures,
) -> Case<'a> {
    let case = Case { volume, name, served: volume.bytes("auth.json"), may_be_lost_on_the_wire };
    for _ in 0..2 {
        let start = Instant::now();
        let output = volume.rotate_once().envs(environment.iter().copied()).output().unwrap();
        figures.struck += 1;
        case.at_once(&output, figures);
        if !output.status.success() || output.stderr.is_empty() {
            case.complain(figures, "its access token lives, and is served");
        }
        if start.elapsed() > GRACE {
            case.complain(figures, &format!("it took {:?}", start.elapsed()));
        }
    }
    case
}
