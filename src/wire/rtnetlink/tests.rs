use super::*;

#[test]
fn requests_differ_in_kind_and_length() {
    let mut buffer = [0xff; DUMP_REQUEST_MAX];
    let lengths = [Subject::Links, Subject::Addresses, Subject::Routes]
        .map(|subject| emit_dump(&mut buffer, subject, 7).len());
    assert_eq!(lengths, [32, 24, 28]);
}
