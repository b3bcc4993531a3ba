//! The camera: a virtual machine with a console, a log, a shell for the test, and QMP to control
//! its cables.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use linkbeat_support::agent::Line;
use linkbeat_support::journal::{Follower, Journal};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde_json::{Value, json};

use crate::channel::{self, Channel, Listener};
use crate::network::hardware_address;

/// Time limit for a command to the machine, on a busy host.
const PATIENCE: Duration = Duration::from_secs(60);

/// The parts that a machine starts with.
pub(crate) struct Image {
    kernel: PathBuf,
    initramfs: PathBuf,
    /// The time of the clock at power on: `utc`, or a date and time.
    clock: &'static str,
    cards: &'static [&'static str],
}

impl Image {
    /// Packs the root file system `work/tree`.
    pub(crate) fn pack(
        work: &Path,
        cards: &'static [&'static str],
        clock: &'static str,
    ) -> io::Result<Self> {
        const PACK: &str = "find . | cpio --quiet --create --format=newc | gzip -1";
        let initramfs = work.join("initramfs.gz");
        let mut command = Command::new("sh");
        command.args(["-c", PACK]).current_dir(work.join("tree"));
        if !command.stdout(File::create(&initramfs)?).status()?.success() {
            return Err(io::Error::other("pack the initramfs"));
        }
        Ok(Self { kernel: work.join("vmlinuz"), initramfs, clock, cards })
    }

    /// The command of a machine whose cards are in hot-plug slots. The caller adds the console and
    /// the other ends of the ports `commands` and `log`.
    fn command(&self) -> Command {
        let mut command = Command::new("qemu-system-aarch64");
        command.args(["-M", "virt", "-cpu", "cortex-a53", "-m", "256"]);
        command.arg("-rtc").arg(format!("base={}", self.clock));
        command.args(["-nodefaults", "-display", "none", "-append", "console=ttyAMA0 loglevel=4"]);
        command.arg("-kernel").arg(&self.kernel).arg("-initrd").arg(&self.initramfs);
        command.args(["-device", "virtio-rng-pci", "-device", "virtio-serial-pci"]);
        for port in ["commands", "log"] {
            let device = json!({"driver": "virtserialport", "chardev": port, "name": port});
            command.args(["-device", &device.to_string()]);
        }
        for (chassis, card) in (1..).zip(self.cards) {
            let socket = json!({
                "driver": "pcie-root-port", "id": format!("socket-{card}"), "chassis": chassis,
            });
            let cable = format!("tap,id=net-{card},ifname={card},script=no,downscript=no");
            command.args(["-device", &socket.to_string(), "-netdev", &cable]);
            command.args(["-device", &device(card).to_string()]);
        }
        command
    }

    /// Boots it with the console on the terminal, until the user ends it there.
    pub(crate) fn lend(&self, work: &Path) -> io::Result<ExitStatus> {
        let log = format!("file,id=log,path={}", work.join("messages").display());
        let mut command = self.command();
        command.args(["-serial", "mon:stdio", "-chardev", &log, "-chardev", "null,id=commands"]);
        command.status()
    }
}

/// A network card, for QMP and the command line.
fn device(card: &str) -> Value {
    json!({
        "driver": "virtio-net-pci", "id": card, "bus": format!("socket-{card}"),
        "netdev": format!("net-{card}"), "mac": hardware_address(card), "romfile": "",
    })
}

/// A running machine. Dropping it kills it.
pub(crate) struct Machine {
    child: Child,
    console: Journal<Line>,
    log: Channel,
    shell: Channel,
    qmp: Channel,
    asked: u32,
}

impl Machine {
    /// Switches it on. Its sockets are in `directory`.
    pub(crate) fn start(image: &Image, directory: &Path) -> io::Result<Self> {
        let mut command = image.command();
        let mut listen = |name| -> io::Result<Listener> {
            let (listener, option) = Listener::bind(name, directory)?;
            command.args(["-chardev", &option]);
            Ok(listener)
        };
        let (qmp, log, shell) = (listen("qmp")?, listen("log")?, listen("commands")?);
        command.args(["-mon", "chardev=qmp,mode=control", "-serial", "stdio"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let console = Journal::default();
        channel::read_lines(child.stdout.take().expect("standard output is a pipe"), &console);
        channel::read_lines(child.stderr.take().expect("standard error is a pipe"), &console);
        let (qmp, log, shell) = (qmp.accept(), log.accept(), shell.accept());
        let mut machine = Self { child, console, log: log?, shell: shell?, qmp: qmp?, asked: 0 };
        machine.execute("qmp_capabilities", &json!({}))?;
        Ok(machine)
    }

    /// The journal of the console.
    pub(crate) fn console(&self) -> Vec<Line> {
        self.console.all()
    }

    /// The journal of syslogd.
    pub(crate) fn log(&self) -> &Journal<Line> {
        &self.log.lines
    }

    /// Pulls (`false`) or plugs the cable of a card.
    pub(crate) fn set_link(&mut self, card: &str, up: bool) -> io::Result<()> {
        self.execute("set_link", &json!({"name": card, "up": up}))
    }

    /// Requests the kernel to release a card.
    pub(crate) fn remove(&mut self, card: &str) -> io::Result<()> {
        self.execute("device_del", &json!({"id": card}))
    }

    /// Adds a card again, after [`Events`] have reported its removal.
    pub(crate) fn add(&mut self, card: &str) -> io::Result<()> {
        self.execute("device_add", &device(card))
    }

    /// The events of QMP from here on.
    pub(crate) fn events(&self) -> Events {
        Events(self.qmp.lines.follow())
    }

    /// Runs a command in the shell; returns its output.
    pub(crate) fn ask(&mut self, command: &str) -> io::Result<String> {
        self.asked += 1;
        let end = format!("end-{}:", self.asked);
        let mut answer = self.shell.lines.follow();
        self.send(&format!("{{ {command}; }} 2>&1; echo; echo {end}$?"))?;
        let mut said = String::new();
        loop {
            let line = answer.find(PATIENCE, |_| true);
            let text = line.ok_or_else(|| io::Error::other(format!("{command}: no end")))?.text;
            match text.strip_prefix(&end) {
                Some("0") => return Ok(said.trim().to_owned()),
                Some(status) => {
                    return Err(io::Error::other(format!("{command}: exit code {status}: {said}")));
                }
                None => said += &format!("{text}\n"),
            }
        }
    }

    /// Sends a command that ends the shell.
    pub(crate) fn send(&mut self, command: &str) -> io::Result<()> {
        self.shell.write(command)
    }

    /// Switches it off.
    pub(crate) fn quit(&mut self) -> io::Result<ExitStatus> {
        self.execute("quit", &json!({}))?;
        let process = pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty())?;
        let limit = PATIENCE.try_into().map_err(io::Error::other)?;
        if poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&limit))? == 0 {
            return Err(io::Error::other("qemu does not end"));
        }
        self.child.wait()
    }

    /// Executes one command of QMP and waits for its success.
    fn execute(&mut self, command: &str, arguments: &Value) -> io::Result<()> {
        let mut answers = self.qmp.lines.follow();
        self.qmp.write(&json!({"execute": command, "arguments": arguments}).to_string())?;
        let is_answer = |line: &Line| {
            let answer: Value = serde_json::from_str(&line.text).unwrap_or_default();
            answer.get("return").is_some() || answer.get("error").is_some()
        };
        let answer = answers.find(PATIENCE, is_answer).map(|line| line.text).unwrap_or_default();
        if answer.contains("\"return\"") {
            return Ok(());
        }
        Err(io::Error::other(format!("{command} {arguments}: {answer}")))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It may have ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The events of the machine.
pub(crate) struct Events(Follower<Line>);

impl Events {
    /// Waits for an event, of this device if one is named.
    pub(crate) fn expect(&mut self, event: &str, device: Option<&str>) -> io::Result<()> {
        let is_it = |line: &Line| {
            let message: Value = serde_json::from_str(&line.text).unwrap_or_default();
            let about = message.pointer("/data/device").and_then(Value::as_str);
            message.get("event").is_some_and(|it| it == event)
                && (device.is_none() || about == device)
        };
        let found = self.0.find(PATIENCE, is_it);
        found.map(drop).ok_or_else(|| io::Error::other(format!("no {event} within {PATIENCE:?}")))
    }
}
