//! A camera in a virtual machine: its cables are pulled, and the beats that follow are timed.

use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use linkbeat_support::world::SERVER_NAME;
use serde_json::json;

use day::Steps;
use machine::{Image, Machine};
use network::{CARDS, Network};

mod channel;
mod clock;
mod day;
mod machine;
mod network;
mod wifi;

/// The setting for a correct clock.
const RIGHT: &str = "utc";
/// The number of console lines that are shown after a failure.
const TAIL: usize = 60;

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    let result = match arguments.as_slice() {
        [option, work] if option == "--shell" => lend(&PathBuf::from(work)),
        [option, work] if option == "--wifi" => {
            run(&PathBuf::from(work), &CARDS[..1], RIGHT, |day| day.wifi())
        }
        [option, work] if option == "--roams" => {
            run(&PathBuf::from(work), &CARDS[..1], RIGHT, |day| day.roams())
        }
        [option, work] if option == "--clock" => {
            run(&PathBuf::from(work), &CARDS, clock::POWER_ON, |day| day.clock())
        }
        [work] => run(&PathBuf::from(work), &CARDS, RIGHT, |day| day.cables()),
        _ => Err(io::Error::other("usage: vm [--shell | --wifi | --roams | --clock] DIRECTORY")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error is closed: nothing can be reported.
            writeln!(io::stderr(), "vm: FAILED: {error}").ok();
            ExitCode::FAILURE
        }
    }
}

fn run(
    work: &Path,
    cards: &'static [&'static str],
    clock: &'static str,
    steps: Steps,
) -> io::Result<()> {
    let network = Network::start(work)?;
    if clock == clock::POWER_ON {
        clock::behave(&network.receiver)?;
    }
    let image = prepare(work, &network, cards, clock)?;
    let mut machine = Machine::start(&image, work)?;
    let result = day::live(&network, &mut machine, steps);
    if result.is_err() {
        let console = machine.console();
        let mut out = io::stderr().lock();
        writeln!(out, "\nthe last lines of the console:")?;
        for line in console.iter().skip(console.len().saturating_sub(TAIL)) {
            writeln!(out, "  {}", line.text)?;
        }
    }
    result
}

fn lend(work: &Path) -> io::Result<()> {
    let network = Network::start(work)?;
    let status = prepare(work, &network, &CARDS, RIGHT)?.lend(work)?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("qemu: {status}"))) }
}

/// Writes the files of the camera's web manager and of the agent, and packs the image. Their group is
/// that of the directory, because of its setgid bit.
fn prepare(
    work: &Path,
    network: &Network,
    cards: &'static [&'static str],
    clock: &'static str,
) -> io::Result<Image> {
    let meeting = json!({
        "enabled": true, "api_url": format!("https://{SERVER_NAME}/api"), "device_key": "camera-1",
        "token_code": "s3cret-token", "heartbeat_interval": 30, "provisioned": true,
    });
    let own = json!({"interfaces": ["eth0", "wlan1", "wlan0"], "tls": {"ca_file": "/etc/linkbeat/ca.pem"}});
    let directory = work.join("tree/etc");
    let files = [
        ("rpi-cam/meeting.json", meeting.to_string()),
        ("linkbeat/linkbeat.json", own.to_string()),
        ("linkbeat/ca.pem", network.authority_pem.clone()),
    ];
    for (name, text) in files {
        let file = directory.join(name);
        fs::write(&file, text)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640))?;
    }
    Image::pack(work, cards, clock)
}
