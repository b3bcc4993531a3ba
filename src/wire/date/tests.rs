use super::{LAST_S, Utc};

#[test]
fn known_seconds_have_known_dates() {
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
fn the_three_http_forms_name_the_same_second() {
    let forms = [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
    ];
    for form in forms {
        assert_eq!(Utc::parse_http(form), Some(Utc(784_111_777)), "{form}");
    }
}

#[test]
fn leap_second_is_the_second_after_it() {
    let leap = Utc::parse_http("Sat, 31 Dec 2016 23:59:60 GMT");
    assert_eq!(leap, Utc::parse_http("Sun, 01 Jan 2017 00:00:00 GMT"));
    assert!(leap.is_some());
}

#[test]
fn every_day_of_four_centuries_is_read_as_it_is_written() {
    for day in 0..146_097 {
        let utc = Utc(day * 86_400 + day % 86_400);
        let text = utc.to_string();
        let month = super::MONTHS[text[5..7].parse::<usize>().unwrap() - 1];
        let http = format!("Day, {} {month} {} {} GMT", &text[8..10], &text[..4], &text[11..19]);
        assert_eq!(Utc::parse_http(&http), Some(utc), "{http}");
    }
}

#[test]
fn what_is_no_date_is_none() {
    let cases = [
        "",
        "120",
        "GMT",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 CET",
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
