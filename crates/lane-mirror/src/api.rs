//! Kubernetes' API, as far as one Secret goes: it is read, and its records are applied.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs, io};

use records::{Classified, ErrorClass, Secret, text};
use serde_json::Value;
use thiserror::Error;
use ureq::http::Response;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body, Error as UreqError};

/// Who owns the fields that are applied: others who apply the Secret, such as Helm, leave them alone.
const FIELD_MANAGER: &str = "codex-podkit";

/// How long the API server may take to be reached, and how long for the whole exchange. A pod has 30 s for its end.
const CONNECT: Duration = Duration::from_secs(5);
const WHOLE: Duration = Duration::from_secs(15);

/// The largest answer that is read, in bytes: a Secret has at most 1 MiB, and a third more as base64.
const LARGEST: u64 = 2 << 20;

/// One Secret at the API server of the cluster that the pod is in.
#[derive(Debug)]
pub(crate) struct Api {
    agent: Agent,
    url: String,
    secret: String,
    token: Secret,
}

/// Why the Secret was not read or not written.
#[derive(Debug, Error)]
pub(crate) enum ApiError {
    #[error("KUBERNETES_SERVICE_HOST is not set: run it in a pod of a cluster")]
    NoCluster,
    #[error("{path}: {cause}: mount the pod's service account there", path = path.display())]
    NoServiceAccount { path: PathBuf, cause: String },
    #[error("no answer from Kubernetes' API: {0}")]
    NoAnswer(UreqError),
    /// The Secret is not what it was when it was read.
    #[error("another writer has changed the Secret")]
    Conflict,
    #[error("there is no Secret {0}: the chart makes it")]
    NoSecret(String),
    #[error("Kubernetes' API gives no right to get and patch the Secret {secret}: {said}")]
    Forbidden { secret: String, said: String },
    #[error("Kubernetes' API answered {status}: {said}")]
    Refused { status: u16, said: String },
}

impl Classified for ApiError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::NoCluster | Self::NoServiceAccount { .. } | Self::NoSecret(_) | Self::Forbidden { .. } => {
                ErrorClass::Configuration
            }
            // A token is refused for a moment when it has just been replaced.
            Self::NoAnswer(_) | Self::Conflict | Self::Refused { status: 401 | 429 | 500.., .. } => {
                ErrorClass::Temporary
            }
            Self::Refused { .. } => ErrorClass::Other,
        }
    }
}

impl Api {
    /// The Secret of this name in the pod's namespace, with the pod's service account, whose files are in a directory.
    ///
    /// # Errors
    /// This is no pod, or it has no service account.
    pub(crate) fn of_pod(service_account: &Path, secret: &str) -> Result<Self, ApiError> {
        let read = |name: &str| {
            let path = service_account.join(name);
            fs::read_to_string(&path)
                .map_err(|e: io::Error| ApiError::NoServiceAccount { path, cause: e.to_string() })
        };
        let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let host = variable("KUBERNETES_SERVICE_HOST").ok_or(ApiError::NoCluster)?;
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        let port = variable("KUBERNETES_SERVICE_PORT").unwrap_or_else(|| "443".to_owned());
        let namespace = read("namespace")?;
        let roots = certificates(&read("ca.crt")?);
        if roots.is_empty() {
            let (path, cause) = (service_account.join("ca.crt"), "no certificate".to_owned());
            return Err(ApiError::NoServiceAccount { path, cause });
        }
        let tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&roots)).build();
        let config = Agent::config_builder()
            .tls_config(tls)
            // A proxy is the way out of the cluster, and its API is inside.
            .proxy(None)
            // None is kept open, so that no request is lost on one that the other side has closed.
            .max_idle_connections(0)
            .timeout_connect(Some(CONNECT))
            .timeout_global(Some(WHOLE))
            .max_redirects(0)
            .http_status_as_error(false)
            .user_agent(concat!("codex-podkit/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self {
            agent: config.new_agent(),
            url: format!("https://{host}:{port}/api/v1/namespaces/{}/secrets/{secret}", namespace.trim()),
            secret: secret.to_owned(),
            token: Secret::new(&read("token")?),
        })
    }

    /// Reads the Secret.
    ///
    /// # Errors
    /// The API server does not give it.
    pub(crate) fn get(&self) -> Result<Value, ApiError> {
        self.answered(self.agent.get(&self.url).header("authorization", self.bearer()).call())
    }

    /// Applies an object to the Secret, for which no right to create one is needed if it is there.
    ///
    /// # Errors
    /// The API server does not take it; [`ApiError::Conflict`] if the Secret has changed since the version that the object
    /// names.
    pub(crate) fn apply(&self, object: &Value) -> Result<(), ApiError> {
        let url = format!("{}?fieldManager={FIELD_MANAGER}&force=true", self.url);
        let request = self
            .agent
            .patch(url)
            .header("authorization", self.bearer())
            // JSON is YAML, and older servers know this name only.
            .header("content-type", "application/apply-patch+yaml");
        self.answered(request.send(object.to_string())).map(drop)
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token.expose())
    }

    fn answered(&self, answer: Result<Response<Body>, UreqError>) -> Result<Value, ApiError> {
        let mut answer = answer.map_err(ApiError::NoAnswer)?;
        let status = answer.status().as_u16();
        let body =
            answer.body_mut().with_config().limit(LARGEST).read_to_vec().map_err(ApiError::NoAnswer)?;
        let document: Value = serde_json::from_slice(&body).unwrap_or_default();
        if status == 200 {
            return Ok(document);
        }
        let said = text::line(document["message"].as_str().unwrap_or("without a reason"));
        Err(match status {
            403 => ApiError::Forbidden { secret: self.secret.clone(), said },
            404 => ApiError::NoSecret(self.secret.clone()),
            409 => ApiError::Conflict,
            _ => ApiError::Refused { status, said },
        })
    }
}

fn certificates(pem: &str) -> Vec<Certificate<'static>> {
    let items = parse_pem(pem.as_bytes()).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    });
    items.collect()
}
