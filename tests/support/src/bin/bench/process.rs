//! The kernel's counts of a process and its descendants (proc(5)).

use std::fs;
use std::path::PathBuf;

use rustix::process::{Pid, Signal, kill_process};

/// A process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process(u32);

/// The resources that processes have used so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// The number of times that a thread left the processor to wait.
    pub(crate) waits: u64,
    /// Processor time in ns, including that of ended children.
    pub(crate) cpu_ns: u64,
}

/// Memory in kB.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Memory {
    /// Resident memory.
    pub(crate) rss_kb: u64,
    /// Resident memory, with each shared page divided by the number of its users.
    pub(crate) pss_kb: u64,
}

impl Process {
    /// This process and all its running descendants.
    pub(crate) fn tree(root: Pid) -> Vec<Self> {
        let numbers = fs::read_dir("/proc").into_iter().flatten().flatten();
        let numbers = numbers.filter_map(|it| it.file_name().to_str()?.parse().ok());
        let all: Vec<(Self, u32)> =
            numbers.filter_map(|it| Some((Self(it), Self(it).parent()?))).collect();
        let root = root.as_raw_nonzero().get().unsigned_abs();
        let mut tree = vec![Self(root)];
        let mut at = 0;
        while let Some(Self(parent)) = tree.get(at).copied() {
            tree.extend(all.iter().filter(|(_, it)| *it == parent).map(|(child, _)| *child));
            at += 1;
        }
        tree
    }

    /// Its name, shortened by the kernel.
    pub(crate) fn name(self) -> String {
        self.read("comm").trim().to_owned()
    }

    /// The number of its threads.
    pub(crate) fn threads(self) -> usize {
        self.tasks().len()
    }

    pub(crate) fn memory(self) -> Memory {
        let text = self.read("smaps_rollup");
        let number = |name| field(&text, name).unwrap_or_default();
        Memory { rss_kb: number("Rss:"), pss_kb: number("Pss:") }
    }

    pub(crate) fn usage(self) -> Usage {
        let mut usage = Usage { cpu_ns: self.children_ns(), ..Usage::default() };
        for task in self.tasks() {
            let read = |name| fs::read_to_string(task.join(name)).unwrap_or_default();
            usage.waits += field(&read("status"), "voluntary_ctxt_switches:").unwrap_or_default();
            let schedstat = read("schedstat");
            let running = schedstat.split_whitespace().next().and_then(|it| it.parse::<u64>().ok());
            usage.cpu_ns += running.unwrap_or_default();
        }
        usage
    }

    /// Kills the process.
    pub(crate) fn kill(self) {
        let pid = i32::try_from(self.0).ok().and_then(Pid::from_raw);
        // It may have ended already.
        pid.map(|pid| kill_process(pid, Signal::KILL).ok());
    }

    fn parent(self) -> Option<u32> {
        self.stat().get(1)?.parse().ok()
    }

    /// The processor time of ended children in ns, from `cutime` and `cstime` in ticks of 10 ms.
    fn children_ns(self) -> u64 {
        let stat = self.stat();
        let ticks = |at: usize| stat.get(at).and_then(|it| it.parse::<u64>().ok());
        (ticks(13).unwrap_or_default() + ticks(14).unwrap_or_default()) * 10_000_000
    }

    /// The fields of `stat` after the name, which may contain any character. The first is the
    /// state.
    fn stat(self) -> Vec<String> {
        let stat = self.read("stat");
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        fields.split_whitespace().map(ToOwned::to_owned).collect()
    }

    fn tasks(self) -> Vec<PathBuf> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.0)).into_iter().flatten().flatten();
        tasks.map(|it| it.path()).collect()
    }

    /// The text is empty if the process has ended.
    fn read(self, name: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{name}", self.0)).unwrap_or_default()
    }
}

/// The number after this name at the beginning of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}
