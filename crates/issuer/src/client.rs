//! One way to the world: the proxy, the trust and the time-outs that every request has.

use std::env;
use std::time::Duration;

use anyhow::Context as _;
use ureq::Agent;
use ureq::tls::{TlsConfig, TlsProvider};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{Connector as _, DefaultConnector};

use crate::sent::Sent;
use crate::trust;

/// How long a connection may take, and how long the whole exchange: less than the grace of a pod that is stopped.
const CONNECT: Duration = Duration::from_secs(5);
const WHOLE: Duration = Duration::from_secs(20);

/// A variable's value; one that is set to nothing counts as not set.
pub(crate) fn given(name: &str) -> Option<String> {
    env::var(name).ok().map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

/// A client, through the proxy and with the trust that the environment names, and what tells whether it sent anything.
///
/// # Errors
/// A certificate file that is named cannot be read.
pub(crate) fn agent() -> anyhow::Result<(Agent, Sent)> {
    let roots = trust::roots().context("cannot read the certificates of SSL_CERT_FILE or SSL_CERT_DIR")?;
    let tls = TlsConfig::builder().provider(TlsProvider::Rustls).root_certs(roots).build();
    // The proxy variables are read by the client itself.
    let config = Agent::config_builder()
        .tls_config(tls)
        .timeout_connect(Some(CONNECT))
        .timeout_global(Some(WHOLE))
        .max_redirects(0)
        .http_status_as_error(false)
        .user_agent(concat!("codex-podkit/", env!("CARGO_PKG_VERSION")))
        .build();
    let sent = Sent::default();
    let connector = DefaultConnector::default().chain(sent.clone());
    Ok((Agent::with_parts(config, connector, DefaultResolver::default()), sent))
}
