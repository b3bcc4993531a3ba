//! The part of HTTP/1.1 that is needed to receive a beat and to answer it correctly or not.

use std::io::{self, Read};
use std::net::SocketAddr;

use serde_json::json;

use super::behaviour::{Answer, Behaviour, Close, Framing};

/// The largest accepted request.
const REQUEST_MAX: usize = 1 << 20;
/// The size of headers and bodies that are meant to be too long.
const LONG: usize = 1 << 20;

/// A request as received.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

/// Reads one request; `unread` keeps the bytes after it. `None` at the orderly end of the stream.
pub(super) fn read_request(
    stream: &mut impl Read,
    unread: &mut Vec<u8>,
) -> io::Result<Option<Request>> {
    let mut chunk = [0; 4096];
    loop {
        if let Some((request, length)) = parse(unread)? {
            unread.drain(..length);
            return Ok(Some(request));
        }
        if unread.len() > REQUEST_MAX {
            return Err(io::Error::other("request too large"));
        }
        match stream.read(&mut chunk)? {
            0 if unread.is_empty() => return Ok(None),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => unread.extend(chunk.iter().take(read)),
        }
    }
}

/// The request at the beginning of `bytes` and its length; `None` while it is incomplete.
fn parse(bytes: &[u8]) -> io::Result<Option<(Request, usize)>> {
    const END: &[u8] = b"\r\n\r\n";
    let Some(head) = bytes.windows(END.len()).position(|it| it == END) else { return Ok(None) };
    let text = bytes.get(..head).and_then(|it| std::str::from_utf8(it).ok());
    let malformed = || io::Error::other("malformed request");
    let mut lines = text.ok_or_else(malformed)?.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(path), Some("HTTP/1.1"), None) =
        (first.next(), first.next(), first.next(), first.next())
    else {
        return Err(malformed());
    };
    let mut headers = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(':').ok_or_else(malformed)?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length: usize = length.map_or(Ok(0), |(_, it)| it.parse()).map_err(|_| malformed())?;
    let start = head + END.len();
    let Some(body) = bytes.get(start..start.saturating_add(length)) else { return Ok(None) };
    let (method, path) = (method.to_owned(), path.to_owned());
    Ok(Some((Request { method, path, headers, body: body.to_vec() }, start + length)))
}

/// The bytes of an answer, and whether the connection stays open after it.
pub(super) fn answer(behaviour: &Behaviour, peer: SocketAddr) -> (Vec<u8>, bool) {
    match &behaviour.answer {
        Answer::Status { code, header } => {
            let body = body(behaviour, *code, peer);
            let header = header.as_ref().map(|(name, value)| format!("{name}: {value}\r\n"));
            framed(behaviour, *code, &header.unwrap_or_default(), &body)
        }
        Answer::NotOk => framed(behaviour, 200, "", r#"{"ok":false,"error":"not today"}"#),
        Answer::Page(code) => page(*code),
        Answer::LongHeaders => {
            let header = format!("X-Long: {}\r\n", "x".repeat(LONG));
            framed(behaviour, 200, &header, &body(behaviour, 200, peer))
        }
        Answer::LongBody => {
            let body = json!({ "ok": true, "padding": "x".repeat(LONG) });
            framed(behaviour, 200, "", &body.to_string())
        }
        Answer::Reset | Answer::HalfClose => {
            let (bytes, _) = framed(behaviour, 200, "", &body(behaviour, 200, peer));
            (bytes.get(..bytes.len() - 20).unwrap_or_default().to_vec(), false)
        }
        Answer::Garbage => (b"\0\xff\x16SSH-2.0 this is no HTTP\r\n\r\n\r\n".to_vec(), false),
        Answer::Hang => (Vec::new(), false),
    }
}

/// The body of the real server (heartbeat contract, answer 200), or an error in its form.
fn body(behaviour: &Behaviour, code: u16, peer: SocketAddr) -> String {
    let body = if (200..300).contains(&code) {
        let mut body =
            json!({ "ok": true, "ip_address": peer.ip(), "last_seen": "2026-02-02 12:34:56" });
        let interval = behaviour.interval.as_ref().and_then(|json| json.parse().ok());
        if let Some((members, interval)) = body.as_object_mut().zip(interval) {
            members.insert("interval_s".to_owned(), interval);
        }
        body
    } else {
        json!({ "ok": false, "error": format!("status {code}") })
    };
    body.to_string()
}

/// The answer of a captive portal in place of the server. It keeps the connection open.
fn page(code: u16) -> (Vec<u8>, bool) {
    const PAGE: &str = "<!DOCTYPE html><html><form>Please log in</form></html>";
    let to = if code == 302 { "Location: http://portal.test/login\r\n" } else { "" };
    let length = PAGE.len();
    let head = format!(
        "HTTP/1.1 {code} Test\r\nContent-Type: text/html\r\n{to}Content-Length: {length}\r\n\r\n"
    );
    ((head + PAGE).into_bytes(), true)
}

fn framed(behaviour: &Behaviour, code: u16, header: &str, body: &str) -> (Vec<u8>, bool) {
    let (framing, body) = match behaviour.framing {
        Framing::Length => (format!("Content-Length: {}\r\n", body.len()), body.to_owned()),
        Framing::Chunked => ("Transfer-Encoding: chunked\r\n".to_owned(), chunked(body)),
        Framing::UntilClose => (String::new(), body.to_owned()),
    };
    let close = if behaviour.close == Close::Announced { "Connection: close\r\n" } else { "" };
    let bytes = format!(
        "HTTP/1.1 {code} Test\r\nContent-Type: application/json\r\n{header}{framing}{close}\r\n{body}"
    );
    let keep = behaviour.close == Close::Keep && behaviour.framing != Framing::UntilClose;
    (bytes.into_bytes(), keep)
}

/// In two chunks, the first with an extension (RFC 9112 §7.1.1).
fn chunked(body: &str) -> String {
    let (first, second) = body.split_at(body.len() / 2);
    format!("{:x};part=1\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n", first.len(), second.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &[u8] =
        b"POST /api/devices/k/online HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}GET";

    #[test]
    fn request_is_whole_only_with_its_body() {
        let whole = REQUEST.len() - 3;
        for cut in 0..whole {
            assert_eq!(parse(&REQUEST[..cut]).unwrap(), None, "cut at {cut}");
        }
        let (request, length) = parse(REQUEST).unwrap().unwrap();
        assert_eq!((request.path.as_str(), length), ("/api/devices/k/online", whole));
        assert_eq!(request.body, b"{}");
    }

    #[test]
    fn what_follows_a_request_is_kept() {
        let mut unread = Vec::new();
        read_request(&mut &*REQUEST, &mut unread).unwrap().unwrap();
        assert_eq!(unread, b"GET");
    }

    #[test]
    fn chunks_add_up_to_the_body() {
        let behaviour = Behaviour { framing: Framing::Chunked, ..Behaviour::default() };
        let (bytes, keep) = answer(&behaviour, "192.0.2.1:1".parse().unwrap());
        assert!(keep && bytes.ends_with(b"\r\n0\r\n\r\n"));
    }
}
