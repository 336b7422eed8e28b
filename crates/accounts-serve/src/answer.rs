//! The answer to each path. Pure.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Response, StatusCode};
use overview::json;

use crate::exec::Exec;
use crate::host::{Hosts, Refused};
use crate::snapshot::{SharedSnapshot, SnapshotReader};
use crate::{metrics, page};

pub(crate) type Answer = Response<Full<Bytes>>;

const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";

/// Nothing from elsewhere, nothing inline and no frame around it, so that what a name or a reason holds stays text.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What answers are made with.
#[derive(Debug)]
pub(crate) struct Answers {
    pub(crate) exec: Exec,
    pub(crate) reader: SnapshotReader,
    pub(crate) hosts: Hosts,
}

impl Answers {
    pub(crate) fn need_snapshot(method: &Method, path: &str) -> bool {
        is_read(method) && matches!(path, "/" | "/view" | "/metrics" | "/accounts.json")
    }

    /// The name is not repeated, because the client chose it.
    pub(crate) fn to_refused_host(refused: Refused) -> Answer {
        match refused {
            Refused::NoHost => answer(
                StatusCode::BAD_REQUEST,
                TEXT,
                "the request needs one Host header with a name or an address\n",
            ),
            Refused::OtherHost => answer(
                StatusCode::MISDIRECTED_REQUEST,
                TEXT,
                "not served under this name: start accounts-serve with --host NAME, or put it into ACCOUNTS_HOSTS\n",
            ),
        }
    }

    pub(crate) fn without_snapshot(method: &Method, path: &str) -> Answer {
        if !is_read(method) {
            let mut refused =
                answer(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD are answered\n");
            refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refused;
        }
        match path {
            // Both say only that this process answers. A pod is ready when all its containers are, so an answer that
            // depended on the accounts could take LiteLLM out of service or restart it.
            "/healthz" | "/readyz" => answer(StatusCode::OK, TEXT, "ok\n"),
            "/page.css" => answer(StatusCode::OK, "text/css; charset=utf-8", page::STYLE),
            "/page.js" => answer(StatusCode::OK, "text/javascript; charset=utf-8", page::SCRIPT),
            _ => answer(
                StatusCode::NOT_FOUND,
                TEXT,
                "there are /, /metrics, /accounts.json, /healthz and /readyz\n",
            ),
        }
    }

    pub(crate) fn with_snapshot(&self, snapshot: &SharedSnapshot, path: &str) -> Answer {
        match (path, snapshot) {
            ("/", snapshot) => answer(StatusCode::OK, HTML, page::whole(snapshot, &self.exec)),
            ("/view", snapshot) => answer(StatusCode::OK, HTML, page::view(snapshot, &self.exec)),
            ("/metrics", snapshot) => match metrics::text(snapshot) {
                Ok(text) => answer(StatusCode::OK, metrics::CONTENT_TYPE, text),
                Err(e) => answer(StatusCode::INTERNAL_SERVER_ERROR, TEXT, format!("{e}\n")),
            },
            (_, Ok(snapshot)) => answer(
                StatusCode::OK,
                JSON,
                format!("{}\n", json::document(&snapshot.observed.overview, &snapshot.findings)),
            ),
            (_, Err(why)) => answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{}\n", why.message)),
        }
    }
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

fn answer(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let headers = [
        (CONTENT_TYPE, content_type),
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in headers {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}
