//! What is answered to which path. Pure.

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
use crate::snapshot::{Seen, Viewer};
use crate::{metrics, page};

type Answer = Response<Full<Bytes>>;

const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";

/// Nothing from elsewhere, nothing inline, no frame around it: what a name or a reason holds stays text.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// All that answers are made from.
#[derive(Debug)]
pub(crate) struct Answers {
    pub(crate) exec: Exec,
    pub(crate) viewer: Viewer,
    pub(crate) hosts: Hosts,
}

impl Answers {
    pub(crate) fn need_a_look(method: &Method, path: &str) -> bool {
        is_read(method) && matches!(path, "/" | "/view" | "/metrics" | "/accounts.json")
    }

    /// The name is not repeated: it is the stranger's.
    pub(crate) fn to_another_host(refused: Refused) -> Answer {
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

    pub(crate) fn without_a_look(method: &Method, path: &str) -> Answer {
        if !is_read(method) {
            let mut refused = answer(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD\n");
            refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refused;
        }
        match path {
            // Both say that this process answers, and no more: a pod is ready when all its containers are, and a page
            // must never take LiteLLM out of service, nor an account that is capped restart anything.
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

    pub(crate) fn from(&self, seen: &Seen, path: &str) -> Answer {
        match (path, seen) {
            ("/", seen) => answer(StatusCode::OK, HTML, page::whole(seen, &self.exec)),
            ("/view", seen) => answer(StatusCode::OK, HTML, page::view(seen, &self.exec)),
            ("/metrics", seen) => match metrics::text(seen) {
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
