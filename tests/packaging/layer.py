"""Tests the Yocto layer without BitBake: its copies of values from other files, and the files it installs."""

import hashlib
import pathlib
import re
import subprocess
import tempfile
import tomllib

import licences

ROOT = pathlib.Path(__file__).resolve().parents[2]
LAYER = ROOT / "buildroot/yocto/meta-linkbeat"
CARGO = tomllib.loads((ROOT / "Cargo.toml").read_text())
(RECIPE,) = LAYER.glob("recipes-*/linkbeat/linkbeat_*.bb")
TEXT = RECIPE.read_text()


def value(name):
    """The value of a variable, which is set once."""
    found = re.findall(rf'^(?:export )?{re.escape(name)} \S*= "((?:[^"\\]|\\.)*?)"$', TEXT, re.MULTILINE | re.DOTALL)
    assert len(found) == 1, (name, found)
    return found[0]


def function(name):
    return re.search(rf"^{re.escape(name)}\(\) {{\n(.*?)^}}", TEXT, re.MULTILINE | re.DOTALL)[1]


def the_version_is_that_of_the_crate():
    assert RECIPE.name == f"linkbeat_{CARGO['workspace']['package']['version']}.bb"


def the_oldest_rust_is_that_of_the_crate():
    oldest = CARGO["workspace"]["package"]["rust-version"]
    assert f"< ({', '.join(oldest.split('.'))})" in TEXT and f"needs Rust {oldest}," in TEXT


def the_licences_have_their_checksums():
    stated = dict(re.findall(r"file://(\S+);md5=(\S+)", value("LIC_FILES_CHKSUM")))
    assert stated.keys() == {"LICENSE-APACHE", "LICENSE-MIT", "LICENSE-THIRD-PARTY"}
    for file, checksum in stated.items():
        assert hashlib.md5((ROOT / file).read_bytes()).hexdigest() == checksum, file


def the_licences_of_the_crates_are_named():
    ours, *crates = value("LICENSE").split(" & ")
    assert ours == "(Apache-2.0 | MIT)", ours
    assert crates == sorted(licences.of_the_crates()), crates


def the_flags_are_those_of_cargo():
    config = tomllib.loads((ROOT / ".cargo/config.toml").read_text())
    for target, settings in config["target"].items():
        assert value("RUSTFLAGS:append").split() == settings["rustflags"], target
    assert value("RUSTFLAGS:append:libc-musl").split() == ["-C", "target-feature=+crt-static"]


def the_roots_are_a_feature_and_nothing_else_is():
    assert CARGO["features"]["default"] == ["web-roots"]
    assert value("LINKBEAT_WEB_ROOTS") == "1" and value("CARGO_BUILD_FLAGS:append").count("--no-default-features") == 1


def the_list_of_crates_is_the_lock_file():
    listed = subprocess.run([ROOT / "scripts/release", "--crates"], capture_output=True, text=True, check=True).stdout
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
    foreign = [package for package in lock["package"] if "source" in package]
    urls = re.findall(r"^    crate://([^/\s]+)/(\S+)/(\S+) \\$", listed, re.MULTILINE)
    assert [(name, version) for _, name, version in urls] == [(p["name"], p["version"]) for p in foreign]
    (host,) = {host for host, _, _ in urls}
    assert all(f"/{host}-index" in package["source"] for package in foreign), host
    sums = dict(re.findall(r'^SRC_URI\[(\S+)\.sha256sum\] = "(\w+)"$', listed, re.MULTILINE))
    assert sums == {f"{p['name']}-{p['version']}": p["checksum"] for p in foreign}


def every_file_is_installed_with_its_mode():
    variables = {
        "bindir": "/usr/bin", "datadir": "/usr/share", "mandir": "/usr/share/man", "sysconfdir": "/etc", "systemd_system_unitdir": "/usr/lib/systemd/system",
        "systemd_unitdir": "/usr/lib/systemd",
        "S": str(ROOT), "CARGO_TARGET_SUBDIR": "release", "LINKBEAT_CONFIG": ""}
    with tempfile.TemporaryDirectory() as directory:
        binary = pathlib.Path(directory, "build/target/release/linkbeat")
        binary.parent.mkdir(parents=True)
        binary.write_text("")
        variables |= {"B": f"{directory}/build", "D": f"{directory}/image"}
        # Like BitBake: unknown variables are left to the shell.
        script = re.sub(r"\$\{(\w+)\}", lambda name: variables.get(name[1], name[0]), function("do_install"))
        script = 'chown() { echo "chown $*"; }\n' + script
        said = subprocess.run(["sh", "-euc", script], check=True, capture_output=True, text=True).stdout
        assert said == f"chown -R root:linkbeat {directory}/image/etc/linkbeat\n", said
        image = pathlib.Path(directory, "image")
        installed = {
            "/" + str(path.relative_to(image)): f"{path.stat().st_mode & 0o7777:o}"
            for path in image.rglob("*") if path.is_file() or str(path) == f"{image}/etc/linkbeat"}
    assert installed == {
        "/usr/bin/linkbeat": "755",
        "/etc/init.d/linkbeat": "755",
        "/etc/linkbeat": "2750",
        "/etc/linkbeat/linkbeat.json": "640",
        "/etc/sysctl.d/50-linkbeat.conf": "644",
        "/etc/sysctl.d/51-linkbeat-neighbours.conf": "644",
        "/usr/lib/systemd/system/linkbeat.service": "644",
        "/usr/lib/systemd/system-generators/linkbeat-generator": "755",
        "/usr/share/bash-completion/completions/linkbeat": "644",
        "/usr/share/fish/vendor_completions.d/linkbeat.fish": "644",
        "/usr/share/man/man8/linkbeat.8": "644",
        "/usr/share/zsh/site-functions/_linkbeat": "644",
    }, installed


def the_user_is_that_of_the_files():
    assert value("USERADD_PARAM:${PN}").split()[-1] == "linkbeat"
    assert "--user-group" in value("USERADD_PARAM:${PN}")


CLAIMS = [claim for name, claim in list(globals().items())
          if callable(claim) and getattr(claim, "__module__", "") == "__main__"
          and name not in ("value", "function")]
for claim in CLAIMS:
    claim()
    print("layer:", claim.__name__.replace("_", " "))
