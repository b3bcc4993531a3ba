use std::io::Write;
use std::process::{Command, Stdio};

use super::*;
use linkbeat_core::wire::http_server::{ANSWER_HEAD_MAX, AnswerHead, Extra};

/// The documents, their uncompressed text, and the limits of their compressed size in bytes.
const DOCUMENTS: [(&Document, &str, usize); 2] = [
    (&PAGE, include_str!(concat!(env!("OUT_DIR"), "/page.html")), 11_264),
    (&WIDGET, include_str!(concat!(env!("OUT_DIR"), "/widget.html")), 3_072),
];

/// The text of the first element `name`.
fn inside<'a>(text: &'a str, name: &str) -> &'a str {
    let rest = text.split_once(&format!("<{name}>")).unwrap().1;
    rest.split_once(&format!("</{name}>")).unwrap().0
}

/// The output of an independent program for this input.
fn piped(program: &str, arguments: &[&str], input: &[u8]) -> String {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // The output fits into a pipe, or comes after the whole input is read.
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(&input).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// Base 64 (RFC 4648 §4) of 32 bytes as 64 hexadecimal digits.
fn hexadecimal(base64: &str) -> String {
    let digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let values = base64.trim_end_matches('=').chars().map(|char| digits.find(char).unwrap());
    let bits: String = values.map(|value| format!("{value:06b}")).collect();
    let nibble = |at| u8::from_str_radix(&bits[at..at + 4], 2).unwrap();
    (0..64).map(|place| format!("{:x}", nibble(4 * place))).collect()
}

#[test]
fn documents_fit_their_limit_and_expand_to_their_sources() {
    for (document, text, most) in DOCUMENTS {
        let size = document.body.len();
        assert!(size <= most, "{size} bytes");
        assert_eq!(piped("gzip", &["-dc"], document.body), text);
    }
}

#[test]
fn policy_allows_only_the_script_and_the_style() {
    for (document, text, _) in DOCUMENTS {
        let policy = document.content.policy.unwrap();
        assert!(policy.starts_with("default-src 'none'; "), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        for name in ["style", "script"] {
            assert_eq!(text.matches(&format!("<{name}")).count(), 1);
            let digest = piped("sha256sum", &[], inside(text, name).as_bytes());
            let digest = digest.split_whitespace().next().unwrap();
            let allowed = policy.split_once(&format!("{name}-src 'sha256-")).unwrap().1;
            assert_eq!(hexadecimal(allowed.split('\'').next().unwrap()), digest);
        }
    }
}

#[test]
fn documents_refer_to_no_other_host() {
    for (_, text, _) in DOCUMENTS {
        for word in ["http:", "https:", "//", "src=", "@import", "url(", "innerHTML", "eval("] {
            assert!(!text.contains(word), "{word}");
        }
        assert_eq!(text.matches("href=").count(), 1, "more than the icon");
    }
}

#[test]
fn only_the_page_has_a_button_and_forbids_frames() {
    let [(page, page_text, _), (widget, widget_text, _)] = DOCUMENTS;
    assert!(page.content.policy.unwrap().ends_with("; frame-ancestors 'none'"));
    assert!(page_text.contains("<button"));
    assert!(!widget.content.policy.unwrap().contains("frame-ancestors"));
    for word in ["<button", "<form", "<a ", "POST"] {
        assert!(!widget_text.contains(word), "{word}");
    }
}

#[test]
fn response_heads_of_documents_fit_their_limit() {
    for (document, _, _) in DOCUMENTS {
        let content = document.content;
        let head =
            AnswerHead { status: 200, content, length: 99_999, extra: Extra::Allow("GET, HEAD") };
        assert!(head.to_string().len() <= ANSWER_HEAD_MAX, "{head}");
    }
}

/// Elements that have no end (HTML §13.1.2).
const VOID: [&str; 3] = ["meta", "link", "br"];

#[test]
fn every_element_is_closed_at_its_level() {
    for (_, text, _) in DOCUMENTS {
        let text = text.replace(inside(text, "script"), "").replace(inside(text, "style"), "");
        let mut open = Vec::new();
        for tag in text.split('<').skip(2) {
            let name =
                tag.split(|char: char| char != '/' && !char.is_alphanumeric()).next().unwrap();
            match name.strip_prefix('/') {
                Some(closed) => assert_eq!(open.pop(), Some(closed), "{tag}"),
                None if VOID.contains(&name) => {}
                None => open.push(name),
            }
        }
        assert_eq!(open, Vec::<&str>::new());
    }
}

#[test]
fn every_id_in_the_script_exists_once() {
    for (_, text, _) in DOCUMENTS {
        let script = inside(text, "script");
        let calls = ["byId(\"", "show(\""].map(|call| script.split(call).skip(1));
        let names = calls.into_iter().flatten().map(|rest| rest.split('"').next().unwrap());
        for name in names {
            assert_eq!(text.matches(&format!(" id=\"{name}\"")).count(), 1, "{name}");
        }
    }
}
