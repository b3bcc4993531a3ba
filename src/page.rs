//! The page and the widget: one document each, made by `build.rs` of the files in `src/page`.
//!
//! Both show what `/api/meeting/status` says, and the page what `/api/linkbeat/history` says, again
//! and again while somebody looks. They have no way to any other host, and take nothing that came
//! from a file or a server for more than text: their policies say so to the browser, and the tests
//! to us.

use crate::wire::http_server::{Content, Document};

#[cfg(test)]
mod tests;

/// Browsers ask each time whether it is still this one, so that a new version is seen at once.
macro_rules! document {
    ($name:literal, $file:literal, $more:literal) => {
        Document {
            content: Content {
                media_type: "text/html; charset=utf-8",
                gzip: true,
                etag: Some(env!(concat!("LINKBEAT_", $name, "_ETAG"))),
                policy: Some(concat!(
                    "default-src 'none'; script-src ",
                    env!(concat!("LINKBEAT_", $name, "_SCRIPT")),
                    "; style-src ",
                    env!(concat!("LINKBEAT_", $name, "_STYLE")),
                    "; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'",
                    $more
                )),
            },
            body: include_bytes!(concat!(env!("OUT_DIR"), "/", $file, ".html.gz")),
        }
    };
}

/// What a person sees at `/`. It has a button: nobody may put it into a frame and have it clicked.
pub static PAGE: Document = document!("PAGE", "page", "; frame-ancestors 'none'");

/// The card for the page of another server, for example the web manager: it only shows.
pub static WIDGET: Document = document!("WIDGET", "widget", "");
