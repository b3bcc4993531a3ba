//! What is served where.

use crate::page::{PAGE, WIDGET};
use crate::proto::history::Id;
use crate::wire::http_server::{Content, Document, Method, Refusal, Request};

/// What a request leads to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Route {
    /// Others answer it.
    Ask(What),
    /// The answer is part of the program.
    Show(&'static Document),
    /// The client has it already.
    Same(Content),
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

/// What `request` leads to.
pub(super) fn route(request: &Request<'_>) -> Result<Route, Refusal> {
    let readable = |route| match request.method {
        Method::Get | Method::Head => Ok(route),
        Method::Post | Method::Other => Err(Refusal::MethodNotAllowed { allow: "GET, HEAD" }),
    };
    match request.path {
        "/" => readable(show(&PAGE, request)?),
        "/widget" => readable(show(&WIDGET, request)?),
        "/api/meeting/status" => readable(Route::Ask(What::Status)),
        "/api/meeting/heartbeat/preview" => readable(Route::Ask(What::Preview)),
        "/api/linkbeat/history" => {
            readable(Route::Ask(What::History { after: after(request.query) }))
        }
        "/metrics" => readable(Route::Ask(What::Metrics)),
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
        Ok(Route::Show(document))
    }
}

/// The last entry of the history that the client knows; none if it says nothing that makes sense.
fn after(query: &str) -> Id {
    let mut values = query.split('&').filter_map(|parameter| parameter.strip_prefix("after="));
    values.next().and_then(|number| number.parse().ok()).unwrap_or(0)
}
