//! Every target with its seeds and its corpus, without a fuzzer: what once was found stays mended.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[path = "../targets/agent.rs"]
mod agent;
#[path = "../targets/certificate.rs"]
mod certificate;
#[path = "../targets/command_line.rs"]
mod command_line;
#[path = "../targets/config.rs"]
mod config;
#[path = "../targets/connection.rs"]
mod connection;
#[path = "../targets/dns.rs"]
mod dns;
#[path = "../targets/dns_tcp.rs"]
mod dns_tcp;
#[path = "../targets/emit.rs"]
mod emit;
#[path = "../targets/http_server.rs"]
mod http_server;
#[path = "../targets/json.rs"]
mod json;
#[path = "../targets/line.rs"]
mod line;
#[path = "../targets/links.rs"]
mod links;
#[path = "../targets/local_lines.rs"]
mod local_lines;
#[path = "../targets/names.rs"]
mod names;
#[path = "../targets/response.rs"]
mod response;
#[path = "../targets/route_answer.rs"]
mod route_answer;
#[path = "../targets/rtnetlink.rs"]
mod rtnetlink;
#[path = "../targets/state_file.rs"]
mod state_file;
#[path = "../targets/tcp_table.rs"]
mod tcp_table;
#[path = "../targets/tls_files.rs"]
mod tls_files;

/// Makes a test of each target, and the list of them.
macro_rules! replayed {
    ($($target:ident)*) => {
        const TARGETS: &[&str] = &[$(stringify!($target)),*];

        $(
            #[test]
            fn $target() {
                replay(stringify!($target), $target::target);
            }
        )*
    };
}

replayed! {
    agent certificate command_line config connection dns dns_tcp emit http_server json line links local_lines names response route_answer rtnetlink state_file tcp_table tls_files
}

fn home() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files in a directory, which may be missing.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut files: Vec<_> = paths.filter(|path| path.is_file()).collect();
    files.sort();
    files
}

/// Runs a target over its seeds and its corpus, which has at least one input.
fn replay(name: &str, run: fn(&[u8])) {
    let unpacked =
        std::env::temp_dir().join(format!("linkbeat-corpus-{name}-{}", std::process::id()));
    fs::create_dir_all(&unpacked).expect("a directory");
    let archive = home().join("corpus").join(name).with_extension("tar.gz");
    let tar = Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(&unpacked).status();
    assert!(tar.expect("tar").success(), "unpack {}", archive.display());
    let corpus = files(&unpacked);
    assert!(!corpus.is_empty(), "{} is empty", archive.display());
    for path in files(&home().join("seeds").join(name)).iter().chain(&corpus) {
        // Shown if the target panics.
        println!("{}", path.display());
        run(&fs::read(path).expect("an input"));
    }
    fs::remove_dir_all(&unpacked).expect("our own directory");
}

#[test]
fn every_target_is_replayed_and_has_a_corpus() {
    let named = |directory: &str, end: &str| -> BTreeSet<String> {
        let names = files(&home().join(directory)).into_iter().filter_map(|path| {
            path.file_name().and_then(OsStr::to_str)?.strip_suffix(end).map(str::to_owned)
        });
        names.collect()
    };
    let targets: BTreeSet<String> = TARGETS.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(named("targets", ".rs"), targets);
    assert_eq!(named("corpus", ".tar.gz"), targets);
}
