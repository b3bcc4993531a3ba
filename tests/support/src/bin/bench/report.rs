//! The results as Markdown.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::Command;
use std::{fs, thread};

use crate::Options;
use crate::calls::Calls;
use crate::camera::Kind;
use crate::costs::Cost;
use crate::load::{self, Load};
use crate::memory::Growth;
use crate::stats::{Sample, Summary};
use crate::{picture, readme};

/// Where the results of a whole run go.
const RESULTS: &str = "tests/bench";

/// The samples of one event for each agent.
pub(crate) struct Row {
    /// The event.
    pub(crate) name: &'static str,
    /// The samples in the order of [`Kind::ALL`].
    pub(crate) series: [Vec<Sample>; 3],
}

impl Row {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, series: Default::default() }
    }

    pub(crate) fn enter(&mut self, kind: Kind, sample: Sample) {
        for (it, series) in Kind::ALL.iter().zip(&mut self.series) {
            series.extend((*it == kind).then_some(sample));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.series.iter().all(Vec::is_empty)
    }

    /// The summary of one agent.
    pub(crate) fn summary(&self, kind: Kind) -> Option<Summary> {
        self.summary_by(kind, |sample| Some(sample.us()))
    }

    fn summary_by(&self, kind: Kind, us: impl Fn(Sample) -> Option<u64>) -> Option<Summary> {
        let mut all = Kind::ALL.iter().zip(&self.series);
        let (_, samples) = all.find(|(it, _)| **it == kind)?;
        Summary::of(samples.iter().filter_map(|sample| us(*sample)))
    }

    fn has_word(&self) -> bool {
        self.series.iter().flatten().any(|sample| sample.word_us.is_some())
    }

    fn cells(&self, cell: impl Fn(Kind) -> Option<String>) -> String {
        Kind::ALL.into_iter().fold(String::new(), |mut line, kind| {
            line += &cell(kind).unwrap_or_else(|| "-".to_owned());
            line + " | "
        })
    }
}

/// All results.
pub(crate) struct Report<'a> {
    options: &'a Options,
    date: String,
    machine: String,
    rivals: String,
    pub(crate) rows: Vec<Row>,
    pub(crate) floors: Vec<(String, Vec<u64>)>,
    pub(crate) costs: Vec<Cost>,
    pub(crate) memory: Option<Growth>,
    pub(crate) starts: Vec<u64>,
    pub(crate) loads: Vec<Load>,
    pub(crate) calls: Option<Calls>,
    pub(crate) took_s: u64,
}

impl<'a> Report<'a> {
    pub(crate) fn new(options: &'a Options) -> io::Result<Self> {
        Ok(Self {
            options,
            date: said_by("date", &["-u", "+%Y-%m-%d"])?,
            machine: machine()?,
            rivals: rivals()?,
            rows: Vec::new(),
            floors: Vec::new(),
            costs: Vec::new(),
            memory: None,
            starts: Vec::new(),
            loads: Vec::new(),
            calls: None,
            took_s: 0,
        })
    }

    /// Prints the results and writes them: those of a whole run into the repository, with the
    /// generated parts of the README.
    pub(crate) fn write(&self) -> io::Result<()> {
        let whole = self.options.whole;
        let directory = if whole { Path::new(RESULTS) } else { &self.options.scratch };
        fs::create_dir_all(directory)?;
        let text = self.text();
        fs::write(directory.join("RESULTS.md"), &text)?;
        fs::write(directory.join("times.svg"), picture::draw(&self.rows, &self.caption()))?;
        writeln!(io::stdout(), "\n{text}\nwritten: {}", directory.display())?;
        if whole { readme::write() } else { Ok(()) }
    }

    /// Where, when and how.
    fn caption(&self) -> String {
        let Self { date, machine, .. } = self;
        format!("{date}, {machine}, {}", self.options.command)
    }

    /// Everything.
    fn text(&self) -> String {
        let took = format!("{}:{:02} minutes", self.took_s / 60, self.took_s % 60);
        let mut text = format!(
            "# What linkbeat and two rivals do at the same events\n\n\
             `{}` on {}, {}, in {took}. {}\n\n{HOW}\n\n\
             ## From the event to the request fully received\n\n\
             Median / 95th percentile / maximum.\n\n\
             | event | runs | linkbeat | curl + `ip monitor` | the reference |\n|---|---|---|---|---|\n",
            self.options.command, self.date, self.machine, self.rivals,
        );
        for row in &self.rows {
            let cells = row.cells(|kind| Some(row.summary(kind)?.cell()));
            writeln!(text, "| {} | {} | {}", row.name, counts(row), cells.trim_end()).ok();
        }
        for (name, times) in &self.floors {
            if let Some(summary) = Summary::of(times.iter().copied()) {
                let (runs, cell) = (summary.runs, summary.cell());
                writeln!(text, "| *{name}* | {runs} | *{cell}* | | |").ok();
            }
        }
        text += PICTURE;
        text += FLOOR;
        if let Some(summary) = Summary::of(self.starts.iter().copied()) {
            let (runs, cell) = (summary.runs, summary.cell());
            writeln!(
                text,
                "\nFrom exec(2) of linkbeat to its first request received, with the name resolved and a full handshake: \
                 {cell} ({runs} runs)."
            )
            .ok();
        }
        let acts: Vec<&Row> = self.rows.iter().filter(|row| row.has_word()).collect();
        if !acts.is_empty() {
            text += "\nThe same from the act, before the kernel has noticed and announced it:\n\n\
                     | event | linkbeat | curl + `ip monitor` | the reference |\n|---|---|---|---|\n";
        }
        for row in acts {
            let cells = row.cells(|kind| Some(row.summary_by(kind, |it| Some(it.act_us))?.cell()));
            writeln!(text, "| {} | {}", row.name, cells.trim_end()).ok();
        }
        text += &load::table(&self.loads);
        if !self.costs.is_empty() {
            text += "\n## While nothing happens\n\n";
            text += &self.costs_table();
            text += COSTS;
        }
        if let Some(calls) = &self.calls {
            text += "\n## System calls of linkbeat\n\nCounted by strace; for a change, the median of the calls within \
                     a second of it.\n\n| | calls |\n|---|---|\n";
            for (what, count) in calls.counts() {
                writeln!(text, "| {what} | {} |", grouped(count)).ok();
            }
        }
        if let Some(Growth { beats, before_kb, after_kb, took_s }) = &self.memory {
            text += "\n## Over many beats\n\n";
            writeln!(
                text,
                "linkbeat's resident memory before and after {beats} beats, sent in {took_s} s, one by one: \
                 {before_kb} kB and {after_kb} kB."
            )
            .ok();
        }
        text
    }

    fn costs_table(&self) -> String {
        let mut text = "| each alone, beating every 30 s |".to_owned();
        for cost in &self.costs {
            write!(text, " {} |", cost.kind.title()).ok();
        }
        text += "\n|---|---|---|---|\n";
        let mut line = |name: &str, cell: &dyn Fn(&Cost) -> String| {
            let cells = self.costs.iter().map(cell).collect::<Vec<_>>().join(" | ");
            writeln!(text, "| {name} | {cells} |").ok();
        };
        line("processes, threads", &|it| format!("{}: {}", it.processes.join(", "), it.threads));
        line("resident memory (RSS)", &|it| kb(it.memory.rss_kb));
        line("its share of it (PSS)", &|it| kb(it.memory.pss_kb));
        line("and for each beat, briefly", &|it| it.passing_kb.map_or("-".to_owned(), kb));
        line("wake-ups per hour", &|it| grouped(it.wakeups));
        line("processor time per hour", &|it| format!("{} ms", grouped(it.cpu_ms)));
        line("bytes per beat, both ways", &|it| grouped(it.beat_bytes));
        line("bytes per month", &|it| megabytes(it.month_bytes));
        line("on the disk, its own files", &|it| megabytes(it.size.own));
        line("with the libraries they need", &|it| megabytes(it.size.all));
        text
    }
}

const HOW: &str = "\
All three agents run in the same network namespaces at the same time, so one act gives one sample of each, and they share
the processors while they react. They send a beat every 30 s over TLS and verify the certificate. Headers, body and URL are
the same; the device key differs.

- linkbeat: the static build of `scripts/cross` with the default configuration, except that the moderation of triggers is off.
- curl + `ip monitor`: [tests/rivals/curl.sh](../rivals/curl.sh), with debounce, time-outs and retries.
- the reference: [tests/rivals/reference.py](../rivals/reference.py), the design of the service that linkbeat replaces. Its
  times depend on the phase of its 30 s cycle in which an event falls; the runs are spread evenly over the cycle.

Times start with the kernel's announcement in the device if there is one (cable, address), else with the act. They end when
the server has read and decrypted the last byte of the request. The cable leads through a switch. Addresses are static, and
the kernel is set to leave a route without a carrier at once, which the rivals need and linkbeat does not. The router in
front of the server makes the outages; the links of the device stay up. In an outage of 12 s, a beat of every agent falls
due 2 to 10 s after its beginning. The rebooted router is the only way out and is off for 40 s or more, until the device has
given up its hardware address. Events in several networks overlap in time, but only one is made at a time.
Two kinds of events are for linkbeat alone. In a blip, the only carrier is lost for the given time, over IPv4, over IPv6, or
as the only port of a bridge with IPv4, with the default settings of the kernel; the time starts with its return. A mute
uplink has a middlebox that acknowledges everything and answers nothing, while wlan1 works.
A request that did not come within 100 s counts as never.";

const PICTURE: &str = "\n![The same times as a picture, on a logarithmic axis](times.svg)\n";

const FLOOR: &str = "
The floor is the time that this machine needs, without any agent, for one wake-up by an eventfd, one TCP segment through
the router, and the wake-up of its reader. With TLS, a thread that does nothing else writes a request to the same server on
an open connection. The time of a trigger beyond that is the time of the agent itself. In a virtual machine, a sleeping
processor wakes slowly and with cold caches. *Kept awake* means that a process of idle priority spins on each processor;
now and then the scheduler may let it finish its tick.
";

const COSTS: &str = "
Memory is that of the permanent processes while no beat is in progress; PSS divides a shared page by the number of its
users. Wake-ups are voluntary context switches, scaled to an hour, and include those of the short-lived processes of each
beat, counted by `time`. Bytes are those of all IP packets of the device, including DNS, probes and keep-alives. The size
on the disk counts the program of linkbeat; bash, curl, ip and the tools of the script; Python and the imported modules. It
does not count the kernel and the roots of trust.
";

/// The runs of each agent; one number where it is the same.
fn counts(row: &Row) -> String {
    let counts: Vec<usize> = row.series.iter().map(Vec::len).filter(|it| *it > 0).collect();
    match counts.as_slice() {
        [first, rest @ ..] if rest.iter().all(|it| it == first) => first.to_string(),
        _ => row.series.iter().map(|it| it.len().to_string()).collect::<Vec<_>>().join(", "),
    }
}

fn kb(kb: u64) -> String {
    format!("{} kB", grouped(kb))
}

#[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
fn megabytes(bytes: u64) -> String {
    format!("{:.2} MB", bytes as f64 / 1e6)
}

/// A number with a comma before every three digits.
fn grouped(number: u64) -> String {
    let (thousands, rest) = (number / 1000, number % 1000);
    if thousands == 0 { rest.to_string() } else { format!("{},{rest:03}", grouped(thousands)) }
}

fn machine() -> io::Result<String> {
    let info = fs::read_to_string("/proc/cpuinfo")?;
    let value = |name: &str| {
        let line = info.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once(": ")).map(|(_, value)| value.trim())
    };
    let count = thread::available_parallelism()?;
    let model = value("model name").or(value("Model")).unwrap_or("unknown processor");
    let is_virtual = value("flags").is_some_and(|it| it.split(' ').any(|it| it == "hypervisor"));
    let kind = if is_virtual { " of a virtual machine" } else { "" };
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let kernel = kernel.trim().split('-').next().unwrap_or_default();
    Ok(format!("{count} processors ({model}){kind}, Linux {kernel}"))
}

/// The versions of the rivals' tools.
fn rivals() -> io::Result<String> {
    let first = |text: String, words: usize| {
        text.split_whitespace().take(words).collect::<Vec<_>>().join(" ")
    };
    let curl = first(said_by("curl", &["--version"])?, 2);
    let python = crate::camera::python();
    let python = first(said_by(&python.display().to_string(), &["--version"])?, 2);
    let bash = said_by("bash", &["-c", "echo bash ${BASH_VERSION%%[^0-9.]*}"])?;
    Ok(format!("Rivals: {curl}, {bash}, {python}."))
}

fn said_by(program: &str, arguments: &[&str]) -> io::Result<String> {
    let output = Command::new(program).args(arguments).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
