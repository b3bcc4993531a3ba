//! Strict reverse-path filtering, which takes the answers away from all uplinks but the best one.
//!
//! The kernel then drops every packet that arrives on another interface than the one it would
//! answer over (RFC 3704 §2.2), and says nothing. Loose filtering keeps the protection against
//! forged sources and lets the second uplink work.

use std::fmt;
use std::fs;
use std::path::Path;

use crate::proto::link::Name;
use crate::proto::settings::Settings;
use crate::proto::uplink::matches;

/// Where the kernel keeps it, below the root.
const DIRECTORY: &str = "proc/sys/net/ipv4/conf";
/// Strict (ip-sysctl: `rp_filter`); 0 is off and 2 loose.
const STRICT: u32 = 1;

/// The interfaces with strict filtering, where more than one may be an uplink and sockets are
/// bound to them; none otherwise.
///
/// `root` is `/`. What cannot be read counts as not strict.
#[must_use]
pub fn strict_interfaces(root: &Path, settings: &Settings) -> Vec<Name> {
    let directory = root.join(DIRECTORY);
    let value = |name: &str| -> u32 {
        let text = fs::read_to_string(directory.join(name).join("rp_filter"));
        text.ok().and_then(|text| text.trim().parse().ok()).unwrap_or_default()
    };
    let is_ignored =
        |name: Name| settings.ignore_interfaces.iter().any(|pattern| matches(*pattern, name));
    let mut uplinks: Vec<Name> = fs::read_dir(&directory)
        .into_iter()
        .flatten()
        .filter_map(|entry| Name::new(entry.ok()?.file_name().to_str()?))
        .filter(|name| !matches!(name.as_str(), "all" | "default" | "lo") && !is_ignored(*name))
        .collect();
    if uplinks.len() < 2 || !settings.bind_to_uplink {
        return Vec::new();
    }
    // The kernel applies the larger of an interface's own value and that of "all".
    let all = value("all");
    uplinks.retain(|name| value(name.as_str()).max(all) == STRICT);
    uplinks.sort_unstable();
    uplinks
}

/// Says what is wrong with an interface of [`strict_interfaces`], and the command that mends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strict(pub Name);

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

    /// The strict ones among interfaces with these values.
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
        let name = Name::new("eth0.10").expect("a name");
        let words = "sysctl -w net/ipv4/conf/eth0.10/rp_filter=2";
        assert!(Strict(name).to_string().ends_with(words));
    }
}
