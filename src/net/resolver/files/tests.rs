use std::net::IpAddr;
use std::os::unix::fs::symlink;

use rustix::fs::Mode;

use super::*;
use crate::scratch::Scratch;

const NAME: &str = "meeting.example.com";

fn host() -> Host {
    Host::Name(HostName::try_from(NAME).unwrap())
}

/// Reads to the end.
fn read(resolv_conf: &Path, hosts: &Path, host: Option<&Host>) -> ResolverSettings {
    let mut reader = SettingsReader::new(resolv_conf, hosts, host);
    std::iter::from_fn(|| Some(reader.next_piece(hosts))).flatten().next().unwrap()
}

#[test]
fn files_are_read_through_symbolic_links() {
    let scratch = Scratch::new();
    scratch.write("resolv.conf.eth0", "nameserver 10.0.0.1\nsearch lan\n");
    let resolv_conf = scratch.0.join("resolv.conf");
    symlink("resolv.conf.eth0", &resolv_conf).unwrap();
    let hosts = scratch.write("hosts", format!("192.0.2.10 {NAME}\n"));
    let settings = read(&resolv_conf, &hosts, Some(&host()));
    assert_eq!(settings.nameservers.len(), 1);
    assert_eq!(settings.search, "lan");
    assert_eq!(settings.hosts, [IpAddr::from([192, 0, 2, 10])]);
}

#[test]
fn missing_and_unreadable_files_are_empty() {
    let scratch = Scratch::new();
    let none = scratch.0.join("none");
    let dangling = scratch.0.join("dangling");
    symlink("nowhere", &dangling).unwrap();
    let directory = scratch.0.clone();
    for path in [none, dangling, directory] {
        let settings = read(&path, &path, Some(&host()));
        assert_eq!(settings, ResolverSettings::default(), "{}", path.display());
    }
}

#[test]
fn fifo_does_not_hold_up_the_loop() {
    let scratch = Scratch::new();
    let fifo = scratch.0.join("fifo");
    let mode = Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    assert_eq!(read(&fifo, &fifo, None), ResolverSettings::default());
}

#[test]
fn entry_counts_wherever_it_stands_in_a_large_file() {
    let scratch = Scratch::new();
    let line = format!("192.0.2.10 {NAME}\n");
    let filler = "# of no use\n0.0.0.0 advertisement.example tracker.example\n";
    for size in [PIECE_MAX, 1 << 20] {
        let filler = filler.repeat(size / filler.len());
        // Around the seams of the first piece too.
        let seam = (PIECE_MAX - line.len()..=PIECE_MAX).step_by(7);
        for at in
            [0, size / 2, filler.len()].into_iter().chain(seam).filter(|at| *at <= filler.len())
        {
            let at = filler[..at].rfind('\n').map_or(0, |end| end + 1);
            let text = format!("{}{line}{}", &filler[..at], &filler[at..]);
            let hosts = scratch.write("hosts", &text);
            let settings = read(&hosts, &hosts, Some(&host()));
            assert_eq!(settings.hosts, [IpAddr::from([192, 0, 2, 10])], "{size} {at}");
        }
    }
}

#[test]
fn large_file_is_read_in_pieces() {
    let scratch = Scratch::new();
    let hosts = scratch.write("hosts", "#\n".repeat(PIECE_MAX));
    let mut reader = SettingsReader::new(&hosts, &hosts, Some(&host()));
    for _ in 0..2 {
        assert_eq!(reader.next_piece(&hosts), None);
        assert!(reader.bytes.capacity() <= 3 * PIECE_MAX, "{}", reader.bytes.capacity());
    }
    assert!(reader.next_piece(&hosts).is_some());
}

#[test]
fn file_without_an_end_is_left_in_time() {
    let scratch = Scratch::new();
    let hosts = scratch.write("hosts", "");
    let sparse = File::options().write(true).open(&hosts).unwrap();
    sparse.set_len(u64::try_from(2 * HOSTS_PIECES_MAX * PIECE_MAX).unwrap()).unwrap();
    let mut reader = SettingsReader::new(&hosts, &hosts, Some(&host()));
    let pieces = (1..).find(|_| reader.next_piece(&hosts).is_some());
    assert_eq!(pieces, Some(HOSTS_PIECES_MAX));
}

#[test]
fn line_longer_than_a_piece_is_passed_over_whole() {
    let scratch = Scratch::new();
    // A piece ends where the next word would be an address again.
    let long = format!("{}{NAME}", "192.0.2.66      ".repeat(PIECE_MAX / 8 + 1));
    let hosts = scratch.write("hosts", format!("{long}\n192.0.2.10 {NAME}\n"));
    let settings = read(&hosts, &hosts, Some(&host()));
    assert_eq!(settings.hosts, [IpAddr::from([192, 0, 2, 10])]);
}

#[test]
fn resolv_conf_is_read_to_its_last_whole_line_within_the_limit() {
    let scratch = Scratch::new();
    let mut text = String::from("nameserver 10.0.0.1\n");
    text.push_str(&"#".repeat(PIECE_MAX - text.len() - "\nsearch lan".len()));
    text.push_str("\nsearch landmark\n");
    let path = scratch.write("resolv.conf", &text);
    let settings = read(&path, &path, None);
    assert_eq!((settings.nameservers.len(), settings.search.as_str()), (1, ""));
}

#[test]
fn name_of_the_link_is_asked_for_on_the_link_first() {
    let scratch = Scratch::new();
    for (name, count, multicast) in [
        ("camera.local", 0, true),
        ("camera.local", 2, true),
        ("camera.local", 3, true),
        ("local.example", 3, false),
        ("notlocal", 1, false),
    ] {
        let text: String =
            (0..count).map(|number| format!("nameserver 10.0.0.{number}\n")).collect();
        let path = scratch.write("resolv.conf", text);
        let host = Host::Name(HostName::try_from(name).unwrap());
        let settings = read(&path, &path, Some(&host));
        assert_eq!(settings.nameservers.contains(&MULTICAST), multicast, "{name}");
        let expected = if multicast { (count + 1).min(NAMESERVERS_MAX) } else { count };
        assert_eq!(settings.nameservers.len(), expected, "{name} {count}");
        assert!(!multicast || settings.nameservers.first() == Some(&MULTICAST));
    }
}
