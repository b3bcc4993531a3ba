//! What is served where.

use std::net::IpAddr;

use super::form::{LOGIN, LOGIN_AGAIN};
use super::guard::{Gate, Session};
use crate::page::{PAGE, WIDGET};
use crate::proto::history::Id;
use crate::proto::time::Instant;
use crate::wire::http_server::{Content, Document, Extra, Method, Refusal, Request};

/// What a request leads to.
#[derive(Debug, Clone)]
pub(super) enum Route {
    /// Others answer it.
    Ask(What),
    /// The answer is part of the program, and has this status.
    Show(u16, &'static Document, Extra<'static>),
    /// The client has it already.
    Same(Content),
    /// The client is sent to another path.
    Go(&'static str),
    /// The client sent the token and gets a cookie for it.
    LoggedIn(Session),
}

/// What is asked of others.
#[derive(Debug, Clone, Copy)]
pub(super) enum What {
    Status,
    Preview,
    History { after: Id },
    Metrics,
    Trigger { wait: bool },
}

impl What {
    /// Whether the client wants to know the end of a beat.
    pub(super) const fn waits(self) -> bool {
        matches!(self, Self::Trigger { wait: true })
    }
}

/// What `request` of the address `from` leads to; `None` while its body is needed and not complete.
pub(super) fn route(
    request: &Request<'_>,
    gate: &mut Gate,
    from: IpAddr,
    now: Instant,
) -> Result<Option<Route>, Refusal> {
    if request.path == "/login" {
        return log_in(request, gate, from, now);
    }
    let route = open_route(request)?;
    match gate.admit(request, from, now) {
        Ok(()) => Ok(Some(route)),
        // Who is shown a page is shown where to log in.
        Err(Refusal::Unauthorized) if matches!(route, Route::Show(..) | Route::Same(_)) => {
            Ok(Some(Route::Go("/login")))
        }
        Err(refusal) => Err(refusal),
    }
}

fn log_in(
    request: &Request<'_>,
    gate: &mut Gate,
    from: IpAddr,
    now: Instant,
) -> Result<Option<Route>, Refusal> {
    let Gate::Guarded(guard) = gate else { return Ok(Some(Route::Go("/"))) };
    match request.method {
        Method::Get | Method::Head => Ok(Some(Route::Show(200, &LOGIN, Extra::Nothing))),
        Method::Post if !request.is_whole() => Ok(None),
        Method::Post => match guard.log_in(request, from, now) {
            Ok(session) => Ok(Some(Route::LoggedIn(session))),
            Err(Refusal::Unauthorized) => {
                Ok(Some(Route::Show(401, &LOGIN_AGAIN, Extra::Authenticate)))
            }
            Err(refusal) => Err(refusal),
        },
        Method::Other => Err(Refusal::MethodNotAllowed { allow: "GET, HEAD, POST" }),
    }
}

/// What it leads to where everyone is let in.
fn open_route(request: &Request<'_>) -> Result<Route, Refusal> {
    let is_readable = || match request.method {
        Method::Get | Method::Head => Ok(()),
        Method::Post | Method::Other => Err(Refusal::MethodNotAllowed { allow: "GET, HEAD" }),
    };
    let readable = |what| is_readable().map(|()| Route::Ask(what));
    match request.path {
        "/" => is_readable().and_then(|()| show(&PAGE, request)),
        "/widget" => is_readable().and_then(|()| show(&WIDGET, request)),
        "/api/meeting/status" => readable(What::Status),
        "/api/meeting/heartbeat/preview" => readable(What::Preview),
        "/api/linkbeat/history" => readable(What::History { after: after(request.query) }),
        "/metrics" => readable(What::Metrics),
        "/api/meeting/heartbeat" if request.method == Method::Post => {
            let wait = !request.query.split('&').any(|parameter| parameter == "wait=0");
            Ok(Route::Ask(What::Trigger { wait }))
        }
        "/api/meeting/heartbeat" => Err(Refusal::MethodNotAllowed { allow: "POST" }),
        _ => Err(Refusal::NotFound),
    }
}

/// How a document is shown to who asks for it.
fn show(document: &'static Document, request: &Request<'_>) -> Result<Route, Refusal> {
    let content = document.content;
    if content.is_known(request.if_none_match) {
        Ok(Route::Same(content))
    } else if content.gzip && !request.takes_gzip {
        Err(Refusal::NotAcceptable)
    } else {
        Ok(Route::Show(200, document, Extra::Nothing))
    }
}

/// The last entry of the history that the client knows; none if it says nothing that makes sense.
fn after(query: &str) -> Id {
    let mut values = query.split('&').filter_map(|parameter| parameter.strip_prefix("after="));
    values.next().and_then(|number| number.parse().ok()).unwrap_or(0)
}
