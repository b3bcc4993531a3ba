//! The `linkbeat` command.

use std::io::{ErrorKind::PermissionDenied, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use linkbeat::cli::{self, Command};
use linkbeat::error::Error;
use linkbeat::event_loop;
use linkbeat::logger;
use linkbeat::sys::eventfd::EventFd;
use linkbeat::sys::sandbox::Sandbox;

fn main() -> ExitCode {
    let result = match cli::parse(std::env::args_os().skip(1)) {
        Ok(Command::Run { config, trigger_fd, sandbox }) => {
            logger::init().map(|()| run(config, trigger_fd, sandbox))
        }
        Ok(command) => cli::execute(command),
        Err(error) => Err(error),
    };
    result.unwrap_or_else(|error| {
        let hint = next_step(&error);
        // An error cannot be reported anywhere else.
        writeln!(std::io::stderr(), "linkbeat: {error}{hint}").ok();
        error.exit_code()
    })
}

/// What a person at a shell can do about the error of a command.
fn next_step(error: &Error) -> &'static str {
    match error {
        Error::Usage(_) => "; see linkbeat --help",
        Error::NoAgent { .. } => {
            "; to start it: systemctl restart linkbeat, or /etc/init.d/*linkbeat restart"
        }
        Error::System { path: Some(_), source, .. } if source.kind() == PermissionDenied => {
            "; root may, and the members of the group linkbeat"
        }
        _ => "",
    }
}

/// Runs the agent; its errors are logged.
fn run(config: PathBuf, trigger_fd: Option<u32>, sandbox: bool) -> ExitCode {
    let adopt = |fd| EventFd::adopt(fd).map_err(Error::system("adopt --trigger-fd"));
    let trigger = trigger_fd.map(adopt).transpose();
    // Before anything is read: nothing that follows needs what the sandbox denies.
    let sandbox = sandbox.then(Sandbox::enter);
    if let Some(obstacle) = sandbox.as_ref().and_then(|it| it.obstacle.as_ref()) {
        log::warn!("{obstacle}");
    }
    match trigger.and_then(|trigger| event_loop::run(config, trigger, sandbox)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!("{error}");
            error.exit_code()
        }
    }
}
