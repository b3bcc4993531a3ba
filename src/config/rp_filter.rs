//! Strict reverse-path filtering, which drops the answers on all uplinks but the best one.
//!
//! With it the kernel silently drops every packet that arrives on another interface than the one it
//! would answer over (RFC 3704 §2.2). Loose filtering still protects against forged sources and
//! lets the second uplink work.

use std::fmt;
use std::fs;
use std::path::Path;

use crate::sys::file;
use linkbeat_core::proto::link::InterfaceName;
use linkbeat_core::proto::settings::Settings;
use linkbeat_core::proto::uplink::is_ignored;

/// The directory of the setting, below the root.
const DIRECTORY: &str = "proc/sys/net/ipv4/conf";
/// Longest value, in bytes.
const VALUE_MAX: usize = 16;
/// Value for strict filtering (ip-sysctl: `rp_filter`); 0 is off and 2 loose.
const STRICT: u32 = 1;

/// The interfaces with strict filtering, if more than one may be an uplink and sockets are bound to
/// them; none otherwise.
///
/// `root` is `/`. A value that cannot be read counts as not strict.
pub fn strict_interfaces(root: &Path, settings: &Settings) -> Vec<InterfaceName> {
    let directory = root.join(DIRECTORY);
    let value = |name: &str| -> u32 {
        let text = file::read(&directory.join(name).join("rp_filter"), VALUE_MAX);
        let number = |text: &[u8]| str::from_utf8(text).ok()?.trim().parse().ok();
        text.ok().and_then(|(text, _)| number(&text)).unwrap_or_default()
    };
    let Ok(entries) = fs::read_dir(&directory) else { return Vec::new() };
    let names = entries.filter_map(|entry| InterfaceName::new(entry.ok()?.file_name().to_str()?));
    let names = names.filter(|name| !matches!(name.as_str(), "all" | "default"));
    let mut uplinks: Vec<_> = names.filter(|name| !is_ignored(settings, *name)).collect();
    if uplinks.len() < 2 || !settings.bind_to_uplink {
        return Vec::new();
    }
    // The kernel applies the larger of an interface's own value and that of "all".
    let all = value("all");
    uplinks.retain(|name| value(name.as_str()).max(all) == STRICT);
    uplinks.sort_unstable();
    uplinks
}

/// The warning for an interface of [`strict_interfaces`], with the command that corrects it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strict(pub InterfaceName);

impl fmt::Display for Strict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.0;
        // sysctl(8) takes slashes where a name has a dot of its own, as VLANs have.
        let dot = if name.as_str().contains('.') { '/' } else { '.' };
        write!(
            f,
            "{name}: rp_filter is 1, answers are lost while another uplink is better: \
             sysctl -w net{dot}ipv4{dot}conf{dot}{name}{dot}rp_filter=2"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::super::tests::Directory;
    use super::*;

    /// The strict interfaces among those with these values.
    fn strict(test: &str, values: &[(&str, &str)], settings: &Settings) -> Vec<String> {
        let directory = Directory::new(test);
        for (name, value) in values {
            let conf = directory.0.join(DIRECTORY).join(name);
            fs::create_dir_all(&conf).expect("own directory");
            fs::write(conf.join("rp_filter"), value).expect("own file");
        }
        let strict = strict_interfaces(&directory.0, settings);
        strict.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn strict_interfaces_are_those_that_the_kernel_filters_strictly() {
        let settings = Config::default().settings;
        for (values, expected) in [
            (&[("all", "0\n"), ("wlan0", "1\n"), ("eth0", "1\n")][..], &["eth0", "wlan0"][..]),
            (&[("all", "1"), ("wlan0", "0"), ("eth0", "2")], &["wlan0"]),
            (&[("all", "2"), ("wlan0", "1"), ("eth0", "1")], &[]),
            (&[("all", "0"), ("default", "1"), ("wlan0", "0"), ("eth0", "2")], &[]),
            (&[("all", "1"), ("lo", "1"), ("eth0", "1"), ("docker0", "1"), ("vethx", "1")], &[]),
            (&[("all", "x"), ("wlan0", ""), ("eth0", "-1")], &[]),
            (&[], &[]),
        ] {
            assert_eq!(strict("rp-filter", values, &settings), expected, "{values:?}");
        }
    }

    #[test]
    fn routing_left_to_the_kernel_needs_no_loose_filtering() {
        let settings = Settings { bind_to_uplink: false, ..Config::default().settings };
        let values = [("all", "1"), ("wlan0", "1"), ("eth0", "1")];
        assert_eq!(strict("rp-unbound", &values, &settings), Vec::<String>::new());
    }

    #[test]
    fn a_name_with_a_dot_gets_a_command_with_slashes() {
        let name = InterfaceName::new("eth0.10").expect("a name");
        let words = "sysctl -w net/ipv4/conf/eth0.10/rp_filter=2";
        assert!(Strict(name).to_string().ends_with(words));
    }
}
