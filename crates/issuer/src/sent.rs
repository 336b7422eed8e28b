//! Whether a request has left: the one thing that matters of a failed one.
//!
//! [`Watch`] is the last link of ureq's chain of connectors. By the time it gets a connection, names are resolved, the
//! proxy has agreed, and the TLS handshake is complete, because ureq completes the handshake while it connects. So the
//! first byte that is written through a watched connection is the first byte of the HTTP request, and whatever fails
//! before that has sent nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use ureq::Error;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

/// Becomes true when the first byte of one request is handed to its connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sent(Arc<AtomicBool>);

impl Sent {
    pub(crate) fn is_true(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Watches the connection of one request.
#[derive(Debug)]
pub(crate) struct Watch {
    /// What is told of the request.
    pub(crate) sent: Sent,
    /// Whether the request goes through a proxy.
    pub(crate) has_proxy: bool,
    /// When the whole exchange must have ended.
    pub(crate) until: Instant,
}

impl<In: Transport> Connector<In> for Watch {
    type Out = Watched<In>;

    fn connect(&self, details: &ConnectionDetails, chained: Option<In>) -> Result<Option<Self::Out>, Error> {
        // To ask a proxy for a tunnel, ureq runs the whole chain, with this link in it, a first time, for the
        // connection to the proxy itself, and takes the proxy out of the configuration for that. What is written
        // there is CONNECT, and later the tunnel's content, which the second run's watch sees first.
        let is_to_proxy = self.has_proxy && details.config.proxy().is_none();
        let sent = (!is_to_proxy).then(|| self.sent.clone());
        Ok(chained.map(|connection| Watched { connection, sent, until: self.until }))
    }
}

/// A connection that notes when it is used, and that ends in time.
#[derive(Debug)]
pub(crate) struct Watched<T> {
    connection: T,
    sent: Option<Sent>,
    until: Instant,
}

impl<T> Watched<T> {
    /// The time that is left. ureq gives each read of a proxy's answer to CONNECT the whole time-out anew, so an
    /// answer that drips would never end.
    fn bound(&self, timeout: NextTimeout) -> NextTimeout {
        let left = self.until.saturating_duration_since(Instant::now()).into();
        NextTimeout { after: timeout.after.min(left), ..timeout }
    }
}

impl<T: Transport> Transport for Watched<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.connection.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        // Before the attempt, because one that fails half-way may have sent all.
        if let Some(sent) = &self.sent {
            sent.0.store(true, Ordering::SeqCst);
        }
        let timeout = self.bound(timeout);
        self.connection.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let timeout = self.bound(timeout);
        self.connection.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.connection.is_open()
    }

    fn is_tls(&self) -> bool {
        self.connection.is_tls()
    }
}
