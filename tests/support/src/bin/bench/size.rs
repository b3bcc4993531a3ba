//! The size of an agent on the disk: its own files, and the libraries that the linker finds for
//! them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use linkbeat_support::space::run;

use crate::Options;
use crate::camera::{Kind, python};

/// Sizes in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// Programs, scripts and modules.
    pub(crate) own: u64,
    /// These and all shared libraries.
    pub(crate) all: u64,
}

/// Returns the sizes of this agent.
pub(crate) fn of(options: &Options, kind: Kind) -> Size {
    let mut files = BTreeSet::new();
    match kind {
        Kind::Linkbeat => files.extend(real(&options.binary)),
        Kind::Curl => {
            // The programs of the script, the shell included, without the kernel and /etc.
            for program in ["bash", "curl", "ip", "df", "tr", "mkfifo", "rm"] {
                files.extend(which(program));
            }
            files.extend(real(&kind.script()));
        }
        Kind::Reference => {
            files.extend(modules(&kind.script()));
            files.extend(which(&python().display().to_string()));
        }
    }
    let own = sum(&files);
    let libraries: Vec<PathBuf> = files.iter().flat_map(|file| libraries(file)).collect();
    files.extend(libraries);
    Size { own, all: sum(&files) }
}

/// The files of all modules that the running program has imported.
fn modules(script: &Path) -> Vec<PathBuf> {
    const LIST: &str = "import runpy, sys
loaded = set(sys.modules)
runpy.run_path(sys.argv[1], run_name='rival')
for module in list(sys.modules.values()):
    print(getattr(module, '__file__', None) or '')";
    let list = run(Command::new(python()).args(["-c", LIST]).arg(script), "");
    list.lines().filter(|it| !it.is_empty()).filter_map(|it| real(Path::new(it))).collect()
}

/// The shared libraries of this program or library, and of these libraries.
fn libraries(file: &Path) -> Vec<PathBuf> {
    // ldd(1) fails for files that are no programs and for static ones.
    let Ok(output) = Command::new("ldd").arg(file).output() else { return Vec::new() };
    let text = String::from_utf8_lossy(&output.stdout);
    let words = text.split_whitespace().filter(|it| it.starts_with('/'));
    words.filter_map(|it| real(Path::new(it.trim_end_matches(':')))).collect()
}

fn which(program: &str) -> Option<PathBuf> {
    let found = run(Command::new("sh").args(["-c", "command -v \"$1\"", "sh", program]), "");
    real(Path::new(found.trim()))
}

fn real(path: &Path) -> Option<PathBuf> {
    fs::canonicalize(path).ok()
}

fn sum(files: &BTreeSet<PathBuf>) -> u64 {
    files.iter().filter_map(|file| fs::metadata(file).ok()).map(|it| it.len()).sum()
}
