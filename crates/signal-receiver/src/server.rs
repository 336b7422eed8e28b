//! The server: what a replica may post, and what it is answered.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, StatusCode};
use records::replicas::Report;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::Receiver;
use tokio::time::{sleep, timeout};

use crate::gate::{Dropped, Kind};
use crate::inbox::{Inbox, Reception};

/// How many connections are served at once; others wait. A replica keeps none open.
const MOST_CONNECTIONS: usize = 64;

/// How long a whole exchange may take.
const WHOLE: Duration = Duration::from_secs(3);

/// Serves for ever.
pub(crate) async fn serve(listener: TcpListener, (inbox, signals): (Inbox, Receiver<Vec<u8>>)) {
    let inbox = Arc::new(inbox);
    tokio::select! {
        () = accept(listener, Arc::clone(&inbox)) => {}
        () = inbox.leave(signals) => {}
        () = inbox.report() => {}
    }
}

async fn accept(listener: TcpListener, inbox: Arc<Inbox>) {
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let place = Arc::clone(&room).acquire_owned().await.expect("the semaphore is never closed");
        let Ok((stream, from)) = listener.accept().await else {
            sleep(http_server::ACCEPT_PAUSE).await;
            continue;
        };
        let inbox = Arc::clone(&inbox);
        tokio::spawn(async move {
            let exchange = http_server::exchange(stream, |request| answer(request, from.ip(), &inbox));
            let _ = timeout(WHOLE, exchange).await;
            drop(place);
        });
    }
}

async fn answer(request: Request<Incoming>, from: IpAddr, inbox: &Inbox) -> Response<Full<Bytes>> {
    let kind = match (request.method(), request.uri().path()) {
        (&Method::GET, "/healthz") => return said(StatusCode::OK, "ok\n"),
        (&Method::POST, "/signal") => Kind::Signal,
        (&Method::POST, "/heartbeat") => Kind::Report(Report::Heartbeat),
        (&Method::POST, "/usage") => Kind::Report(Report::Reading),
        (&Method::POST, "/agents") => Kind::Report(Report::Totals),
        _ => {
            let there = "there are POST /signal, /heartbeat, /usage and /agents, and GET /healthz\n";
            return said(StatusCode::NOT_FOUND, there);
        }
    };
    let signature = request.headers().get("codex-signature").and_then(|value| bytes_of(value.as_bytes()));
    let Some(signature) = signature else {
        return said(StatusCode::FORBIDDEN, "the header codex-signature has 64 hexadecimal digits\n");
    };
    let Ok(body) = Limited::new(request.into_body(), largest(kind)).collect().await else {
        return said(StatusCode::PAYLOAD_TOO_LARGE, "too large, or broken off\n");
    };
    match inbox.receive(kind, from, &body.to_bytes(), &signature) {
        Reception::Taken => said(StatusCode::ACCEPTED, "taken\n"),
        Reception::Full => said(StatusCode::SERVICE_UNAVAILABLE, "too many wait for the rotator\n"),
        Reception::Unwritten => said(StatusCode::SERVICE_UNAVAILABLE, "the directory cannot be written\n"),
        Reception::Dropped(why) => {
            let status = match why {
                Dropped::Unreadable => StatusCode::BAD_REQUEST,
                Dropped::Unsigned | Dropped::AboutAnother => StatusCode::FORBIDDEN,
                Dropped::TooSoon => StatusCode::TOO_MANY_REQUESTS,
            };
            said(status, why.words())
        }
    }
}

/// The largest document of a kind, in bytes. What agents have used has a line for each of them.
fn largest(kind: Kind) -> usize {
    if kind == Kind::Report(Report::Totals) { 64 << 10 } else { 4 << 10 }
}

/// The bytes that 64 hexadecimal digits stand for.
fn bytes_of(digits: &[u8]) -> Option<Vec<u8>> {
    let text = str::from_utf8(digits).ok().filter(|text| text.len() == 64 && text.is_ascii())?;
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

fn said(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *answer.status_mut() = status;
    answer
}
