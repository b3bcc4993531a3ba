//! The `linkbeat` command.

use std::path::PathBuf;
use std::process::ExitCode;

use linkbeat::error::Error;
use linkbeat::event_loop::EventLoop;
use linkbeat::logger;

fn main() -> ExitCode {
    match logger::init().and_then(|()| run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!("{error}");
            error.exit_code()
        }
    }
}

fn run() -> Result<(), Error> {
    let path = std::env::args_os().nth(2).unwrap_or_else(|| "/etc/rpi-cam/meeting.json".into());
    EventLoop::new(PathBuf::from(path), None)?.run()
}
