//! A server for beats, to test an agent or a network by hand.

use std::io::{self, BufRead, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use std::{fs, thread};

use lexopt::prelude::*;
use linkbeat_support::certificates::Certificates;
use linkbeat_support::receiver::behaviour::USAGE;
use linkbeat_support::receiver::{Receiver, Scheme};

const HELP: &str = "\
usage: receiver [--https ADDRESS] [--http ADDRESS] [--name NAME]... [--ca FILE]

Receives beats and prints each as one line of JSON. It makes its certificate at start, for the
given names and localhost, and writes the authority for `tls.ca_file` to the FILE of --ca.
Control lines on standard input set its behaviour:

";

struct Options {
    listeners: Vec<(TcpListener, Scheme)>,
    names: Vec<String>,
    authority: Option<PathBuf>,
}

fn main() -> ExitCode {
    match options().and_then(|options| options.map_or(Ok(()), run)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error is closed: nothing can be reported.
            writeln!(io::stderr(), "receiver: {error}").ok();
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Option<Options>, lexopt::Error> {
    let names = ["localhost", "127.0.0.1", "::1"].map(ToOwned::to_owned).to_vec();
    let mut options = Options { listeners: Vec::new(), names, authority: None };
    let mut arguments = lexopt::Parser::from_env();
    let bind = |address: SocketAddr| {
        TcpListener::bind(address).map_err(|it| lexopt::Error::Custom(Box::new(it)))
    };
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("https") => {
                let listener = bind(arguments.value()?.parse()?)?;
                options.listeners.push((listener, Scheme::Https));
            }
            Long("http") => {
                let listener = bind(arguments.value()?.parse()?)?;
                options.listeners.push((listener, Scheme::Http));
            }
            Long("name") => options.names.push(arguments.value()?.string()?),
            Long("ca") => options.authority = Some(arguments.value()?.into()),
            Long("help") | Short('h') => {
                writeln!(io::stdout(), "{HELP}{USAGE}").ok();
                return Ok(None);
            }
            other => return Err(other.unexpected()),
        }
    }
    if options.listeners.is_empty() {
        return Err("no address to listen on: see --help".into());
    }
    Ok(Some(options))
}

fn run(options: Options) -> Result<(), lexopt::Error> {
    let names: Vec<&str> = options.names.iter().map(String::as_str).collect();
    let certificates = Arc::new(Certificates::new(&names));
    if let Some(file) = options.authority {
        fs::write(file, certificates.authority_pem()).map_err(|it| it.to_string())?;
    }
    for (listener, scheme) in &options.listeners {
        let address = listener.local_addr().map_err(|it| it.to_string())?;
        writeln!(io::stderr(), "receiver: {scheme:?} on {address}").ok();
    }
    let receiver = Arc::new(Receiver::start(options.listeners, &certificates));
    let controlled = Arc::clone(&receiver);
    thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if let Err(usage) = controlled.follow(&line) {
                writeln!(io::stderr(), "{usage}").ok();
            }
        }
    });
    let mut beats = receiver.beats().follow_all();
    // Standard output is closed: nobody reads it.
    while let Some(beat) = beats.find(Duration::MAX, |_| true) {
        if writeln!(io::stdout(), "{}", beat.to_json()).is_err() {
            break;
        }
    }
    Ok(())
}
