//! The server: HTTP/1.1 over hyper, with a bound for everything that a stranger sends.
//!
//! One thread serves and another one looks, so that a volume that hangs stops no answer but those that need it.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cli::log;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::COMMAND;
use overview::finding::{Finding, Id};

use crate::answer::Answers;
use crate::connections::{Connections, Place};
use crate::snapshot::Seen;

/// How long a request's head may take to arrive, from the connection on, and the whole exchange.
const HEAD: Duration = Duration::from_secs(1);
const WHOLE: Duration = Duration::from_secs(15);

/// How many the kernel keeps until they are taken: one that comes in a flood and finds no room waits for a second or
/// more.
const QUEUE: u32 = 1024;

/// How long to wait after the kernel gave no socket: trying at once would only turn the wheel.
const WITHOUT_A_SOCKET: Duration = Duration::from_millis(10);

/// How much of a request is read.
const HEADER_COUNT: usize = 64;
const BUFFER: usize = 16 << 10;

/// How long a look is waited for, and how long it serves everybody.
const LOOK: Duration = Duration::from_secs(5);
const FRESH: Duration = Duration::from_millis(500);

/// The first of these addresses that can be had.
///
/// # Errors
/// None of them can.
pub(crate) fn bind(addresses: &[SocketAddr]) -> io::Result<TcpSocket> {
    let bound = |address: &SocketAddr| {
        let socket = if address.is_ipv6() { TcpSocket::new_v6() } else { TcpSocket::new_v4() }?;
        // Or a restart would have to wait until the last of the old connections is forgotten.
        socket.set_reuseaddr(true)?;
        socket.bind(*address)?;
        Ok(socket)
    };
    let none = Err(io::ErrorKind::AddrNotAvailable.into());
    addresses.iter().fold(none, |had, address| had.or_else(|_| bound(address)))
}

/// Serves until it is told to stop.
///
/// # Errors
/// The kernel gives no sockets, or no signals.
pub(crate) fn run(socket: TcpSocket, answers: Answers) -> io::Result<()> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build()?;
    let served = runtime.block_on(async {
        // For PID 1 the kernel drops a signal that finds no handler.
        let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let listener = socket.listen(QUEUE)?;
        log::line(COMMAND, format_args!("listening on http://{}", listener.local_addr()?));
        tokio::select! {
            () = serve(listener, Arc::new(Site { answers, looking: Mutex::default() })) => {}
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        Ok(())
    });
    // A look that hangs must not keep the process.
    runtime.shutdown_background();
    served
}

struct Site {
    answers: Answers,
    looking: Mutex<Looking>,
}

/// At most one look is under way, and who comes meanwhile waits for the same.
#[derive(Default)]
struct Looking {
    under_way: Option<JoinHandle<Seen>>,
    last: Option<(Instant, Seen)>,
}

async fn serve(listener: TcpListener, site: Arc<Site>) {
    let connections = Connections::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Too many open files, most likely.
            connections.end_one();
            sleep(WITHOUT_A_SOCKET).await;
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
    /// One request and its answer. What goes wrong on the way is the other side's, and nobody is left to tell.
    async fn exchange(&self, stream: TcpStream, place: &Place) {
        let service = service_fn(|request| async move {
            place.has_asked();
            Ok::<_, Infallible>(self.answer(&request).await)
        });
        let _ = http1::Builder::new()
            .keep_alive(false)
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_headers(HEADER_COUNT)
            .max_buf_size(BUFFER)
            .serve_connection(TokioIo::new(stream), service)
            .await;
    }

    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if let Err(refused) = self.answers.hosts.check(request) {
            return Answers::to_another_host(refused);
        }
        let (method, path) = (request.method(), request.uri().path());
        if !Answers::need_a_look(method, path) {
            return Answers::without_a_look(method, path);
        }
        self.answers.from(&self.look().await, path)
    }

    async fn look(&self) -> Seen {
        let mut looking = self.looking.lock().await;
        if let Some((at, seen)) = &looking.last
            && at.elapsed() < FRESH
        {
            return seen.clone();
        }
        let viewer = self.answers.viewer.clone();
        let under_way = looking
            .under_way
            .get_or_insert_with(|| tokio::task::spawn_blocking(move || viewer.look().map(Arc::new)));
        let seen = match timeout(LOOK, under_way).await {
            Ok(Ok(seen)) => seen,
            Ok(Err(_)) => Err(Finding::new(Id::VolumeUnreadable, "looking failed")),
            // Left under way: another one would hang as well.
            Err(_) => {
                let message = format!("the volume has not answered for {} s", LOOK.as_secs());
                return Err(Finding::new(Id::VolumeUnreadable, message));
            }
        };
        looking.under_way = None;
        looking.last = Some((Instant::now(), seen.clone()));
        seen
    }
}
