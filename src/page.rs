//! The page and the widget: one document each, assembled by `build.rs` from the files in
//! `src/page`.
//!
//! Both request `/api/meeting/status` repeatedly while they are visible, the page
//! `/api/linkbeat/history` as well. Their content security policies forbid every other host and
//! every other script. Texts from files and servers are shown as text only. Tests check both.

use linkbeat_core::wire::http_server::{Content, Document};

#[cfg(test)]
mod tests;

/// A document with its policy. By the tag, browsers check for a new version each time.
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

/// The page at `/`. It has a button, so it may not be framed (clickjacking).
pub static PAGE: Document = document!("PAGE", "page", "; frame-ancestors 'none'");

/// The card for the page of another server, for example the web manager. It has no controls.
pub static WIDGET: Document = document!("WIDGET", "widget", "");
