//! Chromium in the device of a world, controlled over a pipe.
//!
//! It speaks the DevTools protocol: JSON messages with a zero byte behind each. Every message that
//! comes goes into a journal, answers and events alike, so that a test waits for either as it waits
//! for a beat.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use linkbeat_support::journal::{Follower, Journal};
use linkbeat_support::world::World;
use serde_json::{Value, json};

/// How long anything in a browser may take, on a machine that has more to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Switches off what the page does not need: without them it calls home from the start.
const FLAGS: &str = "--headless --no-sandbox --remote-debugging-pipe --no-first-run --disable-gpu \
    --disable-quic --disable-background-networking --disable-component-update --disable-sync \
    --disable-default-apps --disable-dev-shm-usage --disable-extensions --hide-scrollbars \
    --force-color-profile=srgb --font-render-hinting=none";

/// A running browser; ended when dropped.
pub(crate) struct Browser {
    child: Child,
    commands: Mutex<Commands>,
    messages: Journal<Value>,
}

struct Commands {
    pipe: ChildStdin,
    sent: u64,
}

impl Browser {
    /// Starts one where the agent of `world` runs.
    pub(crate) fn start(world: &World) -> Self {
        let profile = world.directory().join("browser");
        // It reads commands from descriptor 3 and writes to 4.
        let line = format!(
            "exec chromium {FLAGS} --user-data-dir='{}' about:blank 3<&0 4>&1 0</dev/null 1>/dev/null",
            profile.display()
        );
        let mut command: Command = world.device.command("sh");
        command.args(["-c", &line]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::null()).spawn().expect("start chromium");
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        let messages = Journal::default();
        let heard = messages.clone();
        thread::spawn(move || {
            let mut message = Vec::new();
            while output.read_until(0, &mut message).is_ok_and(|length| length > 0) {
                message.pop();
                heard.push(serde_json::from_slice::<Value>(&message).expect("JSON"));
                message.clear();
            }
        });
        let pipe = child.stdin.take().expect("a pipe");
        Self { child, commands: Mutex::new(Commands { pipe, sent: 0 }), messages }
    }

    /// Has it do something; returns what came of it.
    pub(crate) fn call(&self, session: Option<&str>, method: &str, parameters: Value) -> Value {
        self.attempt(session, method, parameters).unwrap_or_else(|why| panic!("{method}: {why}"))
    }

    /// The same, or why nothing came of it.
    pub(crate) fn attempt(
        &self,
        session: Option<&str>,
        method: &str,
        parameters: Value,
    ) -> Result<Value, String> {
        let mut answers = self.messages.follow();
        let number = self.send(session, method, parameters).expect("a browser that listens");
        let answer = answers.find(PATIENCE, |message| message["id"] == number);
        let answer = answer.unwrap_or_else(|| panic!("the browser does not answer {method}"));
        match &answer["error"] {
            Value::Null => Ok(answer["result"].clone()),
            error => Err(error.to_string()),
        }
    }

    fn send(&self, session: Option<&str>, method: &str, parameters: Value) -> std::io::Result<u64> {
        let mut commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        commands.sent += 1;
        let mut message = json!({"id": commands.sent, "method": method, "params": parameters});
        if let Some(session) = session {
            message["sessionId"] = session.into();
        }
        commands.pipe.write_all(format!("{message}\0").as_bytes())?;
        Ok(commands.sent)
    }

    /// All messages of the browser so far, in order.
    pub(crate) fn messages(&self) -> Vec<Value> {
        self.messages.all()
    }

    /// Follows its messages from here on.
    pub(crate) fn follow(&self) -> Follower<Value> {
        self.messages.follow()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let mut answers = self.messages.follow();
        // Killed at once, it would leave processes of its own behind for a while.
        if let Ok(number) = self.send(None, "Browser.close", json!({})) {
            answers.find(Duration::from_secs(5), |message| message["id"] == number);
        }
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
