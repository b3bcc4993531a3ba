use rustix::fs::{StatVfs, StatVfsMountFlags};

use super::{
    DeviceIdentity, KernelFile, READ_MAX, Vitals, disk_percent, parse_load, parse_memory,
    parse_temperature, parse_text, parse_uptime,
};
use linkbeat_core::wire::report::{Decimal, Report, Uptime};

/// A file system of so many blocks.
fn root(f_blocks: u64, f_bfree: u64, f_bavail: u64) -> StatVfs {
    let f_flag = StatVfsMountFlags::empty();
    StatVfs {
        f_bsize: 4096,
        f_frsize: 4096,
        f_blocks,
        f_bfree,
        f_bavail,
        f_files: 0,
        f_ffree: 0,
        f_favail: 0,
        f_fsid: 0,
        f_flag,
        f_namemax: 255,
    }
}

#[test]
fn uptime_is_whole_seconds() {
    assert_eq!(parse_uptime(b"7439.99 2618.95\n"), Some(Uptime(7439)));
    for odd in
        [&b""[..], b"\n", b"7439", b"-1.00 2", b".5", b"x.5", b"\xff.5", b"99999999999999999999.0"]
    {
        assert_eq!(parse_uptime(odd), None, "{odd:?}");
    }
}

#[test]
fn load_is_hundredths() {
    assert_eq!(parse_load(b"0.07 0.12 0.09 1/97 6355\n"), Some(Decimal(7)));
    assert_eq!(parse_load(b"12.50"), Some(Decimal(1250)));
    assert_eq!(parse_load(b"65535.99"), Some(Decimal(6_553_599)));
    for odd in [&b""[..], b"1", b"1.5", b"1.500", b"-1.50", b"1.-5", b"65536.00", b"\0"] {
        assert_eq!(parse_load(odd), None, "{odd:?}");
    }
}

#[test]
fn memory_is_what_is_not_available() {
    let meminfo = b"MemTotal:         948280 kB\nMemFree:           71036 kB\n\
                    MemAvailable:     602112 kB\nBuff";
    assert_eq!(parse_memory(meminfo), Some(Decimal(365)));
    assert_eq!(parse_memory(b"MemTotal: 8 kB\nMemAvailable: 9 kB\n"), Some(Decimal(0)));
    let most = b"MemTotal: 18446744073709551615 kB\nMemAvailable: 0 kB\n";
    assert_eq!(parse_memory(most), Some(Decimal(1000)));
    let odd = [
        &b""[..],
        b"MemTotal: 8 kB\n",
        b"MemTotal: 8 kB\nMemAvail",
        b"MemTotal: 0 kB\nMemAvailable: 0 kB\n",
        b"MemTotal: x kB\nMemAvailable: 1 kB\n",
        b"MemTotal:\nMemAvailable:\n",
        b"MemTotal: -8 kB\nMemAvailable: 1 kB\n",
    ];
    for odd in odd {
        assert_eq!(parse_memory(odd), None, "{odd:?}");
    }
}

#[test]
fn temperature_is_rounded_on_both_sides_of_zero() {
    let cases = [
        (&b"48312\n"[..], 483),
        (b"48350", 484),
        (b"49", 0),
        (b"50", 1),
        (b"0", 0),
        (b"-49", 0),
        (b"-50", -1),
        (b"-12345", -123),
        (b"-273150", -2732),
    ];
    for (bytes, tenths) in cases {
        assert_eq!(parse_temperature(bytes), Some(Decimal(tenths)), "{bytes:?}");
    }
    for odd in
        [&b""[..], b"48.3", b"-274000", b"2147483647", b"-2147483648", b"99999999999", b"N/A"]
    {
        assert_eq!(parse_temperature(odd), None, "{odd:?}");
    }
}

#[test]
fn disk_is_the_used_share_of_what_may_be_used() {
    assert_eq!(disk_percent(&root(1000, 600, 600)), Some(40));
    assert_eq!(disk_percent(&root(1000, 100, 50)), Some(95));
    assert_eq!(disk_percent(&root(1000, 0, 0)), Some(100));
    assert_eq!(disk_percent(&root(u64::MAX, 0, 0)), Some(100));
    assert_eq!(disk_percent(&root(1000, 2000, 2000)), Some(0));
    // The root of an initramfs counts nothing.
    assert_eq!(disk_percent(&root(0, 0, 0)), None);
}

#[test]
fn text_is_one_printable_line() {
    let text = |bytes| parse_text::<8>(bytes).to_string();
    assert_eq!(text(b"Pi 3\0"), "Pi 3");
    assert_eq!(text(b"Pi 3\0junk"), "Pi 3");
    assert_eq!(text(b"Pi 3\nmore"), "Pi 3");
    assert_eq!(text(b"  Pi\x1b\t3 "), "Pi3");
    assert_eq!(text(b"123456789"), "12345678");
    assert_eq!(text("1234567ü".as_bytes()), "1234567");
    assert_eq!(text(b"Pi\xff"), "");
    assert_eq!(text(b""), "");
}

#[test]
fn missing_source_reads_as_empty() {
    let mut buffer = [0; READ_MAX];
    assert_eq!(KernelFile::new("/proc/nothing-of-this-name").read(&mut buffer), b"");
    // It opens, and then every read fails.
    let mut unreadable = KernelFile::new("/proc");
    assert_eq!(unreadable.read(&mut buffer), b"");
    assert!(unreadable.file.is_none());
}

#[test]
fn vitals_of_this_machine_are_read_again_and_again() {
    let mut vitals = Vitals::default();
    for _ in 0..2 {
        let boot_id = String::from("boot");
        let report = Report { boot_id: Some(&boot_id), ..vitals.read() };
        assert!(report.uptime.is_some());
        assert!(report.cpu_load.is_some());
        assert!(report.memory_percent.is_some());
        assert_eq!(report.seq, None);
    }
}

#[test]
fn identity_of_this_machine_has_a_boot_id_and_a_name() {
    let identity = DeviceIdentity::read();
    assert_eq!(identity.boot_id.len(), 36);
    assert!(!identity.hostname.is_empty());
}
