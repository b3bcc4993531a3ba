use super::*;
use crate::wire::base64;

type Read<'a> = (&'a str, usize, Option<Vec<u8>>);

fn read(file: &str) -> Vec<Read<'_>> {
    sections(file.as_bytes())
        .map(|it| (str::from_utf8(it.label).unwrap(), it.line, bytes(&it)))
        .collect()
}

fn bytes(section: &Section<'_>) -> Option<Vec<u8>> {
    let mut room = vec![0; section.text?.len()];
    let length = base64::decode(section.text?, &mut room)?;
    Some(room[..length].to_vec())
}

const ONE: &str = "-----BEGIN A-----\nMQ==\n-----END A-----\n";

#[test]
fn sections_are_found_among_other_text() {
    let one = |line| ("A", line, Some(b"1".to_vec()));
    for (file, expected) in [
        (String::from(ONE), vec![one(1)]),
        (format!("\u{feff}{ONE}"), vec![one(1)]),
        (format!("text\n{ONE}more\n{ONE}"), vec![one(2), one(6)]),
        (ONE.replace('\n', "\r\n"), vec![one(1)]),
        (ONE.replace('\n', "\r"), vec![one(1)]),
        (ONE.replace("MQ==", "  M\nQ=\n=  "), vec![one(1)]),
        (String::from(ONE.trim_end()), vec![one(1)]),
        (format!("-----BEGIN -----\n{ONE}"), vec![("", 1, None), one(2)]),
        (format!("-----BEGIN {}-----\n{ONE}", "x".repeat(65)), vec![one(2)]),
        (format!("-----BEGIN \u{7}-----\n{ONE}"), vec![one(2)]),
        (String::from("no section"), vec![]),
        (String::new(), vec![]),
    ] {
        assert_eq!(read(&file), expected, "{file:?}");
    }
}

#[test]
fn damaged_section_does_not_affect_the_others() {
    for (damaged, label) in [
        ("-----BEGIN B-----\nM!==\n-----END B-----\n", "B"),
        ("-----BEGIN B-----\nMQ==\n", "B"),
        ("-----BEGIN B-----\nMQ==\n-----END C-----\n", "B"),
        ("-----BEGIN B-----\nMQ==\n-----END B\n", "B"),
        ("-----BEGIN B-----\n", "B"),
    ] {
        let file = format!("{ONE}{damaged}{ONE}");
        let read = read(&file);
        let labels: Vec<_> = read.iter().map(|it| (it.0, it.2.is_some())).collect();
        assert_eq!(labels, [("A", true), (label, false), ("A", true)], "{damaged}");
        let last = 4 + damaged.lines().count();
        assert_eq!(read.last().map(|it| it.1), Some(last), "{damaged}");
    }
}

#[test]
fn encrypted_section_is_recognized() {
    for (section, encrypted) in [
        ("-----BEGIN ENCRYPTED PRIVATE KEY-----\nMQ==\n-----END ENCRYPTED PRIVATE KEY-----", true),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n\
             MQ==\n-----END RSA PRIVATE KEY-----",
            true,
        ),
        ("-----BEGIN PRIVATE KEY-----\nMQ==\n-----END PRIVATE KEY-----", false),
    ] {
        let found = sections(section.as_bytes()).next().expect("a section");
        assert_eq!(found.is_encrypted(), encrypted, "{section}");
    }
}

#[test]
fn sections_without_an_end_are_all_found() {
    // 16,384 sections without an end.
    let file = "-----BEGIN A-----".repeat(1 << 14);
    assert_eq!(sections(file.as_bytes()).count(), 1 << 14);
}
