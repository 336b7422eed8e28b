//! The server: one thread serves and another one reads the digest, so that a directory that hangs delays only the answers
//! that need it.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::Request;
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use overview::finding::{Finding, Id};

use crate::answer::{Answer, Answers};
use crate::connections::{Connections, Place};
use crate::snapshot::SharedSnapshot;

/// How long a whole exchange may take.
const WHOLE: Duration = Duration::from_secs(15);

/// How long the digest may take to be read, and how long a snapshot of it is used.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
const FRESH: Duration = Duration::from_millis(500);

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

/// Serves for ever.
pub(crate) async fn serve(listener: TcpListener, answers: Answers) {
    let site = Arc::new(Site { answers, cache: Mutex::default() });
    let connections = Connections::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Most likely too many files are open.
            connections.close_one();
            sleep(http_server::ACCEPT_PAUSE).await;
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
    async fn exchange(&self, stream: TcpStream, place: &Place) {
        let answer = |request| async move {
            place.goes_on();
            self.answer(&request).await
        };
        http_server::exchange(Watched { stream, place }, answer).await;
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
