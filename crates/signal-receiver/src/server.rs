//! The server: HTTP/1.1 over hyper, with a bound for everything that a stranger sends.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use cli::{Listen, log};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::Receiver;
use tokio::time::{sleep, timeout};

use crate::COMMAND;
use crate::gate::{Dropped, Kind};
use crate::inbox::{Inbox, Reception};

/// The largest document, in bytes.
const LARGEST: usize = 4 << 10;

/// How many connections are served at once; others wait. A replica keeps none open.
const MOST_CONNECTIONS: usize = 64;
const BACKLOG: u32 = 1024;

/// How long the head of a request may take to arrive, and how long the whole exchange.
const HEAD: Duration = Duration::from_secs(1);
const WHOLE: Duration = Duration::from_secs(3);

/// How long to wait after a connection could not be accepted, instead of trying in a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// The most that a request may have of headers and of bytes.
const HEADER_COUNT: usize = 64;
const BUFFER: usize = 16 << 10;

/// Binds the address, or the port on every address of either family.
pub(crate) fn bind(listen: Listen) -> io::Result<TcpSocket> {
    let bound = |address: &SocketAddr| {
        let socket = if address.is_ipv6() { TcpSocket::new_v6() } else { TcpSocket::new_v4() }?;
        // Otherwise a restart would have to wait until the kernel has forgotten the old connections.
        socket.set_reuseaddr(true)?;
        socket.bind(*address)?;
        Ok(socket)
    };
    let none = Err(io::ErrorKind::AddrNotAvailable.into());
    listen.addresses().iter().fold(none, |had, address| had.or_else(|_| bound(address)))
}

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// The kernel provides no socket, or no signals.
pub(crate) fn run(socket: TcpSocket, (inbox, signals): (Inbox, Receiver<Vec<u8>>)) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // For PID 1 the kernel drops a signal that has no handler.
        let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let listener = socket.listen(BACKLOG)?;
        log::line(COMMAND, format_args!("listening on http://{}", listener.local_addr()?));
        let inbox = Arc::new(inbox);
        tokio::select! {
            () = serve(listener, Arc::clone(&inbox)) => {}
            () = inbox.leave(signals) => {}
            () = inbox.report() => {}
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        Ok(())
    })
}

async fn serve(listener: TcpListener, inbox: Arc<Inbox>) {
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let place = Arc::clone(&room).acquire_owned().await.expect("the semaphore is never closed");
        let Ok((stream, from)) = listener.accept().await else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let inbox = Arc::clone(&inbox);
        tokio::spawn(async move {
            let _ = timeout(WHOLE, exchange(stream, from.ip(), &inbox)).await;
            drop(place);
        });
    }
}

/// One request and its answer. If the connection fails, there is no one left to report it to.
async fn exchange(stream: TcpStream, from: IpAddr, inbox: &Inbox) {
    let service =
        service_fn(|request| async move { Ok::<_, Infallible>(answer(request, from, inbox).await) });
    let _ = http1::Builder::new()
        .keep_alive(false)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_headers(HEADER_COUNT)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(request: Request<Incoming>, from: IpAddr, inbox: &Inbox) -> Response<Full<Bytes>> {
    let kind = match (request.method(), request.uri().path()) {
        (&Method::GET, "/healthz") => return said(StatusCode::OK, "ok\n"),
        (&Method::POST, "/signal") => Kind::Signal,
        (&Method::POST, "/heartbeat") => Kind::Heartbeat,
        _ => {
            return said(StatusCode::NOT_FOUND, "there are POST /signal, POST /heartbeat and GET /healthz\n");
        }
    };
    let signature = request.headers().get("codex-signature").and_then(|value| bytes_of(value.as_bytes()));
    let Some(signature) = signature else {
        return said(StatusCode::FORBIDDEN, "the header codex-signature has 64 hexadecimal digits\n");
    };
    let Ok(body) = Limited::new(request.into_body(), LARGEST).collect().await else {
        return said(StatusCode::PAYLOAD_TOO_LARGE, "more than 4 KiB, or broken off\n");
    };
    match inbox.receive(kind, from, &body.to_bytes(), &signature) {
        Reception::Taken => said(StatusCode::ACCEPTED, "taken\n"),
        Reception::Full => said(StatusCode::SERVICE_UNAVAILABLE, "too many wait for the rotator\n"),
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
