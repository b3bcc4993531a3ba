use core::array::from_fn;
use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use super::unreported::Unreported;
use super::{Decimal, DeviceNote, REPORT_MAX, Report, Uptime};
use crate::proto::event::{Failure, Reason, TlsFailure};
use crate::proto::label::Word;
use crate::proto::link::{InterfaceName, Mac};
use crate::proto::outages::{KeptOutages, Outage, OutageKind, Outages};
use crate::proto::standby::StandbyTests;
use crate::proto::time::Instant;
use crate::wire::buffer::TooLarge;
use crate::wire::date::Utc;
use crate::wire::json;

const LAN: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 1, 202));

fn json(report: &Report<'_>) -> String {
    let mut buffer = [0; REPORT_MAX];
    let length = report.emit(&mut buffer).unwrap();
    json::parse(&buffer[..length]).unwrap();
    String::from_utf8(buffer[..length].to_vec()).unwrap()
}

fn full<'a>(note: DeviceNote<'a>, reason: &'a Reason) -> Report<'a> {
    Report {
        ip_address: Some(LAN),
        ip_lan: Some(LAN),
        ip_public: Some("2001:db8::1".parse().unwrap()),
        mac: Some(Mac([0xb8, 0x27, 0xeb, 0x01, 0x02, 0x0f])),
        note: Some(note),
        timestamp: Some(Utc(1_770_035_696)),
        uptime: Some(Uptime(7439)),
        cpu_load: Some(Decimal(7)),
        memory_percent: Some(Decimal(365)),
        disk_percent: Some(42),
        temperature: Some(Decimal(481)),
        reason: Some(reason),
        seq: Some(812),
        boot_id: Some("2a6f4b0e-1d2c-4f5a-9b8c-7d6e5f4a3b2c"),
        next_within_s: Some(40),
        stopping: Some("stop"),
        standby: None,
        unreported: None,
    }
}

#[test]
fn full_report_is_the_vector() {
    let note = DeviceNote {
        project: "RTSP Recorder",
        model: Some("Raspberry Pi 3 Model B Rev 1.2"),
        ip_lan: Some(LAN),
    };
    let vector = include_str!("../../../../tests/vectors/http/report.json");
    assert_eq!(json(&full(note, &Reason::Interval)), vector.trim_end());
}

#[test]
fn abridged_report_leaves_out_what_the_receiver_has() {
    let note = DeviceNote { project: "Cam", model: None, ip_lan: Some(LAN) };
    let report = full(note, &Reason::Interval);
    let words = |text: &str| -> Vec<String> {
        let value = json::parse(text.as_bytes()).unwrap();
        value.members().map(|(key, _)| key.to_string()).collect()
    };
    let whole = words(&json(&report));
    let left_out = ["ip_lan", "mac", "note", "boot_id"];
    let kept: Vec<_> =
        whole.iter().filter(|it| !left_out.contains(&it.as_str())).cloned().collect();
    assert_eq!(words(&json(&report.clone().abridged())), kept);
    let elsewhere = Report { ip_address: Some([192, 0, 2, 1].into()), ..report };
    assert!(words(&json(&elsewhere.abridged())).contains(&String::from("ip_lan")));
}

#[test]
fn unknown_values_are_absent() {
    assert_eq!(json(&Report::default()), "{}");
    let report = Report { seq: Some(0), ..Report::default() };
    assert_eq!(json(&report), r#"{"seq":0}"#);
}

#[test]
fn note_leaves_out_what_is_not_known() {
    let note = |model, ip_lan| DeviceNote { project: "Cam", model, ip_lan }.to_string();
    assert_eq!(note(Some("Pi"), Some(LAN)), "Cam - Pi - 192.168.1.202");
    assert_eq!(note(Some("Pi"), None), "Cam - Pi");
    assert_eq!(note(None, Some(LAN)), "Cam - 192.168.1.202");
    assert_eq!(note(None, None), "Cam");
}

#[test]
fn texts_are_escaped_and_stay_utf_8() {
    let note = DeviceNote { project: "a\"b\\c\n\u{1}ü🎥", model: None, ip_lan: None };
    let report = Report { note: Some(note), boot_id: Some("\"\t"), ..Report::default() };
    assert_eq!(json(&report), r#"{"note":"a\"b\\c\n\u0001ü🎥","boot_id":"\"\t"}"#);
}

#[test]
fn decimals_are_json_numbers() {
    let cases = [
        (0, "0.0", "0.00"),
        (7, "0.7", "0.07"),
        (10, "1.0", "0.10"),
        (-5, "-0.5", "-0.05"),
        (-40, "-4.0", "-0.40"),
        (1234, "123.4", "12.34"),
        (i32::MAX, "214748364.7", "21474836.47"),
        (i32::MIN, "-214748364.8", "-21474836.48"),
    ];
    for (count, tenths, hundredths) in cases {
        let report = Report {
            cpu_load: Some(Decimal(count)),
            temperature: Some(Decimal(count)),
            ..Report::default()
        };
        let expected = format!(r#"{{"cpu_load":{hundredths},"temperature":{tenths}}}"#);
        assert_eq!(json(&report), expected);
    }
}

#[test]
fn uptime_counts_hours_without_days() {
    assert_eq!(Uptime(0).to_string(), "0h 0m");
    assert_eq!(Uptime(59).to_string(), "0h 0m");
    assert_eq!(Uptime(3600 * 2 + 60 * 3 + 59).to_string(), "2h 3m");
    assert_eq!(Uptime(86_400 * 40).to_string(), "960h 0m");
}

#[test]
fn longest_report_fits_the_limit() {
    let text = "\"".repeat(64);
    let address = "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff".parse().unwrap();
    let note = DeviceNote { project: &text, model: Some(&text), ip_lan: Some(address) };
    let reason = Reason::Triggered(Word::new(&"w".repeat(64)));
    // As many as there may be in reserve.
    let names: [String; 7] = from_fn(|index| "\"".repeat(14) + &index.to_string());
    let standby = StandbyTests::of(&names.each_ref().map(|name| (name.as_str(), false)));
    let report = Report {
        ip_address: Some(address),
        ip_lan: Some(address),
        ip_public: Some(address),
        standby: Some(&standby),
        uptime: Some(Uptime(u64::MAX)),
        cpu_load: Some(Decimal(i32::MIN)),
        memory_percent: Some(Decimal(i32::MIN)),
        disk_percent: Some(u8::MAX),
        temperature: Some(Decimal(i32::MIN)),
        seq: Some(u64::MAX),
        next_within_s: Some(u64::MAX),
        stopping: Some("upgrade"),
        ..full(note, &reason)
    };
    assert!(json(&report).len() <= 1200, "without outages");
    let (outages, now) =
        (unreported(u32::MAX / 2 - 9, &"\"".repeat(15), u32::MAX), Instant::from_micros(u64::MAX));
    let unreported = Unreported { outages: &outages, now, boot_date: None };
    assert!(json(&Report { unreported: Some(unreported), ..report }).len() <= REPORT_MAX);
}

/// Nine outages up to `number`, and one that lasts.
fn unreported(number: u32, uplink: &str, missed: u32) -> Outages {
    let outage = |number: u32| Outage {
        number: Some(number),
        began_at: Instant::from_micros(1_000_000),
        ended_at: Some(Instant::from_micros(10_000_000_000_000)),
        kind: OutageKind::Server,
        cause: Some(Failure::Tls(TlsFailure::ClientCertificateRefused)),
        uplink: InterfaceName::new(uplink),
        missed,
    };
    let kept = KeptOutages {
        delivered: true,
        numbered: number + 9,
        reported: number - 1,
        last: Some(Outage { ended_at: None, ..outage(number + 9) }),
        unreported: (number..number + 8).map(outage).collect(),
    };
    Outages::restored(kept, Instant::from_micros(u64::MAX)).expect("they are sound")
}

#[test]
fn outages_are_written_with_dates_or_with_their_age() {
    let outage = Outage {
        number: Some(3),
        began_at: Instant::from_micros(100_700_000),
        ended_at: Some(Instant::from_micros(160_500_000)),
        kind: OutageKind::Server,
        cause: Some(Failure::Status(404)),
        uplink: InterfaceName::new("eth0"),
        missed: 2,
    };
    let ongoing = Outage {
        number: Some(4),
        ended_at: None,
        kind: OutageKind::Link,
        cause: None,
        uplink: None,
        ..outage
    };
    let kept = KeptOutages {
        delivered: true,
        numbered: 4,
        reported: 2,
        last: Some(ongoing),
        unreported: [outage].into_iter().collect(),
    };
    let now = Instant::from_micros(200_000_000);
    let outages = Outages::restored(kept, now).unwrap();
    let reported = |boot_date| {
        let unreported = Some(Unreported { outages: &outages, now, boot_date });
        json(&Report { unreported, ..Report::default() })
    };
    let boot_date = Duration::from_millis(1_770_035_600_400);
    assert_eq!(
        reported(Some(boot_date)),
        r#"{"outage":[{"n":3,"began":"2026-02-02T12:35:01Z","lasted_s":59,"kind":"server","cause":"http_404","uplink":"eth0","missed":2},{"n":4,"began":"2026-02-02T12:35:01Z","lasted_s":99,"kind":"link","missed":2}]}"#
    );
    assert_eq!(
        reported(None),
        r#"{"outage":[{"n":3,"began_ago_s":99,"lasted_s":59,"kind":"server","cause":"http_404","uplink":"eth0","missed":2},{"n":4,"began_ago_s":99,"lasted_s":99,"kind":"link","missed":2}]}"#
    );
}

#[test]
fn nothing_is_reported_where_there_was_no_outage() {
    let outages = Outages::default();
    let unreported =
        Unreported { outages: &outages, now: Instant::from_micros(1), boot_date: None };
    assert_eq!(json(&Report { unreported: Some(unreported), ..Report::default() }), "{}");
}

#[test]
fn eight_outages_are_written_and_the_others_counted_in_160_bytes_each() {
    let outages = unreported(99_980, "wwwwwwwwwwwwwww", 99_999);
    let (now, boot_date) =
        (Instant::from_micros(9_000_000_000), Some(Duration::from_secs(1_770_035_600)));
    let report = Report {
        unreported: Some(Unreported { outages: &outages, now, boot_date }),
        ..Report::default()
    };
    let text = json(&report);
    assert!(text.ends_with(r#"}],"outages_more":2}"#), "{text}");
    let reported: Vec<_> = text.split_inclusive('}').take(8).collect();
    let longest = reported.iter().map(|outage| outage.rsplit('{').next().unwrap().len() + 1).max();
    assert_eq!((reported.len(), longest), (8, Some(160)), "{text}");
}

#[test]
fn short_buffer_is_too_large_at_every_length() {
    let note = DeviceNote { project: "Cam", model: None, ip_lan: None };
    let reason = Reason::Startup;
    let report = full(note, &reason);
    let length = json(&report).len();
    let mut buffer = [0; REPORT_MAX];
    for short in 0..length {
        assert_eq!(report.emit(&mut buffer[..short]), Err(TooLarge), "{short}");
    }
    assert_eq!(report.emit(&mut buffer[..length]), Ok(length));
}

#[test]
fn uplinks_in_reserve_are_written_where_they_have_changed() {
    let standby = StandbyTests::default();
    assert_eq!(json(&Report { standby: Some(&standby), ..Report::default() }), "{}");
    let standby = StandbyTests::of(&[("wlan1", false), ("wlan0", true)]);
    let text = json(&Report { standby: Some(&standby), ..Report::default() });
    assert_eq!(text, r#"{"standby":{"wlan1":"dead","wlan0":"ok"}}"#);
}
