use super::{HttpDate, LAST_S, Utc};

#[test]
fn known_seconds_are_written_as_iso_8601() {
    let cases = [
        (0, "1970-01-01T00:00:00Z"),
        (68_169_599, "1972-02-28T23:59:59Z"),
        (68_169_600, "1972-02-29T00:00:00Z"),
        (68_256_000, "1972-03-01T00:00:00Z"),
        (94_694_399, "1972-12-31T23:59:59Z"),
        (951_782_400, "2000-02-29T00:00:00Z"),
        (1_770_035_696, "2026-02-02T12:34:56Z"),
        (4_107_542_400, "2100-03-01T00:00:00Z"),
        (LAST_S, "9999-12-31T23:59:59Z"),
        (u64::MAX, "9999-12-31T23:59:59Z"),
    ];
    for (seconds, text) in cases {
        assert_eq!(Utc(seconds).to_string(), text);
    }
}

#[test]
fn all_three_forms_of_an_http_date_are_read() {
    let forms = [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "sun, 06 nov 1994 08:49:37 gmt",
        "Sun, 06 NOV 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 +0000",
    ];
    for form in forms {
        assert_eq!(Utc::parse_http(form), Some(Utc(784_111_777)), "{form}");
    }
}

#[test]
fn leap_second_counts_as_the_second_after_it() {
    let leap = Utc::parse_http("Sat, 31 Dec 2016 23:59:60 GMT");
    assert_eq!(leap, Utc::parse_http("Sun, 01 Jan 2017 00:00:00 GMT"));
    assert!(leap.is_some());
}

#[test]
fn every_day_of_four_centuries_survives_a_round_trip() {
    for day in 0..146_097 {
        let utc = Utc(day * 86_400 + day % 86_400);
        let text = utc.to_string();
        let month = super::MONTHS[text[5..7].parse::<usize>().unwrap() - 1];
        let http = format!("Day, {} {month} {} {} GMT", &text[8..10], &text[..4], &text[11..19]);
        assert_eq!(Utc::parse_http(&http), Some(utc), "{http}");
        assert_eq!(Utc::parse_http(&HttpDate(utc).to_string()), Some(utc));
    }
}

#[test]
fn http_dates_are_written_with_their_weekday() {
    let cases = [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
        (1_770_035_696, "Mon, 02 Feb 2026 12:34:56 GMT"),
        (u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
    ];
    for (seconds, text) in cases {
        assert_eq!(HttpDate(Utc(seconds)).to_string(), text);
    }
}

#[test]
fn malformed_http_dates_are_rejected() {
    let cases = [
        "",
        "120",
        "GMT",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun, 06 Nov 1994 08:49:37 +0100",
        "Sun, 06 Nov 1994 08:49:37 -0000",
        "Sun, 06 Nov 1994 08:49:37 GMT GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Wed, 29 Feb 2023 08:49:37 GMT",
        "Sun, 06 Nor 1994 08:49:37 GMT",
        "Sun, 06 Nov 1969 08:49:37 GMT",
        "Sun, 06 Nov 99999 08:49:37 GMT",
        "Sun, +6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 1994 08:49 GMT",
        "Sun, 06 Nov 1994 08:49:37:00 GMT",
        "Sun Nov  6 08:49:37 1994 CET",
        "Sün, ü6 Növ 1994 08:49:37 GMT",
    ];
    for text in cases {
        assert_eq!(Utc::parse_http(text), None, "{text}");
    }
}

#[test]
fn dates_of_certificates_are_read_strictly() {
    for (text, seconds) in [
        ("700101000000Z", Some(0)),
        ("261129170340Z", Some(1_795_971_820)),
        ("20261129170340Z", Some(1_795_971_820)),
        ("491231235959Z", Some(2_524_607_999)),
        // Before 1970: the earliest of the short form, and years of the long form.
        ("500101000000Z", Some(0)),
        ("19691231235959Z", Some(0)),
        ("00000101000000Z", Some(0)),
        ("99991231235959Z", Some(LAST_S)),
        ("240229000000Z", Some(1_709_164_800)),
        ("230229000000Z", None),
        ("231301000000Z", None),
        ("230001000000Z", None),
        ("230100000000Z", None),
        ("230101240000Z", None),
        ("230101006000Z", None),
        ("230101000060Z", None),
        ("2301010000Z", None),
        ("230101000000", None),
        ("230101000000+0100", None),
        ("2301010000 0Z", None),
        ("+30101000000Z", None),
        ("Z", None),
        ("", None),
    ] {
        assert_eq!(Utc::parse_asn1(text), seconds.map(Utc), "{text}");
    }
}
