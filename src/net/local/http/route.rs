//! Which path of the status server leads to what.

use std::net::IpAddr;

use super::form::{LOGIN, LOGIN_AGAIN};
use super::guard::{Gate, SessionId};
use crate::net::local::request::Ask;
use crate::page::{PAGE, WIDGET};
use linkbeat_core::proto::history::Id;
use linkbeat_core::proto::time::Instant;
use linkbeat_core::wire::http_server::{Content, Document, Extra, Method, Refusal, Request};

/// The path of a trigger whose answer shows the whole exchange with the server.
pub(super) const DEBUG: &str = "/api/meeting/heartbeat/debug";

/// The result of routing a request.
#[derive(Debug, Clone)]
pub(super) enum HttpRoute {
    /// The agent answers it.
    Ask {
        /// The request for the loop.
        ask: Ask,
        /// Whether the answer is to be the end of the beat.
        wait: bool,
    },
    /// The answer is part of the program.
    Answer {
        /// The HTTP status.
        status: u16,
        /// The kind of body.
        content: Content,
        /// Further fields for the client.
        extra: Extra<'static>,
        /// The body.
        body: &'static [u8],
    },
    /// The client sent the token and gets a cookie for it, or gives it back.
    Session(Option<SessionId>),
}

impl HttpRoute {
    /// The client is shown a document.
    const fn document(status: u16, document: &'static Document, extra: Extra<'static>) -> Self {
        Self::Answer { status, content: document.content, extra, body: document.body }
    }

    /// The client is sent to another path.
    const fn redirect(path: &'static str) -> Self {
        let extra = Extra::Location(path);
        Self::Answer { status: 303, content: Content::JSON, extra, body: &[] }
    }
}

/// Routes `request` of the address `from`; `None` while its body is needed and not complete.
pub(super) fn route(
    request: &Request<'_>,
    gate: &mut Gate,
    from: IpAddr,
    now: Instant,
) -> Result<Option<HttpRoute>, Refusal> {
    if request.path == "/login" {
        return log_in(request, gate, from, now);
    }
    if request.path == "/logout" {
        return log_out(request, gate).map(Some);
    }
    let route = open_route(request)?;
    match gate.admit(request, from, now) {
        Ok(()) => Ok(Some(route)),
        // A browser that wants a page is sent to the login.
        Err(Refusal::Unauthorized) if matches!(route, HttpRoute::Answer { .. }) => {
            Ok(Some(HttpRoute::redirect("/login")))
        }
        Err(refusal) => Err(refusal),
    }
}

fn log_in(
    request: &Request<'_>,
    gate: &mut Gate,
    from: IpAddr,
    now: Instant,
) -> Result<Option<HttpRoute>, Refusal> {
    let Gate::Guarded(guard) = gate else { return Ok(Some(HttpRoute::redirect("/"))) };
    match request.method {
        Method::Get | Method::Head => Ok(Some(HttpRoute::document(200, &LOGIN, Extra::Nothing))),
        Method::Post if !request.is_whole() => Ok(None),
        Method::Post => match guard.log_in(request, from, now) {
            Ok(session) => Ok(Some(HttpRoute::Session(Some(session)))),
            Err(Refusal::Unauthorized) => {
                Ok(Some(HttpRoute::document(401, &LOGIN_AGAIN, Extra::Authenticate)))
            }
            Err(refusal) => Err(refusal),
        },
        Method::Other => Err(Refusal::MethodNotAllowed { allow: "GET, HEAD, POST" }),
    }
}

fn log_out(request: &Request<'_>, gate: &mut Gate) -> Result<HttpRoute, Refusal> {
    let Gate::Guarded(guard) = gate else { return Ok(HttpRoute::redirect("/")) };
    if request.method != Method::Post {
        return Err(Refusal::MethodNotAllowed { allow: "POST" });
    }
    guard.log_out(request);
    Ok(HttpRoute::Session(None))
}

/// Routes `request` as if its client were let in.
fn open_route(request: &Request<'_>) -> Result<HttpRoute, Refusal> {
    let is_readable = || match request.method {
        Method::Get | Method::Head => Ok(()),
        Method::Post | Method::Other => Err(Refusal::MethodNotAllowed { allow: "GET, HEAD" }),
    };
    let readable = |ask| is_readable().map(|()| HttpRoute::Ask { ask, wait: false });
    match request.path {
        "/" => is_readable().and_then(|()| show(&PAGE, request)),
        "/widget" => is_readable().and_then(|()| show(&WIDGET, request)),
        "/api/meeting/status" => readable(Ask::Status),
        "/api/meeting/heartbeat/preview" => readable(Ask::Preview),
        "/api/linkbeat/history" => readable(Ask::History { after: after(request.query) }),
        "/metrics" => readable(Ask::Metrics),
        path @ ("/api/meeting/heartbeat" | DEBUG) if request.method == Method::Post => {
            let only = request.query.split('&').any(|parameter| parameter == "wait=0");
            Ok(HttpRoute::Ask { ask: Ask::Trigger(None), wait: path == DEBUG || !only })
        }
        "/api/meeting/heartbeat" | DEBUG => Err(Refusal::MethodNotAllowed { allow: "POST" }),
        _ => Err(Refusal::NotFound),
    }
}

/// A document as this client can take it.
fn show(document: &'static Document, request: &Request<'_>) -> Result<HttpRoute, Refusal> {
    let content = document.content;
    if content.is_known(request.if_none_match) {
        Ok(HttpRoute::Answer { status: 304, content, extra: Extra::Nothing, body: &[] })
    } else if content.gzip && !request.takes_gzip {
        Err(Refusal::NotAcceptable)
    } else {
        Ok(HttpRoute::document(200, document, Extra::Nothing))
    }
}

/// The last entry of the history that the client has, 0 if the query names none.
fn after(query: &str) -> Id {
    let mut values = query.split('&').filter_map(|parameter| parameter.strip_prefix("after="));
    values.next().and_then(|number| number.parse().ok()).unwrap_or(0)
}
