//! The page that asks a browser for the token.

use linkbeat_core::wire::http_server::{Content, Document};

/// The page on which a browser is asked for the token.
pub(super) static LOGIN: Document = Document { content: FORM, body: page!("") };

/// The same page after a wrong token.
pub(super) static LOGIN_AGAIN: Document = Document {
    content: FORM,
    body: page!("<p role=alert><strong>This is not the token.</strong>\n"),
};

const FORM: Content = Content {
    media_type: "text/html; charset=utf-8",
    gzip: false,
    etag: None,
    policy: Some(
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'self'",
    ),
};

macro_rules! page {
    ($note:literal) => {
        concat!(
            "<!doctype html>\n<html lang=en><meta charset=utf-8>\
             <meta name=viewport content=\"width=device-width\"><title>linkbeat: log in</title>\n\
             <style>:root{color-scheme:light dark;font:1rem system-ui,sans-serif}\
             form{max-width:20rem;margin:15vh auto;padding:0 1rem}\
             input,button{font:inherit;width:100%;box-sizing:border-box;padding:.6rem;margin:.4rem 0}\
             </style>\n<form method=post action=/login><h1>linkbeat</h1>\n",
            $note,
            "<label for=t>Status token</label>\
             <input id=t name=token type=password autocomplete=current-password required autofocus>\
             <button>Log in</button>\
             <p>The token is <code>status_token</code> in the configuration of the camera.</form>\n\
             <form method=post action=/logout><button>Log this browser out</button></form>\n"
        )
        .as_bytes()
    };
}
use page;
