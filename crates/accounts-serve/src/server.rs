//! The server: HTTP/1.1 over hyper, with a bound for everything that a client sends.
//!
//! One thread serves and another one reads the digest, so that a directory that hangs delays only the answers that need
//! it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use cli::log;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use overview::finding::{Finding, Id};

use crate::COMMAND;
use crate::answer::{Answer, Answers};
use crate::connections::{Connections, Place};
use crate::snapshot::SharedSnapshot;

/// How long the head of a request may take to arrive, from the connection on, and how long the whole exchange.
const HEAD: Duration = Duration::from_secs(1);
const WHOLE: Duration = Duration::from_secs(15);

/// How many connections the kernel queues, if it is not configured to queue fewer. One that finds no room in a flood is
/// made only a second or more later.
const BACKLOG: u32 = 4096;

/// How long to wait after a connection could not be accepted, instead of trying in a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// The most that a request may have of headers and of bytes.
const HEADER_COUNT: usize = 64;
const BUFFER: usize = 16 << 10;

/// How much of an answer the kernel keeps, in bytes. By itself it would keep megabytes for a client that does not read, and
/// one that reads slowly would look as if it did not.
const SEND_BUFFER: u32 = 64 << 10;

/// How long the digest may take to be read, and how long a snapshot of it is used.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
const FRESH: Duration = Duration::from_millis(500);

/// Binds the first of these addresses that is free.
///
/// # Errors
/// None of them is.
pub(crate) fn bind(addresses: &[SocketAddr]) -> io::Result<TcpSocket> {
    let bound = |address: &SocketAddr| {
        let socket = if address.is_ipv6() { TcpSocket::new_v6() } else { TcpSocket::new_v4() }?;
        // Otherwise a restart would have to wait until the kernel has forgotten the old connections.
        socket.set_reuseaddr(true)?;
        socket.set_send_buffer_size(SEND_BUFFER)?;
        socket.bind(*address)?;
        Ok(socket)
    };
    let none = Err(io::ErrorKind::AddrNotAvailable.into());
    addresses.iter().fold(none, |had, address| had.or_else(|_| bound(address)))
}

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// The kernel provides no socket, or no signals.
pub(crate) fn run(socket: TcpSocket, answers: Answers) -> io::Result<()> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build()?;
    let served = runtime.block_on(async {
        // For PID 1 the kernel drops a signal that has no handler.
        let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let listener = socket.listen(BACKLOG)?;
        log::line(COMMAND, format_args!("listening on http://{}", listener.local_addr()?));
        tokio::select! {
            () = serve(listener, Arc::new(Site { answers, cache: Mutex::default() })) => {}
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        Ok(())
    });
    // A read that hangs must not keep the process alive.
    runtime.shutdown_background();
    served
}

struct Site {
    answers: Answers,
    cache: Mutex<SnapshotCache>,
}

/// The answers from the last snapshot, and the next one if it is being read: never two at once, and each answer is made
/// once, however many requests wait for it.
#[derive(Default)]
struct SnapshotCache {
    under_way: Option<JoinHandle<SharedSnapshot>>,
    last: Option<(Instant, SharedSnapshot)>,
    answers: BTreeMap<String, Answer>,
}

/// A connection that notes when a part of the answer has been taken.
struct Watched<'a> {
    stream: TcpStream,
    place: &'a Place,
}

impl AsyncRead for Watched<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Watched<'_> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        if written.is_ready() {
            self.place.goes_on();
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

async fn serve(listener: TcpListener, site: Arc<Site>) {
    let connections = Connections::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Most likely too many files are open.
            connections.close_one();
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let site = site.clone();
        let exchange = |place: Place| async move {
            let _ = timeout(WHOLE, site.exchange(stream, &place)).await;
        };
        connections.admit(exchange).await;
    }
}

impl Site {
    /// One request and its answer. If the connection fails, there is no one left to report it to.
    async fn exchange(&self, stream: TcpStream, place: &Place) {
        let service = service_fn(|request| async move {
            place.goes_on();
            Ok::<_, Infallible>(self.answer(&request).await)
        });
        let _ = http1::Builder::new()
            .keep_alive(false)
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_headers(HEADER_COUNT)
            .max_buf_size(BUFFER)
            .serve_connection(TokioIo::new(Watched { stream, place }), service)
            .await;
    }

    async fn answer(&self, request: &Request<Incoming>) -> Answer {
        if let Err(refused) = self.answers.hosts.check(request) {
            return Answers::to_refused_host(refused);
        }
        let (method, path) = (request.method(), request.uri().path());
        if !Answers::need_snapshot(method, path) {
            return Answers::without_snapshot(method, path);
        }
        let mut cache = self.cache.lock().await;
        let snapshot = self.snapshot(&mut cache).await;
        let made = cache.answers.entry(path.to_owned());
        made.or_insert_with(|| self.answers.with_snapshot(&snapshot, path)).clone()
    }

    async fn snapshot(&self, cache: &mut SnapshotCache) -> SharedSnapshot {
        if let Some((at, snapshot)) = &cache.last
            && at.elapsed() < FRESH
        {
            return snapshot.clone();
        }
        cache.answers.clear();
        let reader = self.answers.reader.clone();
        let under_way = cache
            .under_way
            .get_or_insert_with(|| tokio::task::spawn_blocking(move || reader.read().map(Arc::new)));
        let snapshot = match timeout(READ_TIMEOUT, under_way).await {
            Ok(Ok(snapshot)) => snapshot,
            Ok(Err(_)) => Err(Finding::new(Id::DigestUnreadable, "reading the digest failed")),
            // It stays under way, because another one would hang as well.
            Err(_) => {
                let message = format!("reading the digest has taken more than {} s", READ_TIMEOUT.as_secs());
                return Err(Finding::new(Id::DigestUnreadable, message));
            }
        };
        cache.under_way = None;
        cache.last = Some((Instant::now(), snapshot.clone()));
        snapshot
    }
}
