//! What an agent needs on the disk: its own files, and the libraries that the linker finds for them.

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
    /// The same with all shared libraries.
    pub(crate) all: u64,
}

/// What this agent needs.
pub(crate) fn of(options: &Options, kind: Kind) -> Size {
    let mut files = BTreeSet::new();
    match kind {
        Kind::Linkbeat => files.extend(real(&options.binary)),
        Kind::Curl => {
            // What the script calls. The shell is counted, the kernel and /etc are not.
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

/// The files of everything that the program has imported once it runs.
fn modules(script: &Path) -> Vec<PathBuf> {
    const LIST: &str = "import runpy, sys
loaded = set(sys.modules)
runpy.run_path(sys.argv[1], run_name='rival')
for module in list(sys.modules.values()):
    print(getattr(module, '__file__', None) or '')";
    let list = run(Command::new(python()).args(["-c", LIST]).arg(script), "");
    list.lines().filter(|it| !it.is_empty()).filter_map(|it| real(Path::new(it))).collect()
}

/// The shared libraries of this program or library, and theirs.
fn libraries(file: &Path) -> Vec<PathBuf> {
    // ldd(1) fails for what is no program, and for what is linked statically.
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
