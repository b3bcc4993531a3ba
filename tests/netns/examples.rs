//! The examples of trigger helpers and hooks in `tests/helpers` build and run.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use linkbeat_support::agent::Setting;
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

#[test]
fn helper_in_c_triggers() {
    let world = World::new();
    let program = world.directory().join("trigger");
    let mut compiler = Command::new("gcc");
    compiler.args(["-Wall", "-Wextra", "-Werror", "-o"]).arg(&program).arg(example("trigger.c"));
    run(&mut compiler, "");
    rings_at_each_line(&world, &mut Command::new(program));
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
