//! The examples of trigger helpers and hooks in `tests/helpers` build and run.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use linkbeat_support::agent::{Agent, Line, SOON, Setting, expect_line};
use linkbeat_support::journal::Follower;
use linkbeat_support::space::run;
use linkbeat_support::world::World;

use crate::camera::{Camera, RARELY, binary};

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/helpers").join(name)
}

/// A helper that triggers at each line of its standard input: three lines cause three beats, and
/// one more works after a restart of the agent.
fn rings_at_each_line(world: &World, command: &mut Command) {
    let setting = Setting::new(world).every(RARELY);
    let mut camera = Camera::start(world, &setting);
    let mut helper = command.arg(camera.agent.socket()).stdin(Stdio::piped()).spawn().unwrap();
    let mut input = helper.stdin.take().unwrap();
    for _ in 0..3 {
        writeln!(input, "ring").unwrap();
        assert_eq!(camera.beat().reason(), "trigger");
    }
    camera.agent = camera.agent.restart(world, binary(), &setting);
    camera.beat_for("startup");
    writeln!(input, "ring").unwrap();
    camera.beat_for("trigger");
    drop(input);
    assert!(helper.wait().unwrap().success());
}

/// The program of the example in C.
fn compiled(world: &World) -> PathBuf {
    let program = world.directory().join("trigger");
    let mut compiler = Command::new("gcc");
    compiler.args(["-Wall", "-Wextra", "-Werror", "-o"]).arg(&program).arg(example("trigger.c"));
    run(&mut compiler, "");
    program
}

#[test]
fn helper_in_c_triggers() {
    let world = World::new();
    rings_at_each_line(&world, &mut Command::new(compiled(&world)));
}

#[test]
fn helpers_in_c_and_python_name_the_socket_that_nobody_listens_on() {
    let world = World::new();
    let socket = world.directory().join("absent");
    let mut python = Command::new("python3");
    python.arg(example("trigger.py"));
    for mut command in [Command::new(compiled(&world)), python] {
        let said = command.arg(&socket).output().unwrap();
        let error = format!("{}: No such file or directory\n", socket.display());
        assert_eq!(String::from_utf8_lossy(&said.stderr), error);
        assert_eq!(said.status.code(), Some(1));
    }
}

#[test]
fn helper_in_python_triggers() {
    let world = World::new();
    let mut command = Command::new("python3");
    command.arg(example("trigger.py"));
    rings_at_each_line(&world, &mut command);
}

#[test]
fn helper_in_shell_triggers_with_its_reason() {
    let world = World::new();
    let mut camera = Camera::calm(&world);
    let mut command = Command::new("sh");
    let answer = run(command.arg(example("trigger.sh")).arg("door").arg(camera.agent.socket()), "");
    assert_eq!(answer, "set\n");
    assert_eq!(camera.beat().reason(), "trigger:door");
}

#[test]
fn helper_in_shell_fails_without_an_answer_and_after_an_error() {
    let world = World::new();
    let camera = Camera::calm(&world);
    let absent = world.directory().join("absent");
    for (word, socket, answer) in
        [("two words", camera.agent.socket(), "error: "), ("door", absent, "")]
    {
        let mut command = Command::new("sh");
        let said = command.arg(example("trigger.sh")).arg(word).arg(&socket).output().unwrap();
        assert_eq!(said.status.code(), Some(1), "{said:?}");
        assert!(said.stdout.starts_with(answer.as_bytes()), "{said:?}");
    }
}

/// The hooks as their programs call them; `scripts/test managers` has these programs.
#[test]
fn hooks_of_network_managers_trigger_for_what_is_news() {
    let world = World::new();
    let mut camera = Camera::calm(&world);
    let program = binary();
    let path = program.parent().unwrap().to_str().unwrap();
    for (hook, silent, rings, reason) in [
        ("networkmanager", "sh $hook eth0 down", "sh $hook eth0 up", "networkmanager-up"),
        ("dhcpcd", "reason=RENEW; . $hook", "reason=BOUND; . $hook", "dhcpcd-BOUND"),
        ("udhcpc", "sh $hook renew", "sh $hook bound", "udhcpc-bound"),
        ("ifplugd", "sh $hook eth0 down", "sh $hook eth0 up", "ifplugd-up"),
    ] {
        let hook = example("hooks").join(hook);
        for call in [silent, rings] {
            let script = format!("hook={}; PATH={path}:$PATH; {call}", hook.display());
            let said = camera.agent.beside(&world, "sh", &["-c", &script]);
            assert!(said.status.success(), "{script}: {said:?}");
        }
        assert_eq!(camera.beat().reason(), format!("trigger:{reason}"));
    }
}

/// What the example with events ran: each run prints a line, see [`PRINT`].
fn follow_events(camera: &Camera, world: &World, words: &[&str]) -> (Agent, Follower<Line>) {
    let program = binary();
    let path = program.parent().unwrap().to_str().unwrap();
    let script = example("events.sh");
    let script = script.to_str().unwrap();
    // It is killed at the end, and what it leaves goes with the world.
    let directory = world.directory().display();
    let call = format!("TMPDIR={directory} PATH={path}:$PATH exec sh {script} \"$@\"");
    let arguments = [&["-c", &call, "sh"], words].concat();
    let run = camera.agent.start_beside(world, "sh", &arguments);
    let mut lines = run.lines().follow_all();
    expect_line(&mut lines, "follows the events", SOON);
    (run, lines)
}

const PRINT: &str = r#"echo "ran $LINKBEAT_EVENT [$LINKBEAT_UPLINK] [$LINKBEAT_CAUSE]""#;

#[test]
fn events_run_a_program_with_the_facts() {
    let world = World::new();
    world.pull("wlan0");
    world.pull("wlan1");
    let mut camera = Camera::calm(&world);
    let (_script, mut lines) = follow_events(&camera, &world, &["1", "5", "sh", "-c", PRINT]);
    world.pull("eth0");
    expect_line(&mut lines, "ran uplink_lost [eth0] []", 2 * SOON);
    expect_line(&mut lines, "ran offline [] [no_connectivity]", 2 * SOON);
    world.plug("eth0");
    camera.beat();
    expect_line(&mut lines, "ran online [] [no_connectivity]", 2 * SOON);
    world.pull("eth0");
    expect_line(&mut lines, "ran uplink_lost [eth0] []", 2 * SOON);
}

#[test]
fn events_kill_a_program_that_hangs_and_go_on() {
    let world = World::new();
    world.pull("wlan0");
    world.pull("wlan1");
    let mut camera = Camera::calm(&world);
    let hang = format!("{PRINT}; exec tail -f /dev/null");
    let (_script, mut lines) = follow_events(&camera, &world, &["600", "1", "sh", "-c", &hang]);
    world.pull("eth0");
    expect_line(&mut lines, "ran uplink_lost [eth0]", 2 * SOON);
    world.plug("eth0");
    camera.beat();
    expect_line(&mut lines, "ran online []", 2 * SOON);
}

#[test]
fn events_end_with_the_code_of_the_command() {
    let world = World::new();
    let mut camera = Camera::calm(&world);
    camera.agent.end();
    let (mut script, _) = follow_events(&camera, &world, &["1", "1", "true"]);
    assert_eq!(script.wait(2 * SOON).code(), Some(3));
}
