//! The examples for writers of helpers in `tests/helpers`: they build, run and ring.

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

/// A helper that rings at each line of its standard input: three lines, three beats, and one more
/// when the agent was started anew.
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
fn helper_in_c_rings() {
    let world = World::new();
    let program = world.directory().join("trigger");
    let mut compiler = Command::new("gcc");
    compiler.args(["-Wall", "-Wextra", "-Werror", "-o"]).arg(&program).arg(example("trigger.c"));
    run(&mut compiler, "");
    rings_at_each_line(&world, &mut Command::new(program));
}

#[test]
fn helper_in_python_rings() {
    let world = World::new();
    let mut command = Command::new("python3");
    command.arg(example("trigger.py"));
    rings_at_each_line(&world, &mut command);
}

#[test]
fn helper_in_shell_rings_with_its_word() {
    let world = World::new();
    let mut camera = Camera::calm(&world);
    let mut command = Command::new("sh");
    let answer = run(command.arg(example("trigger.sh")).arg("door").arg(camera.agent.socket()), "");
    assert_eq!(answer, "set\n");
    assert_eq!(camera.beat().reason(), "trigger:door");
}
